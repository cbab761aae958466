//! One job in the list: what it is, how it stands, and the one thing to do about it.

use adw::subclass::prelude::*;
use gtk::{CompositeTemplate, TemplateChild, glib, glib::clone, prelude::*};

use super::{accessible, job::Job};

mod imp {
    use std::cell::{OnceCell, RefCell};

    use super::*;

    #[derive(Default, CompositeTemplate, glib::Properties)]
    #[template(resource = "/org/legwork/Demo/job-row.ui")]
    #[properties(wrapper_type = super::JobRow)]
    pub(crate) struct JobRow {
        #[template_child]
        icon: TemplateChild<gtk::Image>,
        #[template_child]
        title: TemplateChild<gtk::Label>,
        #[template_child]
        line: TemplateChild<gtk::Label>,
        #[template_child]
        bar: TemplateChild<gtk::ProgressBar>,
        #[template_child]
        stop: TemplateChild<gtk::Button>,
        #[template_child]
        retry: TemplateChild<gtk::Button>,
        /// The job that is shown; rows are used again for others.
        #[property(get, set = Self::set_job, nullable)]
        job: RefCell<Option<Job>>,
        bindings: OnceCell<glib::BindingGroup>,
        signals: OnceCell<glib::SignalGroup>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for JobRow {
        const NAME: &'static str = "LegworkDemoJobRow";
        type Type = super::JobRow;
        type ParentType = gtk::Box;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    #[glib::derived_properties]
    impl ObjectImpl for JobRow {
        fn constructed(&self) {
            self.parent_constructed();
            let bindings = glib::BindingGroup::new();
            bindings.bind("title", &*self.title, "label").build();
            bindings.bind("title", &*self.title, "tooltip-text").build();
            bindings.bind("line", &*self.line, "label").build();
            bindings.bind("icon-name", &*self.icon, "icon-name").build();
            bindings.bind("fraction", &*self.bar, "fraction").build();
            bindings.bind("running", &*self.bar, "visible").build();
            bindings.bind("running", &*self.stop, "visible").build();
            bindings
                .bind("stopping", &*self.stop, "sensitive")
                .invert_boolean()
                .build();
            bindings.bind("can-retry", &*self.retry, "visible").build();
            self.bindings.set(bindings).expect("constructed once");

            let row = self.obj();
            let signals = glib::SignalGroup::new::<Job>();
            signals.connect_notify_local(
                None,
                clone!(
                    #[weak]
                    row,
                    move |job, property| {
                        let job = job.downcast_ref().expect("a job");
                        row.imp().job_changed(job, property.name());
                    }
                ),
            );
            self.signals.set(signals).expect("constructed once");
            self.stop.connect_clicked(clone!(
                #[weak]
                row,
                move |_| {
                    if let Some(job) = row.job() {
                        job.stop();
                    }
                }
            ));
            self.retry.connect_clicked(clone!(
                #[weak]
                row,
                move |_| row.emit_by_name::<()>("retry", &[])
            ));
        }

        fn signals() -> &'static [glib::subclass::Signal] {
            static SIGNALS: std::sync::OnceLock<Vec<glib::subclass::Signal>> =
                std::sync::OnceLock::new();
            SIGNALS.get_or_init(|| vec![glib::subclass::Signal::builder("retry").build()])
        }
    }

    impl WidgetImpl for JobRow {}
    impl BoxImpl for JobRow {}

    impl JobRow {
        fn set_job(&self, job: Option<Job>) {
            if let Some(bindings) = self.bindings.get() {
                bindings.set_source(job.as_ref());
            }
            if let Some(signals) = self.signals.get() {
                signals.set_target(job.as_ref());
            }
            if let Some(job) = &job {
                for property in ["look", "edges", "title"] {
                    self.job_changed(job, property);
                }
            }
            self.job.replace(job);
        }

        fn job_changed(&self, job: &Job, property: &str) {
            match property {
                "look" => self.icon.set_css_classes(&["state", job.look().class()]),
                "edges" => {
                    let edges = job.edges();
                    let classes: Vec<_> = ["job"]
                        .into_iter()
                        .chain(edges.split_whitespace())
                        .collect();
                    self.obj().set_css_classes(&classes);
                }
                // There is no total yet: the bar moves when something was found, and only then.
                "line" if job.running() && !job.counted() => self.bar.pulse(),
                // Read out when a row is reached; every step of a running job would be too much.
                "running" => self.name_row(job),
                "title" => {
                    self.name_row(job);
                    let title = job.title();
                    accessible::set_name(&*self.stop, &format!("Stop {title}"));
                    accessible::set_name(&*self.retry, &format!("Try {title} Again"));
                }
                _ => {}
            }
        }

        /// Names the list's own widget around this one, which is what a screen reader stops at.
        fn name_row(&self, job: &Job) {
            let state = if job.running() {
                "running".into()
            } else {
                job.line()
            };
            if let Some(row) = self.obj().parent() {
                accessible::set_name(&row, &format!("{}, {state}", job.title()));
            }
        }
    }
}

glib::wrapper! {
    /// A job's row; emits `retry`.
    pub(crate) struct JobRow(ObjectSubclass<imp::JobRow>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl JobRow {
    /// An empty row.
    pub(crate) fn new() -> Self {
        glib::Object::new()
    }

    /// Calls `retry` when the job is to be done again.
    pub(crate) fn connect_retry(&self, retry: impl Fn(&Job) + 'static) {
        self.connect_local("retry", false, move |values| {
            let row: Self = values[0].get().expect("the row");
            if let Some(job) = row.job() {
                retry(&job);
            }
            None
        });
    }
}
