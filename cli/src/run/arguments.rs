//! What the command line asks for.

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

/// Runs a program with no descriptor but those that are named, and ends as the program does.
///
/// With a controlling terminal, the program stays in the process group that the shell has made, as with
/// env(1): job control, Ctrl+C and pipelines work as they do without legwork. Then a timeout, and the death
/// of legwork for whatever reason, end the program alone, and not what it has started. Without a
/// controlling terminal, and with --session or --pty, the program leads a group of its own, which is ended
/// with it.
///
/// Signals that ask legwork to end are handed on to the program. Signals that legwork was started with as
/// ignored, as by nohup(1), the program ignores as well, but for SIGCHLD.
///
/// A program that becomes another user's process, as sudo(8) does, gets no signals, and runs on when its
/// time is up, and when legwork dies.
///
/// Exit codes: the program's own; 124 when the time was up; 125 when legwork itself failed, could not stop
/// the program, or its options make no sense; 126 when the program cannot be executed; 127
/// when there is no such program. When a signal ended the program, the same signal ends legwork, which a
/// shell shows as 128+N.
// An alias is the name that the library, env(1) or bwrap(1) has for the same.
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
    /// What the program sees as its own name
    #[arg(long, value_name = "NAME", alias = "arg0")]
    argv0: Option<OsString>,
    /// N=PATH: open the file, for reading and writing as far as that is allowed, as the program's
    /// descriptor N. N:M: hand over descriptor M of this command as its N (may be repeated)
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
    /// Start it in a session of its own
    #[arg(long)]
    session: bool,
    /// Stop it after this many seconds: SIGTERM, and SIGKILL after the grace
    #[arg(long, value_name = "SECONDS", value_parser = seconds, alias = "deadline")]
    pub(super) timeout: Option<Duration>,
    /// Seconds between SIGTERM and SIGKILL
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "2")]
    pub(super) grace: Duration,
    /// Limit a resource (as, core, cpu, data, fsize, memlock, nofile, nproc, rss or stack) to a number,
    /// to `unlimited`, or to SOFT:HARD (may be repeated)
    #[arg(long, value_name = "NAME=VALUE", value_parser = Limit::parse)]
    limit: Vec<Limit>,
    /// Add this to the program's nice value
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    nice: Option<i32>,
    /// The program's umask, in octal
    #[arg(long, value_name = "MODE", value_parser = octal)]
    umask: Option<u32>,
    /// Give the program a terminal of its own as standard input, output and error, as large as the one that
    /// legwork runs on. It is hung up when nobody reads any more what it shows
    #[arg(long, conflicts_with_all = ["session", "stdin", "stdout", "stderr"])]
    pty: bool,
    /// Print what happens on standard output, one JSON object a line, the outcome last
    ///
    /// What the program writes until it ends is printed as well, unless --stdout or --stderr sends it
    /// elsewhere. `event` is one of: started, with `pid`; output, with `stream` (stdout, stderr, or terminal
    /// with --pty) and `text`, or `bytes`, an array of numbers, if it is not UTF-8: as much as there was to
    /// read, which need not be a line; signal, with the `signal` that was handed on; timeout; ended, with
    /// `code` or else `signal`, and `core_dumped`, `timed_out`, `user_seconds` and `system_seconds`; failed,
    /// instead of ended, with `error`, and with `step` and `errno` if the program could not be started.
    ///
    /// If the events cannot be printed, the program runs on. If nobody reads them any more, its standard output
    /// is closed, as a pipe without a reader is
    #[arg(long)]
    pub(super) json: bool,
    /// The program and its arguments. What follows its name is for the program, options as well. `--` may
    /// come before it
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
    /// The umask, nice value and limits are set for this process, from which the program inherits
    /// them: nothing else runs in it.
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

    /// The group that the program starts in.
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
