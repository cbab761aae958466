//! The page of a job: its state, its results or its output, its log, and the descriptors of its process.

use std::cell::RefCell;

use adw::subclass::prelude::*;
use gtk::{CompositeTemplate, TemplateChild, gio, glib, glib::clone, prelude::*};

use super::{
    accessible, clipboard, expressions::Expressions, isolation_view, job::Job, log_view,
    output_view, result_view, work::Work,
};

mod imp {
    use super::*;

    #[derive(Default, CompositeTemplate, glib::Properties)]
    #[template(resource = "/org/legwork/Demo/job-page.ui")]
    #[properties(wrapper_type = super::JobPage)]
    pub(crate) struct JobPage {
        #[template_child]
        pub(super) title: TemplateChild<adw::ViewSwitcherTitle>,
        #[template_child]
        pub(super) search: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) open_folder: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) line: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) bar: TemplateChild<gtk::ProgressBar>,
        #[template_child]
        pub(super) views: TemplateChild<adw::ViewStack>,
        #[property(get, set, nullable)]
        job: RefCell<Option<Job>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for JobPage {
        const NAME: &'static str = "LegworkDemoJobPage";
        type Type = super::JobPage;
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
    impl ObjectImpl for JobPage {}
    impl WidgetImpl for JobPage {}
    impl BoxImpl for JobPage {}

    #[gtk::template_callbacks]
    impl JobPage {
        #[template_callback]
        fn stop(&self) {
            self.job.borrow().iter().for_each(Job::stop);
        }

        #[template_callback]
        fn retry(&self) {
            let job = self.job.borrow().clone();
            job.iter().for_each(Job::retry);
        }

        #[template_callback]
        fn pause_toggled(&self, button: &gtk::ToggleButton) {
            let pause = button.is_active();
            if let Some(job) = self
                .job
                .borrow()
                .as_ref()
                .filter(|job| job.paused() != pause)
            {
                job.pause(pause);
            }
            let (icon, name) = match pause {
                true => ("media-playback-start-symbolic", "Resume"),
                false => ("media-playback-pause-symbolic", "Pause"),
            };
            button.set_icon_name(icon);
            button.set_tooltip_text(Some(name));
            accessible::set_name(button, name);
        }

        #[template_callback]
        fn copy_details(&self) {
            if let Some(job) = &*self.job.borrow() {
                clipboard::copy(&*self.obj(), job.details(), "Details copied");
            }
        }

        #[template_callback]
        fn open_folder(&self) {
            let job = self.job.borrow();
            if let Some(folder) = job.as_ref().and_then(|job| job.work().folder()) {
                let window = self.obj().root().and_downcast::<gtk::Window>();
                let uri = gio::File::for_path(folder).uri();
                gtk::show_uri(window.as_ref(), &uri, gtk::gdk::CURRENT_TIME);
            }
        }

        #[template_callback]
        fn view_changed(&self) {
            self.search.set_visible(self.obj().search_bar().is_some());
            // The descriptors of a running job change.
            if let Some(job) = &*self.job.borrow()
                && self.views.visible_child_name().as_deref() == Some("isolation")
            {
                job.inspect_descriptors();
            }
        }
    }
}

glib::wrapper! {
    /// The page of a job.
    pub(crate) struct JobPage(ObjectSubclass<imp::JobPage>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

/// The number of lines of the progress or the outcome.
const LINES: i32 = 6;

impl JobPage {
    /// The page of `job`, running or not.
    pub(crate) fn new(job: &Job) -> Self {
        let page: Self = glib::Object::builder().property("job", job).build();
        let imp = page.imp();
        // A narrow window shows this instead of the switcher; there is no room for the title of the job.
        imp.title.set_title(job.work().kind().name);
        imp.open_folder.set_visible(job.work().folder().is_some());
        // The line of a running program changes often. A change of its height would move what is below, and resize the
        // program's terminal.
        let running_lines = match job.work() {
            Work::Program(_) => 1,
            _ => LINES,
        };
        job.bind_property("running", &*imp.line, "lines")
            .transform_to(move |_, running| Some(if running { running_lines } else { LINES }))
            .sync_create()
            .build();
        job.connect_line_notify(clone!(
            #[weak(rename_to = bar)]
            imp.bar,
            move |job| job.pulse(&bar)
        ));
        page.add_views(job);
        page
    }

    fn add_views(&self, job: &Job) {
        let add = |name: &str, title: &str, icon: &str, view: &gtk::Widget| {
            let page = self.imp().views.add_titled(view, Some(name), title);
            page.set_icon_name(Some(icon));
        };
        if !matches!(job.work(), Work::Program(_)) {
            let view = result_view::new(job);
            add(
                "result",
                "Result",
                "emblem-documents-symbolic",
                view.upcast_ref(),
            );
        }
        if job.work().is_program() {
            add(
                "output",
                "Output",
                "program-symbolic",
                output_view::new(job).upcast_ref(),
            );
        } else {
            add(
                "log",
                "Log",
                "log-symbolic",
                log_view::new(job).upcast_ref(),
            );
        }
        add(
            "isolation",
            "Isolation",
            "isolation-symbolic",
            &isolation_view::new(job),
        );
    }

    /// The search bar of the visible view, which is its first child if the view can be searched.
    fn search_bar(&self) -> Option<gtk::SearchBar> {
        self.imp()
            .views
            .visible_child()?
            .first_child()?
            .downcast()
            .ok()
    }

    /// Starts a search in the visible view.
    pub(crate) fn search(&self) {
        if let Some(bar) = self.search_bar() {
            bar.set_search_mode(true);
        }
    }

    /// Ends a search; returns whether there was one.
    pub(crate) fn end_search(&self) -> bool {
        let bar = self.search_bar().filter(gtk::SearchBar::is_search_mode);
        bar.iter().for_each(|bar| bar.set_search_mode(false));
        bar.is_some()
    }
}
