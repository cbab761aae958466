//! The row of a job in the list: its title and state, and a button to stop it or to try it again.

use std::cell::{OnceCell, RefCell};

use adw::subclass::prelude::*;
use gtk::{CompositeTemplate, TemplateChild, glib, glib::clone, prelude::*};

use super::{accessible, expressions::Expressions, job::Job};

mod imp {
    use super::*;

    #[derive(Default, CompositeTemplate, glib::Properties)]
    #[template(resource = "/org/legwork/Demo/job-row.ui")]
    #[properties(wrapper_type = super::JobRow)]
    pub(crate) struct JobRow {
        #[template_child]
        bar: TemplateChild<gtk::ProgressBar>,
        #[template_child]
        stop: TemplateChild<gtk::Button>,
        #[template_child]
        retry: TemplateChild<gtk::Button>,
        /// The job that is shown; a row is reused for others.
        #[property(get, set = Self::set_job, nullable)]
        job: RefCell<Option<Job>>,
        signals: OnceCell<glib::SignalGroup>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for JobRow {
        const NAME: &'static str = "LegworkDemoJobRow";
        type Type = super::JobRow;
        type ParentType = gtk::Box;

        fn class_init(class: &mut Self::Class) {
            Job::ensure_type();
            class.bind_template();
            class.bind_template_callbacks();
            Expressions::bind_template_callbacks(class);
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    #[glib::derived_properties]
    impl ObjectImpl for JobRow {
        fn constructed(&self) {
            self.parent_constructed();
            let signals = glib::SignalGroup::new::<Job>();
            signals.connect_notify_local(
                None,
                clone!(
                    #[weak(rename_to = row)]
                    self.obj(),
                    move |job, property| {
                        let job = job.downcast_ref().expect("a job");
                        row.imp().job_changed(job, property.name());
                    }
                ),
            );
            self.signals.set(signals).expect("constructed once");
        }
    }
    impl WidgetImpl for JobRow {}
    impl BoxImpl for JobRow {}

    #[gtk::template_callbacks]
    impl JobRow {
        #[template_callback]
        fn stop(&self) {
            self.job.borrow().iter().for_each(Job::stop);
        }

        #[template_callback]
        fn retry(&self) {
            let job = self.job.borrow().clone();
            job.iter().for_each(Job::retry);
        }
    }

    impl JobRow {
        fn set_job(&self, job: Option<Job>) {
            if let Some(signals) = self.signals.get() {
                signals.set_target(job.as_ref());
            }
            self.job.replace(job.clone());
            if let Some(job) = &job {
                self.job_changed(job, "title");
                self.job_changed(job, "edges");
            }
        }

        fn job_changed(&self, job: &Job, property: &str) {
            match property {
                "line" => job.pulse(&self.bar),
                // Not in the template: GTK 4.8 removes a watch twice if its target is the template itself.
                "edges" => {
                    let edges = job.edges();
                    let classes = ["job"].into_iter().chain(edges.split_whitespace());
                    self.obj().set_css_classes(&classes.collect::<Vec<_>>());
                }
                // Read out when the row gets the focus; every change of a running job would be too much.
                "running" => self.set_name(job),
                "title" => {
                    self.set_name(job);
                    let title = job.title();
                    accessible::set_name(&*self.stop, &format!("Stop {title}"));
                    accessible::set_name(&*self.retry, &format!("Try {title} Again"));
                }
                _ => {}
            }
        }

        /// Names the list's own widget around this one, which is what a screen reader reads.
        fn set_name(&self, job: &Job) {
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
    /// The row of a job.
    pub(crate) struct JobRow(ObjectSubclass<imp::JobRow>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl Default for JobRow {
    fn default() -> Self {
        glib::Object::new()
    }
}
