//! The sums as a table that can be sorted, copied and saved.
//!
//! Its cells are inscriptions and not labels: a view creates some two hundred rows before the first frame, and a label
//! measures its text in each.

use gtk::{gio, glib, glib::clone, prelude::*};
use legwork_demo::jobs::grouped;

use super::{accessible, choose, entry::Entry, gradually::gradually, job::Job, toast::toast, work};

/// The line above the table: the number of entries, and buttons to copy and to save them.
pub(super) fn tools(job: &Job) -> adw::Clamp {
    let count = gtk::Label::builder()
        .xalign(0.0)
        .hexpand(true)
        .css_classes(["dim-label", "numeric"])
        .ellipsize(gtk::pango::EllipsizeMode::End)
        .build();
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
    let tools = gtk::Box::builder()
        .spacing(6)
        .margin_start(12)
        .margin_end(12)
        .margin_bottom(6)
        .build();
    tools.append(&count);
    let add_button = |label, tooltip, clicked: fn(&gtk::Button, &Job)| {
        let button = gtk::Button::builder()
            .label(label)
            .tooltip_text(tooltip)
            .build();
        button.connect_clicked(clone!(
            #[weak]
            job,
            move |button| clicked(button, &job)
        ));
        job.entries()
            .bind_property("n-items", &button, "sensitive")
            .transform_to(|_, n: u32| Some(n > 0))
            .sync_create()
            .build();
        tools.append(&button);
    };
    add_button("Copy", "Copy All Sums", |button, job| {
        button
            .clipboard()
            .set_text(&String::from_utf8_lossy(&list(job)));
        toast(button, "Sums copied");
    });
    add_button("Save…", "Save All Sums to a File", |button, job| {
        glib::spawn_future_local(save(button.clone(), job.clone()));
    });
    adw::Clamp::builder()
        .maximum_size(1100)
        .child(&tools)
        .build()
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

/// A table of `found` [`Entry`]s.
pub(super) fn table(found: gtk::FilterListModel) -> gtk::ColumnView {
    let by = |property| Entry::this_expression(property);
    let columns = [
        Column {
            title: "Name",
            chars: (10, 24),
            cell: name,
            sorter: gtk::StringSorter::new(Some(by("name"))).upcast(),
        },
        Column {
            title: "Size",
            chars: (9, 9),
            cell: size,
            sorter: gtk::NumericSorter::new(Some(by("size"))).upcast(),
        },
        // Sorted by the error, which brings what could not be read together.
        Column {
            title: "SHA-256",
            chars: (8, 64),
            cell: sum,
            sorter: gtk::StringSorter::new(Some(by("error"))).upcast(),
        },
    ];
    let view = gtk::ColumnView::builder()
        .margin_start(12)
        .margin_end(12)
        .css_classes(["data-table"])
        .build();
    accessible::set_name(&view, "Sums");
    let columns = columns.map(Column::build);
    for column in &columns {
        view.append_column(column);
    }
    // They arrive in the order in which they are finished, which differs each time.
    view.sort_by_column(columns.first(), gtk::SortType::Ascending);
    let sorted = gtk::SortListModel::new(Some(found), view.sorter());
    sorted.set_incremental(true);
    let rows = gtk::SingleSelection::builder()
        .model(&gradually(&sorted))
        .autoselect(false)
        .build();
    view.set_model(Some(&rows));
    view
}

/// What differs from column to column.
struct Column {
    title: &'static str,
    /// The minimum and the natural width in characters.
    chars: (u32, u32),
    cell: fn(&gtk::Inscription, &Entry),
    sorter: gtk::Sorter,
}

impl Column {
    fn build(self) -> gtk::ColumnViewColumn {
        let Self {
            title,
            chars,
            cell,
            sorter,
        } = self;
        let factory = gtk::SignalListItemFactory::new();
        factory.connect_setup(move |_, item| {
            let item: &gtk::ListItem = item.downcast_ref().expect("a list item");
            let text = gtk::Inscription::builder()
                .min_chars(chars.0)
                .nat_chars(chars.1)
                .text_overflow(gtk::InscriptionOverflow::EllipsizeMiddle)
                .build();
            item.set_child(Some(&text));
        });
        factory.connect_bind(move |_, item| {
            let item: &gtk::ListItem = item.downcast_ref().expect("a list item");
            let text = item
                .child()
                .and_downcast::<gtk::Inscription>()
                .expect("as set up");
            cell(
                &text,
                &item.item().and_downcast::<Entry>().expect("an entry"),
            );
        });
        let grows = chars.0 < chars.1;
        gtk::ColumnViewColumn::builder()
            .title(title)
            .expand(grows)
            .resizable(grows)
            .factory(&factory)
            .sorter(&sorter)
            .build()
    }
}

fn name(cell: &gtk::Inscription, entry: &Entry) {
    cell.set_text(Some(&entry.name()));
    cell.set_tooltip_text(Some(&entry.name()));
}

fn size(cell: &gtk::Inscription, entry: &Entry) {
    let size = glib::format_size(entry.size());
    cell.set_text(entry.error().is_empty().then_some(&size));
    cell.set_xalign(1.0);
    cell.set_css_classes(&["numeric", "dim-label"]);
}

fn sum(cell: &gtk::Inscription, entry: &Entry) {
    let (text, class) = match entry.error() {
        error if error.is_empty() => (entry.value(), "monospace"),
        error => (error, "warning"),
    };
    cell.set_text(Some(&text));
    cell.set_tooltip_text(Some(&text));
    cell.set_text_overflow(gtk::InscriptionOverflow::EllipsizeEnd);
    cell.set_css_classes(&["caption", class]);
}
