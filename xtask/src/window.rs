//! Takes a screenshot of the demo app's window at work, on a virtual display.
//!
//! This renews the one in the README:
//!
//! ```sh
//! env -u DISPLAY -u WAYLAND_DISPLAY cargo xtask demo && cp target/demo/window.png docs/
//! ```
//!
//! Nothing in it is staged: everything that runs or has ended is a real job or program.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cargo;
use crate::session::Session;

/// The size of the window and of the display, in pixels.
const SIZE: (u32, u32) = (1000, 500);

/// The time that each step may take on a busy machine with software rendering.
const PATIENCE: Duration = Duration::from_secs(60);

/// The time until a job shows something, or is done.
const MOMENT: Duration = Duration::from_secs(3);

/// Runs the app, gives it `pictures`, `disks` and programs to work on, and saves a screenshot of its window.
pub(crate) fn take_picture(
    app: &Path,
    pictures: &Path,
    disks: &Path,
    to: &Path,
) -> Result<(), String> {
    let session = Session::start(SIZE)?;
    let running = Running(
        session
            .command(app)
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("{} could not be started: {error}", app.display()))?,
    );
    let mut desk = Desk { session, running };
    desk.wait_for_windows(1)?;
    let window = desk.windows().remove(0);
    let (width, height) = SIZE;
    let size = [&window, &width.to_string(), &height.to_string()];
    desk.xdotool(&[&["windowsize", "--sync"], &size.map(String::as_str)[..]].concat())?;
    // There is no window manager, so keys go to the window under the pointer.
    desk.xdotool(&["mousemove", "200", "300"])?;

    desk.activate("thumbnails", pictures)?;
    std::thread::sleep(MOMENT);
    for line in ["ls -lR /usr/share/icons", "sh -c 'kill -SEGV $$'"] {
        desk.run(line)?;
        std::thread::sleep(MOMENT);
    }
    desk.activate("checksum", disks)?;
    std::thread::sleep(MOMENT);

    // Away from any row.
    let corner = [(width - 2).to_string(), (height - 2).to_string()];
    desk.xdotool(&["mousemove", &corner[0], &corner[1]])?;
    // A mapped window is not drawn yet: an empty one has a handful of colours.
    desk.wait_until("the window was not drawn", |desk| {
        let mut import = desk.session.command("import");
        cargo::must(import.args(["-window", &window]).arg(to))?;
        let mut identify = desk.session.command("identify");
        let colours = output(identify.args(["-format", "%k"]).arg(to));
        let colours: Option<u32> = colours.and_then(|number| number.trim().parse().ok());
        Ok(colours.is_some_and(|number| number > 64))
    })
}

/// The app on its desktop.
struct Desk {
    // Dropped in this order.
    running: Running,
    session: Session,
}

impl Desk {
    /// Returns the app's windows, the newest last.
    fn windows(&self) -> Vec<String> {
        let mut search = self.session.command("xdotool");
        let found = output(search.args(["search", "--onlyvisible", "--class", "legwork"]));
        let found = found.unwrap_or_default();
        found.lines().map(str::to_owned).collect()
    }

    fn wait_for_windows(&mut self, count: usize) -> Result<(), String> {
        let complaint = format!("the app did not show {count} windows");
        self.wait_until(&complaint, |desk| {
            if let Ok(Some(status)) = desk.running.0.try_wait() {
                return Err(format!("the app exited without a window: {status}"));
            }
            Ok(desk.windows().len() == count)
        })
    }

    /// Types a command into the dialog for running one.
    fn run(&mut self, line: &str) -> Result<(), String> {
        self.xdotool(&["key", "ctrl+r"])?;
        self.wait_for_windows(2)?;
        // A new window does not take keys at once.
        std::thread::sleep(Duration::from_secs(1));
        self.xdotool(&["type", "--delay", "30", line])?;
        self.xdotool(&["key", "Return"])?;
        self.wait_for_windows(1)
    }

    fn xdotool(&self, args: &[&str]) -> Result<(), String> {
        cargo::must(self.session.command("xdotool").args(args))
    }

    /// Activates an action of the app over the session bus, as any program may.
    fn activate(&self, action: &str, folder: &Path) -> Result<(), String> {
        let folder = folder
            .display()
            .to_string()
            .replace('\\', "\\\\")
            .replace('\'', "\\'");
        let mut call = self.session.command("gdbus");
        call.args(["call", "--session", "--dest", "org.legwork.Demo"]);
        call.args(["--object-path", "/org/legwork/Demo"]);
        call.args(["--method", "org.gtk.Actions.Activate", action]);
        call.args([&format!("[<'{folder}'>]"), "{}"]);
        cargo::must(call.stdout(Stdio::null()))
    }

    /// Repeats the question until the answer is yes.
    fn wait_until(
        &mut self,
        complaint: &str,
        mut ask: impl FnMut(&mut Self) -> Result<bool, String>,
    ) -> Result<(), String> {
        let began = Instant::now();
        while !ask(self)? {
            if began.elapsed() > PATIENCE {
                return Err(format!("{complaint} within {} seconds", PATIENCE.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

/// Returns the output of a program, if it succeeds.
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

/// The app, which ends with its screenshot.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
