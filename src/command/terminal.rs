//! A terminal for a program: a pseudoterminal, whose other side the app holds. See pty(7).

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// A new terminal: the app's side, and the path of the program's.
pub(super) fn open(columns: u16, rows: u16) -> io::Result<(OwnedFd, CString)> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    set_size(&ours, columns, rows)?;
    let path = ptsname(&ours, Vec::new())?;
    Ok((ours, path))
}

/// `ioctl(TIOCSWINSZ)`, see tty_ioctl(2). The program in the foreground gets SIGWINCH.
pub(super) fn set_size(terminal: &OwnedFd, columns: u16, rows: u16) -> io::Result<()> {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    Ok(tcsetwinsize(terminal, size)?)
}
