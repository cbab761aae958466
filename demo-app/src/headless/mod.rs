//! The same jobs without a window: for scripts, for pipes, and for whoever sits at a terminal.
//!
//! There is no GTK here and no display is asked for, but it is the same library, the same main context
//! and the same workers as in the window.

mod args;
mod programs;
mod report;

use std::{
    cell::Cell,
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    rc::Rc,
};

use legwork::{
    gio::{self, prelude::*},
    glib,
    prelude::*,
};
use legwork_demo::jobs::{Picture, Tally, Thumbnail};
use rustix::process::Signal;
use serde_json::json;

use self::{
    args::{Request, Task},
    report::Report,
};
use crate::workplace;

/// Some entries could not be read or written.
const PARTLY: u8 = 1;
/// The command line was wrong.
const USAGE: u8 = 2;
/// The job failed.
const FAILED: u8 = 3;

/// A signal ended it, as shells count.
fn by(signal: Signal) -> u8 {
    128 + signal.as_raw() as u8
}

/// Does what the arguments after `--headless` say.
pub(crate) fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let end = match args::parse(args) {
        Ok(Request { task, json }) => glib::MainContext::default().block_on(carry_out(task, json)),
        Err(wrong) => {
            eprintln!("legwork-demo: {wrong}\nTry “legwork-demo --headless --help”.");
            return USAGE.into();
        }
    };
    match end {
        Ok(code) => code.into(),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => by(Signal::PIPE).into(),
        Err(error) => {
            eprintln!("legwork-demo: the output could not be written: {error}");
            FAILED.into()
        }
    }
}

async fn carry_out(task: Task, json: bool) -> io::Result<u8> {
    let report = Report::new(json);
    match task {
        Task::Help => {
            io::Write::write_all(&mut io::stdout(), args::HELP.as_bytes())?;
            Ok(0)
        }
        Task::Checksum(job) => {
            report.start("checksum", "folder", report::path(&job.folder))?;
            follow(job, &report, "files", async |file| {
                report.sum(&file)?;
                Ok(Kept::Yes)
            })
            .await
        }
        Task::Thumbnails(job, out) => {
            if let Err(wrong) = prepare(&job.folder, &out) {
                eprintln!("legwork-demo: {wrong}");
                return Ok(USAGE);
            }
            report.start("thumbnails", "folder", report::path(&job.folder))?;
            follow(job, &report, "pictures", async |picture| {
                keep(picture, &out, &report).await
            })
            .await
        }
        Task::Run(program) => programs::run(program, report).await,
        Task::Convert(convert) => programs::convert(convert, report).await,
    }
}

/// Whether an entry that the job finished could be kept here, too.
#[derive(PartialEq)]
enum Kept {
    Yes,
    No,
}

/// Runs one job to its end; returns the exit code.
///
/// Output that cannot be written any more is an error, and stops the job by dropping its handle.
async fn follow<J>(
    job: J,
    report: &Report,
    unit: &str,
    mut each: impl AsyncFnMut(J::Message) -> io::Result<Kept>,
) -> io::Result<u8>
where
    J: legwork::Listed + legwork::Job<Output = Tally>,
{
    let stop = gio::Cancellable::new();
    let signal = stop_on_signals(&stop, exit_at_once);
    let mut job = job
        .builder()
        .worker(&workplace::worker())
        .cancellable(&stop)
        // What is wrong with an entry is printed here already.
        .forward_logs(false)
        .spawn();

    let told = tell_progress(job.status(), report, &stop);
    let mut lost = 0;
    while let Some(message) = job.message().await {
        lost += u64::from(each(message).await? == Kept::No);
    }
    let end = job.await;
    told.replace(Ok(()))?;

    match (end, signal.get()) {
        (Ok(mut tally), _) => {
            tally.failed += lost;
            report.done(unit, &tally)?;
            Ok(if tally.failed == 0 { 0 } else { PARTLY })
        }
        (Err(error), signal) => tell_failure(report, &error, signal),
    }
}

/// Prints every step of progress. What could not be printed is left in the cell, and the work is stopped.
fn tell_progress(
    status: &legwork::Status,
    report: &Report,
    stop: &gio::Cancellable,
) -> Rc<Cell<io::Result<()>>> {
    let told = Rc::new(Cell::new(Ok(())));
    let seen = Cell::new(None);
    status.connect_notify_local(None, {
        let (told, report, stop) = (told.clone(), report.clone(), stop.clone());
        move |status, _| {
            // Several properties change at once; that is one event.
            let now = Some((status.done(), status.total(), status.text()));
            if seen.replace(now.clone()) == now {
                return;
            }
            if let Err(error) = report.progress(status.done(), status.total(), &status.text()) {
                told.set(Err(error));
                stop.cancel();
            }
        }
    });
    told
}

/// Prints the end of what did not succeed; returns the exit code.
fn tell_failure(report: &Report, error: &legwork::Error, signal: Option<Signal>) -> io::Result<u8> {
    if let Some(signal) = signal.filter(|_| error.is_cancelled()) {
        report.ended("cancelled", "Stopped", json!(null))?;
        return Ok(by(signal));
    }
    let said = error.to_string();
    let said = said
        .strip_prefix(&format!("{}: ", error.label()))
        .unwrap_or(&said);
    let details = json!({
        "kind": format!("{:?}", error.kind()).to_lowercase(),
        "signal": error.signal().map(|signal| signal.name()),
        "exit_code": error.exit_code(),
    });
    report.ended("failed", said, details)?;
    Ok(FAILED)
}

/// The first signal asks the job to stop; every further one is told to `again`.
fn stop_on_signals(
    stop: &gio::Cancellable,
    again: impl Fn(Signal) + Clone + 'static,
) -> Rc<Cell<Option<Signal>>> {
    let got = Rc::new(Cell::new(None));
    for signal in [Signal::INT, Signal::TERM] {
        let (got, stop, again) = (got.clone(), stop.clone(), again.clone());
        glib_unix::unix_signal_add_local(signal.as_raw(), move || {
            if got.replace(Some(signal)).is_some() {
                again(signal);
            }
            stop.cancel();
            glib::ControlFlow::Continue
        });
    }
    got
}

/// For whoever does not want to wait: what runs ends with the app.
fn exit_at_once(signal: Signal) {
    std::process::exit(by(signal).into());
}

/// Makes the folder that the small pictures go to. It may not lie in the one that is read: the next run
/// would make small pictures of small pictures.
fn prepare(folder: &Path, out: &Path) -> Result<(), String> {
    let wrong = |error| format!("“{}” cannot be written to: {error}", out.display());
    fs::create_dir_all(out).map_err(wrong)?;
    let inside = fs::canonicalize(folder)
        .is_ok_and(|folder| fs::canonicalize(out).is_ok_and(|out| out.starts_with(folder)));
    if inside {
        return Err(format!(
            "“{}” lies in the folder that is read",
            out.display()
        ));
    }
    Ok(())
}

async fn keep(picture: Picture, out: &Path, report: &Report) -> io::Result<Kept> {
    let Picture { path, thumbnail } = picture;
    let small = match thumbnail {
        Ok(small) => small,
        Err(trouble) => {
            report.unread(&path, &trouble)?;
            // The job has counted it.
            return Ok(Kept::Yes);
        }
    };
    let to = out.join(small_name(&path));
    let size = (small.width, small.height);
    let written = gio::spawn_blocking({
        let to = to.clone();
        move || write_png(&small, &to)
    });
    match written
        .await
        .unwrap_or_else(|_| Err(io::Error::other("the encoder failed")))
    {
        Ok(()) => report.picture(&path, &to, size).map(|()| Kept::Yes),
        Err(error) => report.unwritten(&to, &error).map(|()| Kept::No),
    }
}

/// `a.jpg` and `a.png` of one folder become two files.
fn small_name(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or(OsStr::new("picture")).to_owned();
    name.push(".png");
    path.with_file_name(name)
}

fn write_png(small: &Thumbnail, to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    let format = image::ImageFormat::Png;
    let color = image::ExtendedColorType::Rgba8;
    image::save_buffer_with_format(to, &small.pixels, small.width, small.height, color, format)
        .map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_that_differ_in_their_ending_keep_apart() {
        assert_eq!(small_name(Path::new("a/b.jpg")), Path::new("a/b.jpg.png"));
        assert_eq!(small_name(Path::new("b")), Path::new("b.png"));
    }

    #[test]
    fn the_output_may_not_lie_in_the_input() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("in");
        fs::create_dir(&folder).unwrap();
        assert!(prepare(&folder, &folder.join("out")).is_err());
        assert!(prepare(&folder, &folder.join("../out")).is_ok());
    }
}
