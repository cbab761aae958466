//! The jobs of the scenes, in the lean worker `scene_worker`. A control does the same work the old way by calling the
//! same function.

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

/// S4: a lock that every process of this program has for itself.
pub static LOCK: Mutex<u32> = Mutex::new(0);

/// S4: takes [`LOCK`] if it is free, and returns whether it was; prints a line.
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

/// S5: logs this many records, and prints every tenth as well.
#[derive(Debug, Serialize, Deserialize)]
pub struct LogMuch {
    /// The name of the job in its records.
    pub who: u32,
    /// The number of records.
    pub records: u32,
}

/// S5: returns the text of a record. It is long, so that a mixture with another is noticed.
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

/// S6: sends numbers and receives one for each; returns their sum.
#[derive(Debug, Serialize, Deserialize)]
pub struct CallBack {
    /// The number of messages.
    pub times: u64,
}

/// S6: the work, with any callback.
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

/// S7: a counter that looks shared.
pub static SHARED: AtomicI32 = AtomicI32::new(1);

/// S7: adds to [`SHARED`], and returns the new value.
#[derive(Debug, Serialize, Deserialize)]
pub struct Drift {
    /// The number to add.
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

/// S8: waits for the event, appends the pipe's content to the other bytes in a buffer, and waits to be cancelled.
#[derive(Debug, Serialize, Deserialize)]
pub struct UseHandles {
    /// An eventfd.
    pub event: Descriptor,
    /// The read end of a pipe.
    pub pipe: Descriptor,
    /// The bytes at the start of the answer.
    pub data: Buffer,
}

/// S8: a message of the job.
#[derive(Debug, Serialize, Deserialize)]
pub enum Handed {
    /// The event has arrived, with this count.
    Event(u64),
    /// The content of the buffer and the pipe, and the write end of a pipe of the job's own.
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

/// S8: uses a number as the address of an event, as if it had been created for this process.
#[derive(Debug, Serialize, Deserialize)]
pub struct UseAddress {
    /// The address of the event in the process that created it.
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

/// S9: the action when a [`Trap`] is dropped.
pub type Spring = Rc<dyn Fn(u64)>;

thread_local! {
    /// S9: the action of this thread.
    pub static SPRING: RefCell<Option<Spring>> = const { RefCell::new(None) };
}

/// S9: a message with a finalizer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Trap(pub u64);

impl Drop for Trap {
    fn drop(&mut self) {
        // The action may drop other traps.
        let spring = SPRING.try_with(|spring| spring.borrow().clone());
        if let Ok(Some(spring)) = spring {
            spring(self.0);
        }
    }
}

/// S9: sends this many traps, and then everything that it receives.
#[derive(Debug, Serialize, Deserialize)]
pub struct Flood {
    /// The number of traps.
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

/// S10: sums the bytes of a buffer, sends the sum, and holds the buffer until the app has no more requests.
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
