//! A layout of several columns where the width allows it, and of one column where it does not.
//!
//! A flow box decides by the natural width of its children. That of a paragraph is one long line, which never fits. This
//! layout decides by the available width.

use gtk::{glib, prelude::*, subclass::prelude::*};

/// The least width for more than one column of text, in pixels.
const SEVERAL_COLUMNS: i32 = 680;
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
            width: i32,
        ) -> (i32, i32, i32, i32) {
            let children = visible_children(widget);
            if orientation == gtk::Orientation::Horizontal {
                let sizes = children.iter().map(|child| child.measure(orientation, -1));
                let widest = sizes.fold((0, SEVERAL_COLUMNS), |widest, size| {
                    (widest.0.max(size.0), widest.1.max(size.1))
                });
                return (widest.0, widest.1, -1, -1);
            }
            let (columns, width) = columns(children.len(), width);
            let rows = children.chunks(columns).map(|row| row_height(row, width));
            let height = rows.map(|height| height + SPACING).sum::<i32>() - SPACING;
            (height.max(0), height.max(0), -1, -1)
        }

        fn allocate(&self, widget: &gtk::Widget, width: i32, _height: i32, _baseline: i32) {
            let children = visible_children(widget);
            let (columns, width) = columns(children.len(), width);
            let mut y = 0;
            for row in children.chunks(columns) {
                for (child, x) in row.iter().zip((0..).step_by((width + SPACING) as usize)) {
                    let height = row_height(std::slice::from_ref(child), width);
                    child.size_allocate(&gtk::Allocation::new(x, y, width, height), -1);
                }
                y += row_height(row, width) + SPACING;
            }
        }
    }
}

glib::wrapper! {
    /// A layout of one or several columns.
    pub(crate) struct Columns(ObjectSubclass<imp::Columns>) @extends gtk::LayoutManager;
}

/// The number of columns in this width, and the width of each.
fn columns(children: usize, width: i32) -> (usize, i32) {
    let count = if width >= SEVERAL_COLUMNS {
        children.max(1)
    } else {
        1
    };
    (count, (width + SPACING) / count as i32 - SPACING)
}

fn row_height(row: &[gtk::Widget], width: i32) -> i32 {
    let heights = row
        .iter()
        .map(|child| child.measure(gtk::Orientation::Vertical, width).1);
    heights.max().unwrap_or(0)
}

fn visible_children(widget: &gtk::Widget) -> Vec<gtk::Widget> {
    let next = |child: &gtk::Widget| child.next_sibling();
    std::iter::successors(widget.first_child(), next)
        .filter(|child| child.should_layout())
        .collect()
}
