//! The jobs that the tests run, in the lean worker `worker`, which is built beside the tests.

use std::io::Write;
use std::time::Duration;

use legwork::{Ctx, Job, Receive};
use serde::{Deserialize, Serialize};

/// The error type of the jobs, for `?`.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

legwork::jobs! {
    /// All of them.
    pub static JOBS = [Count, Echo, Misbehave, Unpack];
}

/// Sends the numbers from 0 up to `to`, and returns how many there were.
#[derive(Debug, Serialize, Deserialize)]
pub struct Count {
    /// The first number that is not sent.
    pub to: u64,
}

impl Job for Count {
    type Message = u64;
    type Output = u64;
    type Error = Failure;

    fn run(self, cx: &Ctx<Self>) -> Result<u64, Failure> {
        cx.set_total(self.to);
        for number in 0..self.to {
            cx.send(number)?;
            cx.advance(1);
        }
        Ok(self.to)
    }
}

/// Sends back what it receives, and returns how many requests there were.
#[derive(Debug, Serialize, Deserialize)]
pub struct Echo;

impl Job for Echo {
    type Message = Vec<u8>;
    type Output = u64;
    type Error = Failure;

    fn run(self, cx: &Ctx<Self>) -> Result<u64, Failure> {
        let mut count = 0;
        while let Some(bytes) = cx.recv()? {
            cx.send(bytes)?;
            count += 1;
        }
        Ok(count)
    }
}

impl Receive for Echo {
    type Request = Vec<u8>;
}

/// Returns its input: the bytes, and the content of each descriptor.
#[derive(Debug, Serialize, Deserialize)]
pub struct Unpack {
    /// Any bytes.
    pub bytes: Vec<u8>,
    /// Files, to be read from the beginning.
    pub files: Vec<legwork::Descriptor>,
}

impl Job for Unpack {
    type Message = ();
    type Output = (Vec<u8>, Vec<String>);
    type Error = Failure;

    fn run(self, _: &Ctx<Self>) -> Result<(Vec<u8>, Vec<String>), Failure> {
        let read = |file: legwork::Descriptor| {
            let file = std::fs::File::from(std::os::fd::OwnedFd::from(file));
            let mut text = [0; 16];
            let length = std::os::unix::fs::FileExt::read_at(&file, &mut text, 0)?;
            Ok(String::from_utf8_lossy(&text[..length]).into_owned())
        };
        let texts: std::io::Result<_> = self.files.into_iter().map(read).collect();
        Ok((self.bytes, texts?))
    }
}

/// Fails in one way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Misbehave {
    /// Fails with an error that has a cause.
    Fail,
    /// Panics.
    Panic,
    /// Panics on a thread of its own, and continues.
    PanicAside,
    /// Sends one last message and exits at once.
    ExitAfterMessage(i32),
    /// Writes to an address that is not mapped.
    Segfault,
    /// Aborts.
    Abort,
    /// Kills itself by this signal.
    Raise(i32),
    /// Sleeps, and never checks whether it should stop.
    Hang,
    /// Sleeps until it is asked to stop.
    HangPolitely,
    /// Uses up its stack.
    Overflow,
    /// Leaves a child behind that holds its output, and returns.
    Grandchild,
    /// Prints a line and then exits.
    Print(String, i32),
    /// Sets its progress text twice, and kills itself at once by this signal.
    RaiseAt(String, i32),
    /// Starts a child in its own group, sends the child's id, and sleeps without checking whether it should stop.
    Family,
}

impl Job for Misbehave {
    type Message = String;
    type Output = String;
    type Error = Failure;

    fn run(self, cx: &Ctx<Self>) -> Result<String, Failure> {
        match self {
            Misbehave::Fail => {
                let cause = std::fs::read("/nonexistent").map(drop);
                cause.map_err(|cause| Context("reading the list", cause))?;
            }
            Misbehave::Panic => panic!("on purpose"),
            Misbehave::PanicAside => {
                let aside = std::thread::spawn(|| panic!("aside")).join();
                assert!(aside.is_err());
            }
            Misbehave::ExitAfterMessage(code) => {
                cx.send("last words".to_owned())?;
                exit_at_once(code);
            }
            Misbehave::Segfault => segfault(),
            Misbehave::Abort => std::process::abort(),
            Misbehave::Raise(signal) => raise(signal),
            Misbehave::RaiseAt(text, signal) => {
                cx.set_total(9);
                cx.set_text("something before");
                cx.set_done(7);
                cx.set_text(text);
                raise(signal);
            }
            Misbehave::Hang => {
                cx.send("hanging".to_owned())?;
                hang();
            }
            Misbehave::HangPolitely => {
                cx.send("hanging".to_owned())?;
                loop {
                    cx.check()?;
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            Misbehave::Overflow => {
                std::hint::black_box(deeper(0));
            }
            Misbehave::Grandchild => {
                use std::os::unix::process::CommandExt;
                // It has a group of its own, so that the end of the worker's group does not reach it.
                let child = std::process::Command::new("sleep")
                    .arg("20")
                    .process_group(0)
                    .spawn()?;
                return Ok(child.id().to_string());
            }
            Misbehave::Print(line, code) => {
                println!("{line}");
                std::io::stdout().flush()?;
                exit_at_once(code);
            }
            Misbehave::Family => {
                // If a member of the group is stopped when the app dies, the system itself sends it to the group.
                crate::raw::dispose(libc::SIGHUP, crate::raw::Disposition::Ignore);
                let child = std::process::Command::new("sleep").arg("1000").spawn()?;
                cx.send(child.id().to_string())?;
                hang();
            }
        }
        Ok("well".to_owned())
    }
}

#[derive(Debug)]
struct Context(&'static str, std::io::Error);

impl std::fmt::Display for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Context {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.1)
    }
}

fn hang() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// The location of the segmentation fault: its name must be in the report.
#[inline(never)]
#[allow(unsafe_code)]
fn segfault() {
    // SAFETY: none: this is the fault that the test is about, in a process of its own.
    unsafe { std::ptr::null_mut::<u8>().write_volatile(1) };
}

#[allow(unsafe_code)]
fn raise(signal: i32) {
    // SAFETY: sends a signal to this thread; has no precondition.
    unsafe { libc::raise(signal) };
}

#[allow(unsafe_code)]
fn exit_at_once(code: i32) -> ! {
    // SAFETY: ends the process without cleanup, which is the purpose.
    unsafe { libc::_exit(code) }
}

#[inline(never)]
#[allow(unconditional_recursion)]
fn deeper(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 64]);
    room[(depth % 64) as usize] + deeper(depth + 1)
}
