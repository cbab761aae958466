use gtk::glib;
use gtk::prelude::*;
use legwork::prelude::*;
use sums::{Checksum, JOBS};

fn main() -> glib::ExitCode {
    // This comes first: the child is this same program, and it does not get past this line.
    JOBS.run_if_worker();

    let app = gtk::Application::builder()
        .application_id("org.example.Sums")
        .build();
    app.connect_activate(open_window);
    app.run()
}

fn open_window(app: &gtk::Application) {
    let bar = gtk::ProgressBar::new();
    let line = gtk::Label::builder().label("Starting…").wrap(true).build();
    let stop = gtk::Button::with_label("Stop");
    let content = gtk::Box::new(gtk::Orientation::Vertical, 12);
    content.append(&line);
    content.append(&bar);
    content.append(&stop);
    let window = gtk::ApplicationWindow::builder()
        .application(app)
        .title("Sums")
        .default_width(480)
        .child(&content)
        .build();
    window.present();

    let folder = "/usr/bin".into();
    // `spawn` returns no error: if the start fails, the job's outcome says so.
    let mut job = Checksum { folder }.spawn().stop_with(&window);

    let status = job.status();
    status
        .bind_property("fraction", &bar, "fraction")
        .sync_create()
        .build();
    status
        .bind_property("can-stop", &stop, "sensitive")
        .sync_create()
        .build();
    let cancel = job.cancellable();
    stop.connect_clicked(move |_| cancel.cancel());

    glib::spawn_future_local(async move {
        while let Some(sum) = job.message().await {
            line.set_label(&sum);
        }
        match job.await {
            Ok(files) => line.set_label(&format!("{files} files")),
            Err(error) if error.is_cancelled() => line.set_label("Stopped."),
            Err(error) => line.set_label(&error.to_string()),
        }
    });
}
