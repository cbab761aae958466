//! The size of a program's terminal: as many columns and rows as its text view has room for.

use std::{cell::Cell, rc::Rc, time::Duration};

use gtk::{glib, glib::clone, pango, prelude::*};

/// How often the terminal is resized while the window is being resized.
const INTERVAL: Duration = Duration::from_millis(250);

/// Programs lay out their lines badly, or divide by zero, in less than this; the text view wraps instead.
const MINIMUM: (u16, u16) = (20, 5);
/// More than any screen shows.
const MAXIMUM: (u16, u16) = (500, 300);

/// GTK reserves a pixel of each line for the cursor at its end.
const CURSOR: i32 = 1;

/// Calls `resize` with the columns and rows as soon as they are known, and after each change.
pub(super) fn watch(
    scrolled: &gtk::ScrolledWindow,
    text: &gtk::TextView,
    resize: impl Fn((u16, u16)) + 'static,
) {
    let (due, last) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(None)));
    let update = clone!(
        #[weak]
        scrolled,
        #[weak]
        text,
        #[strong]
        due,
        #[strong]
        last,
        move || {
            due.set(false);
            let size = size(&scrolled, &text);
            if size.is_some() && last.replace(size) != size {
                size.into_iter().for_each(&resize);
            }
        }
    );
    let update = Rc::new(update);
    for adjustment in [scrolled.hadjustment(), scrolled.vadjustment()] {
        let (due, last, update) = (due.clone(), last.clone(), update.clone());
        adjustment.connect_page_size_notify(move |_| {
            if due.replace(true) {
                return;
            }
            // The first one at once: until then the terminal has the size of another view.
            let wait = last.get().map_or(Duration::ZERO, |_| INTERVAL);
            let update = update.clone();
            glib::timeout_add_local_once(wait, move || update());
        });
    }
}

/// The columns and rows of the view; `None` before it has a size.
fn size(scrolled: &gtk::ScrolledWindow, text: &gtk::TextView) -> Option<(u16, u16)> {
    let page = |adjustment: gtk::Adjustment| adjustment.page_size() as i32;
    let width = page(scrolled.hadjustment()) - text.left_margin() - text.right_margin() - CURSOR;
    let height = page(scrolled.vadjustment()) - text.top_margin() - text.bottom_margin();
    if width <= 0 || height <= 0 {
        return None;
    }
    // The average of many: a single character's size is rounded.
    let many = 100;
    let layout = text.create_pango_layout(Some(&"0".repeat(many)));
    let (line_width, line_height) = layout.size();
    let columns = fitting(width, line_width, many as i32);
    let rows = fitting(height, line_height, 1);
    Some((
        columns.clamp(MINIMUM.0, MAXIMUM.0),
        rows.clamp(MINIMUM.1, MAXIMUM.1),
    ))
}

/// The number of characters that fit in `pixels`, where `count` of them measure `units` of Pango.
fn fitting(pixels: i32, units: i32, count: i32) -> u16 {
    let available = i64::from(pixels) * i64::from(pango::SCALE) * i64::from(count);
    u16::try_from(available / i64::from(units.max(1))).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_characters_fit() {
        let eight = 8 * pango::SCALE;
        assert_eq!(fitting(640, eight * 100, 100), 80);
        assert_eq!(fitting(639, eight * 100, 100), 79);
        assert_eq!(fitting(640, (eight + 1) * 100, 100), 79);
        assert_eq!(fitting(10, 0, 1), 10240, "a font without a size");
    }
}
