//! A layout of two columns where the width allows it, and of one column where it does not.
//!
//! A flow box decides by the natural width of its children. That of a paragraph is one long line, which never fits. This
//! layout decides by the available width.

use gtk::{glib, prelude::*, subclass::prelude::*};

/// The least width for two columns of text, in pixels.
const TWO_COLUMNS: i32 = 680;
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
            let children = visible_children(widget);
            let sizes = |for_size| {
                children
                    .iter()
                    .map(move |child| child.measure(orientation, for_size))
            };
            let (minimum, natural) = match orientation {
                gtk::Orientation::Horizontal => (
                    sizes(-1).map(|size| size.0).max().unwrap_or(0),
                    sizes(-1)
                        .map(|size| size.1)
                        .max()
                        .unwrap_or(0)
                        .max(TWO_COLUMNS),
                ),
                _ if children.len() > 1 && for_size >= TWO_COLUMNS => {
                    let column = column_width(for_size, children.len());
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
            let children = visible_children(widget);
            let side_by_side = children.len() > 1 && width >= TWO_COLUMNS;
            let column = if side_by_side {
                column_width(width, children.len())
            } else {
                width
            };
            let (mut x, mut y) = (0, 0);
            for child in children {
                let height = child.measure(gtk::Orientation::Vertical, column).1;
                child.size_allocate(&gtk::Allocation::new(x, y, column, height), -1);
                if side_by_side {
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

fn column_width(width: i32, columns: usize) -> i32 {
    let columns = columns as i32;
    (width - SPACING * (columns - 1)) / columns
}

fn visible_children(widget: &gtk::Widget) -> Vec<gtk::Widget> {
    let next = |child: &gtk::Widget| child.next_sibling();
    std::iter::successors(widget.first_child(), next)
        .filter(|child| child.should_layout())
        .collect()
}
