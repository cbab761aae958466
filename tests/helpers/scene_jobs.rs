//! The jobs of the scenes, in the lean worker `scene_worker`; what a control does the old way is the same function.

use std::cell::RefCell;
use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

use legwork::{Buffer, Ctx, Descriptor, Job, Receive};
use serde::{Deserialize, Serialize};

use crate::jobs::Failure;

legwork::jobs! {
    /// All of them.
    pub static SCENES = [TakeTheLock, LogMuch, CallBack, Drift, UseHandles, UseAddress, Flood, Sum];
}

/// S4: what every process of this program has, and each for itself.
pub static LOCK: Mutex<u32> = Mutex::new(0);

/// S4: takes [`LOCK`] if it is free, and answers whether it was; prints a line.
#[derive(Debug, Serialize, Deserialize)]
pub struct TakeTheLock;

impl Job for TakeTheLock {
    type Message = ();
    type Output = bool;
    type Error = Failure;

    fn run(self, _: &Ctx<Self>) -> Result<bool, Failure> {
        println!("the job can print");
        Ok(LOCK.try_lock().is_ok())
    }
}

/// S5: logs so many records, every tenth of them printed as well.
#[derive(Debug, Serialize, Deserialize)]
pub struct LogMuch {
    /// Whose records they are.
    pub who: u32,
    /// How many.
    pub records: u32,
}

/// S5: the text of a record. It is long, and wrong in any mixture with another.
pub fn record(who: u32, number: u32) -> String {
    let letter = char::from(b'a' + (who % 26) as u8);
    let filling = String::from(letter).repeat((number % 200) as usize);
    format!("{who}/{number}:{filling}:{number}/{who}")
}

impl Job for LogMuch {
    type Message = ();
    type Output = u32;
    type Error = Failure;

    fn run(self, _: &Ctx<Self>) -> Result<u32, Failure> {
        for number in 0..self.records {
            log::info!("{}", record(self.who, number));
            if number % 10 == 0 {
                println!("{}", record(self.who, number));
            }
        }
        Ok(self.records)
    }
}

/// S6: says numbers and is told one for each; answers their sum.
#[derive(Debug, Serialize, Deserialize)]
pub struct CallBack {
    /// How many.
    pub times: u64,
}

/// S6: the work, whoever is to be called.
pub fn call_back<E>(times: u64, mut call: impl FnMut(u64) -> Result<u64, E>) -> Result<u64, E> {
    (0..times).map(&mut call).sum()
}

impl Job for CallBack {
    type Message = u64;
    type Output = u64;
    type Error = Failure;

    fn run(self, cx: &Ctx<Self>) -> Result<u64, Failure> {
        call_back(self.times, |number| {
            cx.send(number)?;
            Ok(cx.recv()?.ok_or("the app has hung up")?)
        })
    }
}

impl Receive for CallBack {
    type Request = u64;
}

/// S7: what looks shared.
pub static SHARED: AtomicI32 = AtomicI32::new(1);

/// S7: adds to [`SHARED`], and answers what it is then.
#[derive(Debug, Serialize, Deserialize)]
pub struct Drift {
    /// How much is added.
    pub by: i32,
}

/// S7: the work.
pub fn drift(by: i32) -> i32 {
    SHARED.fetch_add(by, SeqCst) + by
}

impl Job for Drift {
    type Message = ();
    type Output = i32;
    type Error = Failure;

    fn run(self, _: &Ctx<Self>) -> Result<i32, Failure> {
        Ok(drift(self.by))
    }
}

/// S8: waits for the event, copies the pipe into a buffer behind what is in the other, and waits to be cancelled.
#[derive(Debug, Serialize, Deserialize)]
pub struct UseHandles {
    /// An eventfd.
    pub event: Descriptor,
    /// The end of a pipe that is read.
    pub pipe: Descriptor,
    /// What the answer begins with.
    pub data: Buffer,
}

/// S8: what a job says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Handed {
    /// The event has come, with this count.
    Event(u64),
    /// What was in the buffer and in the pipe, and the end of a pipe for writing of the job's own.
    Data(Buffer, Descriptor),
}

impl Job for UseHandles {
    type Message = Handed;
    type Output = ();
    type Error = Failure;

    fn run(self, cx: &Ctx<Self>) -> Result<(), Failure> {
        let mut count = [0; 8];
        rustix::io::read(&self.event, &mut count)?;
        cx.send(Handed::Event(u64::from_ne_bytes(count)))?;

        let mut bytes = self.data.to_vec();
        File::from(OwnedFd::from(self.pipe)).read_to_end(&mut bytes)?;
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let answer = Buffer::copy_from_slice(&bytes)?;
        cx.send(Handed::Data(answer, write.into()))?;
        let mut word = String::new();
        File::from(read).read_to_string(&mut word)?;
        if word != "go on" {
            return Err(format!("what came was {word:?}").into());
        }
        while !cx.is_cancelled() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Err(Box::new(legwork::Cancelled))
    }
}

/// S8: takes a number for the address of an event, as if it were made for this process.
#[derive(Debug, Serialize, Deserialize)]
pub struct UseAddress {
    /// Where the event lies in the process that made it.
    pub address: usize,
}

impl Job for UseAddress {
    type Message = ();
    type Output = u32;
    type Error = Failure;

    fn run(self, _: &Ctx<Self>) -> Result<u32, Failure> {
        Ok(crate::raw::set_event_at(self.address))
    }
}

/// S9: what happens when a [`Trap`] is dropped.
pub type Spring = Rc<dyn Fn(u64)>;

thread_local! {
    /// S9: that of this thread.
    pub static SPRING: RefCell<Option<Spring>> = const { RefCell::new(None) };
}

/// S9: a message with a finalizer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Trap(pub u64);

impl Drop for Trap {
    fn drop(&mut self) {
        // What it does may drop others.
        let spring = SPRING.try_with(|spring| spring.borrow().clone());
        if let Ok(Some(spring)) = spring {
            spring(self.0);
        }
    }
}

/// S9: sends so many traps, and then all that it is sent.
#[derive(Debug, Serialize, Deserialize)]
pub struct Flood {
    /// How many.
    pub messages: u64,
}

impl Job for Flood {
    type Message = Trap;
    type Output = u64;
    type Error = Failure;

    fn run(self, cx: &Ctx<Self>) -> Result<u64, Failure> {
        for number in 0..self.messages {
            cx.send(Trap(number))?;
            if number % 64 == 0 {
                cx.advance(64);
                log::info!("{number}");
            }
        }
        Ok(self.messages)
    }
}

impl Receive for Flood {
    type Request = ();
}

/// S10: sums up the bytes of a buffer, says so, and holds it until the app has no more to say.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sum {
    /// The bytes.
    pub data: Buffer,
}

impl Job for Sum {
    type Message = u64;
    type Output = ();
    type Error = Failure;

    fn run(self, cx: &Ctx<Self>) -> Result<(), Failure> {
        cx.send(sum(&self.data))?;
        while cx.recv()?.is_some() {}
        drop(black_box(self.data));
        std::io::stdout().flush()?;
        Ok(())
    }
}

/// S10: reads every byte.
pub fn sum(data: &[u8]) -> u64 {
    let (words, rest) = data.as_chunks::<8>();
    let words: u64 = words
        .iter()
        .fold(0, |sum, word| sum.wrapping_add(u64::from_ne_bytes(*word)));
    rest.iter()
        .fold(words, |sum, byte| sum.wrapping_add(u64::from(*byte)))
}

impl Receive for Sum {
    type Request = ();
}
