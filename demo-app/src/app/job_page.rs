//! A job's own page: how it stands, what came of it, what it logged, and what it could reach.

use adw::subclass::prelude::*;
use gtk::{CompositeTemplate, TemplateChild, gio, glib, glib::clone, prelude::*};

use super::{
    accessible, find_bar::FindBar, isolation_view::IsolationView, job::Job, log_view::LogView,
    output::OutputView, result_view::ResultView, window::Window, work::Work,
};

mod imp {
    use std::cell::OnceCell;

    use super::*;

    #[derive(Default, CompositeTemplate)]
    #[template(resource = "/org/legwork/Demo/job-page.ui")]
    pub(crate) struct JobPage {
        #[template_child]
        pub(super) back: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) title: TemplateChild<adw::ViewSwitcherTitle>,
        #[template_child]
        pub(super) search: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) open_folder: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) icon: TemplateChild<gtk::Image>,
        #[template_child]
        pub(super) name: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) line: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) advice: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) pause: TemplateChild<gtk::ToggleButton>,
        #[template_child]
        pub(super) stop: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) retry: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) bar: TemplateChild<gtk::ProgressBar>,
        #[template_child]
        pub(super) expander: TemplateChild<gtk::Expander>,
        #[template_child]
        pub(super) details: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) copy_details: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) views: TemplateChild<adw::ViewStack>,
        #[template_child]
        pub(super) result_page: TemplateChild<adw::ViewStackPage>,
        #[template_child]
        pub(super) output_page: TemplateChild<adw::ViewStackPage>,
        #[template_child]
        pub(super) log_page: TemplateChild<adw::ViewStackPage>,
        #[template_child]
        pub(super) result: TemplateChild<ResultView>,
        #[template_child]
        pub(super) output: TemplateChild<OutputView>,
        #[template_child]
        pub(super) log: TemplateChild<LogView>,
        #[template_child]
        pub(super) isolation: TemplateChild<IsolationView>,
        pub(super) job: OnceCell<Job>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for JobPage {
        const NAME: &'static str = "LegworkDemoJobPage";
        type Type = super::JobPage;
        type ParentType = gtk::Box;

        fn class_init(class: &mut Self::Class) {
            ResultView::ensure_type();
            OutputView::ensure_type();
            LogView::ensure_type();
            IsolationView::ensure_type();
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for JobPage {}
    impl WidgetImpl for JobPage {}
    impl BoxImpl for JobPage {}
}

glib::wrapper! {
    /// The page of one job.
    pub(crate) struct JobPage(ObjectSubclass<imp::JobPage>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

/// How far a job is, or how it ended, has room for this many lines.
const LINES: i32 = 6;

impl JobPage {
    /// The page of `job`, running or not.
    pub(crate) fn new(job: &Job) -> Self {
        let page: Self = glib::Object::new();
        page.imp().job.set(job.clone()).expect("a new page");
        page.bind(job);
        page.connect_buttons(job);
        page
    }

    /// Calls `back` when the page is to be left.
    pub(crate) fn connect_back(&self, back: impl Fn() + 'static) {
        self.imp().back.connect_clicked(move |_| back());
    }

    /// Calls `retry` when the job is to be done again.
    pub(crate) fn connect_retry(&self, retry: impl Fn(&Job) + 'static) {
        let job = self.imp().job.get().expect("set when made").clone();
        self.imp().retry.connect_clicked(move |_| retry(&job));
    }

    /// Starts a search in what is shown.
    pub(crate) fn search(&self) {
        let imp = self.imp();
        let bar = match imp.views.visible_child_name().as_deref() {
            Some("log") => Some(imp.log.find_bar()),
            Some("result") => imp.result.find_bar(),
            Some("output") => Some(imp.output.find_bar()),
            _ => None,
        };
        if let Some(bar) = bar {
            bar.open();
        }
    }

    /// Ends a search; returns whether there was one.
    pub(crate) fn end_search(&self) -> bool {
        let imp = self.imp();
        imp.log.find_bar().close()
            || imp.result.find_bar().is_some_and(FindBar::close)
            || imp.output.find_bar().close()
    }

    fn bind(&self, job: &Job) {
        let imp = self.imp();
        // Where there is no room for a switcher there is none for a whole title.
        imp.title.set_title(job.work().kind());
        job.bind_property("title", &*imp.name, "label")
            .sync_create()
            .build();
        job.bind_property("title", &*imp.name, "tooltip-text")
            .sync_create()
            .build();
        job.bind_property("line", &*imp.line, "label")
            .sync_create()
            .build();
        // What a program writes stands below as well; a line that breaks would move it up and down, and resize its
        // terminal.
        let lines = match job.work() {
            Work::Program(_) => 1,
            _ => LINES,
        };
        job.bind_property("running", &*imp.line, "lines")
            .transform_to(move |_, running| Some(if running { lines } else { LINES }))
            .sync_create()
            .build();
        job.bind_property("icon-name", &*imp.icon, "icon-name")
            .sync_create()
            .build();
        job.bind_property("fraction", &*imp.bar, "fraction")
            .sync_create()
            .build();
        job.bind_property("running", &*imp.bar, "visible")
            .sync_create()
            .build();
        job.bind_property("running", &*imp.stop, "visible")
            .sync_create()
            .build();
        job.bind_property("stopping", &*imp.stop, "sensitive")
            .invert_boolean()
            .sync_create()
            .build();
        job.bind_property("can-retry", &*imp.retry, "visible")
            .sync_create()
            .build();
        for (text, label, widget) in [
            (
                "advice",
                &*imp.advice,
                imp.advice.upcast_ref::<gtk::Widget>(),
            ),
            ("details", &*imp.details, imp.expander.upcast_ref()),
        ] {
            job.bind_property(text, label, "label")
                .sync_create()
                .build();
            job.bind_property(text, widget, "visible")
                .transform_to(|_, text: &str| Some(!text.is_empty()))
                .sync_create()
                .build();
        }
        job.bind_property("look", &*imp.icon, "css-classes")
            .transform_to(|_, look: super::words::Look| {
                Some(vec!["state".to_owned(), look.class().to_owned()])
            })
            .sync_create()
            .build();
        job.connect_line_notify(clone!(
            #[weak(rename_to = bar)]
            imp.bar,
            move |job| {
                if job.running() && !job.counted() {
                    bar.pulse();
                }
            }
        ));
        self.show_views(job);
        imp.isolation.show(job);
        let looked = clone!(
            #[weak]
            job,
            #[weak(rename_to = search)]
            imp.search,
            move |views: &adw::ViewStack| {
                let shown = views.visible_child_name();
                search.set_visible(match shown.as_deref() {
                    Some("result") => {
                        matches!(job.work(), Work::Checksum(_) | Work::Thumbnails(_))
                    }
                    Some("isolation") => false,
                    _ => true,
                });
                // What runs is looked at again when somebody looks.
                if shown.as_deref() == Some("isolation") {
                    job.look_at_descriptors();
                }
            }
        );
        looked(&imp.views);
        imp.views.connect_visible_child_name_notify(looked);
    }

    /// A job has a result and a log, a program has output, and a file that is made is a result.
    fn show_views(&self, job: &Job) {
        let imp = self.imp();
        let is_program = job.work().is_program();
        imp.result_page
            .set_visible(!matches!(job.work(), Work::Program(_)));
        imp.log_page.set_visible(!is_program);
        imp.output_page.set_visible(is_program);
        if imp.result_page.is_visible() {
            imp.result.show(job);
        } else {
            imp.views.set_visible_child_name("output");
        }
        if is_program {
            imp.output.show(job);
        } else {
            imp.log.show(job);
        }
    }

    fn connect_buttons(&self, job: &Job) {
        let imp = self.imp();
        job.bind_property("can-pause", &*imp.pause, "visible")
            .sync_create()
            .build();
        job.bind_property("stopping", &*imp.pause, "sensitive")
            .invert_boolean()
            .sync_create()
            .build();
        job.bind_property("paused", &*imp.pause, "active")
            .sync_create()
            .build();
        imp.pause.connect_active_notify(clone!(
            #[weak]
            job,
            move |pause| {
                let pauses = pause.is_active();
                if pauses != job.paused() {
                    job.pause(pauses);
                }
                let (icon, name) = if pauses {
                    ("media-playback-start-symbolic", "Go On")
                } else {
                    ("media-playback-pause-symbolic", "Pause")
                };
                pause.set_icon_name(icon);
                pause.set_tooltip_text(Some(name));
                accessible::set_name(pause, name);
            }
        ));
        imp.stop.connect_clicked(clone!(
            #[weak]
            job,
            move |_| job.stop()
        ));
        imp.copy_details.connect_clicked(clone!(
            #[weak]
            job,
            #[weak(rename_to = page)]
            self,
            move |_| page.copy(&job.details(), "Details copied")
        ));
        let folder = job.work().folder().map(gio::File::for_path);
        imp.open_folder.set_visible(folder.is_some());
        imp.open_folder.connect_clicked(clone!(
            #[weak(rename_to = page)]
            self,
            move |_| {
                if let Some(folder) = &folder {
                    page.open(folder);
                }
            }
        ));
    }

    fn open(&self, folder: &gio::File) {
        let window = self.root().and_downcast::<gtk::Window>();
        gtk::show_uri(window.as_ref(), &folder.uri(), gtk::gdk::CURRENT_TIME);
    }

    fn copy(&self, text: &str, said: &str) {
        self.clipboard().set_text(text);
        toast(self, said);
    }
}

/// Says something at the bottom of the window that `widget` is in.
pub(super) fn toast(widget: &impl IsA<gtk::Widget>, text: &str) {
    if let Some(window) = widget.root().and_downcast::<Window>() {
        window.toast(text);
    }
}
