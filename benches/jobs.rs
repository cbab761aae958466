//! The jobs that are measured. Each does only what its row asks about.

use std::convert::Infallible;
use std::error::Error;
use std::io::{self, Write};

use legwork::{Buffer, BufferMut, BufferWriter, Ctx, Job, Receive, SendError};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::data::{self, Call, Note};

/// Returns the time at its first line.
#[derive(Serialize, Deserialize)]
pub struct FirstLine;

impl Job for FirstLine {
    type Message = ();
    type Output = u64;
    type Error = Infallible;

    fn run(self, _: &Ctx<Self>) -> Result<u64, Infallible> {
        Ok(clock::now())
    }
}

/// Says that it runs, and then waits for a request that never comes.
#[derive(Serialize, Deserialize)]
pub struct Idle;

impl Job for Idle {
    type Message = ();
    type Output = ();
    type Error = Box<dyn Error + Send + Sync>;

    fn run(self, cx: &Ctx<Self>) -> Result<(), Self::Error> {
        cx.send(())?;
        while cx.recv()?.is_some() {}
        Ok(())
    }
}

impl Receive for Idle {
    type Request = ();
}

/// Sends every call back.
#[derive(Serialize, Deserialize)]
pub struct Echo;

impl Job for Echo {
    type Message = Call;
    type Output = ();
    type Error = Box<dyn Error + Send + Sync>;

    fn run(self, cx: &Ctx<Self>) -> Result<(), Self::Error> {
        while let Some(call) = cx.recv()? {
            cx.send(call)?;
        }
        Ok(())
    }
}

impl Receive for Echo {
    type Request = Call;
}

/// Sends messages as fast as they are taken.
#[derive(Serialize, Deserialize)]
pub struct Stream {
    /// The number of messages.
    pub notes: usize,
}

impl Job for Stream {
    type Message = Note;
    type Output = ();
    type Error = SendError;

    fn run(self, cx: &Ctx<Self>) -> Result<(), SendError> {
        (0..self.notes).try_for_each(|_| cx.send([[7; 32]; 4]))
    }
}

/// Makes a new [`Buffer`] for every request, fills it and sends it.
#[derive(Serialize, Deserialize)]
pub struct Fill {
    /// The size of one buffer, in bytes.
    pub len: usize,
    /// Whether the buffer is written piece by piece, as by a job that never has all bytes at once, instead of filled in
    /// place.
    pub piecewise: bool,
}

impl Fill {
    fn written(&self, seed: u64) -> io::Result<BufferWriter> {
        let mut piece = vec![0; 256 * 1024];
        let mut writer = BufferWriter::new()?;
        for start in (0..self.len).step_by(piece.len()) {
            data::fill(&mut piece, seed + (start / 8) as u64);
            let end = piece.len().min(self.len - start);
            writer.write_all(&piece[..end])?;
        }
        Ok(writer)
    }

    fn filled(&self, seed: u64) -> io::Result<BufferMut> {
        let mut memory = BufferMut::new(self.len)?;
        data::fill(&mut memory, seed);
        Ok(memory)
    }
}

/// A full buffer, and the time of every step on the way to it.
#[derive(Serialize, Deserialize)]
pub struct Filled {
    /// The bytes.
    pub buffer: Buffer,
    /// The time before the memory was requested.
    pub started: u64,
    /// The time after the last byte was written.
    pub filled: u64,
    /// The time after it was sealed, right before it was sent.
    pub sealed: u64,
}

impl Job for Fill {
    type Message = Filled;
    type Output = ();
    type Error = Box<dyn Error + Send + Sync>;

    fn run(self, cx: &Ctx<Self>) -> Result<(), Self::Error> {
        let mut seed = 0;
        while cx.recv()?.is_some() {
            let started = clock::now();
            let (filled, buffer) = if self.piecewise {
                let writer = self.written(seed)?;
                (clock::now(), writer.seal()?)
            } else {
                let memory = self.filled(seed)?;
                (clock::now(), memory.seal()?)
            };
            let sealed = clock::now();
            cx.send(Filled {
                buffer,
                started,
                filled,
                sealed,
            })?;
            seed += 1;
        }
        Ok(())
    }
}

impl Receive for Fill {
    type Request = ();
}
