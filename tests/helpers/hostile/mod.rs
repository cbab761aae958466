//! A worker that breaks the protocol: the test describes what it sends, byte by byte, and the program `hostile` sends
//! it.
//!
//! Nothing here comes from the library: the layout of the packets is written out again, as a stranger would who read
//! its documentation.

mod fuzz;
mod stage;

use legwork::{Buffer, Ctx, Descriptor, Job};
use serde::{Deserialize, Serialize};

use crate::jobs::Failure;
pub use stage::main;

/// The kinds of packets that a worker sends.
pub mod kind {
    /// The handshake.
    pub const READY: u8 = 65;
    /// A refusal: it cannot run.
    pub const REFUSED: u8 = 66;
    /// A message.
    pub const MESSAGE: u8 = 67;
    /// Progress.
    pub const PROGRESS: u8 = 68;
    /// Log records.
    pub const LOG: u8 = 69;
    /// A panic.
    pub const PANIC: u8 = 70;
    /// A fatal signal.
    pub const CRASH: u8 = 71;
    /// The names of its frames.
    pub const CRASH_FRAMES: u8 = 72;
    /// The output.
    pub const DONE: u8 = 73;
    /// The job's own error.
    pub const FAILED: u8 = 74;
    /// The job panicked.
    pub const PANICKED: u8 = 75;
    /// All of them.
    pub const ALL: std::ops::RangeInclusive<u8> = READY..=PANICKED;
}

/// The flag of a packet whose payload is in memory that comes with it.
pub const SPILLED: u8 = 1;

/// One step of a hostile worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Step {
    /// Sends this packet, header included.
    Send(Vec<u8>, Vec<Thing>),
    /// Sends a packet of this kind and this length, filled with zeros.
    SendZeros(u8, usize),
    /// Sends it this often, or until nobody receives it.
    Flood(u32, Vec<u8>),
    /// Sends the packet repeatedly from a child that outlives the worker.
    FloodFromChild(Vec<u8>),
    /// Sends this many mutations of valid packets, with this seed.
    Fuzz(u64, u32),
    /// Prints these bytes this often.
    Print(u32, Vec<u8>),
    /// Overwrites the whole shared page with nonsense, this often.
    Scribble(u32),
    /// Closes a descriptor.
    Close(i32),
    /// Tries to leave its process group for one that it creates.
    LeaveGroup,
    /// Sends itself a signal.
    Raise(i32),
    /// Waits for this many milliseconds.
    Sleep(u64),
    /// Exits at once.
    Exit(i32),
}

/// A descriptor that comes with a packet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Thing {
    /// `/dev/null`.
    Null,
    /// One end of a pipe.
    Pipe,
    /// A file on a disk, with this content.
    File(Vec<u8>),
    /// A TCP connection whose last close waits for data that cannot be delivered.
    Lingering,
    /// A memfd.
    Memory(Memory),
    /// A valid shared page.
    Page,
}

/// A memfd.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Memory {
    /// What is written to it first.
    pub start: Vec<u8>,
    /// What is written to it then.
    pub bytes: Vec<u8>,
    /// How often it is written.
    pub times: usize,
    /// Its final length; what was not written is a hole.
    pub length: u64,
    /// Its seals; -1 for a memfd that cannot be sealed.
    pub seals: i32,
    /// Whether it has huge pages.
    pub huge: bool,
}

/// The seals that the app requires.
pub const SEALED: i32 = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;

/// The flag of a packet that is about a job, whose number follows.
pub const NUMBERED: u8 = 2;

/// Creates a packet of this kind: about the one job, if such packets are about a job.
pub fn packet(kind: u8, payload: &[u8]) -> Vec<u8> {
    match kind {
        kind::READY | kind::REFUSED => [&[kind, 0], payload].concat(),
        _ => packet_about(1, kind, payload),
    }
}

/// Creates a packet of this kind about the job with this number.
pub fn packet_about(job: u32, kind: u8, payload: &[u8]) -> Vec<u8> {
    [&[kind, NUMBERED], &job.to_le_bytes()[..], payload].concat()
}

/// Creates a packet of this kind with a payload encoded by serde.
pub fn said(kind: u8, payload: &impl Serialize) -> Vec<u8> {
    packet(
        kind,
        &postcard::to_stdvec(payload).expect("it can be encoded"),
    )
}

/// Creates a packet without descriptors.
pub fn send(packet: Vec<u8>) -> Step {
    Step::Send(packet, Vec::new())
}

/// Creates the handshake.
pub fn ready() -> Step {
    ready_with(Thing::Page)
}

/// Creates the same with something else as its page.
pub fn ready_with(page: Thing) -> Step {
    Step::Send(packet(kind::READY, &[]), vec![page])
}

/// Creates a packet of this kind that claims that its payload of `length` bytes is in `thing`.
pub fn spilled(kind: u8, length: u64, thing: Thing) -> Step {
    let mut bytes = packet(kind, &[]);
    bytes[1] |= SPILLED;
    bytes.extend_from_slice(&length.to_le_bytes());
    Step::Send(bytes, vec![thing])
}

/// Creates sealed memory that contains these bytes this often.
pub fn sealed(bytes: &[u8], times: usize) -> Thing {
    sealed_after(&[], bytes, times)
}

/// The same, after other bytes.
pub fn sealed_after(start: &[u8], bytes: &[u8], times: usize) -> Thing {
    Thing::Memory(Memory {
        start: start.to_vec(),
        bytes: bytes.to_vec(),
        times,
        length: (start.len() + bytes.len() * times) as u64,
        seals: SEALED,
        huge: false,
    })
}

/// The variable that contains the steps of the worker.
const VARIABLE: &str = "HOSTILE_STEPS";

/// The job that a hostile worker is started for: its message has everything that a message can have.
#[derive(Debug, Serialize, Deserialize)]
pub struct Believe;

/// Its message.
#[derive(Debug, Serialize, Deserialize)]
pub enum Word {
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Word>),
    /// Nested.
    Inside(Option<Box<Word>>),
    /// Memory.
    Memory(Buffer),
    /// Descriptors.
    Descriptors(Vec<Descriptor>),
}

impl Job for Believe {
    type Message = Word;
    type Output = Word;
    type Error = Failure;

    fn run(self, _: &Ctx<Self>) -> Result<Word, Failure> {
        Ok(Word::Text("the truth".to_owned()))
    }
}

legwork::jobs! {
    /// The app's side of the job.
    pub static BELIEFS = [Believe];
}

/// Returns the variable's name and value for these steps.
pub fn script(steps: &[Step]) -> (String, String) {
    let bytes = postcard::to_stdvec(steps).expect("steps can be encoded");
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    // MAX_ARG_STRLEN of execve(2).
    assert!(text.len() < 128 * 1024 - 64, "the script is too long");
    (VARIABLE.to_owned(), text)
}

/// Returns how many descriptors this process has open.
pub fn open_descriptors() -> usize {
    // One of them is the directory that is being read.
    std::fs::read_dir("/proc/self/fd").expect("proc").count() - 1
}
