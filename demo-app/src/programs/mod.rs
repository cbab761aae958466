//! Programs that are not this app's own: any command line, and ffmpeg to convert a file.
//!
//! What is run, how it is asked to stop and where its progress is read from is decided here once, for the window
//! and for the run without one. Nothing here draws or prints, and nothing goes through a shell.

mod convert;
mod find;
mod run;

pub(crate) use self::{
    convert::{Convert, FORMATS, Unfinished, free_name, length},
    find::{find, how_to_get},
    run::Program,
};
