//! Colours that can be read on the background.
//!
//! Programs choose colours without knowing the background. Each colour is moved towards black or white until its contrast
//! suffices: one rule for light, dark and high contrast.

use gtk::gdk::RGBA;

use super::style::{CUBE, Colour};

/// The background of text, and the contrast that it requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Background {
    pub(super) dark: bool,
    pub(super) high_contrast: bool,
}

type Rgb = [f32; 3];

const WHITE: Rgb = [1.0; 3];
const BLACK: Rgb = [0.0; 3];

/// The 16 colours with names, from GNOME's palette.
const NAMED: [u32; 16] = [
    0x24_1f31, 0xc0_1c28, 0x26_a269, 0xe5_a50a, 0x1a_5fb4, 0x81_3d9c, 0x1f_8c9c, 0xc0_bfbc, //
    0x77_767b, 0xf6_6151, 0x57_e389, 0xf8_e45c, 0x62_a0ea, 0xdc_8add, 0x4f_d2fd, 0xff_ffff,
];

impl Background {
    /// libadwaita's `view_bg_color`.
    fn colour(self) -> Rgb {
        if self.dark { rgb(0x1e_1e1e) } else { WHITE }
    }

    /// The contrast that WCAG 2 requires: criterion 1.4.3, or 1.4.6 for high contrast.
    fn contrast(self) -> f32 {
        if self.high_contrast { 7.0 } else { 4.5 }
    }

    /// The colour of text on this background.
    pub(super) fn text(self, colour: Colour) -> RGBA {
        rgba(readable(of(colour), self.colour(), self.contrast()))
    }

    /// The colour of dim text.
    pub(super) fn dim(self) -> RGBA {
        rgba(readable(of(8), self.colour(), self.contrast()))
    }

    /// A background of `colour`, and the text colour with the most contrast.
    pub(super) fn block(self, colour: Colour) -> (RGBA, RGBA) {
        let background = of(colour);
        let text = if contrast(WHITE, background) > contrast(BLACK, background) {
            WHITE
        } else {
            BLACK
        };
        (rgba(background), rgba(text))
    }

    /// The background and the text of inverse text.
    pub(super) fn inverse(self) -> (RGBA, RGBA) {
        let background = self.colour();
        let text = if self.dark { WHITE } else { BLACK };
        (rgba(text), rgba(background))
    }
}

fn rgb(hex: u32) -> Rgb {
    let [_, r, g, b] = hex.to_be_bytes();
    [r, g, b].map(|part| f32::from(part) / 255.0)
}

fn rgba([r, g, b]: Rgb) -> RGBA {
    RGBA::new(r, g, b, 1.0)
}

/// The value of one of the 256 colours.
fn of(colour: Colour) -> Rgb {
    match colour {
        0..16 => rgb(NAMED[usize::from(colour)]),
        16..232 => {
            let index = colour - 16;
            [index / 36, index / 6 % 6, index % 6].map(|n| f32::from(CUBE[usize::from(n)]) / 255.0)
        }
        232.. => [f32::from(8 + 10 * (colour - 232)) / 255.0; 3],
    }
}

/// `colour`, moved away from `background` until its contrast is `required`.
fn readable(colour: Rgb, background: Rgb, required: f32) -> Rgb {
    let end = if luminance(background) < 0.18 {
        WHITE
    } else {
        BLACK
    };
    (0..=20)
        .map(|step| {
            let part = step as f32 / 20.0;
            [0, 1, 2].map(|n| colour[n] * (1.0 - part) + end[n] * part)
        })
        .find(|colour| contrast(*colour, background) >= required)
        .unwrap_or(end)
}

/// WCAG 2, "contrast ratio": 1 to 21.
fn contrast(one: Rgb, other: Rgb) -> f32 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// WCAG 2, "relative luminance".
fn luminance(colour: Rgb) -> f32 {
    let [r, g, b] = colour.map(|part| {
        if part <= 0.040_45 {
            part / 12.92
        } else {
            ((part + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn background(dark: bool, high_contrast: bool) -> Background {
        Background {
            dark,
            high_contrast,
        }
    }

    const BACKGROUNDS: [Background; 4] = [
        background(false, false),
        background(false, true),
        background(true, false),
        background(true, true),
    ];

    fn back(colour: RGBA) -> Rgb {
        [colour.red(), colour.green(), colour.blue()]
    }

    #[test]
    fn every_colour_can_be_read_on_every_background() {
        for background in BACKGROUNDS {
            for colour in 0..=255 {
                let seen = contrast(back(background.text(colour)), background.colour());
                assert!(
                    seen >= background.contrast(),
                    "{colour} on {background:?}: {seen}"
                );
                let (block, text) = background.block(colour);
                assert!(contrast(back(text), back(block)) >= 4.5, "on {colour}");
            }
        }
    }

    #[test]
    fn contrast_is_that_of_wcag() {
        assert!((contrast(BLACK, WHITE) - 21.0).abs() < 0.01);
        assert!((contrast(rgb(0x77_7777), WHITE) - 4.48).abs() < 0.01);
    }

    #[test]
    fn a_colour_that_can_be_read_is_not_changed() {
        let light = BACKGROUNDS[0];
        assert_eq!(back(light.text(1)), of(1), "dark red on white");
        assert_ne!(back(light.text(11)), of(11), "light yellow on white");
    }
}
