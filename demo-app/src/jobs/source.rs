//! The input of the jobs that read a folder.

use std::{
    num::NonZero,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// A folder, and how it is read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Source {
    /// The folder.
    #[serde(with = "legwork::path")]
    pub folder: PathBuf,
    /// Whether links to files and folders are followed.
    pub follow_links: bool,
    /// Files that are read at the same time; `None` for one per processor.
    pub threads: Option<NonZero<usize>>,
}

impl Source {
    /// `folder` with the options that most people want.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            follow_links: true,
            threads: None,
        }
    }
}
