//! The style of text in a buffer: tags, each for one attribute.

use gtk::{gdk, glib, pango, prelude::*, subclass::prelude::*};

use super::{
    colour::Background,
    style::{Colour, Style},
};

mod imp {
    use super::*;

    #[derive(Default, glib::Properties)]
    #[properties(wrapper_type = super::Tag)]
    pub(crate) struct Tag {
        /// In GTK this is a string that can only be set. When a screen reader asks for the attributes of text, GTK 4.8
        /// reads it as a colour nevertheless, and crashes. So here it is a colour that can be read.
        #[property(name = "foreground", get = Self::colour)]
        colour: std::marker::PhantomData<gdk::RGBA>,
    }

    impl Tag {
        fn colour(&self) -> gdk::RGBA {
            self.obj().foreground_rgba().unwrap_or(gdk::RGBA::BLACK)
        }
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Tag {
        const NAME: &'static str = "LegworkDemoTag";
        type Type = super::Tag;
        type ParentType = gtk::TextTag;
    }

    #[glib::derived_properties]
    impl ObjectImpl for Tag {}

    // SAFETY: GtkTextTag is derivable (its class structure is public), and no method of its class is overridden here, so
    // that the bindings have nothing to set up.
    #[allow(unsafe_code)]
    unsafe impl IsSubclassable<Tag> for gtk::TextTag {}
}

glib::wrapper! {
    /// A text tag that is safe with screen readers.
    pub(crate) struct Tag(ObjectSubclass<imp::Tag>)
        @extends gtk::TextTag;
}

impl Default for Tag {
    fn default() -> Self {
        glib::Object::new()
    }
}

/// An attribute of text. There are a few hundred, so the number of tags is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Attribute {
    Text(Colour),
    /// A coloured background; its text is black or white, whichever has more contrast.
    Block(Colour),
    Inverse,
    Dim,
    Bold,
    Italic,
    Underlined,
    Struck,
}

/// The attributes of a style.
pub(super) fn attributes(style: Style) -> impl Iterator<Item = Attribute> {
    let block = style.background.map(Attribute::Block);
    let (text, block) = match (style.inverse, style.foreground) {
        (true, Some(colour)) => (None, Some(Attribute::Block(colour))),
        (true, None) => (None, Some(Attribute::Inverse)),
        // The text on a coloured background has the colour that can be read there.
        (false, colour) => (
            colour.map(Attribute::Text).filter(|_| block.is_none()),
            block,
        ),
    };
    let dim = style.dim && text.is_none() && block.is_none();
    [
        text,
        block,
        dim.then_some(Attribute::Dim),
        style.bold.then_some(Attribute::Bold),
        style.italic.then_some(Attribute::Italic),
        style.underlined.then_some(Attribute::Underlined),
        style.struck.then_some(Attribute::Struck),
    ]
    .into_iter()
    .flatten()
}

impl Attribute {
    /// Gives a tag this attribute, as it can be read on `background`.
    pub(super) fn set_up(self, tag: &gtk::TextTag, background: Background) {
        let block = |(background, text): (gdk::RGBA, gdk::RGBA)| {
            tag.set_background_rgba(Some(&background));
            tag.set_foreground_rgba(Some(&text));
        };
        match self {
            Self::Text(colour) => tag.set_foreground_rgba(Some(&background.text(colour))),
            Self::Dim => tag.set_foreground_rgba(Some(&background.dim())),
            Self::Block(colour) => block(background.block(colour)),
            Self::Inverse => block(background.inverse()),
            Self::Bold => tag.set_weight(700),
            Self::Italic => tag.set_style(pango::Style::Italic),
            Self::Underlined => tag.set_underline(pango::Underline::Single),
            Self::Struck => tag.set_strikethrough(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_a_coloured_background_the_text_has_no_colour_of_its_own() {
        let style = Style {
            foreground: Some(1),
            background: Some(2),
            bold: true,
            ..Style::default()
        };
        assert_eq!(
            attributes(style).collect::<Vec<_>>(),
            [Attribute::Block(2), Attribute::Bold]
        );
        let inverse = Style {
            inverse: true,
            ..style
        };
        assert_eq!(attributes(inverse).next(), Some(Attribute::Block(1)));
    }
}
