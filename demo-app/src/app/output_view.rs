//! The output of a program as it is written, and an entry for its input.

use adw::prelude::*;
use gtk::{gdk, glib, glib::clone};

use super::{accessible, job::Job, tail_view::TailView, terminal_size};

/// The view of the output of `job`.
pub(super) fn new(job: &Job) -> TailView {
    let output = job.output();
    let buffer = output.buffer();
    let text = gtk::TextView::builder()
        .buffer(buffer)
        .editable(false)
        .cursor_visible(false)
        .monospace(true)
        .wrap_mode(gtk::WrapMode::Char)
        .top_margin(9)
        .bottom_margin(9)
        .left_margin(12)
        .right_margin(12)
        .build();
    text.add_css_class("output");
    accessible::set_name(&text, "Output");
    let view = TailView::new("Output", "program-symbolic", None, &text);
    job.bind_property("running", view.empty_page(), "description")
        .transform_to(|_, running: bool| {
            Some(match running {
                true => "The program’s output appears here.",
                false => "The program wrote nothing.",
            })
        })
        .sync_create()
        .build();
    follow(&view, &text);
    terminal_size::watch(
        view.scrolled(),
        &text,
        clone!(
            #[weak]
            job,
            move |size| job.program().resize_terminal(size)
        ),
    );
    view.connect_copy(
        "Output copied",
        clone!(
            #[weak]
            output,
            #[upgrade_or_default]
            move || output.all()
        ),
    );

    let (answer_bar, answer) = answer_bar(job);
    view.append(&answer_bar);
    let changed = clone!(
        #[weak]
        view,
        #[weak]
        job,
        #[weak]
        answer,
        move |buffer: &gtk::TextBuffer| {
            view.set_empty(buffer.char_count() == 0);
            // A password must not be visible.
            let prompt = job.output().last_line().to_lowercase();
            let secret = ["password", "passphrase"]
                .iter()
                .any(|word| prompt.contains(word));
            answer.set_visibility(!secret);
        }
    );
    changed(buffer);
    buffer.connect_changed(changed);

    // The newest output is at the end, so the search begins there.
    let entry = view.search_entry();
    let search = |backward, next| {
        clone!(
            #[weak]
            view,
            #[weak]
            text,
            move |entry: &gtk::SearchEntry| {
                entry.remove_css_class("error");
                if entry.text().is_empty() {
                } else if find(&text, &entry.text(), backward, next) {
                    view.stop_following();
                } else {
                    entry.add_css_class("error");
                }
            }
        )
    };
    entry.connect_search_changed(search(true, false));
    entry.connect_activate(search(true, true));
    entry.connect_previous_match(search(true, true));
    entry.connect_next_match(search(false, true));
    view
}

fn follow(view: &TailView, text: &gtk::TextView) {
    let buffer = text.buffer();
    let end = buffer.create_mark(None, &buffer.end_iter(), false);
    view.set_scroll_to_end(clone!(
        #[weak]
        text,
        move || text.scroll_to_mark(&end, 0.0, true, 0.0, 1.0)
    ));
    // A text is laid out in steps, and again when its width changes.
    let adjustment = view.scrolled().vadjustment();
    for property in ["upper", "page-size"] {
        adjustment.connect_notify_local(
            Some(property),
            clone!(
                #[weak]
                view,
                move |_, _| view.scroll_to_end()
            ),
        );
    }
    buffer.connect_changed(clone!(
        #[weak]
        view,
        move |_| view.scroll_to_end()
    ));
}

/// The entry for the program's input, and the bar around it.
fn answer_bar(job: &Job) -> (gtk::Revealer, gtk::Entry) {
    let builder = gtk::Builder::from_resource("/org/legwork/Demo/answer-bar.ui");
    let bar: gtk::Revealer = builder.object("answer_bar").expect("in the template");
    let answer: gtk::Entry = builder.object("answer").expect("in the template");
    let send: gtk::Button = builder.object("send").expect("in the template");
    job.bind_property("accepts-input", &bar, "reveal-child")
        .sync_create()
        .build();
    answer.connect_activate(clone!(
        #[weak]
        job,
        move |answer| {
            job.program()
                .answer(format!("{}\n", answer.text()).as_bytes());
            answer.set_text("");
        }
    ));
    send.connect_clicked(clone!(
        #[weak]
        answer,
        move |_| answer.emit_activate()
    ));
    // As in a terminal: the end of the input.
    let keys = gtk::EventControllerKey::new();
    keys.set_propagation_phase(gtk::PropagationPhase::Capture);
    keys.connect_key_pressed(clone!(
        #[weak]
        job,
        #[upgrade_or]
        glib::Propagation::Proceed,
        move |_, key, _, modifiers| {
            if key == gdk::Key::d && modifiers == gdk::ModifierType::CONTROL_MASK {
                job.program().answer(b"\x04");
                return glib::Propagation::Stop;
            }
            glib::Propagation::Proceed
        }
    ));
    answer.add_controller(keys);
    (bar, answer)
}

/// Selects the match before or after the selection, or with `next` the following one; continues at the other end.
/// Returns whether there is one.
fn find(view: &gtk::TextView, text: &str, backward: bool, next: bool) -> bool {
    let buffer = view.buffer();
    let (first, last) = buffer.bounds();
    let flags = gtk::TextSearchFlags::CASE_INSENSITIVE | gtk::TextSearchFlags::TEXT_ONLY;
    let (start, end) = match buffer.selection_bounds() {
        Some((start, end)) if next => (start, end),
        _ => (last, last),
    };
    let found = if backward {
        start
            .backward_search(text, flags, None)
            .or_else(|| last.backward_search(text, flags, None))
    } else {
        end.forward_search(text, flags, None)
            .or_else(|| first.forward_search(text, flags, None))
    };
    if let Some((mut start, end)) = found {
        buffer.select_range(&start, &end);
        view.scroll_to_iter(&mut start, 0.1, false, 0.0, 0.0);
    }
    found.is_some()
}
