//! Sums as a table that can be sorted, copied and saved.
//!
//! Its cells are inscriptions and not labels: a view keeps some two hundred rows ready, and a label measures its text
//! for each of them before the first frame.

use gtk::{gio, glib, glib::clone, prelude::*};
use legwork_demo::jobs::grouped;

use super::{accessible, entry::Entry, gradual::gradually, job::Job, job_page::toast, work};

/// The line above the table: how many, copy, save.
pub(super) fn tools(job: &Job) -> adw::Clamp {
    let count = gtk::Label::builder()
        .xalign(0.0)
        .hexpand(true)
        .css_classes(["dim-label", "numeric"])
        .ellipsize(gtk::pango::EllipsizeMode::End)
        .build();
    let say = clone!(
        #[weak]
        count,
        move |entries: &gio::ListStore| count.set_label(&match entries.n_items() {
            1 => "1 entry".into(),
            n => format!("{} entries", grouped(n.into())),
        })
    );
    say(&job.entries());
    job.entries()
        .connect_items_changed(move |entries, _, _, _| say(entries));

    let copy = gtk::Button::builder()
        .label("Copy")
        .tooltip_text("Copy All Sums")
        .build();
    copy.connect_clicked(clone!(
        #[weak]
        job,
        move |button| {
            button
                .clipboard()
                .set_text(&String::from_utf8_lossy(&list(&job)));
            toast(button, "Sums copied");
        }
    ));
    let save = gtk::Button::builder()
        .label("Save…")
        .tooltip_text("Save All Sums to a File")
        .build();
    save.connect_clicked(clone!(
        #[weak]
        job,
        move |button| {
            let button = button.clone();
            glib::spawn_future_local(async move { save_list(&button, &job).await });
        }
    ));
    let tools = gtk::Box::builder()
        .spacing(6)
        .margin_start(12)
        .margin_end(12)
        .margin_bottom(6)
        .build();
    tools.append(&count);
    tools.append(&copy);
    tools.append(&save);
    for button in [&copy, &save] {
        job.entries()
            .bind_property("n-items", button, "sensitive")
            .transform_to(|_, n: u32| Some(n > 0))
            .sync_create()
            .build();
    }
    adw::Clamp::builder()
        .maximum_size(1100)
        .child(&tools)
        .build()
}

async fn save_list(button: &gtk::Button, job: &Job) {
    let window = button.root().and_downcast::<gtk::Window>();
    let chooser = gtk::FileChooserNative::new(
        Some("Save Sums"),
        window.as_ref(),
        gtk::FileChooserAction::Save,
        Some("_Save"),
        Some("_Cancel"),
    );
    chooser.set_modal(true);
    let folder = job.work().folder().map(work::name).unwrap_or_default();
    chooser.set_current_name(&format!("{folder}.sha256"));
    if chooser.run_future().await != gtk::ResponseType::Accept {
        return;
    }
    let Some(file) = chooser.file() else { return };
    let saved = file
        .replace_contents_future(list(job), None, false, gio::FileCreateFlags::NONE)
        .await;
    match saved {
        Ok(_) => toast(button, "Sums saved"),
        Err((_, error)) => toast(button, &format!("The sums could not be saved: {error}")),
    }
}

/// All sums as sha256sum(1) reads them; names to the byte.
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
        // Sorting by what cannot be read is how one finds it.
        Column {
            title: "SHA-256",
            chars: (8, 64),
            cell: sum,
            sorter: gtk::StringSorter::new(Some(by("trouble"))).upcast(),
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
    // They come as they are done with, which is another order each time.
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

/// What is different from column to column.
struct Column {
    title: &'static str,
    /// Characters that a cell has at least, and those that it would like.
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
    cell.set_text(entry.trouble().is_empty().then_some(&size));
    cell.set_xalign(1.0);
    cell.set_css_classes(&["numeric", "dim-label"]);
}

fn sum(cell: &gtk::Inscription, entry: &Entry) {
    let (text, class) = match entry.trouble() {
        trouble if trouble.is_empty() => (entry.value(), "monospace"),
        trouble => (trouble, "warning"),
    };
    cell.set_text(Some(&text));
    cell.set_tooltip_text(Some(&text));
    cell.set_text_overflow(gtk::InscriptionOverflow::EllipsizeEnd);
    cell.set_css_classes(&["caption", class]);
}
