//! Jobs whose worker links GLib, and the work in them that the controls do as well.

use std::time::{Duration, Instant};

use legwork::gio::prelude::*;
use legwork::gio::{self, BusType, Cancellable, DBusCallFlags, DBusConnection};
use legwork::glib::{self, MainContext};
use legwork::{Ctx, Job, Receive};
use serde::{Deserialize, Serialize};

use crate::jobs::Failure;

legwork::jobs! {
    /// All of them.
    pub static WITH_GLIB = [AskTheBus, TellTheLoop];
}

/// Works and, after every step, makes the default main loop check the progress. Returns how often.
pub fn tell_the_loop(is_over: impl Fn() -> bool) -> u64 {
    let context = MainContext::default();
    let mut steps = 0;
    while !is_over() {
        steps += 1;
        context.wakeup();
    }
    steps
}

/// Runs [`tell_the_loop`], with a message ten times a second, until it is cancelled.
#[derive(Debug, Serialize, Deserialize)]
pub struct TellTheLoop;

impl Job for TellTheLoop {
    type Message = u64;
    type Output = u64;
    type Error = Failure;

    fn run(self, cx: &Ctx<Self>) -> Result<u64, Failure> {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let start = Instant::now();
                for number in 0.. {
                    if cx.send(number).is_err() {
                        break;
                    }
                    let next = Duration::from_millis(100 * (number + 1));
                    std::thread::sleep(next.saturating_sub(start.elapsed()));
                }
            });
            Ok(tell_the_loop(|| cx.is_cancelled()))
        })
    }
}

/// Asks the bus for its id, which is the smallest call that it answers.
pub fn id_of_bus(
    bus: &DBusConnection,
    cancellable: Option<&Cancellable>,
) -> Result<String, glib::Error> {
    ask(bus, "GetId", None, cancellable).map(|id: (String,)| id.0)
}

/// Asks the bus for the process that owns this name.
pub fn process_of(bus: &DBusConnection, name: &str) -> Result<u32, glib::Error> {
    let name = (name,).to_variant();
    ask(bus, "GetConnectionUnixProcessID", Some(&name), None).map(|pid: (u32,)| pid.0)
}

fn ask<T: FromVariant>(
    bus: &DBusConnection,
    method: &str,
    parameters: Option<&glib::Variant>,
    cancellable: Option<&Cancellable>,
) -> Result<T, glib::Error> {
    bus.call_sync(
        Some("org.freedesktop.DBus"),
        "/org/freedesktop/DBus",
        "org.freedesktop.DBus",
        method,
        parameters,
        Some(&T::static_variant_type()),
        DBusCallFlags::NONE,
        // There is no timeout: the caller has to notice that the answer never comes.
        i32::MAX,
        cancellable,
    )
    .map(|answer| answer.get().expect("the type that was asked for"))
}

/// Opens its own connection to the session bus and sends its unique name; then answers every request with the id of the
/// bus.
#[derive(Debug, Serialize, Deserialize)]
pub struct AskTheBus;

impl Job for AskTheBus {
    type Message = String;
    type Output = u32;
    type Error = Failure;

    fn run(self, cx: &Ctx<Self>) -> Result<u32, Failure> {
        let bus = gio::bus_get_sync(BusType::Session, Cancellable::NONE)?;
        cx.send(
            bus.unique_name()
                .ok_or("the connection has no name")?
                .into(),
        )?;
        let mut calls = 0;
        while cx.recv()?.is_some() {
            cx.send(id_of_bus(&bus, Cancellable::NONE)?)?;
            calls += 1;
        }
        Ok(calls)
    }
}

impl Receive for AskTheBus {
    type Request = ();
}
