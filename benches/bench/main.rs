//! Legwork beside its peers, in one run.
//!
//! `bench [--quick] [--only NAME]... [--json FILE] [--list]`. Every row runs in a process of its own, which is the app
//! of that comparison: what one row holds, opens or breaks cannot change another. A row that fails or hangs says so and
//! the rest go on.

mod machine;
mod peers;
mod report;
mod rows;
mod samples;

use std::io::IsTerminal;
use std::process::ExitCode;

use report::Row;

/// A row's failure is a sentence for the report.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How thorough a run is.
#[derive(Clone, Copy)]
struct Effort {
    quick: bool,
}

impl Effort {
    /// `full`, or `quick` of it.
    fn of(self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }
}

#[derive(Default)]
struct Arguments {
    quick: bool,
    list: bool,
    only: Vec<String>,
    json: Option<String>,
    /// This process is one row's own.
    row: Option<String>,
    /// This process is a control, to be ruined.
    control: Option<String>,
}

const USAGE: &str = "bench [--quick] [--only NAME]... [--json FILE] [--list]";

fn main() -> ExitCode {
    rows::glib_jobs::JOBS.run_if_worker();
    #[cfg(feature = "peers")]
    procspawn::init();
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let outcome = match (&arguments.row, &arguments.control) {
        (Some(name), _) => rows::run_here(
            name,
            Effort {
                quick: arguments.quick,
            },
        ),
        (_, Some(name)) => peers::control(name),
        _ if arguments.list => {
            rows::ROWS
                .iter()
                .for_each(|row| println!("{:12} {}", row.name, row.title));
            Ok(())
        }
        _ => run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Arguments> {
    let mut arguments = Arguments::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
        match word.as_str() {
            "--quick" => arguments.quick = true,
            "--list" => arguments.list = true,
            "--only" => arguments.only.push(value()?),
            "--json" => arguments.json = Some(value()?),
            "--row" => arguments.row = Some(value()?),
            "--control" => arguments.control = Some(value()?),
            _ => return Err(format!("unknown: {word}").into()),
        }
    }
    Ok(arguments)
}

fn run(arguments: &Arguments) -> Result<()> {
    if let Some(unknown) = arguments
        .only
        .iter()
        .find(|name| rows::ROWS.iter().all(|row| row.name != **name))
    {
        return Err(format!("no row is named {unknown}; --list names them").into());
    }
    let facts = machine::facts();
    facts
        .iter()
        .for_each(|(name, value)| println!("{name}: {value}"));
    println!("medians (a tenth of the samples is below .. above); ratio: measured to peer");
    let mut done: Vec<Row> = Vec::new();
    for row in rows::ROWS {
        if arguments.only.is_empty() || arguments.only.iter().any(|name| name == row.name) {
            progress(&format!("{} ...", row.name));
            let row = rows::run_apart(row, arguments.quick);
            progress("");
            report::print(&row);
            done.push(row);
        }
    }
    if let Some(path) = &arguments.json {
        let facts: serde_json::Map<_, _> = facts
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let report =
            serde_json::json!({ "machine": facts, "quick": arguments.quick, "rows": done });
        std::fs::write(path, serde_json::to_string_pretty(&report)?)?;
    }
    Ok(())
}

/// Says what is being measured, to somebody who waits at a terminal.
fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{text}");
    }
}
