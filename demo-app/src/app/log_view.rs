//! What a job logged: narrowed by level and text, followed to its end, and copied.

use adw::subclass::prelude::*;
use gtk::{CompositeTemplate, TemplateChild, glib, glib::clone, prelude::*};

use super::{
    find_bar::FindBar,
    follow::follow,
    gradual::gradually,
    job::Job,
    job_page::toast,
    log_line::{Level, LogLine},
};

mod imp {
    use super::*;

    #[derive(Default, CompositeTemplate)]
    #[template(resource = "/org/legwork/Demo/log-view.ui")]
    pub(crate) struct LogView {
        #[template_child]
        pub(super) find_bar: TemplateChild<FindBar>,
        #[template_child]
        pub(super) level: TemplateChild<gtk::DropDown>,
        #[template_child]
        pub(super) follow: TemplateChild<gtk::ToggleButton>,
        #[template_child]
        pub(super) copy: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub(super) scrolled: TemplateChild<gtk::ScrolledWindow>,
        #[template_child]
        pub(super) list: TemplateChild<gtk::ListView>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for LogView {
        const NAME: &'static str = "LegworkDemoLogView";
        type Type = super::LogView;
        type ParentType = gtk::Box;

        fn class_init(class: &mut Self::Class) {
            FindBar::ensure_type();
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for LogView {}
    impl WidgetImpl for LogView {}
    impl BoxImpl for LogView {}
}

glib::wrapper! {
    /// A job's log.
    pub(crate) struct LogView(ObjectSubclass<imp::LogView>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl LogView {
    /// Shows what `job` logged and still logs.
    pub(crate) fn show(&self, job: &Job) {
        let imp = self.imp();
        let by_text = gtk::StringFilter::builder()
            .expression(LogLine::this_expression("text"))
            .match_mode(gtk::StringFilterMatchMode::Substring)
            .build();
        imp.find_bar
            .entry()
            .bind_property("text", &by_text, "search")
            .build();
        let by_level = gtk::CustomFilter::new(clone!(
            #[weak(rename_to = level)]
            imp.level,
            #[upgrade_or]
            true,
            move |line| {
                let least = [Level::Debug, Level::Info, Level::Warning, Level::Error]
                    [level.selected().min(3) as usize];
                line.downcast_ref::<LogLine>()
                    .is_some_and(|line| line.level() >= least)
            }
        ));
        imp.level.connect_selected_notify(clone!(
            #[weak]
            by_level,
            move |_| by_level.changed(gtk::FilterChange::Different)
        ));
        let both = gtk::EveryFilter::new();
        both.append(by_text);
        both.append(by_level);
        let lines = gtk::FilterListModel::new(Some(job.log()), Some(both));

        imp.list.set_factory(Some(&factory()));
        imp.list
            .set_model(Some(&gtk::NoSelection::new(Some(gradually(&lines)))));
        let choose = clone!(
            #[weak(rename_to = stack)]
            imp.stack,
            move |lines: &gtk::FilterListModel| {
                stack.set_visible_child_name(if lines.n_items() > 0 { "list" } else { "empty" });
            }
        );
        choose(&lines);
        lines.connect_items_changed(move |lines, _, _, _| choose(lines));
        follow(&imp.scrolled, &imp.follow);
        imp.copy.connect_clicked(clone!(
            #[weak(rename_to = view)]
            self,
            #[weak]
            lines,
            move |_| {
                let all: Vec<_> = lines
                    .iter::<glib::Object>()
                    .flatten()
                    .filter_map(|line| Some(line.downcast_ref::<LogLine>()?.to_line()))
                    .collect();
                view.clipboard().set_text(&all.join("\n"));
                toast(&view, "Log copied");
            }
        ));
    }

    /// Where it is searched.
    pub(crate) fn find_bar(&self) -> &FindBar {
        &self.imp().find_bar
    }
}

fn factory() -> gtk::SignalListItemFactory {
    let factory = gtk::SignalListItemFactory::new();
    factory.connect_setup(|_, item| {
        let item: &gtk::ListItem = item.downcast_ref().expect("a list item");
        let row = gtk::Box::builder().spacing(12).build();
        row.append(
            &gtk::Label::builder()
                .yalign(0.0)
                .css_classes(["caption", "numeric", "dim-label"])
                .build(),
        );
        row.append(
            &gtk::Label::builder()
                .xalign(0.0)
                .yalign(0.0)
                .width_chars(7)
                .build(),
        );
        row.append(
            &gtk::Label::builder()
                .xalign(0.0)
                .hexpand(true)
                .wrap(true)
                .wrap_mode(gtk::pango::WrapMode::WordChar)
                .css_classes(["caption", "monospace"])
                .build(),
        );
        item.set_child(Some(&row));
    });
    factory.connect_bind(|_, item| {
        let item: &gtk::ListItem = item.downcast_ref().expect("a list item");
        let line = item.item().and_downcast::<LogLine>().expect("a log line");
        let time = item
            .child()
            .and_then(|row| row.first_child())
            .and_downcast::<gtk::Label>();
        let level = time
            .as_ref()
            .and_then(|time| time.next_sibling())
            .and_downcast::<gtk::Label>();
        let text = item
            .child()
            .and_then(|row| row.last_child())
            .and_downcast::<gtk::Label>();
        if let (Some(time), Some(level), Some(text)) = (time, level, text) {
            time.set_label(&line.time());
            level.set_label(line.level().name());
            level.set_css_classes(&["caption", line.level().class()]);
            text.set_label(&line.text());
        }
    });
    factory
}
