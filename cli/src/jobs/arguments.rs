//! The command line.

use clap::{Args, Subcommand};

/// Lists, watches and stops the jobs of every app in the session that shows them.
///
/// An app that uses Legwork may show its jobs on the session bus, as org.legwork.Jobs1; docs/jobs1.md describes it. A job is
/// called by its app and its number, as in the list: org.example.Photos/2. What is said of a job is the word of its
/// app.
///
/// Exit codes: 0 done; 1 there is no such job, or its app does not answer or has refused; 2 the command line is wrong;
/// 125 the session bus cannot be reached, or goes away.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(super) task: Option<Task>,
    #[command(flatten)]
    pub(super) listing: Listing,
}

#[derive(Subcommand)]
pub(super) enum Task {
    /// List the jobs that run now; this is the default
    List(Listing),
    /// Print a line whenever a job starts, changes or ends, until it is interrupted
    ///
    /// A job that changes is printed when another percent of it is done, and when its state or its label changes. With
    /// --json it is printed at each change, at most ten times a second.
    Watch(Listing),
    /// Ask jobs to stop; they are killed if they do not
    Cancel {
        /// The jobs, as in the list
        #[arg(required = true, value_name = "JOB")]
        jobs: Vec<String>,
    },
    /// Suspend jobs
    Pause {
        /// The jobs, as in the list
        #[arg(required = true, value_name = "JOB")]
        jobs: Vec<String>,
    },
    /// Continue jobs that are paused
    Resume {
        /// The jobs, as in the list
        #[arg(required = true, value_name = "JOB")]
        jobs: Vec<String>,
    },
    /// Have the app show a job in its window
    ///
    /// XDG_ACTIVATION_TOKEN is passed on, by which the app may raise the window.
    Show {
        /// The job, as in the list
        #[arg(value_name = "JOB")]
        job: String,
    },
}

#[derive(Args)]
pub(super) struct Listing {
    /// Print JSON: one object for the list, one object a line when watching; docs/jobs1.md describes both
    #[arg(long)]
    pub(super) json: bool,
}
