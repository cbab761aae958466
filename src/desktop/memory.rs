//! Memory that runs short: told to whoever can give some back.
//!
//! GLib's `GMemoryMonitor` notices by itself since 2.85.2, where it has triggers of the kernel's pressure stall information
//! inside. On an older one nothing would ever come from it (it waits for a service that few systems have), so there a
//! [`Watch`] has the same triggers of its own. Neither needs a thread, and nothing runs while there is no pressure.
//!
//! ```
//! use legwork::desktop::memory::{Pressure, Watch};
//!
//! let caches = std::rc::Rc::new(std::cell::RefCell::new(vec![0u8; 1024]));
//! let watch = Watch::new(move |pressure| {
//!     if pressure >= Pressure::Medium {
//!         caches.borrow_mut().clear();
//!     }
//! });
//! println!("{:?}", watch.availability());
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use async_channel::{Receiver, Sender};
use gio::MemoryMonitor;
use gio::prelude::*;
use glib::{ControlFlow, IOCondition, MainContext, Priority, SignalHandlerId, Source};

use super::availability::Availability;
use super::known::Known;
use super::portal::is_sandboxed;
use super::task::Task;
use crate::PRIORITY;
use crate::text::{Text, text};

/// How short memory is. The lines at which GLib draws it: time in which programs waited for memory within two seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Pressure {
    /// Some program waited 70 ms: free what is not needed.
    Low,
    /// Some program waited 100 ms: try harder, as the system is about to swap.
    Medium,
    /// All programs waited 100 ms: free everything that can be made again; the kernel may end processes soon.
    Critical,
}

/// What is a trigger of the kernel; see its Documentation/accounting/psi.rst.
#[derive(Clone, Copy)]
struct Line {
    pressure: Pressure,
    /// Who waited: `some` or `full`.
    who: &'static str,
    microseconds: u64,
}

const LINES: [Line; 3] = [
    Line {
        pressure: Pressure::Low,
        who: "some",
        microseconds: 70_000,
    },
    Line {
        pressure: Pressure::Medium,
        who: "some",
        microseconds: 100_000,
    },
    Line {
        pressure: Pressure::Critical,
        who: "full",
        microseconds: 100_000,
    },
];
/// What has not been taken yet; more of the same would say nothing new.
const PENDING_MAX: usize = 16;
/// Without privileges it must be a multiple of 2 s.
const WINDOW: u64 = 2_000_000;
const FILE: &str = "/proc/pressure/memory";

/// Calls a function when memory runs short, until it is dropped.
///
/// It is called on the context that was the thread's default when this was made, and not often: by own triggers at most once in
/// 2 s for each [`Pressure`], for the whole machine or container, which costs three descriptors; so make one for the app and
/// share it. GLib says it at most once in 15 s, not while more than half of the memory is free, and in the global default
/// context, which has to run. Neither `Send` nor `Sync`.
#[must_use = "dropping it ends the watch"]
pub struct Watch {
    known: Known,
    sources: Vec<Source>,
    _task: Option<Task>,
}

impl Watch {
    /// Calls `act` from now on.
    ///
    /// Nothing fails: whether anything will ever come is [`availability`](Self::availability).
    pub fn new(act: impl Fn(Pressure) + 'static) -> Self {
        let is_in_glib = glib::check_version(2, 85, 2).is_none();
        match is_in_glib {
            true => Self::of_glib(act),
            false => Self::of_triggers(Path::new(FILE), act),
        }
    }

    /// Returns whether anything tells this watch of pressure: *unavailable* on a kernel without it
    /// (`CONFIG_PSI`, `psi=1`), or where `/proc/pressure/memory` cannot be written to: by everybody since Linux 6.5, before that
    /// with `CAP_SYS_RESOURCE`.
    pub fn availability(&self) -> Availability {
        self.known.get()
    }

    fn of_glib(act: impl Fn(Pressure) + 'static) -> Self {
        let known = Known::new("memory pressure");
        known.set::<()>(&Ok(()));
        let task = Task::spawn(async move {
            if is_sandboxed() {
                // There it waits for the portal, the first time.
                let _ = gio::spawn_blocking(|| drop(MemoryMonitor::dup_default())).await;
            }
            let (sender, receiver) = async_channel::bounded(PENDING_MAX);
            let _connected = Connected::new(sender);
            deliver(receiver, act).await;
        });
        Watch {
            known,
            sources: Vec::new(),
            _task: Some(task),
        }
    }

    fn of_triggers(file: &Path, act: impl Fn(Pressure) + 'static) -> Self {
        let known = Known::new("memory pressure");
        let opened = (LINES.iter())
            .map(|line| Trigger::open(file, *line))
            .collect::<io::Result<Vec<_>>>();
        let opened = opened.map_err(|error| {
            text!(
                "no trigger at {path}: {error}",
                path = Text::quoted(file),
                error = Text::of(error)
            )
        });
        known.set(&opened);
        let Ok(triggers) = opened else {
            return Watch {
                known,
                sources: Vec::new(),
                _task: None,
            };
        };
        Self::follow(known, triggers, act)
    }

    fn follow(known: Known, triggers: Vec<Trigger>, act: impl Fn(Pressure) + 'static) -> Self {
        let (sender, receiver) = async_channel::bounded(PENDING_MAX);
        let context = MainContext::ref_thread_default();
        let sources = triggers.into_iter().map(|trigger| {
            let source = trigger.source(sender.clone());
            source.attach(Some(&context));
            source
        });
        Watch {
            known,
            sources: sources.collect(),
            _task: Some(Task::spawn(deliver(receiver, act))),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.sources.iter().for_each(Source::destroy);
    }
}

async fn deliver(pressures: Receiver<Pressure>, act: impl Fn(Pressure)) {
    while let Ok(pressure) = pressures.recv().await {
        act(pressure);
    }
}

/// A handler of GLib's signal. That comes in the global default context, whatever the thread's own is, so it does no more than
/// send.
struct Connected(MemoryMonitor, Option<SignalHandlerId>);

impl Connected {
    fn new(sender: Sender<Pressure>) -> Self {
        let monitor = MemoryMonitor::dup_default();
        let handler = monitor.connect_low_memory_warning(move |_, level| {
            use gio::MemoryMonitorWarningLevel as Level;
            let _ = sender.try_send(match level {
                Level::Low => Pressure::Low,
                Level::Medium => Pressure::Medium,
                _ => Pressure::Critical,
            });
        });
        Connected(monitor, Some(handler))
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        if let Some(handler) = self.1.take() {
            self.0.disconnect(handler);
        }
    }
}

/// A trigger, which lasts as long as its descriptor.
struct Trigger {
    file: File,
    line: Line,
    /// For how long somebody had waited in all when it was last due.
    last: Option<u64>,
}

impl Trigger {
    fn open(path: &Path, line: Line) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        // With the NUL that the kernel replaces by its own.
        let words = format!("{} {} {WINDOW}\0", line.who, line.microseconds);
        file.write_all(words.as_bytes())?;
        let last = total(&file, line.who);
        Ok(Trigger { file, line, last })
    }

    /// Whether it is due for a reason: the first trigger after a time without any counts what was in that time as well
    /// (seen on Linux 6.18).
    fn is_true(&mut self) -> bool {
        let now = total(&self.file, self.line.who);
        let last = std::mem::replace(&mut self.last, now);
        let grown = now.zip(last).map(|(now, last)| now.saturating_sub(last));
        // Where there are no figures, the kernel is believed.
        grown.is_none_or(|grown| grown >= self.line.microseconds)
    }

    fn source(mut self, sender: Sender<Pressure>) -> Source {
        glib_unix::fd_source_new(
            self.file.as_raw_fd(),
            IOCondition::PRI,
            Some("Legwork memory pressure"),
            Priority::from(PRIORITY),
            move |_, condition| {
                if self.is_true() {
                    let _ = sender.try_send(self.line.pressure);
                }
                // An error: the kernel has no such file any more, and would say so for ever.
                match condition.contains(IOCondition::ERR) {
                    true => ControlFlow::Break,
                    false => ControlFlow::Continue,
                }
            },
        )
    }
}

/// For how many microseconds somebody has waited since the system was started.
fn total(file: &File, who: &str) -> Option<u64> {
    let mut text = [0; 256];
    let length = file.read_at(&mut text, 0).ok()?;
    let text = std::str::from_utf8(&text[..length]).ok()?;
    let line = text.lines().find(|line| line.starts_with(who))?;
    line.rsplit_once("total=")?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::os::fd::{AsFd, OwnedFd};
    use std::rc::Rc;
    use std::time::Duration;

    use rustix::net::{RecvFlags, SendFlags, recv, send};

    use super::*;

    #[test]
    fn a_kernel_without_such_a_file_is_unavailable() {
        for file in ["/proc/pressure/nothing", "/proc/self/stat", "/proc"] {
            let watch = Watch::of_triggers(Path::new(file), |_| panic!("of nothing"));
            let Availability::Unavailable(why) = watch.availability() else {
                panic!("{file} has triggers");
            };
            println!("{why}");
            assert!(why.contains(file));
        }
    }

    /// Two ends of a connection, whose urgent data is what `poll` reports as a trigger.
    fn urgent() -> (std::net::TcpStream, std::net::TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let ours = std::net::TcpStream::connect(listener.local_addr().expect("bound"));
        let (theirs, _) = listener.accept().expect("connected");
        (ours.expect("connected"), theirs)
    }

    #[test]
    fn a_trigger_without_a_reason_is_ignored() {
        let mut trigger = match Trigger::open(Path::new(FILE), LINES[0]) {
            Ok(trigger) => trigger,
            Err(error) => return eprintln!("SKIPPED, no trigger here: {error}"),
        };
        let now = trigger.last.expect("the kernel's figures");
        println!("programs have waited {now} µs in all");
        trigger.last = Some(now.saturating_add(1_000_000));
        assert!(!trigger.is_true());
        trigger.last = Some(0);
        assert_eq!(trigger.is_true(), now >= LINES[0].microseconds);
    }

    #[test]
    fn each_trigger_is_a_pressure_of_its_own() {
        let context = MainContext::new();
        let wait = |milliseconds| glib::timeout_future(Duration::from_millis(milliseconds));
        let scene = async {
            let told = Rc::<RefCell<Vec<Pressure>>>::default();
            let [low, critical] = [urgent(), urgent()];
            let triggers = [(&low.1, LINES[0]), (&critical.1, LINES[2])];
            let triggers = triggers.map(|(here, line)| Trigger {
                file: OwnedFd::from(here.try_clone().expect("a descriptor")).into(),
                line,
                last: None,
            });
            let into = told.clone();
            let known = Known::new("test");
            let act = move |pressure| into.borrow_mut().push(pressure);
            let watch = Watch::follow(known, triggers.into(), act);
            wait(50).await;
            assert!(told.borrow().is_empty());
            for (there, here) in [&critical, &low] {
                send(there.as_fd(), b"!", SendFlags::OOB).expect("sent");
                let start = std::time::Instant::now();
                let count = told.borrow().len();
                while told.borrow().len() == count {
                    assert!(start.elapsed() < Duration::from_secs(60));
                    wait(1).await;
                }
                // The kernel's own triggers are over once they are reported.
                let _ = recv(here.as_fd(), &mut [0; 1], RecvFlags::OOB);
                wait(50).await;
            }
            let mut order = told.borrow().clone();
            order.dedup();
            assert_eq!(order, [Pressure::Critical, Pressure::Low]);
            drop(watch);
            let count = told.borrow().len();
            send(low.0.as_fd(), b"!", SendFlags::OOB).expect("sent");
            wait(50).await;
            assert_eq!(told.borrow().len(), count);
        };
        context
            .with_thread_default(|| context.block_on(scene))
            .expect("nobody else has this context");
    }

    #[test]
    fn what_glib_says_on_another_thread_arrives_on_the_watchs_own() {
        use gio::MemoryMonitorWarningLevel as Level;
        let context = MainContext::new();
        let scene = async {
            let told = Rc::<RefCell<Vec<Pressure>>>::default();
            let into = told.clone();
            let watch = Watch::of_glib(move |pressure| into.borrow_mut().push(pressure));
            let say = |level: Level| {
                let thread = std::thread::spawn(move || {
                    let monitor = MemoryMonitor::dup_default();
                    monitor.emit_by_name::<()>("low-memory-warning", &[&level]);
                });
                thread.join().expect("no panic");
            };
            glib::timeout_future(Duration::from_millis(50)).await;
            for level in [Level::Medium, Level::Low, Level::Critical] {
                say(level);
            }
            let start = std::time::Instant::now();
            while told.borrow().len() < 3 {
                assert!(start.elapsed() < Duration::from_secs(60));
                glib::timeout_future(Duration::from_millis(1)).await;
            }
            let all = [Pressure::Medium, Pressure::Low, Pressure::Critical];
            assert_eq!(*told.borrow(), all);
            drop(watch);
            say(Level::Low);
            glib::timeout_future(Duration::from_millis(50)).await;
            assert_eq!(told.borrow().len(), 3);
        };
        context
            .with_thread_default(|| context.block_on(scene))
            .expect("nobody else has this context");
    }
}
