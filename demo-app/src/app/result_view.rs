//! What came of a job: a table of sums, or a grid of pictures that fills while the job runs.

use adw::subclass::prelude::*;
use gtk::{gio, glib, glib::clone, prelude::*};

use super::{
    entry::Entry,
    find_bar::FindBar,
    job::Job,
    made, pictures, sums,
    work::{self, Work},
};

mod imp {
    use std::cell::OnceCell;

    use super::*;

    #[derive(Default)]
    pub(crate) struct ResultView {
        pub(super) find_bar: OnceCell<FindBar>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for ResultView {
        const NAME: &'static str = "LegworkDemoResultView";
        type Type = super::ResultView;
        type ParentType = gtk::Box;
    }

    impl ObjectImpl for ResultView {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().set_orientation(gtk::Orientation::Vertical);
        }
    }
    impl WidgetImpl for ResultView {}
    impl BoxImpl for ResultView {}
}

glib::wrapper! {
    /// A job's result.
    pub(crate) struct ResultView(ObjectSubclass<imp::ResultView>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl ResultView {
    /// Shows what `job` found and still finds.
    pub(crate) fn show(&self, job: &Job) {
        let (icon, waiting, nothing) = match job.work() {
            Work::Checksum(_) => (
                "checksum-symbolic",
                "Sums appear here as files are read.",
                "There are no sums.",
            ),
            Work::Thumbnails(_) => (
                "thumbnails-symbolic",
                "Pictures appear here as they are opened.",
                "There are no pictures.",
            ),
            Work::Misbehave(job) => {
                let story = work::misdeed_story(job.misdeed);
                let status = adw::StatusPage::builder()
                    .icon_name("misbehave-symbolic")
                    .title(work::misdeed_title(job.misdeed))
                    .description(format!("{story}. This window does not mind."))
                    .vexpand(true)
                    .css_classes(["compact"])
                    .build();
                self.append(&status);
                return;
            }
            Work::Program(_) | Work::Convert(_) => {
                self.append(&made::page(job));
                return;
            }
        };
        let filter = gtk::StringFilter::builder()
            .expression(Entry::this_expression("name"))
            .match_mode(gtk::StringFilterMatchMode::Substring)
            .build();
        let found = gtk::FilterListModel::new(Some(job.entries()), Some(filter.clone()));
        let view: gtk::Widget = match job.work() {
            Work::Checksum(_) => sums::table(found).upcast(),
            _ => pictures::grid(found).upcast(),
        };
        // As wide as what stands above it.
        let clamp = adw::ClampScrollable::builder()
            .maximum_size(1100)
            .child(&view)
            .build();
        let scrolled = gtk::ScrolledWindow::builder()
            .child(&clamp)
            .vexpand(true)
            .build();
        let empty = adw::StatusPage::builder()
            .icon_name(icon)
            .description(waiting)
            .vexpand(true)
            .css_classes(["compact"])
            .build();
        job.bind_property("running", &empty, "description")
            .transform_to(move |_, running: bool| Some(if running { waiting } else { nothing }))
            .sync_create()
            .build();

        let stack = gtk::Stack::builder()
            .hhomogeneous(false)
            .vhomogeneous(false)
            .build();
        stack.add_named(&empty, Some("empty"));
        stack.add_named(&scrolled, Some("found"));
        let choose = clone!(
            #[weak]
            stack,
            move |entries: &gio::ListStore| {
                let shown = if entries.n_items() > 0 {
                    "found"
                } else {
                    "empty"
                };
                stack.set_visible_child_name(shown);
            }
        );
        choose(&job.entries());
        job.entries()
            .connect_items_changed(move |entries, _, _, _| choose(entries));

        self.append(self.make_find_bar(&filter, &view));
        if matches!(job.work(), Work::Checksum(_)) {
            self.append(&sums::tools(job));
        }
        self.append(&stack);
    }

    /// Where names are searched; a page that tells a story has none.
    pub(crate) fn find_bar(&self) -> Option<&FindBar> {
        self.imp().find_bar.get()
    }

    fn make_find_bar(&self, filter: &gtk::StringFilter, view: &gtk::Widget) -> &FindBar {
        let bar = self
            .imp()
            .find_bar
            .get_or_init(|| FindBar::new("Search Names"));
        let entry = bar.entry();
        // Before the binding: what was found last is still there.
        entry.connect_text_notify(clone!(
            #[weak]
            view,
            move |entry| {
                if let Some(found) = model(&view).and_then(|model| model.item(0))
                    && entry.text().is_empty()
                {
                    glib::idle_add_local_once(move || bring_into_sight(&view, &found));
                }
            }
        ));
        entry.bind_property("text", filter, "search").build();
        bar
    }
}

/// What a view shows.
fn model(view: &gtk::Widget) -> Option<gtk::SelectionModel> {
    match view.downcast_ref::<gtk::ColumnView>() {
        Some(table) => table.model(),
        None => view.downcast_ref::<gtk::GridView>()?.model(),
    }
}

/// Scrolls to `item`, which a search had found, once all the others are back.
fn bring_into_sight(view: &gtk::Widget, item: &glib::Object) {
    let at = model(view)
        .into_iter()
        .flat_map(|model| model.iter::<glib::Object>().collect::<Vec<_>>())
        .position(|other| other.is_ok_and(|other| other == *item));
    if let Some(at) = at {
        // The list of a table is one of its children.
        let children = std::iter::successors(view.first_child(), gtk::Widget::next_sibling);
        let at = (at as u32).to_variant();
        let _ = std::iter::once(view.clone()).chain(children).any(|list| {
            list.activate_action("list.scroll-to-item", Some(&at))
                .is_ok()
        });
    }
}
