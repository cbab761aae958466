//! The search bar of a view, hidden until a search is started.

use gtk::prelude::*;

use super::accessible;

/// A search bar with its entry, which is called `label`: `Search Log`.
pub(super) fn new(label: &str) -> (gtk::SearchBar, gtk::SearchEntry) {
    let entry = gtk::SearchEntry::builder()
        .placeholder_text(label)
        .hexpand(true)
        .build();
    accessible::set_name(&entry, label);
    let clamp = adw::Clamp::builder()
        .maximum_size(400)
        .hexpand(true)
        .child(&entry)
        .build();
    let bar = gtk::SearchBar::builder().child(&clamp).build();
    // It is within a page, not below the header bar.
    bar.add_css_class("inline");
    bar.connect_entry(&entry);
    (bar, entry)
}
