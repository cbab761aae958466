//! What the tests of D-Bus and of the desktop share.

pub mod desk;
pub mod private_bus;
pub mod steps;
pub mod talking;
