//! Two things side by side where there is room, below each other where there is not.
//!
//! A flow box decides by what its children would like; a paragraph would like one long line, so it never
//! finds room. This decides by the width there is.

use gtk::{glib, prelude::*, subclass::prelude::*};

/// From this width on, in pixels, two columns of text can be read.
const ENOUGH: i32 = 680;
const SPACING: i32 = 24;

mod imp {
    use super::*;

    #[derive(Default)]
    pub(crate) struct Columns;

    #[glib::object_subclass]
    impl ObjectSubclass for Columns {
        const NAME: &'static str = "LegworkDemoColumns";
        type Type = super::Columns;
        type ParentType = gtk::LayoutManager;
    }

    impl ObjectImpl for Columns {}

    impl LayoutManagerImpl for Columns {
        fn request_mode(&self, _: &gtk::Widget) -> gtk::SizeRequestMode {
            gtk::SizeRequestMode::HeightForWidth
        }

        fn measure(
            &self,
            widget: &gtk::Widget,
            orientation: gtk::Orientation,
            for_size: i32,
        ) -> (i32, i32, i32, i32) {
            let children = shown(widget);
            let sizes = |for_size| {
                children
                    .iter()
                    .map(move |child| child.measure(orientation, for_size))
            };
            let (minimum, natural) = match orientation {
                gtk::Orientation::Horizontal => (
                    sizes(-1).map(|size| size.0).max().unwrap_or(0),
                    sizes(-1).map(|size| size.1).max().unwrap_or(0).max(ENOUGH),
                ),
                _ if children.len() > 1 && for_size >= ENOUGH => {
                    let column = width_of_one(for_size, children.len());
                    let tallest = sizes(column).map(|size| size.1).max().unwrap_or(0);
                    (tallest, tallest)
                }
                _ => {
                    let gaps = SPACING * (children.len() as i32 - 1).max(0);
                    let all = gaps + sizes(for_size).map(|size| size.1).sum::<i32>();
                    (all, all)
                }
            };
            (minimum, natural, -1, -1)
        }

        fn allocate(&self, widget: &gtk::Widget, width: i32, _height: i32, _baseline: i32) {
            let children = shown(widget);
            let beside = children.len() > 1 && width >= ENOUGH;
            let column = if beside {
                width_of_one(width, children.len())
            } else {
                width
            };
            let (mut x, mut y) = (0, 0);
            for child in children {
                let height = child.measure(gtk::Orientation::Vertical, column).1;
                child.size_allocate(&gtk::Allocation::new(x, y, column, height), -1);
                if beside {
                    x += column + SPACING;
                } else {
                    y += height + SPACING;
                }
            }
        }
    }
}

glib::wrapper! {
    /// A layout of one or several columns.
    pub(crate) struct Columns(ObjectSubclass<imp::Columns>) @extends gtk::LayoutManager;
}

fn width_of_one(width: i32, columns: usize) -> i32 {
    let columns = columns as i32;
    (width - SPACING * (columns - 1)) / columns
}

fn shown(widget: &gtk::Widget) -> Vec<gtk::Widget> {
    let next = |child: &gtk::Widget| child.next_sibling();
    std::iter::successors(widget.first_child(), next)
        .filter(|child| child.should_layout())
        .collect()
}
