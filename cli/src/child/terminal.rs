//! The terminal that the program may get.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags, fstat, open, readlink};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::stdio;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, Winsize, tcgetattr, tcgetwinsize,
    tcsetattr, tcsetwinsize,
};

/// So much goes into a pipe that can be written to at all; see pipe(7).
const STEP: usize = 4096;

/// A pseudo-terminal: what is typed here goes to the program, what it shows comes here.
///
/// Each way holds one bufferful at most, and reads on when that is written. Nothing blocks: a program that
/// does not read, or nobody who looks at what it shows, holds up that way alone.
pub(crate) struct Terminal {
    ours: Option<Ours>,
    path: CString,
    /// What our own terminal was like, while it is raw.
    before: Option<Termios>,
    input: Option<End>,
    output: End,
    typed: Queue,
    shown: Queue,
    /// There was nothing more to read.
    drained: bool,
    /// What was typed last ended a line.
    at_line_start: bool,
}

/// Our side of it. Closed, it hangs up on the program.
struct Ours {
    fd: OwnedFd,
    /// The program's side, so that it is not taken to have ended when the program closes it for a while.
    _theirs: OwnedFd,
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
        tcsetwinsize(&ours, own_size().unwrap_or(usual))?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs = open(&path, flags, Mode::empty())?;
        Ok(Self {
            ours: Some(Ours {
                fd: ours,
                _theirs: theirs,
            }),
            path,
            before: None,
            input: Some(End::of(stdio::stdin(), OFlags::RDONLY)),
            output: End::of(stdio::stdout(), OFlags::WRONLY),
            typed: Queue::default(),
            shown: Queue::default(),
            drained: false,
            at_line_start: true,
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
        if let (Some(ours), Some(size)) = (&self.ours, own_size()) {
            let _ = tcsetwinsize(&ours.fd, size);
        }
    }

    /// Adds what there is to wait for.
    pub(super) fn add_to<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        let mut add = |fd, flags| fds.push(PollFd::from_borrowed_fd(fd, flags));
        if !self.shown.is_empty() {
            add(self.output.fd(), PollFlags::OUT);
        }
        let Some(ours) = &self.ours else { return };
        let mut wanted = PollFlags::empty();
        wanted.set(PollFlags::IN, self.shown.is_empty());
        wanted.set(PollFlags::OUT, !self.typed.is_empty());
        if !wanted.is_empty() {
            add(ours.fd.as_fd(), wanted);
        }
        if let (Some(input), true) = (&self.input, self.typed.is_empty()) {
            add(input.fd(), PollFlags::IN);
        }
    }

    /// Whether it holds something that is still to be shown, after the program's end.
    pub(super) fn has_more(&self) -> bool {
        self.ours.is_some() && !(self.drained && self.shown.is_empty())
    }

    /// Whether what is to be shown waits for whoever looks at it.
    pub(super) fn is_held_up(&self) -> bool {
        !self.shown.is_empty()
    }

    /// Copies what there is, both ways, as far as that is taken.
    pub(super) fn copy(&mut self) {
        self.show();
        self.type_on();
    }

    fn show(&mut self) {
        let Some(ours) = &self.ours else { return };
        if self.shown.is_empty() {
            self.drained = self.shown.fill(ours.fd.as_fd()).is_err();
        }
        while !self.shown.is_empty() && is_ready(self.output.fd(), PollFlags::OUT) {
            match self.shown.empty_into(self.output.fd()) {
                Ok(()) => (),
                Err(Errno::AGAIN | Errno::INTR) => return,
                // Nobody sees it any more, as when the window of a terminal is closed.
                Err(_) => {
                    self.shown = Queue::default();
                    self.ours = None;
                    return;
                }
            }
        }
    }

    fn type_on(&mut self) {
        let Some(ours) = &self.ours else { return };
        if let Some(input) = &self.input
            && self.typed.is_empty()
            && is_ready(input.fd(), PollFlags::IN)
        {
            match self.typed.fill(input.fd()) {
                Ok(()) => {
                    let last = self.typed.bytes.last();
                    self.at_line_start = matches!(last, Some(b'\n' | b'\r'));
                }
                Err(Errno::INTR | Errno::AGAIN) => (),
                // The end of a file is typed as people type it: in the middle of a line, the first
                // such character only hands on what there is of it.
                Err(_) => {
                    let times = if self.at_line_start { 1 } else { 2 };
                    self.typed = Queue::from(vec![end_of_file(ours.fd.as_fd()); times]);
                    self.input = None;
                }
            }
        }
        while !self.typed.is_empty() && self.typed.empty_into(ours.fd.as_fd()).is_ok() {}
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

/// A standard descriptor of this command, which others share: its flags are not ours to change. So pipes and
/// terminals are opened once more, not to block.
enum End {
    Shared(BorrowedFd<'static>),
    Own(OwnedFd),
}

impl End {
    fn of(fd: BorrowedFd<'static>, access: OFlags) -> Self {
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let kind = fstat(fd).map(|status| FileType::from_raw_mode(status.st_mode));
        let again = match kind {
            Ok(FileType::Fifo) => true,
            // Opened again, a multiplexer is another terminal.
            Ok(FileType::CharacterDevice) => readlink(&path, Vec::new())
                .is_ok_and(|target| !target.to_bytes().ends_with(b"ptmx")),
            _ => false,
        };
        let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        match again.then(|| open(&path, flags, Mode::empty())) {
            Some(Ok(own)) => Self::Own(own),
            _ => Self::Shared(fd),
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Shared(fd) => *fd,
            Self::Own(fd) => fd.as_fd(),
        }
    }
}

/// Bytes that were read and are still to be written.
#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    written: usize,
}

impl From<Vec<u8>> for Queue {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, written: 0 }
    }
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.written == self.bytes.len()
    }

    /// Reads into it; the end is an error.
    fn fill(&mut self, from: BorrowedFd<'_>) -> Result<(), Errno> {
        let mut buffer = [0; 4 * STEP];
        match rustix::io::read(from, &mut buffer)? {
            0 => Err(Errno::IO),
            length => {
                *self = Self::from(buffer[..length].to_vec());
                Ok(())
            }
        }
    }

    fn empty_into(&mut self, to: BorrowedFd<'_>) -> Result<(), Errno> {
        let rest = &self.bytes[self.written..];
        self.written += rustix::io::write(to, &rest[..rest.len().min(STEP)])?;
        Ok(())
    }
}

fn is_ready(fd: BorrowedFd<'_>, flags: PollFlags) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, flags)];
    matches!(poll(&mut fds, Some(&Timespec::default())), Ok(1..))
}
