//! The demo app's jobs, which the app and its worker share. The app itself is the program.

pub mod jobs;

pub use jobs::JOBS;
