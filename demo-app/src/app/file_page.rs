//! The page for the file that a job writes: its name, and buttons to open it.

use gtk::{gio, glib, glib::clone, prelude::*};

use super::{
    job::Job,
    toast::toast,
    work::{self, Work},
};

/// The page for the file that `job` writes.
pub(super) fn new(job: &Job) -> adw::StatusPage {
    let page = adw::StatusPage::builder()
        .icon_name(job.work().kind().icon)
        .vexpand(true)
        .css_classes(["compact"])
        .build();
    let buttons = gtk::Box::builder()
        .orientation(gtk::Orientation::Vertical)
        .spacing(12)
        .halign(gtk::Align::Center)
        .build();
    let open = async |file: gio::File, window: Option<gtk::Window>| {
        gtk::show_uri_full_future(window.as_ref(), &file.uri(), 0).await
    };
    add_button(&buttons, job, "Open", &["pill", "suggested-action"], open);
    add_button(
        &buttons,
        job,
        "Show in Folder",
        &["pill"],
        async move |file, window| {
            if show_in_file_manager(&file).await.is_ok() {
                return Ok(());
            }
            // There is no file manager on the bus: the folder can be opened nevertheless.
            open(file.parent().unwrap_or(file), window).await
        },
    );
    job.bind_property("output-file", &buttons, "visible")
        .transform_to(|_, file: Option<gio::File>| Some(file.is_some()))
        .sync_create()
        .build();
    page.set_child(Some(&buttons));

    let describe = clone!(
        #[weak]
        page,
        move |job: &Job| {
            let (title, description) = text(job);
            page.set_title(&glib::markup_escape_text(&title));
            page.set_description(Some(description));
        }
    );
    describe(job);
    // The last property that changes at the end of a job.
    job.connect_running_notify(describe);
    page
}

fn text(job: &Job) -> (String, &'static str) {
    let name = match job.work() {
        Work::Convert(conversion) => work::name(&conversion.output),
        _ => String::new(),
    };
    match job.output_file() {
        Some(file) => (file.path().map_or(name, |path| work::name(&path)), ""),
        None if job.running() => (name, "The new file appears here when it is complete."),
        None => ("No New File".into(), "The incomplete file was removed."),
    }
}

fn add_button(
    buttons: &gtk::Box,
    job: &Job,
    label: &str,
    classes: &[&str],
    open: impl AsyncFn(gio::File, Option<gtk::Window>) -> Result<(), glib::Error> + Copy + 'static,
) {
    let button = gtk::Button::builder()
        .label(label)
        .css_classes(classes.to_vec())
        .build();
    button.connect_clicked(clone!(
        #[weak]
        job,
        move |button| {
            let Some(file) = job.output_file() else {
                return;
            };
            let button = button.clone();
            glib::spawn_future_local(async move {
                let window = button.root().and_downcast();
                if let Err(error) = open(file, window).await {
                    toast(&button, &format!("The file could not be opened: {error}"));
                }
            });
        }
    ));
    buttons.append(&button);
}

/// <https://www.freedesktop.org/wiki/Specifications/file-manager-interface/>
async fn show_in_file_manager(file: &gio::File) -> Result<(), glib::Error> {
    let bus = gio::bus_get_future(gio::BusType::Session).await?;
    bus.call_future(
        Some("org.freedesktop.FileManager1"),
        "/org/freedesktop/FileManager1",
        "org.freedesktop.FileManager1",
        "ShowItems",
        Some(&(vec![file.uri().to_string()], "").to_variant()),
        None,
        gio::DBusCallFlags::NONE,
        -1,
    )
    .await
    .map(drop)
}
