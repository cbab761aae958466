//! Colours that can be read on the ground that there is.
//!
//! Programs choose colours for a terminal of whatever ground, often badly. Each is moved towards black or white until
//! it stands out enough, so one rule serves light, dark and high contrast.

use gtk::gdk::RGBA;

use super::style::{Colour, STEPS};

/// What text is drawn on, and how much it must stand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ground {
    pub(super) dark: bool,
    pub(super) high_contrast: bool,
}

type Rgb = [f32; 3];

const WHITE: Rgb = [1.0; 3];
const BLACK: Rgb = [0.0; 3];

/// The 16 with names, from GNOME's palette.
const NAMED: [u32; 16] = [
    0x24_1f31, 0xc0_1c28, 0x26_a269, 0xe5_a50a, 0x1a_5fb4, 0x81_3d9c, 0x1f_8c9c, 0xc0_bfbc, //
    0x77_767b, 0xf6_6151, 0x57_e389, 0xf8_e45c, 0x62_a0ea, 0xdc_8add, 0x4f_d2fd, 0xff_ffff,
];

impl Ground {
    /// libadwaita's `view_bg_color`.
    fn own(self) -> Rgb {
        if self.dark { rgb(0x1e_1e1e) } else { WHITE }
    }

    /// As WCAG 2 asks: 1.4.3 for all, 1.4.6 for who asks for more.
    fn enough(self) -> f32 {
        if self.high_contrast { 7.0 } else { 4.5 }
    }

    /// Text in `colour` on this ground.
    pub(super) fn text(self, colour: Colour) -> RGBA {
        rgba(readable(of(colour), self.own(), self.enough()))
    }

    /// Text that matters less.
    pub(super) fn dim(self) -> RGBA {
        rgba(readable(of(8), self.own(), self.enough()))
    }

    /// A ground of `colour`, and the text that is best read on it.
    pub(super) fn block(self, colour: Colour) -> (RGBA, RGBA) {
        let ground = of(colour);
        let text = if contrast(WHITE, ground) > contrast(BLACK, ground) {
            WHITE
        } else {
            BLACK
        };
        (rgba(ground), rgba(text))
    }

    /// The ground and the text of words that are shown the other way round.
    pub(super) fn inverse(self) -> (RGBA, RGBA) {
        let ground = self.own();
        let text = if self.dark { WHITE } else { BLACK };
        (rgba(text), rgba(ground))
    }
}

fn rgb(hex: u32) -> Rgb {
    let [_, r, g, b] = hex.to_be_bytes();
    [r, g, b].map(|part| f32::from(part) / 255.0)
}

fn rgba([r, g, b]: Rgb) -> RGBA {
    RGBA::new(r, g, b, 1.0)
}

/// One of the 256.
fn of(colour: Colour) -> Rgb {
    match colour {
        0..16 => rgb(NAMED[usize::from(colour)]),
        16..232 => {
            let at = colour - 16;
            [at / 36, at / 6 % 6, at % 6].map(|step| f32::from(STEPS[usize::from(step)]) / 255.0)
        }
        232.. => [f32::from(8 + 10 * (colour - 232)) / 255.0; 3],
    }
}

/// `colour`, moved away from `ground` until it stands out enough.
fn readable(colour: Rgb, ground: Rgb, enough: f32) -> Rgb {
    let end = if luminance(ground) < 0.18 {
        WHITE
    } else {
        BLACK
    };
    (0..=20)
        .map(|step| {
            let part = step as f32 / 20.0;
            [0, 1, 2].map(|n| colour[n] * (1.0 - part) + end[n] * part)
        })
        .find(|colour| contrast(*colour, ground) >= enough)
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

    const GROUNDS: [Ground; 4] = [
        Ground {
            dark: false,
            high_contrast: false,
        },
        Ground {
            dark: false,
            high_contrast: true,
        },
        Ground {
            dark: true,
            high_contrast: false,
        },
        Ground {
            dark: true,
            high_contrast: true,
        },
    ];

    fn back(colour: RGBA) -> Rgb {
        [colour.red(), colour.green(), colour.blue()]
    }

    #[test]
    fn every_colour_can_be_read_on_every_ground() {
        for ground in GROUNDS {
            for colour in 0..=255 {
                let seen = contrast(back(ground.text(colour)), ground.own());
                assert!(seen >= ground.enough(), "{colour} on {ground:?}: {seen}");
                let (block, text) = ground.block(colour);
                assert!(contrast(back(text), back(block)) >= 4.5, "on {colour}");
            }
        }
    }

    #[test]
    fn contrast_is_as_wcag_has_it() {
        assert!((contrast(BLACK, WHITE) - 21.0).abs() < 0.01);
        assert!((contrast(rgb(0x77_7777), WHITE) - 4.48).abs() < 0.01);
    }

    #[test]
    fn what_can_be_read_already_stays_as_it_is() {
        let light = GROUNDS[0];
        assert_eq!(back(light.text(1)), of(1), "dark red on white");
        assert_ne!(back(light.text(11)), of(11), "light yellow on white");
    }
}
