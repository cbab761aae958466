//! What the command line asks for.
#![allow(unsafe_code)]

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use legwork::spawn::{Group, Plan, Program, Standard};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

use super::cannot;
use super::stream::Terminal;

/// Runs a program with no descriptor but those that are named, and ends as it does.
///
/// The program gets a group of its own; signals that ask legwork to end are handed on to it, and
/// when legwork dies, by whatever cause, the program and its group are killed.
///
/// Exit codes: the program's own; 128+N when signal N ended it; 124 when the time was up; 125 when
/// legwork itself failed, or its options make no sense; 126 when the program cannot be executed; 127
/// when it is not there.
// An alias is the name that the library, env(1) or bwrap(1) has for the same.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The program's working directory
    #[arg(long, value_name = "DIR", aliases = ["chdir", "current-dir", "workdir"])]
    cwd: Option<PathBuf>,
    /// Set a variable (may be repeated)
    #[arg(long, value_name = "NAME=VALUE", alias = "setenv")]
    env: Vec<OsString>,
    /// Leave a variable out (may be repeated)
    #[arg(long, value_name = "NAME", aliases = ["env-remove", "unsetenv"])]
    unset: Vec<OsString>,
    /// Begin with an empty environment
    #[arg(long, aliases = ["env-clear", "clearenv"])]
    clear_env: bool,
    /// What the program sees as its own name
    #[arg(long, value_name = "NAME", alias = "arg0")]
    argv0: Option<OsString>,
    /// N=PATH: the file, opened to read and write or as far as that is allowed, becomes the program's
    /// descriptor N. N:M: our descriptor M becomes its N (may be repeated)
    #[arg(long, value_name = "SPEC")]
    fd: Vec<OsString>,
    /// Standard input: null, inherit, or a file
    #[arg(long, value_name = "WHERE", default_value = "inherit")]
    stdin: OsString,
    /// Standard output: null, inherit, or a file, which is emptied
    #[arg(long, value_name = "WHERE", default_value = "inherit")]
    stdout: OsString,
    /// Standard error: null, inherit, or a file, which is emptied
    #[arg(long, value_name = "WHERE", default_value = "inherit")]
    stderr: OsString,
    /// Give it a session of its own
    #[arg(long)]
    session: bool,
    /// Stop it after this many seconds: SIGTERM, and SIGKILL after the grace
    #[arg(long, value_name = "SECONDS", value_parser = seconds, alias = "deadline")]
    pub(super) timeout: Option<Duration>,
    /// Seconds between SIGTERM and SIGKILL
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "2")]
    pub(super) grace: Duration,
    /// Limit a resource: as, core, cpu, data, fsize, memlock, nofile, nproc, rss or stack, to a number or
    /// unlimited, or SOFT:HARD (may be repeated)
    #[arg(long, value_name = "NAME=VALUE")]
    limit: Vec<String>,
    /// Add this to its nice value
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    nice: Option<i32>,
    /// Its umask, in octal
    #[arg(long, value_name = "MODE", value_parser = octal)]
    umask: Option<u32>,
    /// Give it a terminal of its own, as its standard input, output and error
    #[arg(long, conflicts_with_all = ["session", "stdin", "stdout", "stderr"])]
    pub(super) pty: bool,
    /// Print what happens to standard output, one JSON object a line, the outcome last
    #[arg(long)]
    pub(super) json: bool,
    /// The program and its arguments: what follows its name is its own, options too. A `--` may stand
    /// before it
    #[arg(required = true, trailing_var_arg = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

/// A time on the command line.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn octal(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("not an octal number up to 777".to_owned()),
    }
}

const RESOURCES: [(&str, Resource); 10] = [
    ("as", Resource::RLIMIT_AS),
    ("core", Resource::RLIMIT_CORE),
    ("cpu", Resource::RLIMIT_CPU),
    ("data", Resource::RLIMIT_DATA),
    ("fsize", Resource::RLIMIT_FSIZE),
    ("memlock", Resource::RLIMIT_MEMLOCK),
    ("nofile", Resource::RLIMIT_NOFILE),
    ("nproc", Resource::RLIMIT_NPROC),
    ("rss", Resource::RLIMIT_RSS),
    ("stack", Resource::RLIMIT_STACK),
];

impl Arguments {
    /// The umask, nice value and limits are this process's own until the program has inherited
    /// them: nobody else is in it.
    pub(super) fn change_this_process(&self) -> Result<(), String> {
        for spec in &self.limit {
            limit(spec)?;
        }
        if let Some(by) = self.nice {
            rustix::process::nice(by)
                .map_err(cannot(&format!("the nice value cannot change by {by}")))?;
        }
        if let Some(mask) = self.umask {
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
        }
        Ok(())
    }

    pub(super) fn plan(mut self, terminal: Option<&Terminal>) -> Result<Plan, String> {
        let mut words = std::mem::take(&mut self.program).into_iter();
        let name = words.next().unwrap_or_default();
        let program = if name.as_bytes().contains(&b'/') {
            Program::path(PathBuf::from(name))
        } else {
            Program::name(name)
        };
        let mut plan = Plan::new(program).args(words);
        if let Some(argv0) = self.argv0.take() {
            plan = plan.arg0(argv0);
        }
        if let Some(folder) = self.cwd.take() {
            plan = plan.current_dir(folder);
        }
        if self.clear_env {
            plan = plan.env_clear();
        }
        for name in self.unset.drain(..) {
            plan = plan.env_remove(name);
        }
        for pair in self.env.drain(..) {
            let (name, value) = cut(&pair, b'=')
                .ok_or_else(|| format!("--env {}: there is no `=`", pair.display()))?;
            plan = plan.env(name, value);
        }
        plan = plan.group(if self.session {
            Group::Session
        } else {
            Group::Lead
        });
        plan = match terminal {
            Some(terminal) => plan.terminal(terminal.path()),
            None => self.standards(plan)?,
        };
        for spec in &self.fd {
            let (number, source) = descriptor(spec)?;
            plan = plan.fd(number, source);
        }
        Ok(plan)
    }

    fn standards(&self, mut plan: Plan) -> Result<Plan, String> {
        let three = [
            (&self.stdin, Standard::Input, 0),
            (&self.stdout, Standard::Output, 1),
            (&self.stderr, Standard::Error, 2),
        ];
        for (place, standard, number) in three {
            plan = match place.as_bytes() {
                b"null" => plan,
                b"inherit" => plan.inherit(standard),
                _ => {
                    let file = if number == 0 {
                        File::open(place)
                    } else {
                        File::create(place)
                    };
                    let file = file.map_err(cannot(&format!("{}", place.display())))?;
                    plan.fd(number, file)
                }
            };
        }
        Ok(plan)
    }
}

fn cut(text: &OsString, at: u8) -> Option<(OsString, OsString)> {
    use std::os::unix::ffi::OsStringExt;
    let bytes = text.as_bytes();
    let place = bytes.iter().position(|byte| *byte == at)?;
    Some((
        OsString::from_vec(bytes[..place].to_vec()),
        OsString::from_vec(bytes[place + 1..].to_vec()),
    ))
}

fn descriptor(spec: &OsString) -> Result<(i32, OwnedFd), String> {
    let what = || format!("--fd {}", spec.display());
    let number = |text: &OsString| -> Option<i32> { text.to_str()?.parse().ok() };
    let (target, is_path, source) = match (cut(spec, b'='), cut(spec, b':')) {
        (Some((target, path)), _) if number(&target).is_some() => (target, true, path),
        (_, Some((target, ours))) => (target, false, ours),
        _ => return Err(format!("{}: neither N=PATH nor N:M", what())),
    };
    let target = number(&target).ok_or_else(|| format!("{}: no number before it", what()))?;
    if is_path {
        let open = |read, write| OpenOptions::new().read(read).write(write).open(&source);
        let file = open(true, true)
            .or_else(|_| open(true, false))
            .or_else(|first| open(false, true).map_err(|_| first))
            .map_err(cannot(&what()))?;
        return Ok((target, file.into()));
    }
    let ours = number(&source)
        .filter(|number| *number >= 0)
        .ok_or_else(|| format!("{}: our descriptor is no number", what()))?;
    // SAFETY: borrowed for one call, which fails when nothing is open there.
    let ours = unsafe { BorrowedFd::borrow_raw(ours) };
    let copy = rustix::io::fcntl_dupfd_cloexec(ours, 3).map_err(cannot(&what()))?;
    Ok((target, copy))
}

fn limit(spec: &str) -> Result<(), String> {
    let what = format!("--limit {spec}");
    let (name, value) = spec
        .split_once('=')
        .ok_or_else(|| format!("{what}: there is no `=`"))?;
    let (_, resource) = RESOURCES
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| {
            let known: Vec<_> = RESOURCES.iter().map(|(name, _)| *name).collect();
            format!("{what}: the limits are {}", known.join(", "))
        })?;
    let number = |text: &str| match text {
        "unlimited" => Ok(RLIM_INFINITY),
        _ => text
            .parse()
            .map_err(|_| format!("{what}: `{text}` is no number")),
    };
    let (_, hard_now) = getrlimit(*resource).map_err(cannot(&what))?;
    let (soft, hard) = match value.split_once(':') {
        Some((soft, hard)) => (number(soft)?, number(hard)?),
        None => {
            let both = number(value)?;
            (both, both)
        }
    };
    setrlimit(*resource, soft, hard).map_err(|error| {
        let now = if hard_now == RLIM_INFINITY {
            "unlimited".to_owned()
        } else {
            hard_now.to_string()
        };
        format!("{what}: {error} (the hard limit is {now})")
    })
}
