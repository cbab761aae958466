//! The terminal that the program may get.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::stdio;
use rustix::termios::{
    OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

/// A pseudo-terminal: what is typed here goes to the program, what it shows comes here.
pub(crate) struct Terminal {
    ours: OwnedFd,
    path: CString,
    /// What our own terminal was like, while it is raw.
    before: Option<Termios>,
    input: bool,
}

impl Terminal {
    pub(crate) fn open() -> io::Result<Self> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let path = ptsname(&ours, Vec::new())?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        let usual = Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&ours, tcgetwinsize(stdio::stdout()).unwrap_or(usual))?;
        Ok(Self {
            ours,
            path,
            before: None,
            input: true,
        })
    }

    pub(crate) fn path(&self) -> CString {
        self.path.clone()
    }

    /// Has our own terminal hand everything on as it is typed.
    pub(crate) fn begin(&mut self) {
        if let Ok(before) = tcgetattr(stdio::stdin()) {
            let mut raw = before.clone();
            raw.make_raw();
            if tcsetattr(stdio::stdin(), OptionalActions::Now, &raw).is_ok() {
                self.before = Some(before);
            }
        }
    }

    /// Our terminal has another size.
    pub(super) fn take_size(&self) {
        if let Ok(size) = tcgetwinsize(stdio::stdout()) {
            let _ = tcsetwinsize(&self.ours, size);
        }
    }

    pub(super) fn add_to<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        fds.push(PollFd::from_borrowed_fd(self.ours.as_fd(), PollFlags::IN));
        if self.input {
            fds.push(PollFd::from_borrowed_fd(stdio::stdin(), PollFlags::IN));
        }
    }

    /// Copies what there is, both ways.
    pub(super) fn copy(&mut self) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(length @ 1..) = rustix::io::read(&self.ours, &mut buffer) {
            if write_all(stdio::stdout(), &buffer[..length]).is_err() {
                break;
            }
        }
        if !self.input || !is_readable() {
            return;
        }
        match rustix::io::read(stdio::stdin(), &mut buffer) {
            // The end of a file is typed as people type it.
            Ok(0) => {
                self.input = false;
                let _ = write_all(self.ours.as_fd(), b"\x04");
            }
            Ok(length) => {
                let _ = write_all(self.ours.as_fd(), &buffer[..length]);
            }
            Err(Errno::INTR | Errno::AGAIN) => (),
            Err(_) => self.input = false,
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(stdio::stdin(), OptionalActions::Now, before);
        }
    }
}

fn is_readable() -> bool {
    let mut fds = [PollFd::from_borrowed_fd(stdio::stdin(), PollFlags::IN)];
    matches!(poll(&mut fds, Some(&Timespec::default())), Ok(1..))
}

fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(length) => bytes = &bytes[length..],
            Err(Errno::INTR) => (),
            Err(Errno::AGAIN) => {
                let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
                let _ = poll(&mut fds, None);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}
