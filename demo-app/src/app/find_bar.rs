//! The search bar of a view, hidden until a search is started.

use adw::{prelude::*, subclass::prelude::*};
use gtk::glib;

use super::accessible;

mod imp {
    use std::cell::OnceCell;

    use super::*;

    #[derive(Default, glib::Properties)]
    #[properties(wrapper_type = super::FindBar)]
    pub(crate) struct FindBar {
        /// Its name, `Search Log`.
        #[property(get, construct_only)]
        label: OnceCell<String>,
        pub(super) bar: gtk::SearchBar,
        pub(super) entry: gtk::SearchEntry,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for FindBar {
        const NAME: &'static str = "LegworkDemoFindBar";
        type Type = super::FindBar;
        type ParentType = adw::Bin;
    }

    #[glib::derived_properties]
    impl ObjectImpl for FindBar {
        fn constructed(&self) {
            self.parent_constructed();
            let label = self.obj().label();
            self.entry.set_placeholder_text(Some(&label));
            self.entry.set_hexpand(true);
            accessible::set_name(&self.entry, &label);
            let clamp = adw::Clamp::builder()
                .maximum_size(400)
                .hexpand(true)
                .child(&self.entry)
                .build();
            // It is within a page, not below the header bar.
            self.bar.add_css_class("inline");
            self.bar.set_child(Some(&clamp));
            self.bar.connect_entry(&self.entry);
            BinExt::set_child(&*self.obj(), Some(&self.bar));
        }
    }
    impl WidgetImpl for FindBar {}
    impl BinImpl for FindBar {}
}

glib::wrapper! {
    /// A search bar.
    pub(crate) struct FindBar(ObjectSubclass<imp::FindBar>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Buildable, gtk::ConstraintTarget;
}

impl FindBar {
    /// A search bar with this name, `Search Log`.
    pub(crate) fn new(label: &str) -> Self {
        glib::Object::builder().property("label", label).build()
    }

    /// The entry for what is searched.
    pub(crate) fn entry(&self) -> &gtk::SearchEntry {
        &self.imp().entry
    }

    /// Starts a search.
    pub(crate) fn open(&self) {
        self.imp().bar.set_search_mode(true);
    }

    /// Ends a search; returns whether there was one.
    pub(crate) fn close(&self) -> bool {
        let bar = &self.imp().bar;
        let open = bar.is_search_mode();
        bar.set_search_mode(false);
        open
    }
}
