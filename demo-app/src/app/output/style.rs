//! The style of characters: SGR, "select graphic rendition", of ECMA-48 8.3.117, with the colours of xterm.

use vte::Params;

/// One of xterm's 256 colours: 16 with names, a cube of 6 by 6 by 6, and 24 greys.
pub(super) type Colour = u8;

/// The style of a character.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) foreground: Option<Colour>,
    pub(super) background: Option<Colour>,
    pub(super) bold: bool,
    pub(super) dim: bool,
    pub(super) italic: bool,
    pub(super) underlined: bool,
    pub(super) struck: bool,
    pub(super) inverse: bool,
}

impl Style {
    /// Changes it as the parameters of a sequence say, `1;38;5;208`. Unknown ones are ignored.
    pub(super) fn change(&mut self, params: &Params) {
        let mut params = params.iter();
        while let Some(param) = params.next() {
            // A parameter may have parts: `4:3` is a curly underline, `38:2::255:128:0` a colour.
            let (code, parts) = (param[0], &param[1..]);
            match code {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.dim = true,
                3 => self.italic = true,
                4 => self.underlined = parts != [0],
                7 => self.inverse = true,
                9 => self.struck = true,
                21 => self.underlined = true,
                22 => (self.bold, self.dim) = (false, false),
                23 => self.italic = false,
                24 => self.underlined = false,
                27 => self.inverse = false,
                29 => self.struck = false,
                30..=37 => self.foreground = Some(code as u8 - 30),
                90..=97 => self.foreground = Some(code as u8 - 90 + 8),
                40..=47 => self.background = Some(code as u8 - 40),
                100..=107 => self.background = Some(code as u8 - 100 + 8),
                39 => self.foreground = None,
                49 => self.background = None,
                38 | 48 => {
                    let colour = match parts {
                        [] => extended(&mut params.by_ref().map(|param| param[0])),
                        // There may be a colour space before the three values.
                        [2, _, rgb @ ..] if rgb.len() >= 3 => rgb_colour(&mut rgb.iter().copied()),
                        parts => extended(&mut parts.iter().copied()),
                    };
                    match (code, colour) {
                        (38, Some(colour)) => self.foreground = Some(colour),
                        (48, Some(colour)) => self.background = Some(colour),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }
}

/// The colour after 38 or 48: `5;N` or `2;R;G;B`.
fn extended(params: &mut impl Iterator<Item = u16>) -> Option<Colour> {
    match params.next()? {
        5 => Colour::try_from(params.next()?).ok(),
        2 => rgb_colour(params),
        _ => None,
    }
}

fn rgb_colour(params: &mut impl Iterator<Item = u16>) -> Option<Colour> {
    let mut value = || params.next().map(|value| value.min(255) as u8);
    Some(nearest([value()?, value()?, value()?]))
}

/// The values along an edge of the cube.
pub(super) const CUBE: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The nearest colour of the cube: the colours of a text need not be exact.
fn nearest(rgb: [u8; 3]) -> Colour {
    let [r, g, b] = rgb.map(|value| {
        let distance = |index: &usize| CUBE[*index].abs_diff(value);
        (0..CUBE.len()).min_by_key(distance).unwrap_or_default() as u8
    });
    16 + 36 * r + 6 * g + b
}

#[cfg(test)]
mod tests {
    use super::{
        super::escape::{Action, Parser},
        *,
    };

    /// The style after sequences with these parameters.
    fn style(all: &[&str]) -> Style {
        let mut parser = Parser::default();
        let mut style = Style::default();
        for parameters in all {
            let text = format!("\x1b[{parameters}m.");
            parser.feed(text.as_bytes(), |action| {
                if let Action::Write('.', written) = action {
                    style = written;
                }
            });
        }
        style
    }

    #[test]
    fn attributes_add_up_until_they_are_reset() {
        let both = style(&["1;31"]);
        assert_eq!((both.bold, both.foreground), (true, Some(1)));
        let three = style(&["1;31", "44"]);
        assert_eq!(
            (three.bold, three.foreground, three.background),
            (true, Some(1), Some(4))
        );
        assert_eq!(style(&["1;31", "44", "22;39"]), style(&["44"]));
        assert_eq!(style(&["1;31", ""]), Style::default());
    }

    #[test]
    fn there_are_four_ways_to_write_a_colour() {
        assert_eq!(style(&["97"]).foreground, Some(15));
        assert_eq!(style(&["38;5;208"]).foreground, Some(208));
        assert_eq!(style(&["38;2;255;0;0"]).foreground, Some(196));
        assert_eq!(style(&["38:2::255:0:0"]).foreground, Some(196));
        assert_eq!(style(&["38:2:255:0:0"]).foreground, Some(196));
        assert_eq!(style(&["48:5:17"]).background, Some(17));
        assert!(
            style(&["38;5;208;1"]).bold,
            "what follows a colour is parsed"
        );
        assert!(!style(&["4", "4:0"]).underlined && style(&["4:3"]).underlined);
    }

    #[test]
    fn invalid_parameters_change_nothing() {
        let invalid = [
            "38", "38;5", "38;5;999", "38;2;1;2", "99999999", "x", "38:2:1", "?25", "?1", ">4;1",
        ];
        for parameters in invalid {
            assert_eq!(style(&[parameters]), Style::default(), "{parameters}");
        }
    }
}
