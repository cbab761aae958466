//! The command line.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use legwork::spawn::{Group, Plan, Standard};

use super::descriptor::{Descriptor, cut};
use super::limit::Limit;
use crate::child::{Stream, Streams, group, ignored, program};
use crate::failure::{Failure, cannot};
use crate::seconds::seconds;

/// Runs a program that inherits only the named descriptors, and ends as the program does.
///
/// With a controlling terminal, the program stays in the process group that the shell has created, as with env(1): job
/// control, Ctrl+C and pipelines work as they do without legwork. In this case a timeout, and the death of legwork from
/// whatever cause, end only the program, and not the processes that it has started. Without a controlling terminal, and
/// with --session or --pty, the program gets its own process group, which is killed with it.
///
/// Signals that ask legwork to end are passed on to the program. Signals that were ignored when legwork was started, as
/// by nohup(1), are ignored by the program as well, except SIGCHLD.
///
/// A program that becomes another user's process, as by sudo(8), cannot be sent signals. It keeps running after the timeout,
/// and if legwork dies.
///
/// Exit codes: those of the program; 124 if it was stopped by the timeout; 125 if legwork itself failed, could not stop
/// the program, or its options are wrong; 126 if the program cannot be executed; 127 if it does not exist. If a signal
/// ended the program, the same signal ends legwork, which a shell shows as 128+N.
// The aliases are the names of the library, env(1) or bwrap(1).
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The program's working directory
    #[arg(long, value_name = "DIR", aliases = ["chdir", "current-dir", "workdir"])]
    cwd: Option<PathBuf>,
    /// Set an environment variable (may be repeated)
    #[arg(
        long,
        value_name = "NAME=VALUE",
        alias = "setenv",
        value_parser = OsStringValueParser::new().try_map(variable)
    )]
    env: Vec<(OsString, OsString)>,
    /// Remove an environment variable (may be repeated)
    #[arg(long, value_name = "NAME", aliases = ["env-remove", "unsetenv"])]
    unset: Vec<OsString>,
    /// Start with an empty environment
    #[arg(long, aliases = ["env-clear", "clearenv"])]
    clear_env: bool,
    /// The name by which the program is called (argv[0])
    #[arg(long, value_name = "NAME", alias = "arg0")]
    argv0: Option<OsString>,
    /// N=PATH: open the file as the program's descriptor N, for reading and writing if that is permitted. N:M: pass
    /// descriptor M of this command as its N (may be repeated)
    #[arg(
        long,
        value_name = "SPEC",
        value_parser = OsStringValueParser::new().try_map(Descriptor::parse)
    )]
    fd: Vec<Descriptor>,
    /// Standard input: null, inherit (the default), or a file
    #[arg(long, value_name = "WHERE")]
    stdin: Option<OsString>,
    /// Standard output: null, inherit (the default without --json), or a file, which is emptied
    #[arg(long, value_name = "WHERE")]
    stdout: Option<OsString>,
    /// Standard error: null, inherit (the default without --json), or a file, which is emptied
    #[arg(long, value_name = "WHERE")]
    stderr: Option<OsString>,
    /// Start the program in a new session
    #[arg(long)]
    session: bool,
    /// Stop the program after this many seconds: SIGTERM, and SIGKILL after the grace period
    #[arg(long, value_name = "SECONDS", value_parser = seconds, alias = "deadline")]
    pub(super) timeout: Option<Duration>,
    /// Seconds between SIGTERM and SIGKILL
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "2")]
    pub(super) grace: Duration,
    /// Limit a resource (as, core, cpu, data, fsize, memlock, nofile, nproc, rss or stack) to a number,
    /// to `unlimited`, or to SOFT:HARD (may be repeated)
    #[arg(long, value_name = "NAME=VALUE", value_parser = Limit::parse)]
    limit: Vec<Limit>,
    /// Add this to the nice value of the program
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    nice: Option<i32>,
    /// The program's umask, in octal
    #[arg(long, value_name = "MODE", value_parser = octal)]
    umask: Option<u32>,
    /// Give the program its own terminal as standard input, output and error, of the same size as the terminal that
    /// legwork runs on. It is hung up when nobody reads its output any more
    #[arg(long, conflicts_with_all = ["session", "stdin", "stdout", "stderr"])]
    pty: bool,
    /// Print events to standard output, one JSON object per line, the outcome last
    ///
    /// What the program writes until it ends is printed as well, unless --stdout or --stderr sends it elsewhere.
    /// `event` is one of: started, with `pid`; output, with `stream` (stdout, stderr, or terminal with --pty) and
    /// `text`, or with `bytes`, an array of numbers, if it is not UTF-8 (one event is what could be read at once, not a
    /// line); signal, with the `signal` that was passed on; timeout; ended, with `code` or `signal`, and `core_dumped`,
    /// `timed_out`, `user_seconds` and `system_seconds`; failed, instead of ended, with `error`, and with `step` and
    /// `errno` if the program could not be started.
    ///
    /// If the events cannot be printed, the program keeps running. If nobody reads them any more, its standard output
    /// becomes a pipe without a reader
    #[arg(long)]
    pub(super) json: bool,
    /// The program and its arguments. Everything after its name is passed to the program, options as well. `--` may
    /// come before the name
    #[arg(required = true, trailing_var_arg = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

fn octal(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("not an octal number up to 777".to_owned()),
    }
}

fn variable(text: OsString) -> Result<(OsString, OsString), &'static str> {
    let (name, value) = cut(&text, b'=').ok_or("it has no `=`")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Arguments {
    /// Sets the umask, nice value and limits of this process. The program inherits them, and nothing else runs here.
    pub(super) fn change_this_process(&self) -> Result<(), Failure> {
        for limit in &self.limit {
            limit.set()?;
        }
        if let Some(by) = self.nice {
            let what = format!("the nice value cannot change by {by}");
            rustix::process::nice(by).map_err(cannot(&what))?;
        }
        if let Some(mask) = self.umask {
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
        }
        Ok(())
    }

    /// Returns the process group for the program.
    pub(super) fn group(&self) -> Group {
        if self.session || self.pty {
            Group::Session
        } else {
            group()
        }
    }

    pub(super) fn plan(self, group: Group, streams: &mut Streams) -> Result<Plan, Failure> {
        let mut words = self.program.into_iter();
        let name = words.next().unwrap_or_default();
        let mut plan = Plan::new(program(name))
            .args(words)
            .group(group)
            .keep_ignored(ignored());
        if let Some(argv0) = self.argv0 {
            plan = plan.arg0(argv0);
        }
        if let Some(folder) = self.cwd {
            plan = plan.current_dir(folder);
        }
        if self.clear_env {
            plan = plan.env_clear();
        }
        for name in self.unset {
            plan = plan.env_remove(name);
        }
        for (name, value) in self.env {
            plan = plan.env(name, value);
        }
        if self.pty {
            let path = streams.open_terminal();
            plan = plan.terminal(path.map_err(cannot("no terminal can be made"))?);
        } else {
            let standards = [
                (self.stdin, Standard::Input, None),
                (self.stdout, Standard::Output, Some(Stream::Stdout)),
                (self.stderr, Standard::Error, Some(Stream::Stderr)),
            ];
            for (number, (source, standard, stream)) in (0..).zip(standards) {
                let source = match (source, stream) {
                    (None, Some(stream)) if streams.have_events() => {
                        let pipe = streams.open_pipe(stream);
                        plan = plan.fd(number, pipe.map_err(cannot("no pipe can be made"))?);
                        continue;
                    }
                    (source, _) => source.unwrap_or_else(|| "inherit".into()),
                };
                plan = match source.as_bytes() {
                    b"null" => plan,
                    b"inherit" => plan.inherit(standard),
                    _ => {
                        let open = if number == 0 {
                            File::open
                        } else {
                            File::create
                        };
                        let file = open(&source);
                        plan.fd(number, file.map_err(cannot(&source.to_string_lossy()))?)
                    }
                };
            }
        }
        for descriptor in &self.fd {
            plan = plan.fd(descriptor.number, descriptor.open()?);
        }
        Ok(plan)
    }
}
