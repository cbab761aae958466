//! What the tests of D-Bus and of the desktop share.

pub mod scope_jobs;
