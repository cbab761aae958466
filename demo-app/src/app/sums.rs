//! The sums as a table that can be sorted, copied and saved.

use gtk::{gio, glib, glib::clone, prelude::*};
use legwork_demo::jobs::grouped;

use super::{
    choose, clipboard::copy, entry::Entry, gradually::gradually, job::Job, toast::toast, work,
};

/// The table of `found`, and the line above it: the number of entries, and buttons to copy and to save them.
pub(super) fn new(job: &Job, found: &gtk::FilterListModel) -> (gtk::Widget, gtk::ColumnView) {
    let builder = gtk::Builder::from_resource("/org/legwork/Demo/sums.ui");
    let button = |id| builder.object::<gtk::Button>(id).expect("in the template");
    let count: gtk::Label = builder.object("count").expect("in the template");
    let table: gtk::ColumnView = builder.object("table").expect("in the template");
    let name: gtk::ColumnViewColumn = builder.object("name").expect("in the template");
    let (copy_button, save_button) = (button("copy"), button("save"));
    job.entries()
        .bind_property("n-items", &count, "label")
        .transform_to(|_, n: u32| {
            Some(match n {
                1 => "1 entry".into(),
                n => format!("{} entries", grouped(n.into())),
            })
        })
        .sync_create()
        .build();
    for button in [&copy_button, &save_button] {
        job.entries()
            .bind_property("n-items", button, "sensitive")
            .transform_to(|_, n: u32| Some(n > 0))
            .sync_create()
            .build();
    }
    copy_button.connect_clicked(clone!(
        #[weak]
        job,
        move |button| {
            let text = String::from_utf8_lossy(&list(&job)).into_owned();
            copy(button, text, "Sums copied");
        }
    ));
    save_button.connect_clicked(clone!(
        #[weak]
        job,
        move |button| {
            glib::spawn_future_local(save(button.clone(), job));
        }
    ));

    // They arrive in the order in which they are finished, which differs each time.
    table.sort_by_column(Some(&name), gtk::SortType::Ascending);
    let sorted = gtk::SortListModel::new(Some(found.clone()), table.sorter());
    sorted.set_incremental(true);
    let rows = gtk::SingleSelection::builder()
        .model(&gradually(&sorted))
        .autoselect(false)
        .build();
    table.set_model(Some(&rows));
    (builder.object("tools").expect("in the template"), table)
}

async fn save(button: gtk::Button, job: Job) {
    let window = button
        .root()
        .and_downcast::<gtk::Window>()
        .expect("it was clicked");
    let folder = job.work().folder().map(work::name).unwrap_or_default();
    let chosen = choose::save(&window, "Save Sums", &format!("{folder}.sha256")).await;
    let Some(file) = chosen else { return };
    let saved = file
        .replace_contents_future(list(&job), None, false, gio::FileCreateFlags::NONE)
        .await;
    match saved {
        Ok(_) => toast(&button, "Sums saved"),
        Err((_, error)) => toast(&button, &format!("The sums could not be saved: {error}")),
    }
}

/// All sums in the format of sha256sum(1); names are copied byte by byte.
fn list(job: &Job) -> Vec<u8> {
    job.entries()
        .iter::<Entry>()
        .flatten()
        .filter_map(|entry| entry.line())
        .flatten()
        .collect()
}
