//! SHA-256 sums of the files in a folder, computed in a child process. The app is a program for the terminal, with a
//! GLib main loop, progress, and Ctrl+C to stop.
//!
//! ```sh
//! cargo run --example checksum -- /usr/bin
//! ```
//!
//! Besides legwork it needs serde, sha2, glib-unix and libc.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use legwork::gio::prelude::*;
use legwork::prelude::*;
use legwork::{Ctx, glib};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The job: a value that is sent to the child and run there.
#[derive(Serialize, Deserialize)]
struct Checksum {
    #[serde(with = "legwork::path")] // the name of a file need not be UTF-8
    folder: PathBuf,
}

/// A message that the job sends while it runs: one file, with its sum or the reason why it has none.
#[derive(Serialize, Deserialize)]
struct FileSum {
    #[serde(with = "legwork::path")]
    file: PathBuf,
    sum: Result<String, String>,
}

impl legwork::Job for Checksum {
    type Message = FileSum;
    type Output = usize;
    type Error = Box<dyn Error + Send + Sync>;

    fn run(self, cx: &Ctx<Self>) -> Result<usize, Self::Error> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                files.push(entry.path());
            }
        }
        cx.set_total(files.len() as u64);
        for file in &files {
            let sum = checksum(file, cx)?.map_err(|error| error.to_string());
            cx.send(FileSum {
                file: file.clone(),
                sum,
            })?;
            cx.advance(1);
        }
        Ok(files.len())
    }
}

/// Computes the sum of one file. The outer error is the request to stop; a file that cannot be read does not stop the
/// job.
fn checksum(file: &Path, cx: &Ctx<Checksum>) -> Result<io::Result<String>, legwork::Cancelled> {
    let mut file = match File::open(file) {
        Ok(file) => file,
        Err(error) => return Ok(Err(error)),
    };
    let mut hash = Sha256::new();
    let mut piece = vec![0; 256 * 1024];
    loop {
        cx.check()?;
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => hash.update(&piece[..length]),
            Err(error) => return Ok(Err(error)),
        }
    }
    let digits = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    Ok(Ok(digits))
}

legwork::jobs! {
    static JOBS = [Checksum];
}

/// Returns to the start of the line and clears it.
const CLEAR: &str = "\r\x1b[K";

fn main() -> ExitCode {
    JOBS.run_if_worker(); // in the child, this does not return; in the app it returns at once
    let folder = std::env::args_os().nth(1).unwrap_or_else(|| ".".into());
    glib::MainContext::default().block_on(app(folder.into()))
}

async fn app(folder: PathBuf) -> ExitCode {
    let mut job = Checksum { folder }.spawn();

    let cancel = job.cancellable();
    let ctrl_c = glib_unix::unix_signal_add_local(libc::SIGINT, move || {
        cancel.cancel();
        glib::ControlFlow::Continue
    });
    job.status().connect_fraction_notify(|status| {
        eprint!("{CLEAR}{} of {} files", status.done(), status.total());
    });

    while let Some(FileSum { file, sum }) = job.message().await {
        match sum {
            Ok(sum) => println!("{sum}  {}", file.display()),
            Err(why) => eprintln!("{CLEAR}{}: {why}", file.display()),
        }
    }
    let outcome = job.await;
    ctrl_c.remove();
    match outcome {
        Ok(count) => {
            eprintln!("{CLEAR}{count} files");
            ExitCode::SUCCESS
        }
        Err(error) if error.is_cancelled() => {
            eprintln!("{CLEAR}stopped");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("{CLEAR}{error}");
            ExitCode::FAILURE
        }
    }
}
