//! The window and everything in it.
//!
//! - [`job`], [`job_list`]: the model, GObjects whose properties the widgets are bound to.
//! - [`start`], [`program`], [`program_control`]: run the work of a job, and update the model.
//! - [`work`], [`outcome`], [`program_outcome`], [`format`], [`error`]: titles, outcomes and progress in words.
//! - [`window`], [`job_row`], [`job_page`], [`new_job`]: what is visible of them.
//! - [`result_view`], [`log_view`], [`output_view`], [`isolation_view`]: the views of a job's page.
//! - [`output`]: what programs write, as text with colours.
//! - [`tail_view`], [`find_bar`], [`columns`], [`gradually`], [`accessible`]: widgets and what GTK 4.8 does not have.
//! - [`toast`], [`choose`], [`clipboard`]: how a widget reaches the user without knowing the window.
//! - [`desktop`], [`preferences`]: where the desktop shows running jobs.
//! - [`pulse`], [`stall`]: how smoothly the app itself runs.
//!
//! They depend on each other in one direction: from the window to its parts, from the parts to the model.

// What the property macro writes is `pub`, whatever the type is.
#![allow(unreachable_pub)]

mod accessible;
mod choose;
mod clipboard;
mod columns;
mod desktop;
mod entry;
mod error;
mod expressions;
mod file_page;
mod find_bar;
mod format;
mod gradually;
mod isolation;
mod isolation_view;
mod job;
mod job_list;
mod job_page;
mod job_row;
mod log_line;
mod log_view;
mod new_job;
mod outcome;
mod output;
mod output_view;
mod preferences;
mod program;
mod program_control;
mod program_outcome;
mod pulse;
mod rate;
mod result_view;
mod stall;
mod start;
mod sums;
mod tail_view;
mod terminal_size;
mod toast;
mod window;
mod work;

use std::{ops::ControlFlow, path::Path};

use adw::prelude::*;
use gtk::{gio, glib, glib::clone};

use self::{window::Window, work::Work};

/// The application ID.
const APP_ID: &str = "org.legwork.Demo";

/// The text of `--help` before the options, which are those of GLib and GTK.
const SUMMARY: &str = "\
Runs jobs and programs in processes of their own, in a window that stays smooth.
A folder or a file on the command line is offered for a job.

Without a window, in a terminal or a script:
  legwork-demo --headless checksum DIR
  legwork-demo --headless thumbnails DIR OUT
  legwork-demo --headless run -- PROGRAM [ARGUMENT]...
  legwork-demo --headless convert IN OUT
  legwork-demo --headless --help";

/// Opens the window and stays until the last one is closed.
pub(crate) fn run() -> glib::ExitCode {
    gio::resources_register_include!("legwork-demo.gresource").expect("the program's own resource");
    glib::set_application_name("Legwork");
    stall::watch();

    let app = adw::Application::builder()
        .application_id(APP_ID)
        .flags(gio::ApplicationFlags::HANDLES_OPEN)
        .build();
    app.set_option_context_parameter_string(Some("[FOLDER|FILE]"));
    app.set_option_context_summary(Some(SUMMARY));
    app.connect_handle_local_options(|_, _| {
        // GTK would end the program with a message for its authors.
        if gtk::init().is_ok() {
            return ControlFlow::Continue(());
        }
        eprintln!("legwork-demo: there is no display.\nTry “legwork-demo --headless --help”.");
        ControlFlow::Break(glib::ExitCode::FAILURE)
    });
    app.connect_startup(set_up);
    app.connect_activate(|app| window(app).present());
    // A folder or a file on the command line is offered like one that is dropped on the window.
    app.connect_open(|app, files, _| {
        let window = window(app);
        window.present();
        window.offer(files);
    });
    app.run()
}

fn set_up(app: &adw::Application) {
    app.add_action_entries([
        gio::ActionEntry::builder("about")
            .activate(|app, _, _| about(app))
            .build(),
        gio::ActionEntry::builder("show")
            .activate(|app, _, _| window(app).present())
            .build(),
        // Closes every window, which asks about running jobs.
        gio::ActionEntry::builder("quit")
            .activate(|app: &adw::Application, _, _| {
                app.windows().iter().for_each(gtk::Window::close);
            })
            .build(),
        // For other programs, over the session bus: starts a job on the folder with this path or URI.
        gio::ActionEntry::builder("checksum")
            .parameter_type(Some(glib::VariantTy::STRING))
            .activate(|app, _, folder| start(app, folder, Work::checksum))
            .build(),
        gio::ActionEntry::builder("thumbnails")
            .parameter_type(Some(glib::VariantTy::STRING))
            .activate(|app, _, folder| start(app, folder, Work::thumbnails))
            .build(),
    ]);
    // After the action `quit`, which the list of background apps needs.
    desktop::Desktop::set_up(
        app.upcast_ref(),
        clone!(
            #[weak]
            app,
            move |token| {
                let window = window(&app);
                window.set_startup_id(token);
                window.present();
            }
        ),
    );
    app.set_accels_for_action("app.quit", &["<Control>q"]);
    app.set_accels_for_action("window.close", &["<Control>w"]);
    app.set_accels_for_action("win.new-job", &["<Control>n"]);
    app.set_accels_for_action("win.run-program", &["<Control>r"]);
    app.set_accels_for_action("win.search", &["<Control>f"]);
    app.set_accels_for_action("win.preferences", &["<Control>comma"]);
    app.set_accels_for_action("win.show-help-overlay", &["F1", "<Control>question"]);
}

/// The only window, which is created if there is none.
fn window(app: &adw::Application) -> Window {
    let window = app
        .windows()
        .into_iter()
        .find_map(|window| window.downcast::<Window>().ok());
    window.unwrap_or_else(|| Window::new(app))
}

fn start(app: &adw::Application, folder: Option<&glib::Variant>, work: fn(&Path) -> Work) {
    let file = folder
        .and_then(glib::Variant::str)
        .map(gio::File::for_parse_name);
    if let Some(folder) = file.and_then(|file| file.path()) {
        let window = window(app);
        window.present();
        window.start(work(&folder));
    }
}

fn about(app: &adw::Application) {
    let builder = gtk::Builder::from_resource("/org/legwork/Demo/about.ui");
    let about: adw::AboutWindow = builder.object("about").expect("in the template");
    about.set_version(env!("CARGO_PKG_VERSION"));
    about.set_website(env!("CARGO_PKG_REPOSITORY"));
    about.set_issue_url(concat!(env!("CARGO_PKG_REPOSITORY"), "/issues"));
    about.set_transient_for(app.active_window().as_ref());
    about.present();
}
