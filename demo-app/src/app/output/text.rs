//! A program's output in a text buffer: what a text view shows, and what is copied.
//!
//! The buffer changes a few times a second however fast a program writes, and then only by what is new. Colours are
//! tags, one for each that occurs; when the desktop turns dark, the tags change and not the text.

use std::time::Duration;

use gtk::{glib, glib::clone, prelude::*, subclass::prelude::*};

use super::{
    colour::Ground,
    screen::{KEPT, News, Screen},
    style::Style,
    tag::{Look, Tag, looks},
};

/// The buffer is changed at most this often.
const SHOW_EVERY: Duration = Duration::from_millis(60);

mod imp {
    use std::cell::{Cell, RefCell};

    use super::*;

    #[derive(Default)]
    pub(crate) struct Output {
        pub(super) buffer: gtk::TextBuffer,
        /// On all of the text: what is seen is what was written.
        pub(super) verbatim: gtk::TextTag,
        pub(super) screen: RefCell<Screen>,
        /// What has come is shown soon.
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
            // Else a word that is too long for its line gets a hyphen that nobody has written.
            self.verbatim.set_insert_hyphens(false);
            self.buffer.tag_table().add(&self.verbatim);
            let style = adw::StyleManager::default();
            for change in ["dark", "high-contrast"] {
                style.connect_notify_local(
                    Some(change),
                    clone!(
                        #[weak(rename_to = output)]
                        self.obj(),
                        move |_, _| output.colour_again()
                    ),
                );
            }
        }
    }
}

glib::wrapper! {
    /// What a program has written.
    pub(crate) struct Output(ObjectSubclass<imp::Output>);
}

impl Default for Output {
    fn default() -> Self {
        glib::Object::new()
    }
}

impl Output {
    /// The text, to be shown.
    pub(crate) fn buffer(&self) -> &gtk::TextBuffer {
        &self.imp().buffer
    }

    /// All of it, as it is copied.
    pub(crate) fn all(&self) -> String {
        let (start, end) = self.buffer().bounds();
        self.buffer().text(&start, &end, false).into()
    }

    /// The last line in which there is something.
    pub(crate) fn last_line(&self) -> String {
        self.imp().screen.borrow().last_line()
    }

    /// Takes in what was written, and shows it soon.
    pub(crate) fn write(&self, bytes: &[u8]) {
        let imp = self.imp();
        imp.screen.borrow_mut().feed(bytes);
        if !imp.due.replace(true) {
            glib::timeout_add_local_once(
                SHOW_EVERY,
                clone!(
                    #[weak(rename_to = output)]
                    self,
                    move || output.show()
                ),
            );
        }
    }

    /// Nothing more will come: shows what is left.
    pub(crate) fn finish(&self) {
        self.imp().screen.borrow_mut().finish();
        self.show();
    }

    fn show(&self) {
        let imp = self.imp();
        imp.due.set(false);
        let News { whole, open } = imp.screen.borrow_mut().news();
        let buffer = &imp.buffer;
        // The open line is drawn anew; with a bufferful of new lines, so is everything.
        let kept = if whole.len() < KEPT {
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
        let lines = whole.len();
        for (number, line) in whole.iter().chain([&open]).enumerate() {
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
            for look in looks(style) {
                buffer.apply_tag(&self.tag(look), &start, &end);
            }
        }
        let surplus = buffer.line_count() - KEPT as i32;
        if surplus > 0
            && let Some(mut kept) = buffer.iter_at_line(surplus)
        {
            buffer.delete(&mut buffer.start_iter(), &mut kept);
        }
    }

    fn tag(&self, look: Look) -> gtk::TextTag {
        let (table, name) = (self.buffer().tag_table(), look.name());
        table.lookup(&name).unwrap_or_else(|| {
            let tag = Tag::new(&name);
            look.dress(tag.upcast_ref(), ground());
            table.add(&tag);
            tag.upcast()
        })
    }

    /// The desktop has turned dark or light, or wants more contrast.
    fn colour_again(&self) {
        let ground = ground();
        self.buffer().tag_table().foreach(|tag| {
            let look = tag.name().and_then(|name| Look::named(&name));
            if let Some(look) = look {
                look.dress(tag, ground);
            }
        });
    }
}

fn ground() -> Ground {
    let style = adw::StyleManager::default();
    Ground {
        dark: style.is_dark(),
        high_contrast: style.is_high_contrast(),
    }
}
