//! `--fd`: descriptors for the program.
#![allow(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

use crate::failure::{Failure, cannot};

/// A descriptor of the program, and what it refers to.
#[derive(Clone, Debug)]
pub(super) struct Descriptor {
    /// As given on the command line.
    text: OsString,
    pub(super) number: RawFd,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Path(OsString),
    Ours(RawFd),
}

impl Descriptor {
    /// `N=PATH` or `N:M`.
    pub(super) fn parse(text: OsString) -> Result<Self, String> {
        let number = |text: &OsStr| text.to_str()?.parse::<RawFd>().ok();
        let path = cut(&text, b'=')
            .and_then(|(target, path)| Some((number(target)?, Source::Path(path.to_owned()))));
        let ours = || {
            let (target, ours) = cut(&text, b':')?;
            let ours = number(ours).filter(|number| *number >= 0)?;
            Some((number(target)?, Source::Ours(ours)))
        };
        let found = path.or_else(ours);
        let (number, source) = found.ok_or("neither N=PATH nor N:M, with numbers for N and M")?;
        Ok(Self {
            text,
            number,
            source,
        })
    }

    /// Opens what it refers to.
    pub(super) fn open(&self) -> Result<OwnedFd, Failure> {
        let what = format!("--fd {}", self.text.display());
        match &self.source {
            Source::Path(path) => {
                let open = |read, write| OpenOptions::new().read(read).write(write).open(path);
                open(true, true)
                    .or_else(|_| open(true, false))
                    .or_else(|first| open(false, true).map_err(|_| first))
                    .map(File::into)
                    .map_err(cannot(&what))
            }
            Source::Ours(number) => {
                // SAFETY: borrowed for one call, which fails when nothing is open there.
                let ours = unsafe { BorrowedFd::borrow_raw(*number) };
                rustix::io::fcntl_dupfd_cloexec(ours, 3).map_err(cannot(&what))
            }
        }
    }
}

/// Splits a text at the first such byte.
pub(super) fn cut(text: &OsStr, at: u8) -> Option<(&OsStr, &OsStr)> {
    let bytes = text.as_bytes();
    let index = bytes.iter().position(|byte| *byte == at)?;
    let part = |bytes| OsStr::from_bytes(bytes);
    Some((part(&bytes[..index]), part(&bytes[index + 1..])))
}
