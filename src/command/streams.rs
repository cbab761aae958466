//! What a program writes, as chunks, as lines, as a GIO stream; and its standard input.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_core::Stream;
use gio::prelude::*;

use super::lines::{LineSplitter, RawLine};
use super::supervisor::{KEPT, Supervisor};
use crate::main_loop::hub::Lane;

/// What a program writes to its standard output or error, read as it comes.
///
/// From [`CommandHandle::stdout`](super::CommandHandle::stdout) and
/// [`stderr`](super::CommandHandle::stderr). While it is there nothing is lost: when it is not
/// read, 256 KiB are read ahead and then the program waits. Dropping it throws away what comes. The
/// program's outcome may come first; what was read ahead is still here then.
///
/// Neither `Send` nor `Sync`: it belongs to the context of its program.
pub struct OutputStream {
    source: Source,
    /// Behind what was waited for.
    ahead: Vec<u8>,
}

enum Source {
    Program {
        supervisor: Rc<Supervisor>,
        lane: Lane,
    },
    /// The program has ended, and this is what was kept of it. `None` once it was read.
    Kept(Option<Vec<u8>>),
}

impl OutputStream {
    pub(super) fn new(supervisor: Rc<Supervisor>, lane: Lane) -> Self {
        OutputStream {
            source: Source::Program { supervisor, lane },
            ahead: Vec::new(),
        }
    }

    pub(super) fn of_kept(bytes: Vec<u8>) -> Self {
        OutputStream {
            source: Source::Kept(Some(bytes).filter(|bytes| !bytes.is_empty())),
            ahead: Vec::new(),
        }
    }

    /// The next bytes, at least one; `None` at the end. The end is that of the pipe, or when the
    /// program has ended and its pipe was given up, see [`Command::drain`](super::Command::drain).
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        if !self.ahead.is_empty() {
            return Poll::Ready(Some(std::mem::take(&mut self.ahead)));
        }
        self.poll_source(cx)
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        let (supervisor, lane) = match &mut self.source {
            Source::Program { supervisor, lane } => (supervisor, *lane),
            Source::Kept(bytes) => return Poll::Ready(bytes.take()),
        };
        supervisor.poll_output(lane, cx)
    }

    /// Reads on until the program has written `text`, a prompt for instance, which is no line and
    /// would be none of [`lines`](Self::lines) before it is answered. Gives what came before it,
    /// the newest 64 KiB; what follows is read as before. `None` when the end came first: then all
    /// of that is still there to be read.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use legwork::{Command, Stdio};
    ///
    /// let ask = Command::new("sh").args(["-c", "printf 'Name? '; read name; echo Hello $name"]);
    /// let mut ask = ask.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    /// let (mut says, mut hears) = (ask.stdout().unwrap(), ask.stdin().unwrap());
    /// if says.wait_for("Name? ").await.is_some() {
    ///     hears.write(b"Ada\n").await?;
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn wait_for(&mut self, text: &str) -> Option<Vec<u8>> {
        let text = text.as_bytes();
        if text.is_empty() {
            return Some(Vec::new());
        }
        // Kept in `ahead`, for who asks again when this future was dropped.
        let mut looked = 0;
        loop {
            // Its beginning may have been looked at already.
            let from = usize::saturating_sub(looked, text.len() - 1);
            let mut parts = self.ahead[from..].windows(text.len());
            if let Some(at) = parts.position(|part| part == text).map(|at| from + at) {
                let rest = self.ahead.split_off(at + text.len());
                let mut before = std::mem::replace(&mut self.ahead, rest);
                before.truncate(at);
                before.drain(..at.saturating_sub(KEPT));
                return Some(before);
            }
            let surplus = self.ahead.len().saturating_sub(KEPT + text.len());
            self.ahead.drain(..surplus);
            looked = self.ahead.len();
            let chunk = poll_fn(|cx| self.poll_source(cx)).await?;
            self.ahead.extend(chunk);
        }
    }

    /// The same, line by line.
    pub fn lines(self) -> Lines {
        Lines {
            stream: self,
            splitter: LineSplitter::default(),
            ready: VecDeque::new(),
            at_end: false,
        }
    }

    /// The same as a GIO stream, which reads the pipe itself from now on. To be asked for before
    /// the program's output was read ahead, that is before the main loop runs again: `None` when
    /// something was. The program's outcome does not wait for this pipe's end. When the program
    /// had ended before [`stdout`](super::CommandHandle::stdout) was called, it is what was kept.
    pub fn into_gio(mut self) -> Option<gio::InputStream> {
        if !self.ahead.is_empty() {
            return None;
        }
        let from = std::mem::replace(&mut self.source, Source::Kept(None));
        let (supervisor, lane) = match &from {
            Source::Program { supervisor, lane } => (supervisor, *lane),
            Source::Kept(bytes) => {
                let bytes = glib::Bytes::from(bytes.as_deref().unwrap_or_default());
                return Some(gio::MemoryInputStream::from_bytes(&bytes).upcast());
            }
        };
        let has_unread = supervisor.output(lane)?.has_unread();
        let fd = (!has_unread).then(|| supervisor.take_output_fd(lane));
        match fd.flatten() {
            Some(fd) => Some(gio_unix::InputStream::take_fd(fd).upcast()),
            None => {
                // Is dropped as a stream is: what comes is thrown away.
                self.source = from;
                None
            }
        }
    }
}

impl Drop for OutputStream {
    fn drop(&mut self) {
        if let Source::Program { supervisor, lane } = &self.source {
            supervisor.discard_output(*lane);
        }
    }
}

impl Stream for OutputStream {
    type Item = Vec<u8>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        self.poll_chunk(cx)
    }
}

impl std::fmt::Debug for OutputStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutputStream").finish_non_exhaustive()
    }
}

/// One line that a program wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// Its text, without its end. What is no UTF-8 is replaced by U+FFFD.
    pub text: String,
    /// Something was replaced.
    pub replaced: bool,
    /// It was longer than 64 KiB, and its rest was left out.
    pub cut: bool,
}

/// A program's output line by line; lines end at `\n`, `\r` or `\r\n`. A last line without an end
/// is a line too.
#[derive(Debug)]
pub struct Lines {
    stream: OutputStream,
    splitter: LineSplitter,
    ready: VecDeque<Line>,
    at_end: bool,
}

impl Lines {
    /// The next line; `None` at the end.
    pub async fn recv(&mut self) -> Option<Line> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

fn line(raw: RawLine) -> Line {
    match String::from_utf8(raw.bytes) {
        Ok(text) => Line {
            text,
            replaced: false,
            cut: raw.cut,
        },
        Err(error) => Line {
            text: String::from_utf8_lossy(error.as_bytes()).into_owned(),
            replaced: true,
            cut: raw.cut,
        },
    }
}

impl Stream for Lines {
    type Item = Line;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Line>> {
        let this = &mut *self;
        loop {
            if let Some(line) = this.ready.pop_front() {
                return Poll::Ready(Some(line));
            }
            if this.at_end {
                return Poll::Ready(None);
            }
            match std::task::ready!(this.stream.poll_chunk(cx)) {
                Some(bytes) => this
                    .splitter
                    .feed(&bytes, |raw| this.ready.push_back(line(raw))),
                None => {
                    this.at_end = true;
                    this.ready.extend(this.splitter.finish().map(line));
                }
            }
        }
    }
}

/// A program's standard input. From [`CommandHandle::stdin`](super::CommandHandle::stdin).
///
/// Dropping it ends the program's input, once all is written; keep it where
/// [`Stop::stdin`](super::Stop::stdin) is to write there. Neither `Send` nor `Sync`.
pub struct Input {
    pub(super) supervisor: Rc<Supervisor>,
}

/// How much may wait to be written before [`Input::write`] waits.
const WAITING_MAX: usize = 64 * 1024;

impl Input {
    /// Writes all of `bytes`, behind what was written before; waits while more than 64 KiB have
    /// not been read by the program.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` when the program has closed its input or has ended.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.supervisor.append_input(bytes, false);
        poll_fn(
            |cx| match self.supervisor.input().pending(Some(cx.waker())) {
                Some(left) if left <= WAITING_MAX => Poll::Ready(Ok(())),
                Some(_) => Poll::Pending,
                None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            },
        )
        .await
    }

    /// Waits until all is in the pipe.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(
            |cx| match self.supervisor.input().pending(Some(cx.waker())) {
                Some(0) => Poll::Ready(Ok(())),
                Some(_) => Poll::Pending,
                None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            },
        )
        .await
    }

    /// The same as a GIO stream; `None` when the program has closed its input, or something still
    /// waits to be written. GIO writes plainly: when nobody reads any more, an app in which SIGPIPE
    /// is not ignored gets it.
    pub fn into_gio(self) -> Option<gio::OutputStream> {
        if self.supervisor.input().pending(None)? > 0 {
            return None;
        }
        let fd = self.supervisor.take_input_fd()?;
        Some(gio_unix::OutputStream::take_fd(fd).upcast())
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.supervisor.append_input(&[], true);
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").finish_non_exhaustive()
    }
}
