//! What apps write by hand around ffmpeg, as one command: progress, a stop that leaves a playable file, deadlines, and
//! an error that says what went wrong. Ctrl+C stops it.
//!
//! ```sh
//! cargo run --example ffmpeg -- in.wav out.ogg    # your own file
//! cargo run --example ffmpeg -- tone out.ogg 30   # 30 seconds of a tone that ffmpeg makes itself
//! ```
//!
//! It needs ffmpeg and ffprobe, and besides legwork glib-unix and libc.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use legwork::gio::prelude::*;
use legwork::{Command, Stop, glib, progress};

/// Returns to the start of the line and clears it.
const CLEAR: &str = "\r\x1b[K";

fn main() -> ExitCode {
    legwork::init(); // a helper, which is this program again, ends ffmpeg if the app is killed
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [input, output, rest @ ..] = &arguments[..] else {
        eprintln!("ffmpeg IN OUT, or ffmpeg tone OUT SECONDS");
        return ExitCode::from(2);
    };
    let seconds = rest.first().and_then(|text| text.to_str()?.parse().ok());
    match glib::MainContext::default().block_on(app(input, output, seconds)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_cancelled() => {
            eprintln!("{CLEAR}stopped; the part that is done can be played");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("{CLEAR}{error}"); // with ffmpeg's own last line
            ExitCode::FAILURE
        }
    }
}

async fn app(input: &OsString, output: &OsString, tone: Option<u32>) -> Result<(), legwork::Error> {
    let (source, duration) = match tone {
        Some(seconds) => {
            let tone = format!("sine=frequency=440:duration={seconds}");
            let source = ["-re", "-f", "lavfi", "-i", &tone].map(OsString::from);
            (source.to_vec(), Duration::from_secs(seconds.into()))
        }
        None => (vec!["-i".into(), input.clone()], length(input).await?),
    };
    let ffmpeg = Command::new("ffmpeg")
        .args(["-y", "-v", "error", "-nostats", "-progress", "pipe:1"])
        .args(source)
        .arg(output)
        .progress(progress::ffmpeg(duration))
        // On `q` ffmpeg completes the file; if it does not react, SIGTERM and then SIGKILL follow.
        .stop(
            Stop::stdin(b"q")
                .grace(Duration::from_secs(10))
                .then(Stop::default()),
        )
        .deadline(Duration::from_secs(3600))
        .stall_deadline(Duration::from_secs(60))
        .spawn();

    ffmpeg.status().connect_fraction_notify(|status| {
        eprint!("{CLEAR}{:3.0} %", 100.0 * status.fraction());
    });
    let cancel = ffmpeg.cancellable();
    let ctrl_c = glib_unix::unix_signal_add_local(libc::SIGINT, move || {
        cancel.cancel();
        glib::ControlFlow::Continue
    });
    let outcome = ffmpeg.await;
    ctrl_c.remove();
    println!(
        "{CLEAR}done in {:.1?} of processor time",
        outcome?.usage.user_time
    );
    Ok(())
}

/// Returns the duration of a file.
async fn length(file: &OsString) -> Result<Duration, legwork::Error> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "format=duration"])
        .args(["-of", "csv=p=0"])
        .arg(file)
        .output()
        .await?;
    let seconds = output
        .stdout_utf8()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    Ok(Duration::try_from_secs_f64(seconds.unwrap_or_default()).unwrap_or_default())
}
