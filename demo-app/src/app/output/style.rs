//! How characters look, as programs say it: SGR, "select graphic rendition", ECMA-48 8.3.117 and xterm's colours.

/// One of xterm's 256 colours: 16 with names, a cube of 6 by 6 by 6, and 24 greys.
pub(super) type Colour = u8;

/// How characters look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) colour: Option<Colour>,
    pub(super) ground: Option<Colour>,
    pub(super) bold: bool,
    pub(super) dim: bool,
    pub(super) italic: bool,
    pub(super) underlined: bool,
    pub(super) struck: bool,
    pub(super) inverse: bool,
}

impl Style {
    /// Changes it as the parameters of one sequence say, `1;38;5;208`. What is not known is left out.
    pub(super) fn change(&mut self, parameters: &str) {
        let mut parameters = parameters.split(';');
        while let Some(parameter) = parameters.next() {
            // A colon belongs to one parameter: `4:3` is a curly line, `38:2::255:128:0` a colour.
            let (code, rest) = parameter.split_once(':').unwrap_or((parameter, ""));
            let colon = parameter.contains(':');
            match number(code) {
                Some(0) => *self = Self::default(),
                Some(1) => self.bold = true,
                Some(2) => self.dim = true,
                Some(3) => self.italic = true,
                Some(4) => self.underlined = rest != "0",
                Some(7) => self.inverse = true,
                Some(9) => self.struck = true,
                Some(21) => self.underlined = true,
                Some(22) => (self.bold, self.dim) = (false, false),
                Some(23) => self.italic = false,
                Some(24) => self.underlined = false,
                Some(27) => self.inverse = false,
                Some(29) => self.struck = false,
                Some(code @ 30..=37) => self.colour = Some(code as u8 - 30),
                Some(code @ 90..=97) => self.colour = Some(code as u8 - 90 + 8),
                Some(code @ 40..=47) => self.ground = Some(code as u8 - 40),
                Some(code @ 100..=107) => self.ground = Some(code as u8 - 100 + 8),
                Some(39) => self.colour = None,
                Some(49) => self.ground = None,
                Some(code @ (38 | 48)) => {
                    let colour = if colon {
                        extended(&mut rest.split(':'), true)
                    } else {
                        extended(&mut parameters, false)
                    };
                    match (code, colour) {
                        (38, Some(colour)) => self.colour = Some(colour),
                        (48, Some(colour)) => self.ground = Some(colour),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }
}

/// No number is 0, as ECMA-48 has it.
fn number(text: &str) -> Option<u16> {
    if text.is_empty() {
        Some(0)
    } else {
        text.parse().ok()
    }
}

/// What follows 38 or 48: `5;N`, or `2;R;G;B`; with colons there may be a colour space before R.
fn extended<'a>(rest: &mut impl Iterator<Item = &'a str>, colon: bool) -> Option<Colour> {
    match number(rest.next()?)? {
        5 => u8::try_from(number(rest.next()?)?).ok(),
        2 => {
            let mut parts: Vec<&str> = if colon {
                rest.collect()
            } else {
                rest.take(3).collect()
            };
            if parts.len() > 3 {
                parts.remove(0);
            }
            let mut parts = parts
                .into_iter()
                .map(|part| number(part).map(|part| part.min(255) as u8));
            Some(nearest([parts.next()??, parts.next()??, parts.next()??]))
        }
        _ => None,
    }
}

/// The steps of the cube.
pub(super) const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The colour of the cube that is nearest: a program's text needs no millions of them.
fn nearest(rgb: [u8; 3]) -> Colour {
    let [r, g, b] = rgb.map(|value| {
        let distance = |step: &usize| STEPS[*step].abs_diff(value);
        (0..STEPS.len()).min_by_key(distance).unwrap_or_default() as u8
    });
    16 + 36 * r + 6 * g + b
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(parameters: &str) -> Style {
        let mut style = Style::default();
        style.change(parameters);
        style
    }

    #[test]
    fn attributes_add_up_until_they_are_taken_back() {
        let mut both = style("1;31");
        assert_eq!((both.bold, both.colour), (true, Some(1)));
        both.change("44");
        assert_eq!(
            (both.bold, both.colour, both.ground),
            (true, Some(1), Some(4))
        );
        both.change("22;39");
        assert_eq!(both, style("44"));
        both.change("");
        assert_eq!(both, Style::default());
    }

    #[test]
    fn colours_come_in_four_ways() {
        assert_eq!(style("97").colour, Some(15));
        assert_eq!(style("38;5;208").colour, Some(208));
        assert_eq!(style("38;2;255;0;0").colour, Some(196));
        assert_eq!(style("38:2::255:0:0").colour, Some(196));
        assert_eq!(style("48:5:17").ground, Some(17));
        let after = style("38;5;208;1");
        assert!(after.bold, "what follows a colour is read on");
    }

    #[test]
    fn nonsense_changes_nothing() {
        for nonsense in [
            "38", "38;5", "38;5;999", "38;2;1;2", "99999999", "x", "38:2:1", "?25",
        ] {
            assert_eq!(style(nonsense), Style::default(), "{nonsense}");
        }
    }
}
