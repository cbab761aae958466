//! A program's output in a text buffer, which a text view shows.
//!
//! However fast a program writes, the buffer changes a few times a second, and only by what is new. Colours are tags, one
//! for each that occurs; when the desktop's style changes, the tags change and not the text.

use std::{collections::HashMap, time::Duration};

use gtk::{glib, glib::clone, prelude::*, subclass::prelude::*};

use super::{
    colour::Background,
    screen::{Changes, LINES_MAX, Screen},
    style::Style,
    tag::{Attribute, Tag, attributes},
};

/// How often the buffer may change.
const INTERVAL: Duration = Duration::from_millis(60);

mod imp {
    use std::cell::{Cell, RefCell};

    use super::*;

    #[derive(Default)]
    pub(crate) struct Output {
        pub(super) buffer: gtk::TextBuffer,
        /// On all of the text, which is shown as it was written.
        pub(super) verbatim: gtk::TextTag,
        pub(super) tags: RefCell<HashMap<Attribute, Tag>>,
        pub(super) screen: RefCell<Screen>,
        /// Whether an update is due.
        pub(super) due: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Output {
        const NAME: &'static str = "LegworkDemoOutput";
        type Type = super::Output;
    }

    impl ObjectImpl for Output {
        fn constructed(&self) {
            self.parent_constructed();
            self.buffer.set_enable_undo(false);
            // Otherwise a word that is too long for its line gets a hyphen that was not written.
            self.verbatim.set_insert_hyphens(false);
            self.buffer.tag_table().add(&self.verbatim);
            let style = adw::StyleManager::default();
            for change in ["dark", "high-contrast"] {
                style.connect_notify_local(
                    Some(change),
                    clone!(
                        #[weak(rename_to = output)]
                        self.obj(),
                        move |_, _| output.update_colours()
                    ),
                );
            }
        }
    }
}

glib::wrapper! {
    /// The output of a program.
    pub(crate) struct Output(ObjectSubclass<imp::Output>);
}

impl Default for Output {
    fn default() -> Self {
        glib::Object::new()
    }
}

impl Output {
    /// The text.
    pub(crate) fn buffer(&self) -> &gtk::TextBuffer {
        &self.imp().buffer
    }

    /// All of the text, to be copied.
    pub(crate) fn all(&self) -> String {
        let (start, end) = self.buffer().bounds();
        self.buffer().text(&start, &end, false).into()
    }

    /// The last line that is not empty.
    pub(crate) fn last_line(&self) -> String {
        self.imp().screen.borrow().last_line()
    }

    /// Adds what was written, and shows it soon.
    pub(crate) fn write(&self, bytes: &[u8]) {
        let imp = self.imp();
        imp.screen.borrow_mut().feed(bytes);
        if !imp.due.replace(true) {
            glib::timeout_add_local_once(
                INTERVAL,
                clone!(
                    #[weak(rename_to = output)]
                    self,
                    move || output.show()
                ),
            );
        }
    }

    /// Shows what is incomplete: there is no more output.
    pub(crate) fn finish(&self) {
        self.imp().screen.borrow_mut().finish();
        self.show();
    }

    fn show(&self) {
        let imp = self.imp();
        imp.due.set(false);
        let Changes { complete, current } = imp.screen.borrow_mut().take_changes();
        let buffer = &imp.buffer;
        // The current line is replaced; if there are more new lines than are kept, so is everything.
        let kept = if complete.len() < LINES_MAX {
            buffer.line_count() - 1
        } else {
            0
        };
        let mut at = buffer
            .iter_at_line(kept)
            .unwrap_or_else(|| buffer.start_iter());
        buffer.delete(&mut at, &mut buffer.end_iter());

        let mut text = String::new();
        let mut styled = Vec::new();
        let begin = at.offset();
        let mut end = begin;
        let lines = complete.len();
        for (number, line) in complete.iter().chain([&current]).enumerate() {
            for run in line {
                let start = end;
                end += run.text.chars().count() as i32;
                text.push_str(&run.text);
                if run.style != Style::default() {
                    styled.push((start, end, run.style));
                }
            }
            if number < lines {
                text.push('\n');
                end += 1;
            }
        }
        buffer.insert(&mut at, &text);
        buffer.apply_tag(&imp.verbatim, &buffer.iter_at_offset(begin), &at);
        for (start, end, style) in styled {
            let (start, end) = (buffer.iter_at_offset(start), buffer.iter_at_offset(end));
            for attribute in attributes(style) {
                buffer.apply_tag(&self.tag(attribute), &start, &end);
            }
        }
        let surplus = buffer.line_count() - LINES_MAX as i32;
        if surplus > 0
            && let Some(mut kept) = buffer.iter_at_line(surplus)
        {
            buffer.delete(&mut buffer.start_iter(), &mut kept);
        }
    }

    fn tag(&self, attribute: Attribute) -> Tag {
        let mut tags = self.imp().tags.borrow_mut();
        let tag = tags.entry(attribute).or_insert_with(|| {
            let tag = Tag::default();
            attribute.set_up(tag.upcast_ref(), background());
            self.buffer().tag_table().add(&tag);
            tag
        });
        tag.clone()
    }

    /// Updates the tags when the desktop has become dark or light, or requires more contrast.
    fn update_colours(&self) {
        let background = background();
        for (attribute, tag) in &*self.imp().tags.borrow() {
            attribute.set_up(tag.upcast_ref(), background);
        }
    }
}

fn background() -> Background {
    let style = adw::StyleManager::default();
    Background {
        dark: style.is_dark(),
        high_contrast: style.is_high_contrast(),
    }
}
