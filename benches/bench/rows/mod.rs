//! The rows of the benchmark, one question each.
//!
//! A row runs in a process of its own, which is given the name of the row and prints the result as JSON on standard
//! output. So a row that panics, hangs or is killed loses only its own figures.

mod alarms;
mod buffer;
#[cfg(feature = "bus")]
mod bus;
mod call;
mod command_line;
mod communicate;
#[cfg(feature = "peers")]
mod crates;
mod floor;
mod forked;
pub(crate) mod glib_jobs;
mod many;
mod memory;
mod messages;
mod options;
mod spawn;
mod start;
mod starts;
mod wakeups;

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::report::Row;
use crate::{Effort, Result};

/// The longest that any row may take. A row that takes longer is considered hung.
const DEADLINE: Duration = Duration::from_secs(300);

/// A question, and the function that answers it.
pub(crate) struct Question {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    answer: fn(Effort, &mut Row) -> Result<()>,
}

/// All rows, in the order of the report.
pub(crate) const ROWS: &[Question] = &[
    Question {
        name: "floor",
        title: "what this machine costs every program, without Legwork",
        answer: floor::answer,
    },
    Question {
        name: "spawn",
        title: "calling thread blocked by one spawn",
        answer: spawn::answer,
    },
    Question {
        name: "start",
        title: "from the spawn call to the job's first line",
        answer: start::answer,
    },
    Question {
        name: "memory",
        title: "peak memory of an idle worker",
        answer: memory::answer,
    },
    Question {
        name: "call",
        title: "64-byte call to a running job and back",
        answer: call::answer,
    },
    Question {
        name: "many",
        title: "the app's main loop beside 1,000 idle workers",
        answer: many::answer,
    },
    Question {
        name: "alarms",
        title: "a child's deadline moves, among 10,000 others",
        answer: alarms::answer,
    },
    Question {
        name: "wakeups",
        title: "an idle app with 100 idle workers",
        answer: wakeups::answer,
    },
    Question {
        name: "buffer",
        title: "1 GiB from a job to the app",
        answer: buffer::answer,
    },
    Question {
        name: "forked",
        title: "a child that uses GLib (scene S1)",
        answer: forked::answer,
    },
    Question {
        name: "starts",
        title: "1,000 programs, one started per iteration",
        answer: starts::answer,
    },
    Question {
        name: "communicate",
        title: "256 MiB to a program and back",
        answer: communicate::answer,
    },
    Question {
        name: "options",
        title: "a program with every option",
        answer: options::answer,
    },
    Question {
        name: "command-line",
        title: "legwork run beside env",
        answer: command_line::answer,
    },
    #[cfg(feature = "peers")]
    Question {
        name: "crates",
        title: "64-byte call through other crates",
        answer: crates::answer,
    },
    #[cfg(feature = "bus")]
    Question {
        name: "bus",
        title: "D-Bus on the app's main context, and between an app and its child",
        answer: bus::answer,
    },
    Question {
        name: "messages",
        title: "throughput, for information",
        answer: messages::answer,
    },
];

/// Answers a question in this process and prints the answer for the process that asked.
pub(crate) fn run_here(name: &str, effort: Effort) -> Result<()> {
    let question = ROWS
        .iter()
        .find(|row| row.name == name)
        .ok_or("no such row")?;
    let mut row = Row {
        name: name.into(),
        title: question.title.into(),
        ..Row::default()
    };
    row.failure = (question.answer)(effort, &mut row)
        .err()
        .map(|error| error.to_string());
    println!("{}", serde_json::to_string(&row)?);
    Ok(())
}

/// Runs a process that answers a question.
pub(crate) fn run_apart(question: &Question, quick: bool) -> Row {
    let failed = |failure: String| Row {
        name: question.name.into(),
        title: question.title.into(),
        failure: Some(failure),
        ..Row::default()
    };
    ask(question.name, quick).unwrap_or_else(|error| failed(error.to_string()))
}

fn ask(name: &str, quick: bool) -> Result<Row> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--row", name])
        .args(quick.then_some("--quick"));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut output = child.stdout.take().ok_or("no pipe")?;
    let reader = std::thread::spawn(move || {
        let mut told = String::new();
        output.read_to_string(&mut told).map(|_| told)
    });
    let started = Instant::now();
    while !reader.is_finished() && started.elapsed() < DEADLINE {
        std::thread::sleep(Duration::from_millis(20));
    }
    if !reader.is_finished() {
        child.kill()?;
        child.wait()?;
        return Err(format!("no answer within {} s", DEADLINE.as_secs()).into());
    }
    let status = child.wait()?;
    let told = reader.join().map_err(|_| "the reader panicked")??;
    serde_json::from_str(&told)
        .map_err(|_| format!("the row's process printed no result: {status}").into())
}
