//! The terminal of the program, for `--pty`.

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

/// A pseudo-terminal. The input of this command is typed on it.
pub(super) struct Terminal {
    /// Our side. When it and its duplicate are closed, the terminal is hung up.
    ours: OwnedFd,
    /// The program's side, kept open because a read would fail while the program has it closed.
    _theirs: OwnedFd,
    path: CString,
    /// The attributes of our own terminal before it was made raw.
    before: Option<Termios>,
    input: Option<End>,
    typed: Queue,
    /// Whether the last input ended a line.
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

    /// Duplicates our side, to read the output of the program.
    pub(super) fn duplicate(&self) -> io::Result<OwnedFd> {
        self.ours.try_clone()
    }

    /// Makes our own terminal raw, so that every key is passed on at once.
    pub(super) fn begin(&mut self) {
        if let Ok(before) = tcgetattr(stdio::stdin()) {
            let mut raw = before.clone();
            raw.make_raw();
            if tcsetattr(stdio::stdin(), OptionalActions::Now, &raw).is_ok() {
                self.before = Some(before);
            }
        }
    }

    /// Sets the size of our own terminal.
    pub(super) fn take_size(&self) {
        if let Some(size) = own_size() {
            let _ = tcsetwinsize(&self.ours, size);
        }
    }

    /// Adds the descriptors to wait for.
    pub(super) fn add_to<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        if !self.typed.is_empty() {
            fds.push(PollFd::new(&self.ours, PollFlags::OUT));
        } else if let Some(input) = &self.input {
            fds.push(PollFd::new(input, PollFlags::IN));
        }
    }

    /// Types as much input as possible without blocking.
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
                // The end of the input is typed as people type it: in the middle of a line, the first such
                // character only passes on the beginning of the line.
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

/// Returns the size of the terminal that this command runs on, whichever of its descriptors refers to it.
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

/// Returns the character that means end-of-file on this terminal.
fn end_of_file(terminal: BorrowedFd<'_>) -> u8 {
    let usual = 4;
    tcgetattr(terminal).map_or(usual, |attributes| {
        match attributes.local_modes.contains(LocalModes::ICANON) {
            true => attributes.special_codes[SpecialCodeIndex::VEOF],
            false => usual,
        }
    })
}
