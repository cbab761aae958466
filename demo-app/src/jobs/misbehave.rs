//! Jobs that go wrong on purpose, each in a way that would take the whole app along if it ran there.
//!
//! Every one works quietly for a moment first, so that the window has something to show when it ends.

use std::{
    thread,
    time::{Duration, Instant},
};

use legwork::{Ctx, Job};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::Fault;

/// The job: works for a while, then does it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Misbehave {
    /// What.
    pub misdeed: Misdeed,
    /// How long it behaves before.
    pub after: Duration,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Misdeed {
    /// A Rust panic.
    Panic,
    /// `abort(3)`, as failed assertions of C libraries do.
    Abort,
    /// A write to memory that is not there.
    MemoryFault,
    /// The process exits, successfully as it claims, and never answers.
    Exit,
    /// It neither goes on nor listens to being cancelled.
    Hang,
    /// It takes memory until there is no more for it.
    MemoryHunger,
}

impl Misdeed {
    /// Every one, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::Panic,
        Self::Abort,
        Self::MemoryFault,
        Self::Exit,
        Self::Hang,
        Self::MemoryHunger,
    ];
}

/// How much more than at its start the hungry job may take.
const HUNGER_LIMIT: u64 = 512 << 20;

impl Job for Misbehave {
    type Message = ();
    type Output = ();
    type Error = Fault;

    fn run(self, cx: &Ctx<Self>) -> Result<(), Fault> {
        log::info!("Behaving for {:.1} s", self.after.as_secs_f64());
        behave(cx, self.after)?;
        log::warn!("About to misbehave: {:?}", self.misdeed);
        match self.misdeed {
            Misdeed::Panic => panic!("this job panics on purpose"),
            Misdeed::Abort => std::process::abort(),
            Misdeed::MemoryFault => write_to_nowhere(),
            Misdeed::Exit => std::process::exit(0),
            Misdeed::Hang => loop {
                cx.set_text("Waiting for something that never comes");
                thread::sleep(Duration::from_secs(3600));
            },
            Misdeed::MemoryHunger => eat(cx),
        }
    }
}

fn behave(cx: &Ctx<Misbehave>, time: Duration) -> Result<(), Fault> {
    let start = Instant::now();
    let steps = u64::try_from(time.as_millis() / 20)
        .unwrap_or(u64::MAX)
        .max(1);
    cx.set_total(steps);
    cx.set_text("Working normally");
    for step in 1..=steps {
        cx.check()?;
        thread::sleep((start + time.mul_f64(step as f64 / steps as f64)) - Instant::now());
        cx.set_done(step);
    }
    Ok(())
}

#[expect(unsafe_code, reason = "the fault is the point")]
#[inline(never)]
fn write_to_nowhere() -> ! {
    // The first page is never mapped (vm.mmap_min_addr); null itself would be caught by the checks of
    // a debug build, and end as an abort.
    let nowhere = std::ptr::without_provenance_mut::<u8>(16);
    // SAFETY: there is none. No object of this process is touched, as there is no memory there: the
    // kernel answers with SIGSEGV, and that ends this worker.
    unsafe { nowhere.write_volatile(1) };
    unreachable!("there is memory at address 16")
}

/// Takes and touches memory until there is none. The limit is the job's own, so that a demonstration
/// does not take the machine's memory; what follows is the same as without it.
fn eat(cx: &Ctx<Misbehave>) -> Result<(), Fault> {
    const BITE: usize = 16 << 20;
    let limit = HUNGER_LIMIT + virtual_memory()?;
    let before = getrlimit(Resource::As);
    setrlimit(
        Resource::As,
        Rlimit {
            current: Some(limit),
            maximum: before.maximum,
        },
    )?;
    cx.set_total(HUNGER_LIMIT);
    cx.set_done(0);
    let mut eaten: Vec<Vec<u8>> = Vec::new();
    loop {
        cx.check()?;
        eaten.push(vec![1; BITE]);
        let bytes = (eaten.len() * BITE) as u64;
        cx.set_done(bytes);
        cx.set_text(format!("{} MB of memory taken", bytes >> 20));
        thread::sleep(Duration::from_millis(30));
    }
}

/// The size of this process's address space in bytes: proc(5), `statm`.
fn virtual_memory() -> Result<u64, Fault> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split(' ').next().unwrap_or_default().parse()?;
    Ok(pages * rustix::param::page_size() as u64)
}
