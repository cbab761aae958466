//! The terminal that the program may get.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::stdio;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, Winsize, tcgetattr, tcgetwinsize,
    tcsetattr, tcsetwinsize,
};

use super::queue::{End, Queue, READ};

/// A pseudo-terminal: what is typed here goes to the program.
pub(super) struct Terminal {
    /// Our side of it. Closed, with its duplicate, it hangs up on the program.
    ours: OwnedFd,
    /// The program's side, so that it is not taken to have ended when the program closes it for a while.
    _theirs: OwnedFd,
    path: CString,
    /// What our own terminal was like, while it is raw.
    before: Option<Termios>,
    input: Option<End>,
    typed: Queue,
    /// What was typed last ended a line.
    at_line_start: bool,
}

impl Terminal {
    pub(super) fn open() -> io::Result<Self> {
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
        tcsetwinsize(&ours, own_size().unwrap_or(usual))?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs = open(&path, flags, Mode::empty())?;
        Ok(Self {
            ours,
            _theirs: theirs,
            path,
            before: None,
            input: Some(End::of(stdio::stdin(), OFlags::RDONLY)),
            typed: Queue::default(),
            at_line_start: true,
        })
    }

    pub(super) fn path(&self) -> CString {
        self.path.clone()
    }

    /// What the program shows is read from it.
    pub(super) fn duplicate(&self) -> io::Result<OwnedFd> {
        self.ours.try_clone()
    }

    /// Has our own terminal hand everything on as it is typed.
    pub(super) fn begin(&mut self) {
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
        if let Some(size) = own_size() {
            let _ = tcsetwinsize(&self.ours, size);
        }
    }

    /// Adds what there is to wait for.
    pub(super) fn add_to<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        if !self.typed.is_empty() {
            fds.push(PollFd::new(&self.ours, PollFlags::OUT));
        } else if let Some(input) = &self.input {
            fds.push(PollFd::new(input, PollFlags::IN));
        }
    }

    /// Types what there is, as far as that is taken.
    pub(super) fn copy(&mut self) {
        if let Some(input) = &self.input
            && self.typed.is_empty()
            && input.is_ready(PollFlags::IN)
        {
            let mut buffer = [0; READ];
            match rustix::io::read(input, &mut buffer) {
                Err(Errno::INTR | Errno::AGAIN) => (),
                Ok(length @ 1..) => {
                    self.at_line_start = matches!(buffer[length - 1], b'\n' | b'\r');
                    self.typed.push(&buffer[..length]);
                }
                // The end of a file is typed as people type it: in the middle of a line, the first
                // such character only hands on what there is of it.
                _ => {
                    let times = if self.at_line_start { 1 } else { 2 };
                    let end = end_of_file(self.ours.as_fd());
                    self.typed.push(&vec![end; times]);
                    self.input = None;
                }
            }
        }
        while !self.typed.is_empty() && self.typed.empty_into(&self.ours).is_ok() {}
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(stdio::stdin(), OptionalActions::Now, before);
        }
    }
}

/// The size of the terminal that this command runs on, whichever of its descriptors leads there.
fn own_size() -> Option<Winsize> {
    let standard = [stdio::stdout(), stdio::stdin(), stdio::stderr()];
    let found = standard.into_iter().find_map(|fd| tcgetwinsize(fd).ok());
    found
        .or_else(|| {
            let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
            tcgetwinsize(open("/dev/tty", flags, Mode::empty()).ok()?).ok()
        })
        .filter(|size| size.ws_row > 0 && size.ws_col > 0)
}

/// The character that means the end of a file on this terminal.
fn end_of_file(terminal: BorrowedFd<'_>) -> u8 {
    let usual = 4;
    tcgetattr(terminal).map_or(usual, |attributes| {
        match attributes.local_modes.contains(LocalModes::ICANON) {
            true => attributes.special_codes[SpecialCodeIndex::VEOF],
            false => usual,
        }
    })
}
