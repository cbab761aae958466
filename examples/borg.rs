//! A backup with borg, as one command. The passphrase is passed by descriptor, progress is read from borg's JSON, a stop
//! begins with SIGINT, and warnings do not count as a failure. Ctrl+C stops it.
//!
//! ```sh
//! echo secret | cargo run --example borg -- REPOSITORY FOLDER...
//! ```
//!
//! The passphrase is read from standard input. It needs borg, and besides legwork glib-unix and libc.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use legwork::gio::prelude::*;
use legwork::process::Signal;
use legwork::{Command, Error, Secret, Stop, glib, progress};

/// Returns to the start of the line and clears it.
const CLEAR: &str = "\r\x1b[K";

fn main() -> ExitCode {
    legwork::init(); // a helper, which is this program again, ends borg if the app is killed
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [repository, folders @ ..] = &arguments[..] else {
        eprintln!("borg REPOSITORY FOLDER...");
        return ExitCode::from(2);
    };
    let mut passphrase = String::new();
    if let Err(error) = std::io::stdin().read_line(&mut passphrase) {
        eprintln!("no passphrase: {error}");
        return ExitCode::FAILURE;
    }
    let passphrase = passphrase.trim_end_matches('\n');
    match glib::MainContext::default().block_on(app(repository, folders, passphrase)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{CLEAR}{error}");
            ExitCode::FAILURE
        }
    }
}

async fn app(repository: &OsString, folders: &[OsString], passphrase: &str) -> Result<(), Error> {
    if !Path::new(repository).join("config").exists() {
        let init = borg(passphrase).args(["init", "--encryption=repokey"]);
        init.arg(repository).output().await?;
    }

    let mut archive = repository.clone();
    archive.push("::{now:%Y-%m-%dT%H:%M:%S.%f}");
    let create = borg(passphrase)
        .args(["--progress", "create"])
        .arg(archive)
        .args(folders)
        .spawn();
    create.status().connect_done_notify(|status| {
        eprint!("{CLEAR}{} bytes: {}", status.done(), status.text());
    });
    let cancel = create.cancellable();
    let ctrl_c = glib_unix::unix_signal_add_local(libc::SIGINT, move || {
        cancel.cancel();
        glib::ControlFlow::Continue
    });
    let outcome = create.await;
    ctrl_c.remove();
    match outcome?.status.code() {
        Some(0) => eprintln!("{CLEAR}saved"),
        _ => eprintln!("{CLEAR}saved, with warnings"),
    }

    let list = borg(passphrase).args(["list", "--short"]).arg(repository);
    let list = list.output().await?;
    print!("{}", String::from_utf8_lossy(&list.stdout));
    Ok(())
}

/// The part that all calls of borg share.
fn borg(passphrase: &str) -> Command {
    Command::new("borg")
        .arg("--log-json")
        .secret(Secret::Env("BORG_PASSPHRASE_FD".into()), passphrase)
        .env_remove("BORG_PASSPHRASE") // it would take precedence
        .env_remove("BORG_PASSCOMMAND")
        .success_codes([0, 1]) // 1: done, with warnings
        .progress(progress::borg()) // which also reads borg's error messages
        // On SIGINT borg unlocks the repository, which may take a while.
        .stop(
            Stop::signal(Signal::INT)
                .grace(Duration::from_secs(30))
                .then(Stop::default()),
        )
}
