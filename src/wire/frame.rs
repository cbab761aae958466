//! The frames and their layouts.
//!
//! The first packet from the app, [`Hello`], has a fixed layout, so that a worker of any version can decode it and
//! answer with its own version. [`Start`] and [`CrashReport`] have fixed layouts as well; the payloads of all others are
//! postcard. A frame about a job carries the job's number.

use serde::{Deserialize, Serialize};

use super::nul::received;
use crate::process::class::Class;

/// The version of the protocol. Both sides must have the same.
pub(crate) const PROTOCOL: u32 = 4;

/// The first bytes of a [`Hello`].
pub(crate) const MAGIC: [u8; 8] = *b"LEGWORK\n";

/// The descriptor at which a child finds its control socket.
pub(crate) const CONTROL_FD: i32 = 3;

/// The number of a worker's job. Jobs are numbered from 1 in the order of their starts, and no number is used again.
pub(crate) type JobNumber = u32;

/// In place of a number, in frames that are about the process.
pub(crate) const NO_JOB: JobNumber = 0;

/// The job whose [`Start`] travels in the [`Hello`].
pub(crate) const FIRST_JOB: JobNumber = 1;

/// The kind of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    // From the app.
    /// [`Hello`], fixed layout; brings a pidfd of the app.
    Hello = 1,
    /// [`Start`]: a job to run after those before it have ended. About that job.
    Start = 2,
    /// A request to the running job. About a job.
    Request = 3,
    /// No more requests follow. About a job.
    EndOfRequests = 4,
    /// To the guardian: the pidfds of children to kill when the app dies, and the group that each leads.
    Guard = 5,
    /// Wakes a job that waits for requests: it was asked to stop, which is stored in the page. About a job.
    Cancel = 6,
    /// To an exec helper: [`ExecOrder`].
    Order = 7,
    /// To the guardian: a pidfd of a child, and the `cgroup.kill` of the cgroup that this child has for itself.
    GuardTree = 8,

    // From the worker.
    /// Completes the handshake: this process is a worker. Brings the shared page.
    Ready = 65,
    /// [`Refusal`]: about the process, the other answer to the handshake; about a job, that it cannot run here.
    Refused = 66,
    /// A message of the job's own type. About a job.
    Message = 67,
    /// [`Progress`]. About a job.
    Progress = 68,
    /// [`LogBatch`]. About a job, which may have ended, or about the process.
    Log = 69,
    /// [`PanicReport`]: a thread has panicked, which need not end the job.
    Panic = 70,
    /// [`CrashReport`]: a fatal signal has arrived.
    Crash = 71,
    /// The names of the frames of the last crash, as text.
    CrashFrames = 72,
    /// The job's output. About a job.
    Done = 73,
    /// [`Failure`]: the job's own error. About a job.
    Failed = 74,
    /// A panic has ended the job. About a job.
    Panicked = 75,
}

impl Kind {
    /// The kind of a packet that a worker may send.
    pub(crate) fn from_worker(byte: u8) -> Option<Kind> {
        use Kind::*;
        [
            Ready,
            Refused,
            Message,
            Progress,
            Log,
            Panic,
            Crash,
            CrashFrames,
            Done,
            Failed,
            Panicked,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }

    /// Whether a frame of this kind may be longer than a packet: those whose length the author of a job decides.
    /// The senders of all others keep them short.
    pub(crate) fn may_be_long(byte: u8) -> bool {
        use Kind::*;
        [Start, Order, Request, Message, Done]
            .into_iter()
            .any(|kind| kind as u8 == byte)
    }

    /// The kind of a packet that the app may send.
    pub(crate) fn from_app(byte: u8) -> Option<Kind> {
        use Kind::*;
        [
            Hello,
            Start,
            Request,
            EndOfRequests,
            Guard,
            Cancel,
            Order,
            GuardTree,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }

    /// Whether any thread of the worker may send it at any time.
    pub(crate) fn is_unprompted(self) -> bool {
        use Kind::*;
        matches!(self, Log | Panic | Crash | CrashFrames)
    }
}

/// The role of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Role {
    /// Runs jobs.
    Worker = 1,
    /// Kills the app's children when the app dies.
    Guardian = 2,
    /// Changes itself as asked, and executes another program.
    Exec = 3,
}

/// The app's first frame: what the *process* is to be. It is in the socket before the child exists.
///
/// Layout, little-endian: magic (8), protocol (4), role (1), log level (1), flags (1), class (1),
/// number of jobs (4), build id (8), and a [`Start`], if a flag says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) protocol: u32,
    pub(crate) role: u8,
    /// The most detailed `log` level that is wanted, 0 (off) to 5 (trace).
    pub(crate) log_level: u8,
    /// Whether the worker waits for a debugger before its first job.
    pub(crate) wait_for_debugger: bool,
    /// How much the jobs yield to others.
    pub(crate) class: Option<Class>,
    /// The number of jobs after which the worker ends by itself; 0 for never.
    pub(crate) jobs: u32,
    pub(crate) build: u64,
    /// The first job. `None` when a frame of its own follows.
    pub(crate) start: Option<Start>,
}

/// Where in a hello the role is.
pub(crate) const ROLE_AT: usize = 12;
const WAIT_FOR_DEBUGGER: u8 = 1;
const BRINGS_START: u8 = 2;

const HELLO_FIXED: usize = 28;
const START_FIXED: usize = 9;
/// The longest name of a job, in bytes.
pub(crate) const NAME_MAX: usize = 255;
/// The most that stands before a job's input in a hello.
pub(crate) const HELLO_MAX: usize = HELLO_FIXED + START_FIXED + NAME_MAX;

impl Hello {
    /// A hello to a child that runs no job.
    pub(crate) fn plain(role: Role) -> Hello {
        Hello {
            protocol: PROTOCOL,
            role: role as u8,
            log_level: 0,
            wait_for_debugger: false,
            class: None,
            jobs: 0,
            build: 0,
            start: None,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let start = self.start.as_ref();
        let mut bytes = Vec::with_capacity(HELLO_FIXED + start.map_or(0, Start::len));
        let mut flags = 0;
        if self.wait_for_debugger {
            flags |= WAIT_FOR_DEBUGGER;
        }
        if start.is_some() {
            flags |= BRINGS_START;
        }
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.protocol.to_le_bytes());
        let class = self.class.map_or(0, |class| class as u8);
        bytes.extend_from_slice(&[self.role, self.log_level, flags, class]);
        bytes.extend_from_slice(&self.jobs.to_le_bytes());
        bytes.extend_from_slice(&self.build.to_le_bytes());
        if let Some(start) = start {
            start.append_to(&mut bytes);
        }
        bytes
    }

    /// Decodes a Hello of any version. What follows the version is decoded only if that is [`PROTOCOL`].
    pub(crate) fn decode(bytes: &[u8]) -> Option<Hello> {
        let (known, _) = bytes.split_first_chunk::<12>()?;
        if known[..8] != MAGIC {
            return None;
        }
        let protocol = word(known, 8);
        if protocol != PROTOCOL {
            return Some(Hello {
                protocol,
                ..Hello::plain(Role::Worker)
            });
        }
        let (fixed, rest) = bytes.split_first_chunk::<HELLO_FIXED>()?;
        let flags = fixed[14];
        Some(Hello {
            protocol,
            role: fixed[ROLE_AT],
            log_level: fixed[13],
            wait_for_debugger: flags & WAIT_FOR_DEBUGGER != 0,
            class: Class::from_number(fixed[15]),
            jobs: word(fixed, 16),
            build: u64::from(word(fixed, 20)) | u64::from(word(fixed, 24)) << 32,
            start: match flags & BRINGS_START {
                0 => None,
                _ => Some(Start::decode(rest)?),
            },
        })
    }
}

/// A job to run.
///
/// Layout, little-endian: message capacity (4), job index (4), length of the name (1), job name
/// (UTF-8), input (the rest).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Start {
    /// How many messages the job may have sent that the app has not taken.
    pub(crate) capacity: u32,
    /// The job's index in the table.
    pub(crate) index: u32,
    /// The job's name, at most [`NAME_MAX`] bytes.
    pub(crate) name: String,
    /// The job, encoded.
    pub(crate) input: Vec<u8>,
}

impl Start {
    fn len(&self) -> usize {
        START_FIXED + self.name.len() + self.input.len()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        self.append_to(&mut bytes);
        bytes
    }

    fn append_to(&self, bytes: &mut Vec<u8>) {
        debug_assert!(
            self.name.len() <= NAME_MAX,
            "checked where the table is made"
        );
        bytes.extend_from_slice(&self.capacity.to_le_bytes());
        bytes.extend_from_slice(&self.index.to_le_bytes());
        bytes.push(self.name.len() as u8);
        bytes.extend_from_slice(self.name.as_bytes());
        bytes.extend_from_slice(&self.input);
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Start> {
        let (fixed, rest) = bytes.split_first_chunk::<START_FIXED>()?;
        let (name, input) = rest.split_at_checked(usize::from(fixed[8]))?;
        Some(Start {
            capacity: word(fixed, 0),
            index: word(fixed, 4),
            name: std::str::from_utf8(name).ok()?.to_owned(),
            input: input.to_vec(),
        })
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Why a process cannot be a worker for this app, or cannot run a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refusal {
    /// It speaks another protocol.
    Protocol(u32),
    /// It was built from other sources.
    Build(u64),
    /// Its table has no job of that name at that index.
    UnknownJob,
    /// The input could not be decoded.
    Input(#[serde(deserialize_with = "received")] String),
    /// It could not be set up; why, in words.
    Setup(#[serde(deserialize_with = "received")] String),
}

/// What an exec helper is to do, in this order, before it executes the program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExecOrder {
    pub(crate) path: std::ffi::CString,
    pub(crate) arguments: Vec<std::ffi::CString>,
    /// A descriptor that is to be at the control socket's number.
    pub(crate) moved: Option<i32>,
    pub(crate) umask: Option<u32>,
    /// Added to the nice value.
    pub(crate) nice: Option<i32>,
    /// Resource (`RLIMIT_*`), soft and hard limit; `None` is unlimited.
    pub(crate) limits: Vec<(u32, Option<u64>, Option<u64>)>,
    pub(crate) no_new_privileges: bool,
    /// How much it yields to others.
    pub(crate) class: Option<Class>,
}

/// Why an exec helper did not execute the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExecRefusal {
    pub(crate) step: ExecStep,
    pub(crate) errno: i32,
}

/// The steps of an exec helper that can fail. Setting the umask cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ExecStep {
    /// Reading the order.
    Order,
    /// Moving a descriptor to the control socket's number.
    Descriptor,
    /// Setting the limit of this resource (`RLIMIT_*`).
    Limit(u32),
    /// Changing the nice value.
    Nice,
    /// Giving up new privileges.
    NoNewPrivileges,
    /// Executing the program.
    Execute,
    /// Having it yield to others.
    Class,
}

/// The progress of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) done: u64,
    /// 0 while it is not known.
    pub(crate) total: u64,
    /// Present only when it has changed.
    #[serde(deserialize_with = "received")]
    pub(crate) text: Option<String>,
}

/// The most records in one [`LogBatch`]. The app writes each into its log, which takes time.
pub(crate) const LOG_RECORDS_MAX: usize = 128;

/// Log records of a job, in order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct LogBatch {
    /// How many records were dropped between the last batch and the first of these.
    pub(crate) dropped: u64,
    pub(crate) records: Vec<LogEntry>,
}

/// One log record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LogEntry {
    /// As in the `log` crate: 1 is error, 5 is trace.
    pub(crate) level: u8,
    #[serde(deserialize_with = "received")]
    pub(crate) target: String,
    #[serde(deserialize_with = "received")]
    pub(crate) text: String,
    #[serde(deserialize_with = "received")]
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    /// When it was made, in microseconds since 1970.
    pub(crate) time: u64,
    /// How many bytes had been printed by then, to standard output and error.
    pub(crate) printed: [u64; 2],
}

/// A panic, as the worker's panic hook reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PanicReport {
    #[serde(deserialize_with = "received")]
    pub(crate) message: String,
    #[serde(deserialize_with = "received")]
    pub(crate) location: Option<String>,
    #[serde(deserialize_with = "received")]
    pub(crate) thread: Option<String>,
    #[serde(deserialize_with = "received")]
    pub(crate) backtrace: String,
}

/// A fatal signal, as the signal handler reports it. It has a fixed layout, because a handler must not allocate.
/// Little-endian: signal (4), code (4), address (8), flags (1), count (1), then the return addresses (8 each).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CrashReport {
    pub(crate) signal: i32,
    pub(crate) code: i32,
    pub(crate) address: u64,
    pub(crate) panicking: bool,
    /// The address is next to the end of the thread's stack.
    pub(crate) stack_overflow: bool,
    pub(crate) frames: Vec<u64>,
}

/// The most return addresses in a [`CrashReport`].
pub(crate) const CRASH_FRAMES: usize = 64;
pub(crate) const CRASH_FIXED: usize = 18;
pub(crate) const CRASH_PANICKING: u8 = 1;
pub(crate) const CRASH_STACK_OVERFLOW: u8 = 2;

impl CrashReport {
    pub(crate) fn decode(bytes: &[u8]) -> Option<CrashReport> {
        let (fixed, rest) = bytes.split_first_chunk::<CRASH_FIXED>()?;
        let count = usize::from(fixed[17]);
        if count > CRASH_FRAMES || rest.len() != count * 8 {
            return None;
        }
        Some(CrashReport {
            signal: word(fixed, 0).cast_signed(),
            code: word(fixed, 4).cast_signed(),
            address: u64::from(word(fixed, 8)) | u64::from(word(fixed, 12)) << 32,
            panicking: fixed[16] & CRASH_PANICKING != 0,
            stack_overflow: fixed[16] & CRASH_STACK_OVERFLOW != 0,
            frames: rest
                .as_chunks::<8>()
                .0
                .iter()
                .map(|bytes| u64::from_le_bytes(*bytes))
                .collect(),
        })
    }
}

/// The job's own error and its causes, as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// The error and its sources, outermost first: at least one, at most [`CAUSES_MAX`].
    #[serde(deserialize_with = "received")]
    pub(crate) chain: Vec<String>,
    /// Whether one of them is [`Cancelled`](crate::Cancelled).
    pub(crate) cancelled: bool,
}

/// The most texts in the chain of a [`Failure`].
pub(crate) const CAUSES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            log_level: 3,
            wait_for_debugger: true,
            jobs: 1,
            build: 0x0123_4567_89ab_cdef,
            ..Hello::plain(Role::Worker)
        }
    }

    fn start(input: Vec<u8>) -> Start {
        Start {
            capacity: 64,
            index: 2,
            name: "Checksum".to_owned(),
            input,
        }
    }

    #[test]
    fn a_hello_and_a_start_read_as_they_were_written() {
        assert_eq!(Hello::decode(&hello().encode()), Some(hello()));
        for input in [vec![], vec![7; 1000]] {
            let start = start(input);
            assert_eq!(Start::decode(&start.encode()), Some(start.clone()));
            let hello = Hello {
                start: Some(start),
                ..hello()
            };
            assert_eq!(Hello::decode(&hello.encode()), Some(hello));
        }
    }

    #[test]
    fn a_hello_of_another_version_says_which_whatever_follows() {
        for protocol in [1, 2, PROTOCOL + 1] {
            for (filler, length) in [(0, 0), (0x7f, 1000), (0xff, 24)] {
                let mut bytes = MAGIC.to_vec();
                bytes.extend_from_slice(&protocol.to_le_bytes());
                bytes.extend(std::iter::repeat_n(filler, length));
                let hello = Hello::decode(&bytes).expect("a hello");
                assert_eq!(hello.protocol, protocol);
            }
        }
    }

    #[test]
    fn a_hello_cut_anywhere_before_its_input_is_not_a_hello() {
        let hello = Hello {
            start: Some(start(vec![])),
            ..hello()
        };
        let bytes = hello.encode();
        for cut in 0..bytes.len() {
            assert_eq!(Hello::decode(&bytes[..cut]), None, "cut at {cut}");
        }
        let mut other = bytes.clone();
        other[0] ^= 1;
        assert_eq!(Hello::decode(&other), None);
    }

    #[test]
    fn a_crash_report_with_a_wrong_count_is_refused() {
        let mut bytes = vec![0; CRASH_FIXED + 16];
        bytes[17] = 2;
        assert!(CrashReport::decode(&bytes).is_some());
        for wrong in [0, 1, 3, 65, 255] {
            bytes[17] = wrong;
            assert!(CrashReport::decode(&bytes).is_none(), "{wrong}");
        }
    }
}
