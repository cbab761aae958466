//! Programs that are not part of this app: any command line, and ffmpeg to convert a file.
//!
//! The command, the steps that stop it and the source of its progress are decided here once, for the window and for
//! runs without a window. Nothing here draws or prints, and no shell is involved.

mod conversion;
mod find;
mod program;

pub(crate) use self::{
    conversion::{Conversion, FORMATS, PartialFile, free_name, length},
    find::{find, install_hint},
    program::Program,
};
