//! A view that follows the end of what it shows and can be searched: a log, or the output of a program.
//!
//! It has the find bar, the switch that follows the end, the button that copies everything, and a page for when there
//! is nothing yet. What it shows is a widget of its user's, which also knows how to scroll to its end.

use std::cell::OnceCell;

use adw::subclass::prelude::*;
use gtk::{CompositeTemplate, TemplateChild, glib, glib::clone, prelude::*};

use super::{clipboard, find_bar};

mod imp {
    use super::*;

    #[derive(Default, CompositeTemplate)]
    #[template(resource = "/org/legwork/Demo/tail-view.ui")]
    pub(crate) struct TailView {
        #[template_child]
        pub(super) controls: TemplateChild<gtk::Box>,
        #[template_child]
        pub(super) follow: TemplateChild<gtk::ToggleButton>,
        #[template_child]
        pub(super) copy: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub(super) empty: TemplateChild<adw::StatusPage>,
        #[template_child]
        pub(super) scrolled: TemplateChild<gtk::ScrolledWindow>,
        #[template_child]
        pub(super) clamp: TemplateChild<adw::ClampScrollable>,
        pub(super) search_entry: OnceCell<gtk::SearchEntry>,
        pub(super) scroll_to_end: OnceCell<Box<dyn Fn()>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for TailView {
        const NAME: &'static str = "LegworkDemoTailView";
        type Type = super::TailView;
        type ParentType = gtk::Box;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for TailView {
        fn constructed(&self) {
            self.parent_constructed();
            let wheel = gtk::EventControllerScroll::new(gtk::EventControllerScrollFlags::VERTICAL);
            wheel.set_propagation_phase(gtk::PropagationPhase::Capture);
            wheel.connect_scroll(clone!(
                #[weak(rename_to = follow)]
                self.follow,
                #[upgrade_or]
                glib::Propagation::Proceed,
                move |_, _, down| {
                    if down < 0.0 {
                        follow.set_active(false);
                    }
                    glib::Propagation::Proceed
                }
            ));
            self.scrolled.add_controller(wheel);
        }
    }
    impl WidgetImpl for TailView {}
    impl BoxImpl for TailView {}

    #[gtk::template_callbacks]
    impl TailView {
        #[template_callback]
        fn follow_changed(&self) {
            self.obj().scroll_to_end();
        }

        #[template_callback]
        fn edge_reached(&self, edge: gtk::PositionType) {
            if edge == gtk::PositionType::Bottom {
                self.follow.set_active(true);
            }
        }
    }
}

glib::wrapper! {
    /// A view that follows the end of its content and can be searched.
    pub(crate) struct TailView(ObjectSubclass<imp::TailView>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl TailView {
    /// A view of `content`, which is called `what`, with an icon for when it is empty, and a widget that filters it.
    pub(super) fn new(
        what: &str,
        icon_name: &str,
        filter: Option<&gtk::Widget>,
        content: &impl IsA<gtk::Widget>,
    ) -> Self {
        let view: Self = glib::Object::new();
        let imp = view.imp();
        let (bar, entry) = find_bar::new(&format!("Search {what}"));
        view.prepend(&bar);
        imp.search_entry.set(entry).expect("a new view");
        imp.empty.set_icon_name(Some(icon_name));
        filter
            .iter()
            .for_each(|filter| imp.controls.prepend(*filter));
        imp.clamp.set_child(Some(content));
        view
    }

    /// The entry for what is searched.
    pub(super) fn search_entry(&self) -> &gtk::SearchEntry {
        self.imp().search_entry.get().expect("set by new()")
    }

    /// Where the content is scrolled.
    pub(super) fn scrolled(&self) -> &gtk::ScrolledWindow {
        &self.imp().scrolled
    }

    /// The page without content, for its description.
    pub(super) fn empty_page(&self) -> &adw::StatusPage {
        &self.imp().empty
    }

    /// Shows the content, or the placeholder.
    pub(super) fn set_empty(&self, empty: bool) {
        let imp = self.imp();
        imp.stack
            .set_visible_child_name(if empty { "empty" } else { "content" });
        imp.copy.set_sensitive(!empty);
    }

    /// Copies this text when the button is clicked; a message says what was copied.
    pub(super) fn connect_copy(&self, copied: &'static str, text: impl Fn() -> String + 'static) {
        self.imp().copy.connect_clicked(clone!(
            #[weak(rename_to = view)]
            self,
            move |_| clipboard::copy(&view, text(), copied)
        ));
    }

    /// Sets how the content is scrolled to its end.
    pub(super) fn set_scroll_to_end(&self, scroll: impl Fn() + 'static) {
        let set = self.imp().scroll_to_end.set(Box::new(scroll));
        set.ok().expect("set once");
        self.scroll_to_end();
    }

    /// Scrolls to the end of the content, if that is followed.
    pub(super) fn scroll_to_end(&self) {
        let imp = self.imp();
        if let Some(scroll) = imp.scroll_to_end.get().filter(|_| imp.follow.is_active()) {
            scroll();
        }
    }

    /// Stops following the end.
    pub(super) fn stop_following(&self) {
        self.imp().follow.set_active(false);
    }
}
