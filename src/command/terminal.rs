//! A terminal for a program: a pseudoterminal, whose other side the app holds. See pty(7).

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::OwnedFd;

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::spawn::Plan;

/// A new terminal.
pub(super) struct Terminal {
    /// The app's side.
    pub(super) ours: OwnedFd,
    /// The program's side. While it is open here too, a program may close its own and open it again: without any, the
    /// app would read the end.
    pub(super) theirs: OwnedFd,
    /// The path of that.
    pub(super) path: CString,
}

impl Terminal {
    pub(super) fn open(columns: u16, rows: u16) -> io::Result<Terminal> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        set_size(&ours, columns, rows)?;
        let theirs = ioctl_tiocgptpeer(&ours, flags)?;
        let path = ptsname(&ours, Vec::new())?;
        Ok(Terminal { ours, theirs, path })
    }
}

/// The plan with the variables that describe the terminal. `term` is its type by the app's environment.
pub(super) fn describe(plan: Plan, term: Option<OsString>) -> Plan {
    // Programs believe these before they ask for the size.
    let plan = plan.env_remove("COLUMNS").env_remove("LINES");
    match term {
        Some(term) if !term.is_empty() => plan,
        _ => plan.env("TERM", "xterm-256color"),
    }
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
