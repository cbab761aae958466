//! The app's open descriptors beside those of a job's process, which are few.

use adw::{prelude::*, subclass::prelude::*};
use gtk::{CompositeTemplate, TemplateChild, gio, glib, glib::clone};

use super::{columns::Columns, isolation::Open, job::Job};

mod imp {
    use super::*;

    #[derive(Default, CompositeTemplate)]
    #[template(resource = "/org/legwork/Demo/isolation-view.ui")]
    pub(crate) struct IsolationView {
        #[template_child]
        pub(super) stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub(super) here: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub(super) here_list: TemplateChild<gtk::ListBox>,
        #[template_child]
        pub(super) there: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub(super) there_list: TemplateChild<gtk::ListBox>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for IsolationView {
        const NAME: &'static str = "LegworkDemoIsolationView";
        type Type = super::IsolationView;
        type ParentType = gtk::Box;

        fn class_init(class: &mut Self::Class) {
            Columns::ensure_type();
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for IsolationView {}
    impl WidgetImpl for IsolationView {}
    impl BoxImpl for IsolationView {}
}

glib::wrapper! {
    /// What a job could reach, and what it could not.
    pub(crate) struct IsolationView(ObjectSubclass<imp::IsolationView>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl IsolationView {
    /// Shows what was open when `job` was looked at.
    pub(crate) fn show(&self, job: &Job) {
        let imp = self.imp();
        imp.here_list
            .bind_model(Some(&job.open_here()), |open| row(open, true));
        imp.there_list
            .bind_model(Some(&job.open_there()), |open| row(open, false));
        self.describe(job);
        job.open_there().connect_items_changed(clone!(
            #[weak(rename_to = view)]
            self,
            #[weak]
            job,
            move |_, _, _, _| view.describe(&job)
        ));
    }

    fn describe(&self, job: &Job) {
        let imp = self.imp();
        let (here, there) = (all(&job.open_here()), all(&job.open_there()));
        imp.stack
            .set_visible_child_name(if there.is_empty() { "unknown" } else { "known" });
        imp.there.set_description(Some(&format!(
            "{} open. None is the app’s: a few were handed over by name, the others it opened itself.",
            there.len()
        )));
        let after_exec = here
            .iter()
            .filter(|open| open.number > 2 && open.survives_exec)
            .count();
        let after_exec = match after_exec {
            0 => String::new(),
            n => format!(" {n} would even have stayed open in a new program."),
        };
        imp.here.set_description(Some(&format!(
            "{} open. A careless fork would have passed on every one.{after_exec}",
            here.len()
        )));
    }
}

fn all(list: &gio::ListStore) -> Vec<Open> {
    list.iter::<glib::BoxedAnyObject>()
        .flatten()
        .map(|open| open.borrow::<Open>().clone())
        .collect()
}

fn row(open: &glib::Object, ours: bool) -> gtk::Widget {
    let open = open
        .downcast_ref::<glib::BoxedAnyObject>()
        .expect("boxed")
        .borrow::<Open>()
        .clone();
    let number = gtk::Label::builder()
        .label(open.number.to_string())
        .valign(gtk::Align::Start)
        .css_classes(["number", "caption", "numeric"])
        .build();
    let label = |text: &str, classes: &[&str]| {
        gtk::Label::builder()
            .label(text)
            .xalign(0.0)
            .hexpand(true)
            .wrap(true)
            .wrap_mode(gtk::pango::WrapMode::WordChar)
            .css_classes(classes.to_vec())
            .build()
    };
    let words = gtk::Box::builder()
        .orientation(gtk::Orientation::Vertical)
        .hexpand(true)
        .spacing(2)
        .build();
    words.append(&label(&open.name, &[]));
    words.append(&label(&open.technical, &["caption", "dim-label"]));
    if let Some(harm) = open.harm.filter(|_| ours) {
        let line = gtk::Box::builder()
            .spacing(6)
            .css_classes(["warning"])
            .build();
        let icon = gtk::Image::builder()
            .icon_name("dialog-warning-symbolic")
            .valign(gtk::Align::Start)
            .accessible_role(gtk::AccessibleRole::Presentation)
            .build();
        line.append(&icon);
        line.append(&label(harm, &["caption"]));
        words.append(&line);
    }
    let content = gtk::Box::builder()
        .spacing(12)
        .margin_top(9)
        .margin_bottom(9)
        .margin_start(12)
        .margin_end(12)
        .build();
    content.append(&number);
    content.append(&words);
    if ours && open.number > 2 && open.survives_exec {
        let tag = gtk::Label::builder()
            .label("survives exec")
            .tooltip_text("It is not marked close-on-exec: even a new program would inherit it")
            .valign(gtk::Align::Start)
            .css_classes(["tag", "caption", "error"])
            .build();
        content.append(&tag);
    }
    gtk::ListBoxRow::builder()
        .child(&content)
        .activatable(false)
        .build()
        .upcast()
}
