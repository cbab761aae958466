//! How many characters a text view has room for: what the terminal behind it is told.

use std::{cell::Cell, rc::Rc, time::Duration};

use gtk::{glib, glib::clone, pango, prelude::*};

/// While somebody drags an edge of the window, its size is told at most this often.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// Below this programs break their own lines into rags, or divide by nothing; the text view wraps instead.
const LEAST: (u16, u16) = (20, 5);
/// More than any screen shows.
const MOST: (u16, u16) = (500, 300);

/// GTK keeps a pixel of each line for a cursor behind its end.
const CURSOR: i32 = 1;

/// Calls `tell` with the columns and rows that are in sight, as soon as they are known and again after each change.
pub(super) fn watch(
    scrolled: &gtk::ScrolledWindow,
    text: &gtk::TextView,
    tell: impl Fn((u16, u16)) + 'static,
) {
    let (due, tell) = (Rc::new(Cell::new(false)), Rc::new(tell));
    let told = Rc::new(Cell::new(None));
    for adjustment in [scrolled.hadjustment(), scrolled.vadjustment()] {
        adjustment.connect_page_size_notify(clone!(
            #[weak]
            scrolled,
            #[weak]
            text,
            #[strong]
            due,
            #[strong]
            told,
            #[strong]
            tell,
            move |_| {
                if due.replace(true) {
                    return;
                }
                let (due, told, tell) = (due.clone(), told.clone(), tell.clone());
                // The first one at once: until then the program has the size of some other view.
                let wait = if told.get().is_some() {
                    TELL_EVERY
                } else {
                    Duration::ZERO
                };
                glib::timeout_add_local_once(wait, move || {
                    due.set(false);
                    let seen = seen(&scrolled, &text);
                    if seen.is_some() && told.replace(seen) != seen {
                        seen.iter().for_each(|seen| tell(*seen));
                    }
                });
            }
        ));
    }
}

/// The columns and rows in sight; nothing before there is a size.
fn seen(scrolled: &gtk::ScrolledWindow, text: &gtk::TextView) -> Option<(u16, u16)> {
    let page = |adjustment: gtk::Adjustment| adjustment.page_size() as i32;
    let width = page(scrolled.hadjustment()) - text.left_margin() - text.right_margin() - CURSOR;
    let height = page(scrolled.vadjustment()) - text.top_margin() - text.bottom_margin();
    if width <= 0 || height <= 0 {
        return None;
    }
    // Many characters, for one may be some part of a pixel wider than it says.
    let many = 100;
    let layout = text.create_pango_layout(Some(&"0".repeat(many)));
    let (line, row) = layout.size();
    let columns = fitting(width, line, many as i32);
    let rows = fitting(height, row, 1);
    Some((columns.clamp(LEAST.0, MOST.0), rows.clamp(LEAST.1, MOST.1)))
}

/// How many fit into so many pixels, when `count` of them take `taken` of Pango's units.
fn fitting(pixels: i32, taken: i32, count: i32) -> u16 {
    let all = i64::from(pixels) * i64::from(pango::SCALE) * i64::from(count);
    u16::try_from(all / i64::from(taken.max(1))).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_characters_count() {
        let eight = 8 * pango::SCALE;
        assert_eq!(fitting(640, eight * 100, 100), 80);
        assert_eq!(fitting(639, eight * 100, 100), 79);
        assert_eq!(fitting(640, (eight + 1) * 100, 100), 79);
        assert_eq!(fitting(10, 0, 1), 10240, "a font without a size");
    }
}
