//! An app that was started through the dynamic loader, as `ld-linux-x86-64.so.2 OPTIONS ./app`: some AppImages and
//! wrappers of Nix do that, see ld.so(8). For the kernel, and so for `/proc/self/exe`, the program is the loader then.
#![allow(unsafe_code)]

use std::ffi::{CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::OnceLock;

/// How this app was started, if through the loader.
pub(super) struct Loaded {
    /// The loader's own arguments, from 1 on: its options.
    pub(super) options: Vec<CString>,
    /// The app's file, by its absolute path at the first look.
    pub(super) file: PathBuf,
}

pub(super) fn loaded() -> Option<&'static Loaded> {
    static LOADED: OnceLock<Option<Loaded>> = OnceLock::new();
    LOADED.get_or_init(look).as_ref()
}

/// The file of this program, which need not be the one that the kernel has executed.
pub(crate) fn own_file() -> Option<PathBuf> {
    match loaded() {
        Some(loaded) => Some(loaded.file.clone()),
        None => std::env::current_exe().ok(),
    }
}

/// The loader takes its own arguments away from those that the program sees, and the kernel still shows them.
fn look() -> Option<Loaded> {
    let line = fs::read("/proc/self/cmdline").ok()?;
    let all: Vec<_> = line.split_inclusive(|byte| *byte == 0).collect();
    let own = all.len().checked_sub(std::env::args_os().count())?;
    let options = all.get(1..own)?;
    let file = file_of_code()?;
    // Both as the kernel names them, also when the file has been deleted.
    if fs::read_link("/proc/self/exe").ok()? == file {
        return None;
    }
    let options =
        (options.iter()).filter_map(|option| CString::from_vec_with_nul(option.to_vec()).ok());
    Some(Loaded {
        options: options.collect(),
        file,
    })
}

/// The file from which the code was mapped with which this program begins.
fn file_of_code() -> Option<PathBuf> {
    // SAFETY: reads a number that the loader has set for the program, and has no precondition.
    let entry = unsafe { libc::getauxval(libc::AT_ENTRY) };
    let maps = fs::read("/proc/self/maps").ok()?;
    let line =
        (maps.split(|byte| *byte == b'\n')).find(|line| holds(line, entry).unwrap_or(false))?;
    // After the addresses, the permissions, the offset, the device and the inode, none of which has a slash.
    let path = line.iter().position(|byte| *byte == b'/')?;
    Some(PathBuf::from(OsStr::from_bytes(&line[path..])))
}

/// Whether a line of proc_pid_maps(5) is about this address.
fn holds(line: &[u8], address: u64) -> Option<bool> {
    let (range, _) = str::from_utf8(line.get(..40)?).ok()?.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some((number(start)?..number(end)?).contains(&address))
}
