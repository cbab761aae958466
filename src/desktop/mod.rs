//! What the session knows of a child, and does for it: feature `desktop`, which needs GIO alone.
//!
//! A [`Surface`] is a part of the desktop that shows running jobs and programs. It is handed to
//! [`JobBuilder::show_in`](crate::JobBuilder::show_in) or [`Command::show_in`](crate::Command::show_in), and
//! is told of each child that has started: what it hears is the child's [`Status`](crate::Status), what it can do is
//! its [`Control`](crate::Control). Of jobs, programs and workers it must not know more.

/// A part of the desktop that shows jobs and programs while they run.
pub trait Surface: sealed::Surface {}

mod sealed {
    pub trait Surface {
        /// Makes what is told of one child.
        fn observer(&self) -> crate::child::observer::Observer;
    }
}
