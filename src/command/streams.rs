//! The app's ends of a program's standard descriptors: outputs as chunks, lines or GIO streams, and the input.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_core::Stream;
use gio::prelude::*;

use super::lines::{LineSplitter, RawLine};
use super::supervisor::{KEPT, OutputReader, Supervisor};
use crate::child::control::Supervised;
use crate::command::lane::Lane;
use crate::main_loop::hub::Pace;
use crate::wire::nul::{lossy, without_nul};

/// The standard output or error of a program, to be read while it runs.
///
/// From [`CommandHandle::stdout`](super::CommandHandle::stdout) and
/// [`stderr`](super::CommandHandle::stderr). While it exists nothing is lost: if nobody reads it,
/// 256 KiB are read ahead, and then the program waits. After it is dropped, everything that the
/// program writes is dropped too. The outcome of the program may come first; what was read ahead can
/// still be read then.
///
/// Neither `Send` nor `Sync`: it belongs to the context of its program.
#[must_use = "after the stream is dropped, what the program writes is dropped too"]
pub struct OutputStream {
    source: Source,
    /// What was read and not given out yet.
    ahead: Vec<u8>,
    pace: Pace,
}

enum Source {
    Program {
        supervisor: Rc<Supervisor>,
        lane: Lane,
    },
    /// The program has ended, and this was kept. `None` once it was read.
    Kept(Option<Vec<u8>>),
}

impl OutputStream {
    pub(super) fn new(supervisor: Rc<Supervisor>, lane: Lane) -> Self {
        OutputStream {
            pace: supervisor.seat().pace(),
            source: Source::Program { supervisor, lane },
            ahead: Vec::new(),
        }
    }

    pub(super) fn of_kept(bytes: Vec<u8>, pace: Pace) -> Self {
        OutputStream {
            source: Source::Kept(Some(bytes).filter(|bytes| !bytes.is_empty())),
            ahead: Vec::new(),
            pace,
        }
    }

    /// Waits for the next bytes, and returns all that have been read: at least one byte, at most some 320 KiB;
    /// `None` at the end. The end comes with the end of the pipe, or when the program has ended and
    /// [`Command::drain`](super::Command::drain) is over.
    ///
    /// After 2 ms of reading without a pause it lets the main loop run, also when there is more to read, so that a loop
    /// that reads much does not stop the window from drawing. The same applies to all that reads here.
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        if !self.ahead.is_empty() {
            return Poll::Ready(Some(std::mem::take(&mut self.ahead)));
        }
        self.poll_source(cx)
    }

    /// Waits for the next text, and returns all that has been read; `None` at the end. It never ends in the middle of a
    /// character. Bytes that are not UTF-8, and NUL, are replaced by U+FFFD.
    ///
    /// ```no_run
    /// # async fn example(window: impl Fn(&str)) -> Result<(), legwork::Error> {
    /// use legwork::{Command, Stdio};
    ///
    /// let mut log = Command::new("dmesg").stdout(Stdio::piped()).spawn();
    /// if let Some(mut stdout) = log.stdout() {
    ///     while let Some(text) = stdout.text().await {
    ///         window(&text); // for example `buffer.insert(&mut buffer.end_iter(), &text)`
    ///     }
    /// }
    /// log.await?;
    /// # Ok(()) }
    /// ```
    pub async fn text(&mut self) -> Option<String> {
        // Kept in `ahead`, for the next reader should this future be dropped.
        loop {
            let whole = whole_characters(&self.ahead);
            if whole > 0 {
                let rest = self.ahead.split_off(whole);
                return Some(lossy(&std::mem::replace(&mut self.ahead, rest)));
            }
            match poll_fn(|cx| self.poll_source(cx)).await {
                Some(chunk) => self.ahead.extend(chunk),
                None if self.ahead.is_empty() => return None,
                None => return Some(lossy(&std::mem::take(&mut self.ahead))),
            }
        }
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        let (supervisor, lane) = match &mut self.source {
            Source::Program { supervisor, lane } => (supervisor, *lane),
            Source::Kept(bytes) => return Poll::Ready(bytes.take()),
        };
        let output = supervisor.output(lane);
        let is_there = output.is_some_and(OutputReader::has_unread);
        std::task::ready!(self.pace.poll(cx, is_there));
        supervisor.poll_output(lane, cx)
    }

    /// Reads until the program has written `text`, for example a prompt, which has no end of line
    /// before it is answered. Gives what came before it, the newest 64 KiB; what follows is read as
    /// before. `None` if the end comes first: then all of it can still be read.
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
        // Kept in `ahead`, for the next reader should this future be dropped.
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

    /// Turns it into lines.
    pub fn lines(self) -> Lines {
        Lines {
            stream: self,
            splitter: LineSplitter::default(),
            ready: VecDeque::new(),
            at_end: false,
        }
    }

    /// Turns it into a GIO stream, which reads the pipe itself from now on. To be called before any
    /// output is read ahead, that is before the main loop runs again; else it gives `None`. The
    /// program's outcome does not wait for the end of this pipe. If the program had ended before
    /// [`stdout`](super::CommandHandle::stdout) was called, the stream has what was kept.
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
                // Dropped like any other: what comes is dropped.
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
    /// The text, without the end of the line. Bytes that are not UTF-8, and NUL, are replaced by U+FFFD.
    pub text: String,
    /// Something was replaced.
    pub replaced: bool,
    /// The line was longer than 64 KiB, and the rest of it was dropped.
    pub cut: bool,
}

/// The output of a program, line by line. Lines end at `\n`, `\r` or `\r\n`; the last one may end
/// with the output.
#[derive(Debug)]
#[must_use = "after the lines are dropped, what the program writes is dropped too"]
pub struct Lines {
    stream: OutputStream,
    splitter: LineSplitter,
    ready: VecDeque<Line>,
    at_end: bool,
}

impl Lines {
    /// Waits for the next line; `None` at the end. After 2 ms of reading without a pause it lets the main loop run, as
    /// [`OutputStream::chunk`] does.
    pub async fn recv(&mut self) -> Option<Line> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Waits for the next line, and returns all that have been read; `None` at the end. For a widget or model that takes
    /// many lines at once for the price of one.
    pub async fn recv_many(&mut self) -> Option<Vec<Line>> {
        let first = self.recv().await?;
        Some(std::iter::once(first).chain(self.ready.drain(..)).collect())
    }
}

/// How many of these bytes are whole characters, or will not become any: all but a last one that may go on.
fn whole_characters(bytes: &[u8]) -> usize {
    match bytes.utf8_chunks().last().map(|chunk| chunk.invalid()) {
        // It misses nothing but bytes.
        Some(last) if str::from_utf8(last).is_err_and(|error| error.error_len().is_none()) => {
            bytes.len() - last.len()
        }
        _ => bytes.len(),
    }
}

fn line(raw: RawLine) -> Line {
    let (text, replaced) = match String::from_utf8(raw.bytes) {
        Ok(text) if !text.contains('\0') => (text, false),
        Ok(text) => (without_nul(text), true),
        Err(error) => (lossy(error.as_bytes()), true),
    };
    let cut = raw.cut;
    Line {
        text,
        replaced,
        cut,
    }
}

impl Stream for Lines {
    type Item = Line;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Line>> {
        let this = &mut *self;
        loop {
            if !this.ready.is_empty() {
                std::task::ready!(this.stream.pace.poll(cx, true));
                return Poll::Ready(this.ready.pop_front());
            }
            if this.at_end {
                return Poll::Ready(None);
            }
            match std::task::ready!(this.stream.poll_chunk(cx)) {
                Some(bytes) => {
                    let mut rest = &*bytes;
                    while let Some(raw) = this.splitter.next_line(&mut rest) {
                        this.ready.push_back(line(raw));
                    }
                }
                None => {
                    this.at_end = true;
                    this.ready.extend(this.splitter.finish().map(line));
                }
            }
        }
    }
}

/// The standard input of a program. From [`CommandHandle::stdin`](super::CommandHandle::stdin).
///
/// Dropping it ends the input, once everything is written; keep it if
/// [`Stop::stdin`](super::Stop::stdin) is to write there. Neither `Send` nor `Sync`.
pub struct Input {
    pub(super) supervisor: Rc<Supervisor>,
}

/// How much may be pending before [`Input::write`] waits (64 KiB).
const PENDING_MAX: usize = 64 * 1024;

impl Input {
    /// Writes all of `bytes`, after what was written before. Waits while more than 64 KiB are not in
    /// the pipe yet.
    ///
    /// # Errors
    ///
    /// `BrokenPipe`: the program has closed its input or has ended.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.supervisor.append_input(bytes, false);
        self.wait_for(PENDING_MAX).await
    }

    /// Waits until everything is in the pipe.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub async fn flush(&mut self) -> io::Result<()> {
        self.wait_for(0).await
    }

    /// Waits until no more than `most` bytes are pending.
    async fn wait_for(&self, most: usize) -> io::Result<()> {
        poll_fn(
            |cx| match self.supervisor.input().pending(Some(cx.waker())) {
                Some(pending) if pending <= most => Poll::Ready(Ok(())),
                Some(_) => Poll::Pending,
                None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            },
        )
        .await
    }

    /// Turns it into a GIO stream. `None` when the program has closed its input, or not everything is
    /// in the pipe yet. GIO does not prevent SIGPIPE: an app that does not ignore it gets it when the
    /// program reads no more.
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
