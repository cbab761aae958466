//! `cargo xtask demo`: the app in front of the person who asked, or, where there is no display to show it on, its
//! jobs on real input and a picture of its window.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::needs::Level;
use crate::session::Session;
use crate::setup::{self, Install};
use crate::{Outcome, cargo, pictures, say};

/// How long the window may take to come up on a busy machine that draws by the processor.
const PATIENCE: Duration = Duration::from_secs(60);

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
    say("no display here: the same jobs without a window, then a picture of the window");
    let folder = cargo::target_dir().join("demo");
    let pictures = folder.join("Pictures");
    let thumbnails = folder.join("Thumbnails");
    let disks = folder.join("Disk Images");
    pictures::draw(&pictures, 24)
        .and_then(|()| make_holes(&disks, 40))
        .and_then(|()| std::fs::create_dir_all(&thumbnails))
        .map_err(|error| format!("{} could not be written: {error}", folder.display()))?;

    say(&format!("checksums of {}", pictures.display()));
    cargo::must(plain(app).args(["--headless", "checksum"]).arg(&pictures))?;
    say(&format!("thumbnails of {}", pictures.display()));
    cargo::must(
        plain(app)
            .args(["--headless", "thumbnails"])
            .args([&pictures, &thumbnails]),
    )?;

    let shot = folder.join("window.png");
    say("opening the window on a display that nobody sees");
    let taken = take_picture(app, &pictures, &disks, &shot);
    // Of no room, and of no further use: a copy of the folder would not know that they are empty.
    let _ = std::fs::remove_dir_all(&disks);
    taken?;
    say(&format!("the window is in {}", shot.display()));
    Ok(())
}

/// Fills `folder` with files that take long to read and no room: half a gigabyte each, of nothing.
fn make_holes(folder: &Path, count: u32) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    (1..=count).try_for_each(|number| {
        let file = std::fs::File::create(folder.join(format!("Disk {number:02}.img")))?;
        file.set_len(512 << 20)
    })
}

/// A call of the app as from a shell.
fn plain(app: &Path) -> Command {
    let mut command = Command::new(app);
    cargo::forget(&mut command);
    command
}

/// Runs the app, lets it work on `pictures` and on `disks`, and saves what its window shows.
fn take_picture(app: &Path, pictures: &Path, disks: &Path, to: &Path) -> Result<(), String> {
    let session = Session::start((1000, 720))?;
    let mut app = Running(
        session
            .command(app)
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("{} could not be started: {error}", app.display()))?,
    );
    let began = Instant::now();
    let mut window = String::new();
    wait_until("no window came up", began, || {
        if let Ok(Some(status)) = app.0.try_wait() {
            return Err(format!("the app ended without a window: {status}"));
        }
        let found = output(session.command("xdotool").args([
            "search",
            "--onlyvisible",
            "--class",
            "legwork",
        ]));
        window = found
            .and_then(|ids| ids.lines().last().map(str::to_owned))
            .unwrap_or_default();
        Ok(!window.is_empty())
    })?;

    start_job(&session, "thumbnails", pictures)?;
    start_job(&session, "checksum", disks)?;
    // Until the jobs have something to show.
    std::thread::sleep(Duration::from_secs(2));

    // Mapped is not yet drawn: an empty window has a handful of colours.
    wait_until("the window stayed empty", began, || {
        cargo::must(session.command("import").args(["-window", &window]).arg(to))?;
        let colours = output(session.command("identify").args(["-format", "%k"]).arg(to));
        let colours: Option<u32> = colours.and_then(|number| number.trim().parse().ok());
        Ok(colours.is_some_and(|number| number > 64))
    })
}

/// Asks the app over the session bus, as any program may.
fn start_job(session: &Session, action: &str, folder: &Path) -> Result<(), String> {
    let folder = folder
        .display()
        .to_string()
        .replace('\\', "\\\\")
        .replace('\'', "\\'");
    let mut call = session.command("gdbus");
    call.args([
        "call",
        "--session",
        "--dest",
        "org.legwork.Demo",
        "--object-path",
        "/org/legwork/Demo",
    ]);
    call.args([
        "--method",
        "org.gtk.Actions.Activate",
        action,
        &format!("[<'{folder}'>]"),
        "{}",
    ]);
    cargo::must(call.stdout(Stdio::null()))
}

/// Asks again until the answer is yes.
fn wait_until(
    complaint: &str,
    began: Instant,
    mut ask: impl FnMut() -> Result<bool, String>,
) -> Result<(), String> {
    while !ask()? {
        if began.elapsed() > PATIENCE {
            return Err(format!("{complaint} within {} seconds", PATIENCE.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// What a program prints, if it succeeds.
fn output(command: &mut Command) -> Option<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The app, which ends with its picture.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
