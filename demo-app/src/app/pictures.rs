//! Pictures as a grid, with their names and sizes, or the reason why there is no picture.

use gtk::prelude::*;

use super::{accessible, entry::Entry, gradually::gradually};

/// The longer side of a picture in the grid, in pixels.
const SIDE: i32 = 128;

/// A grid of `found` [`Entry`]s.
pub(super) fn grid(found: gtk::FilterListModel) -> gtk::GridView {
    let factory = gtk::SignalListItemFactory::new();
    factory.connect_setup(|_, item| {
        let item: &gtk::ListItem = item.downcast_ref().expect("a list item");
        item.set_child(Some(&tile()));
    });
    factory.connect_bind(|_, item| {
        let item: &gtk::ListItem = item.downcast_ref().expect("a list item");
        let entry = item.item().and_downcast::<Entry>().expect("an entry");
        if let Some(tile) = item.child() {
            fill(&tile, &entry);
        }
    });
    let view = gtk::GridView::builder()
        .model(&gtk::NoSelection::new(Some(gradually(&found))))
        .factory(&factory)
        .min_columns(2)
        .max_columns(12)
        .css_classes(["pictures"])
        .build();
    accessible::set_name(&view, "Pictures");
    view
}

fn tile() -> gtk::Box {
    let picture = gtk::Picture::builder()
        .can_shrink(true)
        .content_fit(gtk::ContentFit::ScaleDown);
    let icon = gtk::Image::builder()
        .icon_name("dialog-warning-symbolic")
        .pixel_size(32)
        .css_classes(["warning"])
        .build();
    let stack = gtk::Stack::builder()
        .width_request(SIDE)
        .height_request(SIDE)
        .build();
    stack.add_named(&picture.build(), Some("picture"));
    stack.add_named(&icon, Some("error"));
    let label = |classes: &[&str]| {
        gtk::Label::builder()
            .ellipsize(gtk::pango::EllipsizeMode::Middle)
            .max_width_chars(12)
            .css_classes(classes.to_vec())
            .build()
    };
    let tile = gtk::Box::builder()
        .orientation(gtk::Orientation::Vertical)
        .spacing(6)
        .build();
    tile.append(&stack);
    tile.append(&label(&["caption"]));
    // An error takes more than one line.
    let size = label(&["caption", "dim-label", "numeric"]);
    size.set_ellipsize(gtk::pango::EllipsizeMode::End);
    size.set_wrap(true);
    size.set_lines(3);
    size.set_justify(gtk::Justification::Center);
    tile.append(&size);
    tile
}

fn fill(tile: &gtk::Widget, entry: &Entry) {
    let Some(stack) = tile.first_child().and_downcast::<gtk::Stack>() else {
        return;
    };
    let name = stack.next_sibling().and_downcast::<gtk::Label>();
    let size = tile.last_child().and_downcast::<gtk::Label>();
    let (child, text, tooltip) = match entry.error() {
        error if error.is_empty() => ("picture", entry.value(), entry.name()),
        error => ("error", error.clone(), format!("{}\n{error}", entry.name())),
    };
    stack.set_visible_child_name(child);
    if let Some(picture) = stack
        .child_by_name("picture")
        .and_downcast::<gtk::Picture>()
    {
        picture.set_paintable(entry.texture().as_ref());
        picture.set_alternative_text(Some(&entry.name()));
    }
    if let (Some(name), Some(size)) = (name, size) {
        name.set_label(&entry.name());
        size.set_label(&text);
    }
    tile.set_tooltip_text(Some(&tooltip));
}
