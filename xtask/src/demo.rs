//! `cargo xtask demo`: opens the app on the caller's display. Without a display, it runs the app's jobs on real input
//! and takes a screenshot of its window.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::needs::Level;
use crate::setup::{self, Install};
use crate::{Outcome, cargo, pictures, say, window};

pub(crate) fn run(install: Install, args: &[OsString]) -> Outcome {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let on_display = set("DISPLAY") || set("WAYLAND_DISPLAY");
    setup::ensure(
        if on_display {
            Level::Build
        } else {
            Level::Picture
        },
        install,
    )?;

    say("building");
    cargo::must(cargo::command().args([
        "build",
        "--release",
        "--package",
        "legwork-demo",
        "--bins",
    ]))?;
    let app = cargo::target_dir().join("release/legwork-demo");

    if on_display || !args.is_empty() {
        let args: Vec<_> = args.iter().skip_while(|arg| *arg == "--").collect();
        say("opening the demo app");
        let status = cargo::status(plain(&app).args(args))?;
        return Ok(if status.success() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    without_display(&app).map(|()| ExitCode::SUCCESS)
}

fn without_display(app: &Path) -> Result<(), String> {
    say("there is no display: running the same jobs without a window, then taking a screenshot");
    let folder = cargo::target_dir().join("demo");
    let pictures = folder.join("Pictures");
    let thumbnails = folder.join("Thumbnails");
    let disks = folder.join("Disk Images");
    pictures::draw(&pictures, 24)
        .and_then(|()| make_holes(&disks, 40))
        .and_then(|()| std::fs::create_dir_all(&thumbnails))
        .map_err(|error| format!("{} could not be written: {error}", folder.display()))?;

    say(&format!("computing checksums of {}", pictures.display()));
    cargo::must(plain(app).args(["--headless", "checksum"]).arg(&pictures))?;
    say(&format!("creating thumbnails of {}", pictures.display()));
    cargo::must(
        plain(app)
            .args(["--headless", "thumbnails"])
            .args([&pictures, &thumbnails]),
    )?;

    let shot = folder.join("window.png");
    say("opening the window on a virtual display");
    let taken = window::take_picture(app, &pictures, &disks, &shot);
    // They take no space and have no further use. A copy of the folder would not preserve the holes.
    let _ = std::fs::remove_dir_all(&disks);
    taken?;
    say(&format!("the screenshot is {}", shot.display()));
    Ok(())
}

/// Fills `folder` with files that take long to read and no space: half a gigabyte of holes each.
fn make_holes(folder: &Path, count: u32) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    (1..=count).try_for_each(|number| {
        let file = std::fs::File::create(folder.join(format!("Disk {number:02}.img")))?;
        file.set_len(512 << 20)
    })
}

/// Returns a command that runs the app as from a shell.
fn plain(app: &Path) -> Command {
    let mut command = Command::new(app);
    cargo::forget(&mut command);
    command
}
