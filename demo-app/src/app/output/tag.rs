//! How text in a buffer looks: tags, each for one thing about it.

use gtk::{gdk, glib, pango, prelude::*, subclass::prelude::*};

use super::{
    colour::Ground,
    style::{Colour, Style},
};

mod imp {
    use super::*;

    #[derive(Default, glib::Properties)]
    #[properties(wrapper_type = super::Tag)]
    pub(crate) struct Tag {
        /// GTK has this as a string that can only be set. When a screen reader asks what text looks like, GTK 4.8
        /// reads it nevertheless, as a colour, and crashes. So here it is one.
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

    // SAFETY: a GtkTextTag is derivable (its class structure is public), and nothing of its class is overridden
    // here, so there is nothing for the bindings to set up.
    #[allow(unsafe_code)]
    unsafe impl IsSubclassable<Tag> for gtk::TextTag {}
}

glib::wrapper! {
    /// A text tag that screen readers may ask.
    pub(crate) struct Tag(ObjectSubclass<imp::Tag>)
        @extends gtk::TextTag;
}

impl Tag {
    pub(super) fn new(name: &str) -> Self {
        glib::Object::builder().property("name", name).build()
    }
}

/// One thing about how text looks. There are a few hundred, so the table of tags is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Text(Colour),
    /// A coloured ground; its text is black or white, whichever can be read.
    Block(Colour),
    Inverse,
    Dim,
    Bold,
    Italic,
    Underlined,
    Struck,
}

/// What makes up a style.
pub(super) fn looks(style: Style) -> impl Iterator<Item = Look> {
    let (colour, ground) = if style.inverse {
        (
            None,
            style
                .colour
                .map_or(Some(Look::Inverse), |colour| Some(Look::Block(colour))),
        )
    } else {
        (style.colour.map(Look::Text), style.ground.map(Look::Block))
    };
    let dim = style.dim && colour.is_none() && ground.is_none();
    let colour = if ground.is_some() { None } else { colour };
    [
        colour,
        ground,
        dim.then_some(Look::Dim),
        style.bold.then_some(Look::Bold),
        style.italic.then_some(Look::Italic),
        style.underlined.then_some(Look::Underlined),
        style.struck.then_some(Look::Struck),
    ]
    .into_iter()
    .flatten()
}

const PLAIN: [(Look, &str); 6] = [
    (Look::Inverse, "inverse"),
    (Look::Dim, "dim"),
    (Look::Bold, "bold"),
    (Look::Italic, "italic"),
    (Look::Underlined, "underlined"),
    (Look::Struck, "struck"),
];

impl Look {
    pub(super) fn name(self) -> String {
        match self {
            Self::Text(colour) => format!("text-{colour}"),
            Self::Block(colour) => format!("block-{colour}"),
            _ => PLAIN
                .iter()
                .find(|(look, _)| *look == self)
                .map_or("", |(_, name)| name)
                .to_owned(),
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        let number = |text: &str| text.parse().ok();
        match name.split_once('-') {
            Some(("text", colour)) => number(colour).map(Self::Text),
            Some(("block", colour)) => number(colour).map(Self::Block),
            _ => PLAIN
                .iter()
                .find(|(_, own)| *own == name)
                .map(|(look, _)| *look),
        }
    }

    pub(super) fn dress(self, tag: &gtk::TextTag, ground: Ground) {
        let block = |(ground, text): (gdk::RGBA, gdk::RGBA)| {
            tag.set_background_rgba(Some(&ground));
            tag.set_foreground_rgba(Some(&text));
        };
        match self {
            Self::Text(colour) => tag.set_foreground_rgba(Some(&ground.text(colour))),
            Self::Dim => tag.set_foreground_rgba(Some(&ground.dim())),
            Self::Block(colour) => block(ground.block(colour)),
            Self::Inverse => block(ground.inverse()),
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
    fn every_tag_is_found_again_by_its_name() {
        let all = PLAIN
            .map(|(look, _)| look)
            .into_iter()
            .chain([Look::Text(208), Look::Block(0)]);
        for tag in all {
            assert_eq!(Look::named(&tag.name()), Some(tag));
        }
        assert_eq!(Look::named("something"), None);
    }

    #[test]
    fn on_a_coloured_ground_the_text_has_no_colour_of_its_own() {
        let style = Style {
            colour: Some(1),
            ground: Some(2),
            bold: true,
            ..Style::default()
        };
        assert_eq!(
            looks(style).collect::<Vec<_>>(),
            [Look::Block(2), Look::Bold]
        );
        let inverse = Style {
            inverse: true,
            ..style
        };
        assert_eq!(looks(inverse).next(), Some(Look::Block(1)));
    }
}
