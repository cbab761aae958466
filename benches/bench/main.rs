//! Legwork beside its peers, in one run.
//!
//! `bench [--quick] [--only NAME]... [--json FILE] [--list]`. Every row runs in a process of its own, which is the app
//! of that comparison: what one row holds, opens or breaks cannot affect another. A row that fails or hangs is reported
//! as such, and the others go on.

mod machine;
mod peers;
mod report;
mod rows;
mod samples;

use std::io::IsTerminal;
use std::process::ExitCode;

use report::Row;

/// The failure of a row is a sentence in the report.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How thorough a run is.
#[derive(Clone, Copy)]
struct Effort {
    quick: bool,
}

impl Effort {
    /// Returns `full`, or `quick` in a quick run.
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
    /// This process runs one row.
    row: Option<String>,
    /// This process is a control, which ruins it.
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
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--quick" => arguments.quick = true,
            "--list" => arguments.list = true,
            "--only" => arguments.only.push(value()?),
            "--json" => arguments.json = Some(value()?),
            "--row" => arguments.row = Some(value()?),
            "--control" => arguments.control = Some(value()?),
            _ => return Err(format!("unknown argument: {word}").into()),
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
        return Err(format!("there is no row named {unknown}; --list shows all").into());
    }
    let facts = machine::facts();
    facts
        .iter()
        .for_each(|(name, value)| println!("{name}: {value}"));
    println!("medians (10th .. 90th percentile); ratio: measured to peer");
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

/// Shows what is being measured to somebody who waits at a terminal.
fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{text}");
    }
}
