//! A file that a job made: its name, and what to do with it.

use gtk::{gio, glib, glib::clone, prelude::*};

use super::{
    job::Job,
    job_page::toast,
    work::{self, Work},
};

/// The page for the file that `job` makes.
pub(super) fn page(job: &Job) -> adw::StatusPage {
    let page = adw::StatusPage::builder()
        .icon_name(job.work().icon())
        .vexpand(true)
        .css_classes(["compact"])
        .build();
    let open = button("Open", &["pill", "suggested-action"]);
    let show = button("Show in Folder", &["pill"]);
    for (button, act) in [(&open, Act::Open), (&show, Act::ShowInFolder)] {
        button.connect_clicked(clone!(
            #[weak]
            job,
            move |button| {
                let Some(file) = job.made() else { return };
                glib::spawn_future_local(clone!(
                    #[weak]
                    button,
                    async move { act.on(&file, &button).await }
                ));
            }
        ));
    }
    let buttons = gtk::Box::builder()
        .orientation(gtk::Orientation::Vertical)
        .spacing(12)
        .halign(gtk::Align::Center)
        .build();
    buttons.append(&open);
    buttons.append(&show);
    job.bind_property("made", &buttons, "visible")
        .transform_to(|_, made: Option<gio::File>| Some(made.is_some()))
        .sync_create()
        .build();
    page.set_child(Some(&buttons));

    let say = clone!(
        #[weak]
        page,
        move |job: &Job| {
            let (title, description) = words(job);
            page.set_title(&glib::markup_escape_text(&title));
            page.set_description(Some(&glib::markup_escape_text(&description)));
        }
    );
    say(job);
    // Last of what changes at a job’s end.
    job.connect_running_notify(say);
    page
}

fn words(job: &Job) -> (String, String) {
    let Work::Convert(convert) = job.work() else {
        return Default::default();
    };
    let name = work::name(&convert.output);
    match job.made() {
        Some(_) => (name, String::new()),
        None if job.running() => (name, "The new file appears here when it is whole.".into()),
        None => ("No New File".into(), "Nothing was left behind.".into()),
    }
}

#[derive(Clone, Copy)]
enum Act {
    Open,
    ShowInFolder,
}

impl Act {
    async fn on(self, file: &gio::File, button: &gtk::Button) {
        let window = button.root().and_downcast::<gtk::Window>();
        let shown = match self {
            Self::Open => gtk::show_uri_full_future(window.as_ref(), &file.uri(), 0).await,
            Self::ShowInFolder => match in_file_manager(file).await {
                Ok(()) => Ok(()),
                // Then at least the folder.
                Err(_) => {
                    let folder = file.parent().unwrap_or_else(|| file.clone());
                    gtk::show_uri_full_future(window.as_ref(), &folder.uri(), 0).await
                }
            },
        };
        if let Err(error) = shown {
            toast(button, &format!("It could not be opened: {error}"));
        }
    }
}

/// <https://www.freedesktop.org/wiki/Specifications/file-manager-interface/>
async fn in_file_manager(file: &gio::File) -> Result<(), glib::Error> {
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

fn button(label: &str, classes: &[&str]) -> gtk::Button {
    gtk::Button::builder()
        .label(label)
        .css_classes(classes.to_vec())
        .build()
}
