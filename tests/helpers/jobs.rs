//! The jobs that the tests run, in the lean worker `worker`, which is built beside the tests.

use std::io::Write;
use std::time::Duration;

use legwork::{Ctx, Job, Receive};
use serde::{Deserialize, Serialize};

/// The error type of the jobs, for `?`.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

legwork::jobs! {
    /// All of them.
    pub static JOBS = [Alive, Count, Echo, Fragile, Misbehave, Unpack];
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

/// Gives this sign of life every 100 ms, this often.
#[derive(Debug, Serialize, Deserialize)]
pub struct Alive(pub Sign, pub u32);

/// What the app hears of a job.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Sign {
    /// One more step.
    Progress,
    /// A message.
    Message,
    /// A record of `log`.
    Log,
    /// A line on standard output.
    Print,
}

impl Job for Alive {
    type Message = u32;
    type Output = ();
    type Error = Failure;

    fn run(self, cx: &Ctx<Self>) -> Result<(), Failure> {
        for number in 0..self.1 {
            match self.0 {
                Sign::Progress => cx.advance(1),
                Sign::Message => cx.send(number)?,
                Sign::Log => log::info!("{number}"),
                Sign::Print => println!("{number}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
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
    /// Asks the terminal, as a library would for a password.
    AskTerminal,
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
    /// Says `a`, NUL, `b`: in its progress, and in a panic, an error or what it prints.
    SayNul(u8),
    /// Prints by the C library, and answers.
    PrintByC,
    /// Answers while another thread holds what Rust prints with (or, else, what C does).
    HoldPrinting(bool),
    /// Executes a breakpoint, without a debugger.
    Breakpoint,
    /// Makes a system call that its seccomp filter traps.
    ForbiddenCall,
    /// Sends messages that are too long, this often, and then one that is not.
    SendTooMuch(u32),
    /// Sends messages of 30 MiB, this often.
    SendMuch(u32),
    /// Does this on a thread of its own.
    OnThread(Box<Misbehave>),
    /// Forks while another thread waits until it may send, lets the copy try to send, and waits for its end.
    ForkWhileSending,
    /// Forks, and lets both processes send a message and answer, the copy first.
    Fork,
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
            Misbehave::AskTerminal => {
                let answer = std::fs::read("/dev/tty").map(drop);
                answer.map_err(|cause| Context("asking for a password", cause))?;
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
            Misbehave::SayNul(how) => {
                cx.set_text("a\0b");
                match how {
                    0 => panic!("a\0b"),
                    1 => return Err("a\0b".into()),
                    2 => println!("a\0b"),
                    _ => {}
                }
                raise(libc::SIGKILL);
            }
            Misbehave::PrintByC => print_by_c(),
            Misbehave::HoldPrinting(by_rust) => {
                let (held, holds) = std::sync::mpsc::channel();
                std::thread::spawn(move || {
                    let lock = by_rust.then(|| std::io::stdout().lock());
                    if lock.is_none() {
                        hold_stdout_of_c();
                    }
                    held.send(()).ok();
                    hang();
                });
                holds.recv()?;
            }
            Misbehave::Breakpoint => breakpoint(),
            Misbehave::ForbiddenCall => forbidden_call()?,
            Misbehave::SendTooMuch(times) => {
                for _ in 0..times {
                    assert!(cx.send("x".repeat(65 << 20)).is_err());
                }
                cx.send("short".to_owned())?;
            }
            Misbehave::SendMuch(times) => {
                for _ in 0..times {
                    cx.send("x".repeat(30 << 20))?;
                    cx.advance(1);
                }
            }
            Misbehave::OnThread(inner) => {
                let thread = std::thread::scope(|scope| scope.spawn(|| inner.run(cx)).join());
                return thread.expect("the thread has not panicked");
            }
            Misbehave::ForkWhileSending => std::thread::scope(|scope| {
                scope.spawn(|| ["one", "two"].map(|text| cx.send(text.to_owned())));
                std::thread::sleep(Duration::from_millis(200));
                let copy = fork();
                if copy == 0 {
                    exit_at_once(cx.send("copy".to_owned()).is_ok().into());
                }
                wait_for(copy);
                cx.advance(1);
            }),
            Misbehave::Fork => {
                let copy = fork();
                cx.send(if copy == 0 { "copy" } else { "own" }.to_owned())
                    .ok();
                if copy == 0 {
                    return Ok("the copy's".to_owned());
                }
                wait_for(copy);
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

/// A value that panics where the library handles it: when it is decoded, encoded or dropped, as an error that is
/// displayed, or as what a panic carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Panics {
    Never,
    Decoded,
    Encoded,
    Dropped,
    Displayed,
    AsPayload,
}

/// Has its library meet a value that panics.
#[derive(Debug)]
pub struct Fragile(pub Panics);

impl Serialize for Fragile {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.0 as u8).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Fragile {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not in the app, which decodes what it has encoded in debug builds.
        let number = u8::deserialize(deserializer)?;
        assert!(
            number != Panics::Decoded as u8 || !is_worker(),
            "when decoded"
        );
        let all = [
            Panics::Never,
            Panics::Decoded,
            Panics::Encoded,
            Panics::Dropped,
            Panics::Displayed,
            Panics::AsPayload,
        ];
        Ok(Fragile(all[usize::from(number)]))
    }
}

/// What [`Fragile`] answers, or fails with.
#[derive(Debug)]
pub struct Bomb(Panics);

impl Serialize for Bomb {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(self.0 != Panics::Encoded, "when encoded");
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for Bomb {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <()>::deserialize(deserializer).map(|()| Bomb(Panics::Never))
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        let panics = [Panics::Dropped, Panics::AsPayload].contains(&self.0);
        assert!(!panics, "when dropped");
    }
}

impl std::fmt::Display for Bomb {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("when displayed")
    }
}

impl std::error::Error for Bomb {}

impl Job for Fragile {
    type Message = ();
    type Output = Bomb;
    type Error = Failure;

    fn run(self, _: &Ctx<Self>) -> Result<Bomb, Failure> {
        match self.0 {
            Panics::Displayed => Err(Bomb(self.0).into()),
            Panics::AsPayload => std::panic::panic_any(Bomb(self.0)),
            _ => Ok(Bomb(self.0)),
        }
    }
}

fn is_worker() -> bool {
    std::fs::read_to_string("/proc/self/comm").is_ok_and(|name| name.trim() == "legwork-worker")
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
fn print_by_c() {
    // SAFETY: a string that ends.
    unsafe { libc::puts(c"printed by C".as_ptr()) };
}

#[allow(unsafe_code)]
fn hold_stdout_of_c() {
    unsafe extern "C" {
        static stdout: *mut libc::FILE;
        fn flockfile(stream: *mut libc::FILE);
    }
    // SAFETY: the C library's own stream.
    unsafe { flockfile(stdout) };
}

#[allow(unsafe_code)]
fn breakpoint() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: raises SIGTRAP; has no precondition.
    unsafe {
        std::arch::asm!("int3")
    };
    #[cfg(not(target_arch = "x86_64"))]
    raise(libc::SIGTRAP);
}

/// A filter that traps uname(2), and the call.
#[allow(unsafe_code)]
fn forbidden_call() -> std::io::Result<()> {
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut filter = [
        step(0x20, 0, 0, 0),                      // load the number of the call
        step(0x15, 0, 1, libc::SYS_uname as u32), // is it uname?
        step(0x06, 0, 0, 0x0003_0000),            // SECCOMP_RET_TRAP
        step(0x06, 0, 0, 0x7fff_0000),            // SECCOMP_RET_ALLOW
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: takes numbers; has no precondition.
    let alone = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: a filter that lives as long as the call.
    let filtered = unsafe { libc::prctl(libc::PR_SET_SECCOMP, 2, &raw const program) };
    if alone != 0 || filtered != 0 {
        return Err(std::io::Error::last_os_error());
    }
    let mut name = std::mem::MaybeUninit::<libc::utsname>::uninit();
    // SAFETY: room for what uname(2) writes.
    unsafe { libc::uname(name.as_mut_ptr()) };
    Ok(())
}

#[allow(unsafe_code)]
fn fork() -> i32 {
    // SAFETY: the copy only does what it may do: the test is about that.
    unsafe { libc::fork() }
}

#[allow(unsafe_code)]
fn wait_for(child: i32) {
    // SAFETY: no status is asked for.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
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
