//! What a program writes, as a person reads it: text with its colours, bounded, the newest in sight.
//!
//! It is not a terminal. A line may be drawn over again, as progress lines are, and colours are kept; whatever else
//! a program says to a terminal is left out. Every part holds a bounded amount, however much a program writes.
//!
//! - [`escape`]: from bytes, cut anywhere, to characters and what to do with them.
//! - [`style`]: how characters look, as programs say it.
//! - [`screen`]: lines, and which of them have changed.
//! - [`colour`]: colours that can be read on the ground that there is: light, dark, high contrast.
//! - [`tag`]: those looks as tags; [`text`]: all of it in a text buffer.
//! - [`view`]: what is seen, with an answer for a program that asks; [`size`]: how much is in sight of it.

mod colour;
mod escape;
mod screen;
mod style;
mod tag;
mod text;

pub(super) use self::{screen::plain, text::Output};
