//! The result of a job: a table of sums, or a grid of pictures that fills while the job runs.

use gtk::{glib, glib::clone, prelude::*};

use super::{
    entry::Entry,
    file_page, find_bar,
    gradually::gradually,
    job::Job,
    sums,
    work::{self, Work},
};

/// The view of the result of `job`. If it can be searched, its first child is the find bar.
pub(super) fn new(job: &Job) -> gtk::Box {
    let view = gtk::Box::new(gtk::Orientation::Vertical, 0);
    let icon = job.work().kind().icon;
    match job.work() {
        Work::Checksum(_) => {
            let found = found(job);
            let (tools, table) = sums::new(job, &found);
            view.append(&find_bar(&found, table.upcast_ref()));
            view.append(&tools);
            view.append(&results(
                job,
                &table,
                icon,
                "Sums appear",
                "There are no sums.",
            ));
        }
        Work::Thumbnails(_) => {
            let found = found(job);
            let grid = pictures(&found);
            view.append(&find_bar(&found, grid.upcast_ref()));
            view.append(&results(
                job,
                &grid,
                icon,
                "Pictures appear",
                "There are no pictures.",
            ));
        }
        Work::Misbehave(job) => {
            let story = work::misdeed_story(job.misdeed);
            let page = empty_page(icon);
            page.set_title(work::misdeed_title(job.misdeed));
            page.set_description(Some(&format!("{story}. This window is not affected.")));
            view.append(&page);
        }
        Work::Program(_) | Work::Convert(_) => view.append(&file_page::new(job)),
    }
    view
}

fn empty_page(icon: &str) -> adw::StatusPage {
    adw::StatusPage::builder()
        .icon_name(icon)
        .vexpand(true)
        .css_classes(["compact"])
        .build()
}

/// The results of `job` whose names match a search.
fn found(job: &Job) -> gtk::FilterListModel {
    let filter = gtk::StringFilter::builder()
        .expression(Entry::this_expression("name"))
        .match_mode(gtk::StringFilterMatchMode::Substring)
        .build();
    gtk::FilterListModel::new(Some(job.entries()), Some(filter))
}

/// A grid of pictures, with their names and sizes or errors.
fn pictures(found: &gtk::FilterListModel) -> gtk::GridView {
    let builder = gtk::Builder::from_resource("/org/legwork/Demo/pictures.ui");
    let grid: gtk::GridView = builder.object("grid").expect("in the template");
    grid.set_model(Some(&gtk::NoSelection::new(Some(gradually(found)))));
    grid
}

/// The bar that searches `found`, which `list` shows.
fn find_bar(found: &gtk::FilterListModel, list: &gtk::Widget) -> gtk::SearchBar {
    let (bar, entry) = find_bar::new("Search Names");
    // Connected before the filter, so that the list still contains only what was found.
    entry.connect_text_notify(clone!(
        #[weak]
        list,
        move |entry| {
            if let Some(item) = selection(&list).and_then(|found| found.item(0))
                && entry.text().is_empty()
            {
                glib::idle_add_local_once(move || scroll_to(&list, &item));
            }
        }
    ));
    let filter = found.filter().expect("set by found()");
    entry.bind_property("text", &filter, "search").build();
    bar
}

/// The list of results, or a placeholder while it is empty.
fn results(
    job: &Job,
    list: &impl IsA<gtk::Widget>,
    icon: &str,
    appear: &str,
    none: &'static str,
) -> gtk::Stack {
    let clamp = adw::ClampScrollable::builder()
        .maximum_size(1100)
        .child(list)
        .build();
    let scrolled = gtk::ScrolledWindow::builder()
        .child(&clamp)
        .vexpand(true)
        .build();
    let empty = empty_page(icon);
    let waiting = format!("{appear} here as the job proceeds.");
    job.bind_property("running", &empty, "description")
        .transform_to(move |_, running: bool| {
            Some(if running {
                waiting.clone()
            } else {
                none.into()
            })
        })
        .sync_create()
        .build();
    let stack = gtk::Stack::builder()
        .hhomogeneous(false)
        .vhomogeneous(false)
        .build();
    stack.add_named(&empty, Some("empty"));
    stack.add_named(&scrolled, Some("found"));
    job.entries()
        .bind_property("n-items", &stack, "visible-child-name")
        .transform_to(|_, n: u32| Some(if n > 0 { "found" } else { "empty" }))
        .sync_create()
        .build();
    stack
}

fn selection(list: &gtk::Widget) -> Option<gtk::SelectionModel> {
    match list.downcast_ref::<gtk::ColumnView>() {
        Some(table) => table.model(),
        None => list.downcast_ref::<gtk::GridView>()?.model(),
    }
}

/// Scrolls to the item that a search has found, once the list contains all items again.
fn scroll_to(list: &gtk::Widget, item: &glib::Object) {
    let position = selection(list)
        .into_iter()
        .flat_map(|model| model.iter::<glib::Object>().collect::<Vec<_>>())
        .position(|other| other.is_ok_and(|other| other == *item));
    if let Some(position) = position {
        // The list of a table is one of its children.
        let children = std::iter::successors(list.first_child(), gtk::Widget::next_sibling);
        let position = (position as u32).to_variant();
        let _ = std::iter::once(list.clone()).chain(children).any(|list| {
            list.activate_action("list.scroll-to-item", Some(&position))
                .is_ok()
        });
    }
}
