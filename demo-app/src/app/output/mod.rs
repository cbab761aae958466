//! The output of a program as text with colours.
//!
//! This is not a terminal. A line may be overwritten, as progress lines are, and colours are kept; everything else that
//! a program sends to a terminal is ignored. Every part holds a bounded amount of memory, however much a program writes.
//!
//! - [`escape`]: from bytes to characters and actions.
//! - [`style`]: the style of characters.
//! - [`screen`]: lines, and which of them have changed.
//! - [`colour`]: colours that can be read on the background: light, dark, high contrast.
//! - [`tag`]: styles as tags; [`text`]: all of it in a text buffer.

mod colour;
mod escape;
mod screen;
mod style;
mod tag;
mod text;

pub(super) use self::{screen::plain, text::Output};
