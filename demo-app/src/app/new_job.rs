//! The dialog for a new job: a kind of work on a folder or a file, a program, or a misdeed.

use std::{num::NonZero, path::PathBuf};

use adw::{prelude::*, subclass::prelude::*};
use gtk::{CompositeTemplate, TemplateChild, gio, glib, glib::clone};
use legwork_demo::jobs::{Checksum, Misdeed, Source, Thumbnails};

use super::{
    choose,
    expressions::Expressions,
    work::{Work, misdeed_story, misdeed_title},
};
use crate::programs::{self, Conversion, FORMATS, Program};

/// What the dialog starts with.
pub(crate) enum Offer {
    /// Nothing.
    Any,
    /// A folder to work on.
    Folder(PathBuf),
    /// A video or audio file to convert.
    File(PathBuf),
    /// An empty command line.
    Program,
}

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
        pub(super) program: TemplateChild<gtk::CheckButton>,
        #[template_child]
        pub(super) convert: TemplateChild<gtk::CheckButton>,
        #[template_child]
        pub(super) convert_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub(super) command: TemplateChild<adw::EntryRow>,
        #[template_child]
        pub(super) format: TemplateChild<adw::ComboRow>,
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
        /// The working directory of a program.
        #[property(get, set, nullable)]
        program_folder: RefCell<Option<PathBuf>>,
        /// The file to convert.
        #[property(get, set, nullable)]
        file: RefCell<Option<PathBuf>>,
        /// A button for each misdeed, in their order.
        pub(super) misdeeds: OnceCell<[gtk::CheckButton; Misdeed::ALL.len()]>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for NewJob {
        const NAME: &'static str = "LegworkDemoNewJob";
        type Type = super::NewJob;
        type ParentType = adw::Window;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
            class.bind_template_callbacks();
            Expressions::bind_template_callbacks(class);
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

    #[gtk::template_callbacks]
    impl NewJob {
        #[template_callback]
        fn changed(&self) {
            self.obj().changed();
        }

        #[template_callback]
        async fn choose_folder(&self) {
            if let Some(folder) = choose::folder(&*self.obj(), "Choose a Folder").await {
                self.obj().set_folder(Some(folder));
            }
        }

        #[template_callback]
        async fn choose_program_folder(&self) {
            if let Some(folder) = choose::folder(&*self.obj(), "Choose a Folder").await {
                self.obj().set_program_folder(Some(folder));
            }
        }

        #[template_callback]
        async fn choose_file(&self) {
            if let Some(file) = choose::media(&*self.obj()).await {
                self.obj().set_file(Some(file));
            }
        }
    }
}

glib::wrapper! {
    /// The dialog for a new job.
    pub(crate) struct NewJob(ObjectSubclass<imp::NewJob>)
        @extends adw::Window, gtk::Window, gtk::Widget,
        @implements gio::ActionGroup, gio::ActionMap, gtk::Buildable,
            gtk::ConstraintTarget, gtk::Native, gtk::Root, gtk::ShortcutManager;
}

impl NewJob {
    /// The dialog of `window`.
    pub(crate) fn new(window: &gtk::Window, offer: Offer) -> Self {
        let dialog: Self = glib::Object::builder()
            .property("transient-for", window)
            .property("program-folder", glib::home_dir())
            .build();
        let imp = dialog.imp();
        // The focus is where the next key press belongs: a choice, what is missing, or the start button.
        match offer {
            Offer::Any => imp.checksum.grab_focus(),
            Offer::Folder(folder) => {
                dialog.set_program_folder(Some(folder.clone()));
                dialog.set_folder(Some(folder));
                imp.start.grab_focus()
            }
            Offer::File(file) => {
                dialog.set_file(Some(file));
                imp.convert.set_active(true);
                imp.start.grab_focus()
            }
            Offer::Program => {
                imp.program.set_active(true);
                imp.command.grab_focus()
            }
        };
        // A small window gets a small dialog.
        if window.width() > 0 {
            let (width, height) = (
                window.width().clamp(340, 480),
                window.height().clamp(360, 620),
            );
            dialog.set_default_size(width, height);
        }
        dialog
    }

    /// Calls `start` with the work that was chosen.
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
        // Enter in the command line is a click.
        self.imp().command.connect_entry_activated(clone!(
            #[weak(rename_to = start)]
            self.imp().start,
            move |_| start.emit_clicked()
        ));
    }

    fn set_up(&self) {
        let imp = self.imp();
        let misdeeds = Misdeed::ALL.map(|misdeed| {
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
            check.connect_active_notify(clone!(
                #[weak(rename_to = dialog)]
                self,
                move |_| dialog.changed()
            ));
            check
        });
        imp.misdeeds.set(misdeeds).expect("set up once");
        self.connect_folder_notify(Self::changed);
        self.connect_program_folder_notify(Self::changed);
        self.connect_file_notify(Self::changed);
        let names: Vec<_> = FORMATS.iter().map(|format| format.name).collect();
        imp.format.set_model(Some(&gtk::StringList::new(&names)));
        self.look_for_ffmpeg();
        self.changed();
    }

    /// Without ffmpeg, the row says how to install it.
    fn look_for_ffmpeg(&self) {
        glib::spawn_future_local(clone!(
            #[weak(rename_to = dialog)]
            self,
            async move {
                let missing = gio::spawn_blocking(|| {
                    let missing = programs::find("ffmpeg").is_none();
                    missing.then(|| programs::install_hint("ffmpeg"))
                });
                if let Ok(Some(hint)) = missing.await {
                    let imp = dialog.imp();
                    let sentence = format!("Needs ffmpeg, which is not installed. {hint}");
                    imp.convert_row
                        .set_subtitle(&glib::markup_escape_text(&sentence));
                    // Only the button: the hint must stay readable.
                    imp.convert.set_sensitive(false);
                    if imp.convert.is_active() {
                        imp.checksum.set_active(true);
                    }
                }
            }
        ));
    }

    fn misdeed(&self) -> Option<Misdeed> {
        let checks = self.imp().misdeeds.get()?;
        let position = checks.iter().position(|check| check.is_active())?;
        Some(Misdeed::ALL[position])
    }

    fn changed(&self) {
        let imp = self.imp();
        imp.start.set_sensitive(self.work().is_some());
        let line = imp.command.text();
        let error = Program::split(&line).err().filter(|_| !line.is_empty());
        imp.command.set_title(error.as_deref().unwrap_or("Command"));
        if error.is_some() {
            imp.command.add_css_class("error");
        } else {
            imp.command.remove_css_class("error");
        }
    }

    fn work(&self) -> Option<Work> {
        let imp = self.imp();
        if let Some(misdeed) = self.misdeed() {
            return Some(Work::misbehave(misdeed));
        }
        if imp.program.is_active() {
            let program = Program::parse(&imp.command.text(), self.program_folder());
            return program.ok().map(Work::Program);
        }
        if imp.convert.is_active() {
            let format = FORMATS.get(imp.format.selected() as usize)?;
            return Some(Work::Convert(Conversion::next_to(&self.file()?, format)));
        }
        let source = Source {
            folder: self.folder()?,
            follow_links: imp.follow_links.is_active(),
            threads: NonZero::new(imp.threads.value_as_int().unsigned_abs() as usize),
        };
        Some(if imp.thumbnails.is_active() {
            let side = imp.side.value_as_int().unsigned_abs();
            Work::Thumbnails(Thumbnails { source, side })
        } else {
            Work::Checksum(Checksum { source })
        })
    }
}
