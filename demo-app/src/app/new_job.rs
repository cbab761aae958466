//! The dialog that asks for a job: what, on which folder, or which misdeed.

use std::{
    num::NonZero,
    path::{Path, PathBuf},
};

use adw::{prelude::*, subclass::prelude::*};
use gtk::{CompositeTemplate, TemplateChild, gio, glib, glib::clone};
use legwork_demo::jobs::{Checksum, Misdeed, Thumbnails};

use super::{
    window::{Window, choose_folder},
    work::{self, Work, misdeed_story, misdeed_title},
};

mod imp {
    use std::cell::{OnceCell, RefCell};

    use super::*;

    #[derive(Default, CompositeTemplate, glib::Properties)]
    #[template(resource = "/org/legwork/Demo/new-job.ui")]
    #[properties(wrapper_type = super::NewJob)]
    pub(crate) struct NewJob {
        #[template_child]
        pub(super) start: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) checksum: TemplateChild<gtk::CheckButton>,
        #[template_child]
        pub(super) thumbnails: TemplateChild<gtk::CheckButton>,
        #[template_child]
        pub(super) folder_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub(super) folder_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub(super) choose: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) follow_links: TemplateChild<gtk::Switch>,
        #[template_child]
        pub(super) threads: TemplateChild<gtk::SpinButton>,
        #[template_child]
        pub(super) side: TemplateChild<gtk::SpinButton>,
        #[template_child]
        pub(super) misbehave: TemplateChild<adw::PreferencesGroup>,
        /// The folder to work on.
        #[property(get, set, nullable)]
        folder: RefCell<Option<PathBuf>>,
        /// One button a misdeed, in their order.
        pub(super) misdeeds: OnceCell<Vec<gtk::CheckButton>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for NewJob {
        const NAME: &'static str = "LegworkDemoNewJob";
        type Type = super::NewJob;
        type ParentType = adw::Window;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
            class.add_binding_action(
                gtk::gdk::Key::Escape,
                gtk::gdk::ModifierType::empty(),
                "window.close",
            );
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    #[glib::derived_properties]
    impl ObjectImpl for NewJob {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().set_up();
        }
    }
    impl WidgetImpl for NewJob {}
    impl WindowImpl for NewJob {}
    impl AdwWindowImpl for NewJob {}
}

glib::wrapper! {
    /// Asks for a job.
    pub(crate) struct NewJob(ObjectSubclass<imp::NewJob>)
        @extends adw::Window, gtk::Window, gtk::Widget,
        @implements gio::ActionGroup, gio::ActionMap, gtk::Buildable,
            gtk::ConstraintTarget, gtk::Native, gtk::Root, gtk::ShortcutManager;
}

impl NewJob {
    /// The dialog over `window`, with a folder that was chosen already, or none.
    pub(crate) fn new(window: &Window, folder: Option<&Path>) -> Self {
        let dialog: Self = glib::Object::builder()
            .property("transient-for", window)
            .build();
        dialog.set_folder(folder.map(Path::to_owned));
        // Small windows get small dialogs.
        if window.width() > 0 {
            let (width, height) = (
                window.width().clamp(340, 480),
                window.height().clamp(360, 620),
            );
            dialog.set_default_size(width, height);
        }
        dialog
    }

    /// Calls `start` with what was chosen.
    pub(crate) fn connect_start(&self, start: impl Fn(Work) + 'static) {
        self.imp().start.connect_clicked(clone!(
            #[weak(rename_to = dialog)]
            self,
            move |_| {
                if let Some(work) = dialog.work() {
                    start(work);
                    dialog.close();
                }
            }
        ));
    }

    fn set_up(&self) {
        let imp = self.imp();
        let misdeeds = Misdeed::ALL
            .map(|misdeed| {
                let check = gtk::CheckButton::builder()
                    .group(&*imp.checksum)
                    .valign(gtk::Align::Center)
                    .build();
                let row = adw::ActionRow::builder()
                    .title(misdeed_title(misdeed))
                    .subtitle(misdeed_story(misdeed))
                    .activatable_widget(&check)
                    .build();
                row.add_prefix(&check);
                imp.misbehave.add(&row);
                check
            })
            .to_vec();
        for check in misdeeds.iter().chain([&*imp.checksum, &*imp.thumbnails]) {
            check.connect_active_notify(clone!(
                #[weak(rename_to = dialog)]
                self,
                move |_| dialog.changed()
            ));
        }
        imp.misdeeds.set(misdeeds).expect("set up once");
        self.connect_folder_notify(Self::changed);
        imp.choose.connect_clicked(clone!(
            #[weak(rename_to = dialog)]
            self,
            move |_| {
                glib::spawn_future_local(async move {
                    if let Some(folder) = choose_folder(&dialog, "Choose a Folder").await {
                        dialog.set_folder(Some(folder));
                    }
                });
            }
        ));
        self.changed();
    }

    fn misdeed(&self) -> Option<Misdeed> {
        let chosen = self
            .imp()
            .misdeeds
            .get()?
            .iter()
            .position(|check| check.is_active())?;
        Some(Misdeed::ALL[chosen])
    }

    fn changed(&self) {
        let imp = self.imp();
        imp.folder_group.set_sensitive(self.misdeed().is_none());
        imp.start.set_sensitive(self.work().is_some());
        let folder = self.folder();
        let name = folder
            .as_deref()
            .map_or("Nothing chosen yet".into(), work::name);
        imp.folder_row
            .set_subtitle(&glib::markup_escape_text(&name));
        imp.folder_row
            .set_tooltip_text(folder.as_deref().map(Path::to_string_lossy).as_deref());
    }

    fn work(&self) -> Option<Work> {
        let imp = self.imp();
        if let Some(misdeed) = self.misdeed() {
            return Some(Work::misbehave(misdeed));
        }
        let folder = self.folder()?;
        let follow_links = imp.follow_links.is_active();
        let threads = usize::try_from(imp.threads.value_as_int())
            .ok()
            .and_then(NonZero::new);
        Some(if imp.thumbnails.is_active() {
            let side = imp.side.value_as_int().unsigned_abs();
            Work::Thumbnails(Thumbnails {
                folder,
                follow_links,
                side,
                threads,
            })
        } else {
            Work::Checksum(Checksum {
                folder,
                follow_links,
                threads,
            })
        })
    }
}
