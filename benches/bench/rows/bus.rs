//! D-Bus on the app's main context: threads, round trips, a flood, and an idle connection.
//!
//! A round trip is what an app has: a call awaited in a local future, with the loop running. It is measured beside zbus's
//! own runtime, which reads in a helper thread, and beside GDBus, which reads in its worker thread. zbus inside its
//! `block_on` has no main loop at all, and is what a call costs at least.
//!
//! zbus is built with its own runtime here, for the peer. That the measured connections do without it is seen by the
//! threads: they are counted before any peer is there.

use std::cell::Cell;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use glib::{MainContext, MainLoop, Priority};
use legwork::bus;
use zbus::MessageStream;

use crate::machine::{pin, sleeps, unpin};
use crate::peers::bus::{Line, start};
use crate::peers::native::{watch, watched};
use crate::peers::wakeups::idle;
use crate::report::{Bar, Entry, Row};
use crate::samples::{Figure, Samples, Unit};
use crate::{Effort, Result};

/// Calls of one kind of connection in a turn.
const CALLS: usize = 200;

pub(crate) fn answer(effort: Effort, row: &mut Row) -> Result<()> {
    let context = MainContext::new();
    let session = Session::get()?;
    let counted = threads()?;
    let connection = context.with_thread_default(|| {
        context.block_on(async { bus::address(&session.address).await })
    })??;
    let other = context.with_thread_default(|| {
        context.block_on(async { bus::address(&session.address).await })
    })??;
    let (own, child) = Line::on_the_context(&context)?;
    own.call(&context, CALLS)?;
    let added = threads()? - counted;
    row.add(
        Entry::alone(
            "two buses and a peer",
            Figure::once("threads added", Unit::Count, added as f64),
        )
        .bar(Bar::AtMost(0.0)),
    );
    drop(other);
    // What its end leaves to be done.
    while context.iteration(false) {}

    let seconds = effort.of(10, 3) as u64;
    let slept = sleeps()?;
    let with = idle(&context, Duration::from_secs(seconds));
    let slept = (sleeps()? - slept).saturating_sub(1);
    for (name, value) in [
        ("returns from poll", with.wakeups),
        ("sleeps of all threads", slept),
    ] {
        row.add(
            Entry::alone(
                &format!("idle connections, {seconds} s"),
                Figure::once(name, Unit::Count, value as f64),
            )
            .bar(Bar::AtMost(0.0)),
        );
    }
    drop((own, child, connection));

    flood(&context, seconds, row)?;
    // One whose polls are not watched.
    round_trips(&MainContext::new(), effort, row)
}

fn threads() -> Result<usize> {
    Ok(fs::read_dir("/proc/self/task")?.count())
}

/// A child sends signals as fast as they are read, and a clock of 60 Hz runs at the priority of drawing.
fn flood(context: &MainContext, seconds: u64, row: &mut Row) -> Result<()> {
    // How late the machine itself is.
    let calm = frames(context, seconds)?;
    let (peer, child) = start("bus-flood")?;
    let messages = Rc::new(Cell::new(0u64));
    let counted = messages.clone();
    context.with_thread_default(|| {
        let connection = context.block_on(peer.connect())?;
        let mut stream = MessageStream::from(&connection);
        context.spawn_local(async move {
            while let Some(Ok(_)) = stream.next().await {
                counted.set(counted.get() + 1);
            }
        });
        crate::Result::Ok(())
    })??;
    watch(context);
    let late = frames(context, seconds)?;
    let busy = watched().longest_work;
    drop(child);
    let case = format!("a peer floods, {seconds} s");
    let most = |late: &Samples, name| Figure::once(name, Unit::Nanoseconds, late.quantile(1.0));
    row.add(
        Entry::beside(
            &case,
            most(&late, "a frame is late, at most"),
            most(&calm, "without a flood"),
        )
        .bar(Bar::AtMost(8e6)),
    );
    row.add(Entry::beside(
        &case,
        late.figure("a frame is late", Unit::Nanoseconds),
        calm.figure("without a flood", Unit::Nanoseconds),
    ));
    // On a busy machine the thread waits for its turn as well; drawing has its own after each poll.
    row.add(
        Entry::alone(
            &case,
            Figure::once(
                "processor time between two polls, at most",
                Unit::Nanoseconds,
                busy as f64,
            ),
        )
        .bar(Bar::AtMost(8e6)),
    );
    row.add(Entry::alone(
        &case,
        Figure::once(
            "messages taken",
            Unit::PerSecond,
            messages.get() as f64 / seconds as f64,
        ),
    ));
    Ok(())
}

/// Returns how late each frame of a clock of 60 Hz was.
fn frames(context: &MainContext, seconds: u64) -> Result<Samples> {
    let main_loop = MainLoop::new(Some(context), false);
    // GLib's sources may be dropped on any thread.
    let late = Arc::new(Mutex::new(Samples::default()));
    let (quit, kept) = (main_loop.clone(), late.clone());
    let frame = Duration::from_micros(16_667);
    let (began, mut number) = (Instant::now(), 1u32);
    // It looks every millisecond, as GLib's timers are no finer, and is late by up to one itself.
    let clock = glib::timeout_source_new(
        Duration::from_millis(1),
        None,
        Priority::from(120),
        move || {
            let due = began + frame * number;
            if let Some(late) = Instant::now().checked_duration_since(due) {
                let mut samples = kept.lock().unwrap_or_else(PoisonError::into_inner);
                samples.push(late.as_nanos() as f64);
                number += 1;
                if began.elapsed().as_secs() >= seconds {
                    quit.quit();
                    return glib::ControlFlow::Break;
                }
            }
            glib::ControlFlow::Continue
        },
    );
    clock.attach(Some(context));
    context.with_thread_default(|| main_loop.run())?;
    let late = late.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(late.clone())
}

fn round_trips(context: &MainContext, effort: Effort, row: &mut Row) -> Result<()> {
    let lines = [
        ("on the main context", Line::on_the_context(context)?),
        ("zbus's helper thread", Line::with_a_helper_thread(context)?),
        ("GDBus's worker", Line::by_gdbus(context)?),
        ("zbus in block_on", Line::in_block_on()?),
    ];
    let own = std::process::id();
    for (case, theirs) in [("one processor", Some(0)), ("not pinned", None)] {
        match theirs {
            Some(processor) => pin(own, processor)?,
            None => unpin(own)?,
        }
        for (_, (_, child)) in &lines {
            match theirs {
                Some(processor) => pin(child.pid(), processor)?,
                None => unpin(child.pid())?,
            }
        }
        let mut samples = [(); 4].map(|()| Samples::default());
        for round in 0..=effort.of(60, 8) {
            for turn in 0..lines.len() {
                // Each is first, second and so on equally often, behind different others.
                let which = (turn * (1 + 2 * (round % 2)) + round) % lines.len();
                let times = lines[which].1.0.call(context, CALLS)?;
                if round > 0 {
                    times.into_iter().for_each(|time| samples[which].push(time));
                }
            }
        }
        let p99 = |which: usize| {
            let name = format!("{}, 99th percentile", lines[which].0);
            Figure::once(&name, Unit::Nanoseconds, samples[which].quantile(0.99))
        };
        let median = |which: usize| samples[which].figure(lines[which].0, Unit::Nanoseconds);
        let case = format!("round trip, {case}");
        for peer in [1, 2] {
            row.add(Entry::beside(&case, median(0), median(peer)).bar(Bar::Ratio(1.0)));
            row.add(Entry::beside(&case, p99(0), p99(peer)).bar(Bar::Ratio(1.0)));
        }
        row.add(Entry::beside(&case, median(0), median(3)));
    }
    Ok(())
}

/// The session bus, or one for this row.
struct Session {
    address: String,
    daemon: Option<Child>,
}

impl Session {
    fn get() -> Result<Self> {
        if let Ok(address) = std::env::var("DBUS_SESSION_BUS_ADDRESS") {
            return Ok(Self {
                address,
                daemon: None,
            });
        }
        let mut daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--print-address=1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("dbus-daemon: {error}"))?;
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().ok_or("no output")?).read_line(&mut address)?;
        Ok(Self {
            address: address.trim().to_owned(),
            daemon: Some(daemon),
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}
