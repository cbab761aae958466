//! The main window: the list of jobs, and a page for the job that is opened.

use std::{cell::Cell, path::Path};

use adw::{prelude::*, subclass::prelude::*};
use gtk::{CompositeTemplate, TemplateChild, gdk, gio, glib, glib::clone};

use super::{
    accessible, choose,
    job::Job,
    job_list::JobList,
    job_page::JobPage,
    job_row::JobRow,
    new_job::{NewJob, Offer},
    outcome::State,
    preferences,
    pulse::Pulse,
    start::start,
    toast,
    work::Work,
};

mod imp {
    use super::*;

    #[derive(Default, CompositeTemplate)]
    #[template(resource = "/org/legwork/Demo/window.ui")]
    pub(crate) struct Window {
        #[template_child]
        pub(super) toasts: TemplateChild<adw::ToastOverlay>,
        #[template_child]
        pub(super) leaflet: TemplateChild<adw::Leaflet>,
        #[template_child]
        pub(super) main_page: TemplateChild<gtk::Box>,
        #[template_child]
        pub(super) search_bar: TemplateChild<gtk::SearchBar>,
        #[template_child]
        pub(super) search_entry: TemplateChild<gtk::SearchEntry>,
        #[template_child]
        pub(super) jobs_stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub(super) list: TemplateChild<gtk::ListView>,
        #[template_child]
        pub(super) drop_hint: TemplateChild<gtk::Revealer>,
        #[template_child]
        pub(super) pulse: TemplateChild<Pulse>,
        pub(super) jobs: JobList,
        /// Whether the window is hidden only until the last job has stopped.
        pub(super) closing: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Window {
        const NAME: &'static str = "LegworkDemoWindow";
        type Type = super::Window;
        type ParentType = adw::ApplicationWindow;

        fn class_init(class: &mut Self::Class) {
            Pulse::ensure_type();
            class.bind_template();
            class.bind_template_callbacks();
            let mut action = |name, act: fn(&super::Window)| {
                class.install_action(name, None, move |window, _, _| act(window));
            };
            action("win.new-job", |window| window.new_job(Offer::Any));
            action("win.run-program", |window| window.new_job(Offer::Program));
            action("win.search", super::Window::search);
            action("win.back", super::Window::back);
            action("win.clear", super::Window::clear);
            action("win.preferences", |window| {
                preferences::present(window.upcast_ref());
            });
            action("win.checksum-folder", |window| {
                window.choose_folder("Checksum a Folder", Work::checksum);
            });
            action("win.thumbnails-folder", |window| {
                window.choose_folder("Make Thumbnails", Work::thumbnails);
            });
            let text = Some(glib::VariantTy::STRING);
            class.install_action(toast::ACTION, text, |window, _, text| {
                let text = text.and_then(glib::Variant::str).unwrap_or_default();
                window.imp().toasts.add_toast(adw::Toast::new(text));
            });
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for Window {
        fn constructed(&self) {
            self.parent_constructed();
            let window = self.obj();
            window.set_up_list();
            window.set_up_drop();
            self.search_bar.connect_entry(&*self.search_entry);
            self.pulse.set_jobs(Some(&self.jobs.running));
            self.page_changed();
        }
    }

    impl WidgetImpl for Window {
        fn show(&self) {
            self.closing.set(false);
            self.parent_show();
        }
    }
    impl WindowImpl for Window {
        fn close_request(&self) -> glib::Propagation {
            if self.jobs.running.n_items() == 0 {
                return self.parent_close_request();
            }
            self.obj().ask_before_closing();
            glib::Propagation::Stop
        }
    }
    impl ApplicationWindowImpl for Window {}
    impl AdwApplicationWindowImpl for Window {}

    #[gtk::template_callbacks]
    impl Window {
        #[template_callback]
        fn row_activated(&self, position: u32) {
            let item = self.list.model().and_then(|rows| rows.item(position));
            if let Some(job) = item.and_downcast::<Job>() {
                self.obj().open(&job);
            }
        }

        #[template_callback]
        fn page_changed(&self) {
            let has_page = self.obj().page().is_some();
            self.obj().action_set_enabled("win.back", has_page);
        }

        /// Removes the pages that were left: the next job gets its own.
        #[template_callback]
        fn transition_changed(&self) {
            if self.leaflet.is_child_transition_running() {
                return;
            }
            let visible = self.leaflet.visible_child();
            let pages = self.leaflet.pages();
            let children = pages
                .iter::<adw::LeafletPage>()
                .flatten()
                .map(|page| page.child());
            children
                .filter(|child| child.is::<JobPage>() && Some(child) != visible.as_ref())
                .collect::<Vec<_>>()
                .iter()
                .for_each(|page| self.leaflet.remove(page));
        }
    }
}

glib::wrapper! {
    /// The app's window.
    pub(crate) struct Window(ObjectSubclass<imp::Window>)
        @extends adw::ApplicationWindow, gtk::ApplicationWindow, gtk::Window, gtk::Widget,
        @implements gio::ActionGroup, gio::ActionMap, gtk::Buildable,
            gtk::ConstraintTarget, gtk::Native, gtk::Root, gtk::ShortcutManager;
}

impl Window {
    /// The window of `app`, which is not visible yet.
    pub(crate) fn new(app: &adw::Application) -> Self {
        glib::Object::builder().property("application", app).build()
    }

    /// Starts a job and shows it at the top of the list.
    pub(crate) fn start(&self, work: Work) {
        let imp = self.imp();
        let job = start(work);
        imp.jobs.add(&job);
        // Connected after the list, which counts the job as finished first.
        job.connect_running_notify(clone!(
            #[weak(rename_to = window)]
            self,
            move |job| window.notify_if_hidden(job)
        ));
        job.connect_retry(clone!(
            #[weak(rename_to = window)]
            self,
            move |job| {
                window.imp().jobs.remove(job);
                window.start(job.work().clone());
            }
        ));
        imp.leaflet.set_visible_child(&*imp.main_page);
        let _ = imp
            .list
            .activate_action("list.scroll-to-item", Some(&0_u32.to_variant()));
    }

    fn toast(&self, text: &str) {
        toast::toast(self, text);
    }

    fn set_up_list(&self) {
        let imp = self.imp();
        let filter = gtk::StringFilter::builder()
            .expression(Job::this_expression("title"))
            .match_mode(gtk::StringFilterMatchMode::Substring)
            .build();
        imp.search_entry
            .bind_property("text", &filter, "search")
            .sync_create()
            .build();
        let factory = gtk::SignalListItemFactory::new();
        factory.connect_bind(|_, item| bind_row(item.downcast_ref().expect("a list item")));
        factory.connect_unbind(|_, item| {
            let item: &gtk::ListItem = item.downcast_ref().expect("a list item");
            if let Some(row) = item.child().and_downcast::<JobRow>() {
                row.set_job(None::<Job>);
            }
        });
        let rows = imp.jobs.rows(&filter);
        let lists: [&gio::ListModel; 3] = [
            rows.upcast_ref(),
            imp.jobs.running.upcast_ref(),
            imp.jobs.finished.upcast_ref(),
        ];
        for list in lists {
            list.connect_items_changed(clone!(
                #[weak(rename_to = window)]
                self,
                move |_, _, _, _| window.update_view()
            ));
        }
        imp.list.set_model(Some(&gtk::NoSelection::new(Some(rows))));
        imp.list.set_factory(Some(&factory));
        self.update_view();
    }

    fn update_view(&self) {
        let imp = self.imp();
        let found = imp.list.model().map_or(0, |rows| rows.n_items());
        let finished = imp.jobs.finished.n_items();
        let all = imp.jobs.running.n_items() + finished;
        self.action_set_enabled("win.clear", finished > 0);
        self.action_set_enabled("win.search", all > 0);
        imp.jobs_stack.set_visible_child_name(match (all, found) {
            (0, _) => "empty",
            (_, 0) => "none-found",
            _ => "list",
        });
    }

    fn search(&self) {
        let imp = self.imp();
        match self.page() {
            Some(page) => page.search(),
            None => {
                imp.search_bar.set_search_mode(true);
                imp.search_entry.grab_focus();
            }
        }
    }

    fn set_up_drop(&self) {
        let imp = self.imp();
        let target = gtk::DropTarget::new(gdk::FileList::static_type(), gdk::DragAction::COPY);
        target
            .bind_property("current-drop", &*imp.drop_hint, "reveal-child")
            .transform_to(|_, drop: Option<gdk::Drop>| Some(drop.is_some()))
            .build();
        target.connect_drop(clone!(
            #[weak(rename_to = window)]
            self,
            #[upgrade_or]
            false,
            move |_, value, _, _| {
                let files = value.get::<gdk::FileList>().map(|list| list.files());
                window.offer(&files.unwrap_or_default())
            }
        ));
        imp.main_page.add_controller(target);
    }

    /// Offers jobs for the first of `files` that is on this computer; returns whether there is one.
    pub(crate) fn offer(&self, files: &[gio::File]) -> bool {
        let Some(path) = files.iter().find_map(|file| file.path()) else {
            self.toast("Only files and folders on this computer can be used");
            return false;
        };
        // It may be on a slow disk, so its type is read without blocking the main loop.
        glib::spawn_future_local(clone!(
            #[weak(rename_to = window)]
            self,
            async move {
                let file = gio::File::for_path(&path);
                let attribute = gio::FILE_ATTRIBUTE_STANDARD_TYPE;
                let flags = gio::FileQueryInfoFlags::NONE;
                let info = file.query_info_future(attribute, flags, glib::Priority::DEFAULT);
                match info.await.map(|info| info.file_type()) {
                    Ok(gio::FileType::Directory) => window.new_job(Offer::Folder(path)),
                    Ok(gio::FileType::Regular) => window.new_job(Offer::File(path)),
                    Ok(_) => window.toast("This is neither a folder nor a file"),
                    Err(error) => window.toast(&format!("This cannot be used: {error}")),
                }
            }
        ));
        true
    }

    fn page(&self) -> Option<JobPage> {
        self.imp().leaflet.visible_child().and_downcast()
    }

    fn open(&self, job: &Job) {
        let (leaflet, page) = (&self.imp().leaflet, JobPage::new(job));
        leaflet.append(&page);
        leaflet.set_visible_child(&page);
    }

    /// Ends a search in the page, or leaves it.
    fn back(&self) {
        if self.page().is_some_and(|page| !page.end_search()) {
            self.imp().leaflet.navigate(adw::NavigationDirection::Back);
            self.imp().list.grab_focus();
        }
    }

    fn new_job(&self, offer: Offer) {
        let dialog = NewJob::new(self.upcast_ref(), offer);
        dialog.connect_start(clone!(
            #[weak(rename_to = window)]
            self,
            move |work| window.start(work)
        ));
        dialog.present();
    }

    fn choose_folder(&self, title: &'static str, work: fn(&Path) -> Work) {
        let window = self.clone();
        glib::spawn_future_local(async move {
            if let Some(folder) = choose::folder(&window, title).await {
                window.start(work(&folder));
            }
        });
    }

    fn clear(&self) {
        let cleared = self.imp().jobs.clear();
        let title = match cleared.len() {
            1 => "1 job cleared".into(),
            many => format!("{many} jobs cleared"),
        };
        let toast = adw::Toast::builder()
            .title(title)
            .button_label("Undo")
            .build();
        toast.connect_button_clicked(clone!(
            #[weak(rename_to = window)]
            self,
            move |_| window.imp().jobs.restore(&cleared)
        ));
        self.imp().toasts.add_toast(toast);
    }

    fn ask_before_closing(&self) {
        let body = match self.imp().jobs.running.n_items() {
            1 => "A job is still running. It can continue without the window, with a notification when it is done.".to_owned(),
            n => format!("{n} jobs are still running. They can continue without the window, with notifications when they are done."),
        };
        let builder = gtk::Builder::from_resource("/org/legwork/Demo/close-dialog.ui");
        let dialog: adw::MessageDialog = builder.object("dialog").expect("in the template");
        dialog.set_transient_for(Some(self));
        dialog.set_body(&body);
        // It may be hidden, if the desktop asks the app to quit.
        self.present();
        dialog.connect_response(
            None,
            clone!(
                #[weak(rename_to = window)]
                self,
                move |_, response| match response {
                    "keep" => window.set_visible(false),
                    "stop" => {
                        // Stopped jobs remove their incomplete files before the window closes.
                        window.imp().jobs.stop_all();
                        window.set_visible(false);
                        window.imp().closing.set(true);
                        window.close_if_done();
                    }
                    _ => {}
                }
            ),
        );
        dialog.present();
    }

    /// Closes the window, and with it the app, if it is to be closed and the last job has ended.
    fn close_if_done(&self) {
        let imp = self.imp();
        if imp.closing.get() && imp.jobs.running.n_items() == 0 {
            self.close();
        }
    }

    /// Notifies of the end of a job while the window is hidden. A hidden window keeps the app running until it is opened
    /// again, so that no result is lost.
    fn notify_if_hidden(&self, job: &Job) {
        if job.running() || self.is_visible() {
            return;
        }
        // A job that the user has stopped needs no notification.
        if let Some(app) = self.application()
            && job.state() != State::Stopped
        {
            let notification = gio::Notification::new(&job.title());
            notification.set_body(Some(&job.line()));
            notification.set_default_action("app.show");
            app.send_notification(None, &notification);
        }
        self.close_if_done();
    }
}

/// Shows a heading or a job in a row of the list.
fn bind_row(item: &gtk::ListItem) {
    let Some(job) = item.item().and_downcast::<Job>() else {
        let heading = item.item().and_downcast::<gtk::StringObject>();
        let heading = heading.expect("a heading or a job").string();
        item.set_activatable(false);
        item.set_child(Some(&section(&heading)));
        set_up_row(item, &heading);
        return;
    };
    item.set_activatable(true);
    let row = item.child().and_downcast::<JobRow>().unwrap_or_default();
    item.set_child(Some(&row));
    set_up_row(item, &job.title());
    row.set_job(Some(job));
}

fn section(heading: &str) -> gtk::Widget {
    let builder = gtk::Builder::from_resource("/org/legwork/Demo/section.ui");
    let title: gtk::Label = builder.object("title").expect("in the template");
    title.set_label(heading);
    let clear: gtk::Button = builder.object("clear").expect("in the template");
    clear.set_visible(heading == "Finished");
    builder.object("section").expect("in the template")
}

/// Names the row around a list item's child. Headings can have the focus as well: the arrow keys of a list stop at a row
/// that cannot.
fn set_up_row(item: &gtk::ListItem, name: &str) {
    if let Some(row) = item.child().and_then(|child| child.parent()) {
        row.set_focusable(true);
        accessible::set_name(&row, name);
    }
}
