//! A GTK app that starts a program three times with a token of its display, and once with a context that has none. The
//! program says both variables.

use gtk::gio::prelude::*;
use legwork::{Command, gio, glib};

const SHOW: &str = "echo \"$XDG_ACTIVATION_TOKEN|$DESKTOP_STARTUP_ID\"";

async fn say(command: Command) {
    let output = command.args(["-c", SHOW]).output().await.expect("a shell");
    print!("{}", String::from_utf8_lossy(&output.stdout));
}

fn main() {
    legwork::init();
    gtk::init().expect("a display");
    let display = gtk::gdk::Display::default().expect("a display");
    let context = gtk::prelude::DisplayExt::app_launch_context(&display);
    glib::MainContext::default().block_on(async {
        for _ in 0..3 {
            say(Command::new("sh").activate_from(&context)).await;
        }
        // What has not started gives its token back.
        context.connect_launch_failed(|_, token| println!("failed {}", !token.is_empty()));
        let none_such = Command::new("/no/such/program").activate_from(&context);
        assert!(none_such.spawn().await.is_err());
        let none = gio::AppLaunchContext::new();
        say(Command::new("sh").activate_from(&none)).await;
        // What the environment has is handed on where it is asked for: the program does say what it has.
        say(Command::new("sh").env("XDG_ACTIVATION_TOKEN", "control")).await;
    });
}
