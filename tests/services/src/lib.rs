//! What the tests of D-Bus and of the desktop share.

pub mod listed;
pub mod private_bus;
