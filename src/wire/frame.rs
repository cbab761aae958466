//! Which frames there are, and what stands in them.
//!
//! The first packet from the app, [`Hello`], has a fixed layout, so that a worker of any version
//! can read it and say which version it is. All others are postcard behind the packet's header.

use serde::{Deserialize, Serialize};

/// The version of what is said over the control socket. Both sides must have the same.
pub(crate) const PROTOCOL: u32 = 2;

/// The first bytes of a [`Hello`].
pub(crate) const MAGIC: [u8; 8] = *b"LEGWORK\n";

/// The number at which a child finds its control socket.
pub(crate) const CONTROL_FD: i32 = 3;

/// What a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    // From the app.
    /// [`Hello`], fixed layout; brings a pidfd of the app.
    Hello = 1,
    /// The job's own value.
    Input = 2,
    /// A message to the running job.
    Request = 3,
    /// No more requests will come.
    EndOfRequests = 4,
    /// To the guardian: pidfds to watch over, and the group that each leads.
    Guard = 5,

    // From the worker.
    /// The handshake's answer: the job is about to run. Brings the shared page.
    Ready = 65,
    /// The handshake's answer: it cannot run here. [`Refusal`].
    Refused = 66,
    /// A message of the job's own type.
    Message = 67,
    /// [`Progress`].
    Progress = 68,
    /// [`LogBatch`].
    Log = 69,
    /// [`PanicReport`]: some thread panicked. Not yet an end.
    Panic = 70,
    /// [`CrashReport`]: a fatal signal is being handled.
    Crash = 71,
    /// The names of the frames of the last crash, as text.
    CrashFrames = 72,
    /// The job's output.
    Done = 73,
    /// [`Failure`]: the job's own error.
    Failed = 74,
    /// The job panicked, and that was its end.
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

    /// Whether a packet of this kind may be longer than fits in itself: what the author of a job
    /// decides on. All else is bounded by whoever sends it.
    pub(crate) fn may_be_long(byte: u8) -> bool {
        use Kind::*;
        [Input, Request, Message, Done]
            .into_iter()
            .any(|kind| kind as u8 == byte)
    }

    /// The kind of a packet that the app may send.
    pub(crate) fn from_app(byte: u8) -> Option<Kind> {
        use Kind::*;
        [Hello, Input, Request, EndOfRequests, Guard]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// What the child is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Role {
    /// Runs one job.
    Worker = 1,
    /// Kills what is left when the app dies.
    Guardian = 2,
    /// Changes itself as asked, and executes another program.
    Exec = 3,
}

/// The app's first word. It waits in the socket before the child exists.
///
/// Layout, little-endian: magic (8), protocol (4), role (1), log level (1), flags (2), message
/// capacity (4), job index (4), build id (8), length of the name (4), job name (UTF-8), input (the
/// rest, if a flag says so).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) protocol: u32,
    pub(crate) role: u8,
    /// The most detailed `log` level that is wanted, 0 (off) to 5 (trace).
    pub(crate) log_level: u8,
    /// Wait for a debugger before the job starts.
    pub(crate) wait_for_debugger: bool,
    /// How many messages may be on their way and not yet taken.
    pub(crate) capacity: u32,
    pub(crate) job: u32,
    pub(crate) build: u64,
    pub(crate) name: String,
    /// The job's value. `None` when a frame of its own follows.
    pub(crate) input: Option<Vec<u8>>,
}

const WAIT_FOR_DEBUGGER: u8 = 1;
const BRINGS_INPUT: u8 = 2;

const HELLO_FIXED: usize = 36;
/// The longest name of a job, in bytes.
pub(crate) const NAME_MAX: usize = 255;
/// The longest hello without an input.
#[cfg_attr(not(feature = "app"), allow(dead_code))]
pub(crate) const HELLO_MAX: usize = HELLO_FIXED + NAME_MAX;

impl Hello {
    /// A hello to a child that runs no job.
    pub(crate) fn plain(role: Role) -> Hello {
        Hello {
            protocol: PROTOCOL,
            role: role as u8,
            log_level: 0,
            wait_for_debugger: false,
            capacity: 0,
            job: 0,
            build: 0,
            name: String::new(),
            input: None,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let input = self.input.as_deref();
        let length = HELLO_FIXED + self.name.len() + input.map_or(0, <[u8]>::len);
        let mut bytes = Vec::with_capacity(length);
        let mut flags = 0;
        if self.wait_for_debugger {
            flags |= WAIT_FOR_DEBUGGER;
        }
        if input.is_some() {
            flags |= BRINGS_INPUT;
        }
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.protocol.to_le_bytes());
        bytes.push(self.role);
        bytes.push(self.log_level);
        bytes.extend_from_slice(&[flags, 0]);
        bytes.extend_from_slice(&self.capacity.to_le_bytes());
        bytes.extend_from_slice(&self.job.to_le_bytes());
        bytes.extend_from_slice(&self.build.to_le_bytes());
        bytes.extend_from_slice(&(self.name.len() as u32).to_le_bytes());
        bytes.extend_from_slice(self.name.as_bytes());
        bytes.extend_from_slice(input.unwrap_or_default());
        bytes
    }

    /// Reads a hello, of any version: what stands behind the protocol's number means what this
    /// version says only when the number is [`PROTOCOL`].
    pub(crate) fn decode(bytes: &[u8]) -> Option<Hello> {
        let (fixed, rest) = bytes.split_first_chunk::<HELLO_FIXED>()?;
        if fixed[..8] != MAGIC {
            return None;
        }
        let word = |at: usize| {
            u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]])
        };
        let protocol = word(8);
        if protocol != PROTOCOL {
            // Where its name ends is not known here.
            return Some(Hello {
                protocol,
                ..Hello::plain(Role::Worker)
            });
        }
        let (name, input) = rest.split_at_checked(word(32) as usize)?;
        if name.len() > NAME_MAX {
            return None;
        }
        Some(Hello {
            protocol,
            role: fixed[12],
            log_level: fixed[13],
            wait_for_debugger: fixed[14] & WAIT_FOR_DEBUGGER != 0,
            capacity: word(16),
            job: word(20),
            build: u64::from(word(24)) | u64::from(word(28)) << 32,
            name: std::str::from_utf8(name).ok()?.to_owned(),
            input: (fixed[14] & BRINGS_INPUT != 0).then(|| input.to_vec()),
        })
    }
}

/// Why a worker will not run a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refusal {
    /// It speaks another protocol.
    Protocol(u32),
    /// It was built from other sources.
    Build(u64),
    /// It has no job of that name at that place.
    UnknownJob,
    /// The input could not be decoded.
    Input(String),
    /// Something it needs to start with could not be had.
    Setup(String),
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
}

/// The step at which an exec helper failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExecRefusal {
    pub(crate) step: String,
    pub(crate) errno: i32,
}

/// How far a job is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) done: u64,
    /// 0 while it is not known.
    pub(crate) total: u64,
    /// Only when it has changed.
    pub(crate) text: Option<String>,
}

/// The most records in one [`LogBatch`]: each is written into the app's log, which takes its time.
pub(crate) const LOG_RECORDS_MAX: usize = 128;

/// Records of a job's log, in the order in which they were made.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct LogBatch {
    /// How many were dropped before the first of these since the last batch.
    pub(crate) dropped: u64,
    pub(crate) records: Vec<LogEntry>,
}

/// One record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LogEntry {
    /// As in the `log` crate: 1 is error, 5 is trace.
    pub(crate) level: u8,
    pub(crate) target: String,
    pub(crate) text: String,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
}

/// A panic, told by the worker's panic hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PanicReport {
    pub(crate) message: String,
    pub(crate) location: Option<String>,
    pub(crate) thread: Option<String>,
    pub(crate) backtrace: String,
}

/// A fatal signal, told by the handler itself: fixed layout, because nothing may be allocated
/// there. Little-endian: signal (4), code (4), address (8), panicking (1), count (1), then the
/// return addresses (8 each).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CrashReport {
    pub(crate) signal: i32,
    pub(crate) code: i32,
    pub(crate) address: u64,
    pub(crate) panicking: bool,
    pub(crate) frames: Vec<u64>,
}

/// The most return addresses in a [`CrashReport`].
pub(crate) const CRASH_FRAMES: usize = 64;
pub(crate) const CRASH_FIXED: usize = 18;

impl CrashReport {
    pub(crate) fn decode(bytes: &[u8]) -> Option<CrashReport> {
        let (fixed, rest) = bytes.split_first_chunk::<CRASH_FIXED>()?;
        let count = usize::from(fixed[17]);
        if count > CRASH_FRAMES || rest.len() != count * 8 {
            return None;
        }
        let word = |at: usize| {
            i32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]])
        };
        Some(CrashReport {
            signal: word(0),
            code: word(4),
            address: u64::from(word(8) as u32) | u64::from(word(12) as u32) << 32,
            panicking: fixed[16] != 0,
            frames: rest
                .as_chunks::<8>()
                .0
                .iter()
                .map(|bytes| u64::from_le_bytes(*bytes))
                .collect(),
        })
    }
}

/// The job's own error, rendered: what it says, and what it says of its causes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// The error and its sources, outermost first. Never empty, at most [`CAUSES_MAX`].
    pub(crate) chain: Vec<String>,
    /// [`Cancelled`](crate::Cancelled) stands somewhere in the chain.
    pub(crate) cancelled: bool,
}

/// The most texts in the chain of a [`Failure`].
pub(crate) const CAUSES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_reads_as_it_was_written() {
        let hello = Hello {
            protocol: PROTOCOL,
            role: Role::Worker as u8,
            log_level: 3,
            wait_for_debugger: true,
            capacity: 64,
            job: 2,
            build: 0x0123_4567_89ab_cdef,
            name: "Checksum".to_owned(),
            input: None,
        };
        assert_eq!(Hello::decode(&hello.encode()), Some(hello.clone()));
        for input in [vec![], vec![7; 1000]] {
            let hello = Hello {
                input: Some(input),
                ..hello.clone()
            };
            assert_eq!(Hello::decode(&hello.encode()), Some(hello));
        }
    }

    #[test]
    fn a_hello_of_another_version_says_which_whatever_stands_behind() {
        for (protocol, rest) in [(1, "name"), (PROTOCOL + 1, "something else")] {
            for filler in [0, 0x7f, 0xff] {
                let mut bytes = vec![filler; HELLO_FIXED];
                bytes[..8].copy_from_slice(&MAGIC);
                bytes[8..12].copy_from_slice(&protocol.to_le_bytes());
                bytes.extend_from_slice(rest.as_bytes());
                bytes.extend_from_slice(&[filler; 1000]);
                let hello = Hello::decode(&bytes).expect("a hello");
                assert_eq!(hello.protocol, protocol);
            }
        }
    }

    #[test]
    fn a_hello_cut_anywhere_is_no_hello() {
        let hello = Hello {
            protocol: PROTOCOL,
            role: Role::Worker as u8,
            log_level: 0,
            wait_for_debugger: false,
            capacity: 1,
            job: 0,
            build: 0,
            name: "name".to_owned(),
            input: None,
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
