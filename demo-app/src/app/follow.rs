//! Keeping the newest in sight as more comes, until somebody scrolls up.

use gtk::{glib, glib::clone, prelude::*};

/// Keeps the end of a list in sight while `toggle` is on.
pub(super) fn follow(scrolled: &gtk::ScrolledWindow, toggle: &gtk::ToggleButton) {
    let adjustment = scrolled.vadjustment();
    adjustment.connect_upper_notify(clone!(
        #[weak]
        toggle,
        move |adjustment| {
            if toggle.is_active() {
                to_end(adjustment);
            }
        }
    ));
    toggle.connect_active_notify(move |toggle| {
        if toggle.is_active() {
            to_end(&adjustment);
        }
    });
    by_hand(scrolled, toggle);
}

/// The same for a text, whose height is known only as it is laid out.
pub(super) fn follow_text(
    scrolled: &gtk::ScrolledWindow,
    text: &gtk::TextView,
    toggle: &gtk::ToggleButton,
) {
    let buffer = text.buffer();
    let end = buffer.create_mark(None, &buffer.end_iter(), false);
    let to_end = clone!(
        #[weak]
        text,
        #[weak]
        toggle,
        move || {
            if toggle.is_active() {
                text.scroll_to_mark(&end, 0.0, true, 0.0, 1.0);
            }
        }
    );
    to_end();
    toggle.connect_active_notify({
        let to_end = to_end.clone();
        move |_| to_end()
    });
    buffer.connect_changed({
        let to_end = to_end.clone();
        move |_| to_end()
    });
    // It is laid out piece by piece, and again when its width changes.
    let adjustment = scrolled.vadjustment();
    adjustment.connect_upper_notify({
        let to_end = to_end.clone();
        move |_| to_end()
    });
    adjustment.connect_page_size_notify(move |_| to_end());
    by_hand(scrolled, toggle);
}

fn to_end(adjustment: &gtk::Adjustment) {
    adjustment.set_value(adjustment.upper() - adjustment.page_size());
}

/// Scrolling up turns `toggle` off, scrolling to the end on.
fn by_hand(scrolled: &gtk::ScrolledWindow, toggle: &gtk::ToggleButton) {
    let wheel = gtk::EventControllerScroll::new(gtk::EventControllerScrollFlags::VERTICAL);
    wheel.set_propagation_phase(gtk::PropagationPhase::Capture);
    wheel.connect_scroll(clone!(
        #[weak]
        toggle,
        #[upgrade_or]
        glib::Propagation::Proceed,
        move |_, _, down| {
            if down < 0.0 {
                toggle.set_active(false);
            }
            glib::Propagation::Proceed
        }
    ));
    scrolled.add_controller(wheel);
    scrolled.connect_edge_reached(clone!(
        #[weak]
        toggle,
        move |_, edge| {
            if edge == gtk::PositionType::Bottom {
                toggle.set_active(true);
            }
        }
    ));
}
