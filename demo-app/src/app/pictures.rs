//! Pictures as a grid: their own pixels, their names and sizes, and why there is none.

use gtk::prelude::*;

use super::{accessible, entry::Entry, gradual::gradually};

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
    stack.add_named(&icon, Some("trouble"));
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
    // Why there is no picture takes more than one line.
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
    let trouble = entry.trouble();
    stack.set_visible_child_name(if trouble.is_empty() {
        "picture"
    } else {
        "trouble"
    });
    if let Some(picture) = stack
        .child_by_name("picture")
        .and_downcast::<gtk::Picture>()
    {
        picture.set_paintable(entry.texture().as_ref());
        picture.set_alternative_text(Some(&entry.name()));
    }
    if let (Some(name), Some(size)) = (name, size) {
        name.set_label(&entry.name());
        size.set_label(
            if trouble.is_empty() {
                entry.value()
            } else {
                trouble.clone()
            }
            .as_str(),
        );
    }
    let whole = if trouble.is_empty() {
        entry.name()
    } else {
        format!("{}\n{trouble}", entry.name())
    };
    tile.set_tooltip_text(Some(&whole));
}
