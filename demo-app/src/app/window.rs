//! The main window: the list of jobs, and a page of its own for whatever is opened.

use std::path::{Path, PathBuf};

use adw::{prelude::*, subclass::prelude::*};
use gtk::{CompositeTemplate, TemplateChild, gdk, gio, glib, glib::clone};

use super::{
    accessible,
    job::Job,
    job_list::JobList,
    job_page::JobPage,
    job_row::JobRow,
    new_job::{NewJob, Offer},
    pulse::Pulse,
    words::Look,
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
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Window {
        const NAME: &'static str = "LegworkDemoWindow";
        type Type = super::Window;
        type ParentType = adw::ApplicationWindow;

        fn class_init(class: &mut Self::Class) {
            Pulse::ensure_type();
            class.bind_template();
            class.install_action("win.new-job", None, |window, _, _| {
                window.new_job(Offer::Any);
            });
            class.install_action("win.run-program", None, |window, _, _| {
                window.new_job(Offer::Program);
            });
            class.install_action("win.search", None, |window, _, _| window.search());
            class.install_action("win.clear", None, |window, _, _| window.clear());
            class.install_action("win.checksum-folder", None, |window, _, _| {
                window.choose_folder("Checksum a Folder", Work::checksum);
            });
            class.install_action("win.thumbnails-folder", None, |window, _, _| {
                window.choose_folder("Make Thumbnails", Work::thumbnails);
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
            window.set_up_search();
            window.set_up_drop();
            window.set_up_pages();
            self.pulse.set_jobs(Some(self.jobs.running()));
        }
    }

    impl WidgetImpl for Window {}
    impl WindowImpl for Window {
        fn close_request(&self) -> glib::Propagation {
            if self.jobs.n_running() == 0 {
                return self.parent_close_request();
            }
            self.obj().ask_before_closing();
            glib::Propagation::Stop
        }
    }
    impl ApplicationWindowImpl for Window {}
    impl AdwApplicationWindowImpl for Window {}
}

glib::wrapper! {
    /// The app's window.
    pub(crate) struct Window(ObjectSubclass<imp::Window>)
        @extends adw::ApplicationWindow, gtk::ApplicationWindow, gtk::Window, gtk::Widget,
        @implements gio::ActionGroup, gio::ActionMap, gtk::Buildable,
            gtk::ConstraintTarget, gtk::Native, gtk::Root, gtk::ShortcutManager;
}

impl Window {
    /// The window of `app`, not shown yet.
    pub(crate) fn new(app: &adw::Application) -> Self {
        glib::Object::builder().property("application", app).build()
    }

    /// Starts a job and shows it at the top of the list.
    pub(crate) fn start(&self, work: Work) {
        let job = Job::start(work);
        self.imp().jobs.add(&job);
        // After the list, which counts it as finished first.
        job.connect_running_notify(clone!(
            #[weak(rename_to = window)]
            self,
            move |job| window.tell_if_hidden(job)
        ));
        let imp = self.imp();
        imp.leaflet.set_visible_child(&*imp.main_page);
        // The newest is at the top, and is to be seen there.
        let top = 0_u32.to_variant();
        let _ = imp.list.activate_action("list.scroll-to-item", Some(&top));
    }

    /// Shows a short message that goes away by itself.
    pub(crate) fn toast(&self, text: &str) {
        self.imp().toasts.add_toast(adw::Toast::new(text));
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
        factory.connect_bind(clone!(
            #[weak(rename_to = window)]
            self,
            move |_, item| window.bind_row(item.downcast_ref().expect("a list item"))
        ));
        factory.connect_unbind(|_, item| {
            let item: &gtk::ListItem = item.downcast_ref().expect("a list item");
            if let Some(row) = item.child().and_downcast::<JobRow>() {
                row.set_job(None::<Job>);
            }
        });
        let rows = imp.jobs.rows(&filter);
        rows.connect_items_changed(clone!(
            #[weak(rename_to = window)]
            self,
            move |_, _, _, _| window.choose_view()
        ));
        imp.list.set_model(Some(&gtk::NoSelection::new(Some(rows))));
        imp.list.set_factory(Some(&factory));
        imp.list.connect_activate(clone!(
            #[weak(rename_to = window)]
            self,
            move |list, place| {
                let item = list.model().and_then(|rows| rows.item(place));
                if let Some(job) = item.and_downcast::<Job>() {
                    window.open(&job);
                }
            }
        ));
        for count in ["n-running", "n-finished"] {
            imp.jobs.connect_notify_local(
                Some(count),
                clone!(
                    #[weak(rename_to = window)]
                    self,
                    move |_, _| window.choose_view()
                ),
            );
        }
        self.choose_view();
    }

    /// A row is either a heading or a job; a row that was the other one is made anew.
    fn bind_row(&self, item: &gtk::ListItem) {
        let Some(job) = item.item().and_downcast::<Job>() else {
            let heading = item
                .item()
                .and_downcast::<gtk::StringObject>()
                .expect("a heading");
            item.set_activatable(false);
            item.set_child(Some(&section(&heading.string())));
            set_row(item, false, &heading.string());
            return;
        };
        item.set_activatable(true);
        let row = item.child().and_downcast::<JobRow>().unwrap_or_else(|| {
            let row = JobRow::new();
            row.connect_retry(clone!(
                #[weak(rename_to = window)]
                self,
                move |job| window.retry(job)
            ));
            item.set_child(Some(&row));
            row
        });
        set_row(item, true, &job.title());
        row.set_job(Some(job));
    }

    fn choose_view(&self) {
        let imp = self.imp();
        let shown = imp.list.model().map_or(0, |rows| rows.n_items());
        let all = imp.jobs.n_running() + imp.jobs.n_finished();
        self.action_set_enabled("win.clear", imp.jobs.n_finished() > 0);
        self.action_set_enabled("win.search", all > 0);
        imp.jobs_stack.set_visible_child_name(match (all, shown) {
            (0, _) => "empty",
            (_, 0) => "none-found",
            _ => "list",
        });
    }

    fn set_up_search(&self) {
        let imp = self.imp();
        imp.search_bar.connect_entry(&*imp.search_entry);
        imp.search_bar.connect_search_mode_enabled_notify(clone!(
            #[weak(rename_to = window)]
            self,
            move |bar| {
                if !bar.is_search_mode() {
                    window.imp().search_entry.set_text("");
                }
            }
        ));
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
        let target = gtk::DropTarget::new(gdk::FileList::static_type(), gdk::DragAction::COPY);
        target.connect_enter(clone!(
            #[weak(rename_to = window)]
            self,
            #[upgrade_or]
            gdk::DragAction::empty(),
            move |_, _, _| {
                window.imp().drop_hint.set_reveal_child(true);
                gdk::DragAction::COPY
            }
        ));
        target.connect_leave(clone!(
            #[weak(rename_to = window)]
            self,
            move |_| window.imp().drop_hint.set_reveal_child(false)
        ));
        target.connect_drop(clone!(
            #[weak(rename_to = window)]
            self,
            #[upgrade_or]
            false,
            move |_, value, _, _| {
                window.imp().drop_hint.set_reveal_child(false);
                let files = value.get::<gdk::FileList>().map(|list| list.files());
                window.take(&files.unwrap_or_default())
            }
        ));
        self.imp().main_page.add_controller(target);
    }

    /// Offers jobs on the first of `files` that is on this computer; says whether there is one.
    pub(crate) fn take(&self, files: &[gio::File]) -> bool {
        let Some(path) = files.iter().find_map(|file| file.path()) else {
            self.toast("Only files and folders on this computer can be used");
            return false;
        };
        // What it is, is asked beside the main loop: it may lie on a slow disk.
        glib::spawn_future_local(clone!(
            #[weak(rename_to = window)]
            self,
            async move {
                let file = gio::File::for_path(&path);
                let kind = gio::FILE_ATTRIBUTE_STANDARD_TYPE;
                let info = file
                    .query_info_future(kind, gio::FileQueryInfoFlags::NONE, glib::Priority::DEFAULT)
                    .await;
                match info.map(|info| info.file_type()) {
                    Ok(gio::FileType::Directory) => window.new_job(Offer::Folder(path)),
                    Ok(gio::FileType::Regular) => window.new_job(Offer::File(path)),
                    Ok(_) => window.toast("This is neither a folder nor a file"),
                    Err(_) => window.toast("There is nothing of this name"),
                }
            }
        ));
        true
    }

    fn set_up_pages(&self) {
        let imp = self.imp();
        // A page that was left is gone: the next job gets its own.
        imp.leaflet.connect_child_transition_running_notify(clone!(
            #[weak(rename_to = window)]
            self,
            move |leaflet| {
                if !leaflet.is_child_transition_running() {
                    window.drop_left_pages();
                }
            }
        ));
        let keys = gtk::ShortcutController::new();
        keys.add_shortcut(
            gtk::Shortcut::builder()
                .trigger(&gtk::ShortcutTrigger::parse_string("Escape").expect("a key"))
                .action(&gtk::CallbackAction::new(clone!(
                    #[weak(rename_to = window)]
                    self,
                    #[upgrade_or]
                    glib::Propagation::Proceed,
                    move |_, _| window.back()
                )))
                .build(),
        );
        self.add_controller(keys);
    }

    fn drop_left_pages(&self) {
        let leaflet = &*self.imp().leaflet;
        let shown = leaflet.visible_child();
        let pages: Vec<_> = leaflet
            .pages()
            .iter::<adw::LeafletPage>()
            .flatten()
            .map(|page| page.child())
            .filter(|child| child.is::<JobPage>() && Some(child) != shown.as_ref())
            .collect();
        pages.iter().for_each(|page| leaflet.remove(page));
    }

    fn page(&self) -> Option<JobPage> {
        self.imp().leaflet.visible_child().and_downcast()
    }

    fn open(&self, job: &Job) {
        let page = JobPage::new(job);
        page.connect_back(clone!(
            #[weak(rename_to = window)]
            self,
            move || {
                window.back();
            }
        ));
        page.connect_retry(clone!(
            #[weak(rename_to = window)]
            self,
            move |job| window.retry(job)
        ));
        let leaflet = &*self.imp().leaflet;
        leaflet.append(&page);
        leaflet.set_visible_child(&page);
    }

    fn back(&self) -> glib::Propagation {
        match self.page() {
            Some(page) if !page.end_search() => {
                self.imp().leaflet.navigate(adw::NavigationDirection::Back);
                self.imp().list.grab_focus();
                glib::Propagation::Stop
            }
            Some(_) => glib::Propagation::Stop,
            None => glib::Propagation::Proceed,
        }
    }

    fn new_job(&self, offer: Offer) {
        let dialog = NewJob::new(self, offer);
        dialog.connect_start(clone!(
            #[weak(rename_to = window)]
            self,
            move |work| window.start(work)
        ));
        dialog.present();
    }

    fn choose_folder(&self, title: &str, work: impl Fn(&Path) -> Work + 'static) {
        glib::spawn_future_local(clone!(
            #[weak(rename_to = window)]
            self,
            #[to_owned]
            title,
            async move {
                if let Some(folder) = choose_folder(&window, &title).await {
                    window.start(work(&folder));
                }
            }
        ));
    }

    fn retry(&self, job: &Job) {
        self.imp().jobs.remove(job);
        self.start(job.work().clone());
    }

    fn clear(&self) {
        let cleared = self.imp().jobs.clear();
        let text = match cleared.len() {
            1 => "1 job cleared".into(),
            many => format!("{many} jobs cleared"),
        };
        let toast = adw::Toast::builder()
            .title(text)
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
        let running = self.imp().jobs.n_running();
        let body = match running {
            1 => "A job is still running. It can go on without the window; you are notified when it is done.".into(),
            n => format!("{n} jobs are still running. They can go on without the window; you are notified when they are done."),
        };
        let ask = adw::MessageDialog::new(Some(self), Some("Stop Running Jobs?"), Some(&body));
        ask.add_responses(&[
            ("cancel", "_Cancel"),
            ("keep", "_Keep Running"),
            ("stop", "_Stop Jobs"),
        ]);
        ask.set_response_appearance("stop", adw::ResponseAppearance::Destructive);
        ask.set_default_response(Some("keep"));
        ask.set_close_response("cancel");
        ask.connect_response(
            None,
            clone!(
                #[weak(rename_to = window)]
                self,
                move |_, response| match response {
                    "keep" => window.go_on_without_window(),
                    "stop" => {
                        window.imp().jobs.stop_all();
                        // What a job has begun is tidied up before the app ends.
                        window.go_on_without_window();
                    }
                    _ => {}
                }
            ),
        );
        ask.present();
    }

    fn go_on_without_window(&self) {
        // A hidden window keeps the app; the last job to end closes it.
        self.set_visible(false);
        if self.imp().jobs.n_running() == 0 {
            self.close();
        }
    }

    fn tell_if_hidden(&self, job: &Job) {
        if job.running() || self.is_visible() {
            return;
        }
        let Some(app) = self.application() else {
            return;
        };
        // Who stopped it knows.
        if job.look() != Look::Stopped {
            let notification = gio::Notification::new(&job.title());
            notification.set_body(Some(&job.line()));
            notification.set_default_action("app.show");
            app.send_notification(None, &notification);
        }
        if self.imp().jobs.n_running() == 0 {
            self.close();
        }
    }
}

/// Asks for a folder; `None` if nobody chose one.
pub(crate) async fn choose_folder(parent: &impl IsA<gtk::Window>, title: &str) -> Option<PathBuf> {
    choose(parent, title, gtk::FileChooserAction::SelectFolder, &[]).await
}

/// Asks for a video or audio file; `None` if nobody chose one.
pub(crate) async fn choose_media(parent: &impl IsA<gtk::Window>) -> Option<PathBuf> {
    let media = gtk::FileFilter::new();
    media.set_name(Some("Video and Audio"));
    media.add_mime_type("video/*");
    media.add_mime_type("audio/*");
    let all = gtk::FileFilter::new();
    all.set_name(Some("All Files"));
    all.add_pattern("*");
    let title = "Choose a Video or Audio File";
    choose(parent, title, gtk::FileChooserAction::Open, &[media, all]).await
}

async fn choose(
    parent: &impl IsA<gtk::Window>,
    title: &str,
    action: gtk::FileChooserAction,
    filters: &[gtk::FileFilter],
) -> Option<PathBuf> {
    let chooser = gtk::FileChooserNative::new(
        Some(title),
        Some(parent),
        action,
        Some("_Select"),
        Some("_Cancel"),
    );
    filters.iter().for_each(|filter| chooser.add_filter(filter));
    chooser.set_modal(true);
    let response = chooser.run_future().await;
    (response == gtk::ResponseType::Accept)
        .then(|| chooser.file()?.path())
        .flatten()
}

fn section(heading: &str) -> gtk::Box {
    let row = gtk::Box::builder().css_classes(["section"]).build();
    let title = gtk::Label::builder()
        .label(heading)
        .xalign(0.0)
        .hexpand(true)
        .css_classes(["heading"])
        .build();
    row.append(&title);
    if heading == "Finished" {
        let clear = gtk::Button::builder()
            .label("Clear")
            .action_name("win.clear")
            .css_classes(["flat"])
            .build();
        accessible::set_name(&clear, "Clear Finished Jobs");
        row.append(&clear);
    }
    row
}

/// What GTK 4.8 has no property for: the row around a list item's child.
fn set_row(item: &gtk::ListItem, focusable: bool, name: &str) {
    if let Some(row) = item.child().and_then(|child| child.parent()) {
        row.set_focusable(focusable);
        accessible::set_name(&row, name);
    }
}
