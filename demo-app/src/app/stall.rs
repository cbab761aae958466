//! How long the main loop was blocked.
//!
//! Between two polls of the loop no click, no frame and no message gets through. So the default context polls through a
//! function of this module, which reads the clock before and after. That costs two readings an iteration, no timer and
//! no wakeup; a timer would keep the app awake itself.

#![allow(unsafe_code)]

use std::{
    cell::Cell,
    ffi::{c_int, c_uint},
    time::{Duration, Instant},
};

use gtk::glib;

/// The number of seconds that are kept.
const SECONDS: usize = 10;

thread_local! {
    static WATCH: Watch = const { Watch::new() };
}

struct Watch {
    polled: Cell<Option<Instant>>,
    /// The time that the meter itself has taken.
    own: Cell<Duration>,
    start: Cell<Option<Instant>>,
    /// The longest stall of each of the last seconds, with the number of that second.
    longest: [Cell<(u64, Duration)>; SECONDS],
}

/// Watches the default main context, which must be this thread's. Call once, before it runs.
pub(crate) fn watch() {
    let context = glib::MainContext::default();
    // SAFETY: the context is alive; the function fits GPollFunc and lives as long as the program.
    unsafe { glib::ffi::g_main_context_set_poll_func(context.as_ptr(), Some(poll)) };
}

/// The longest stall of the last ten seconds.
pub(crate) fn longest() -> Duration {
    WATCH.with(|watch| watch.longest(Instant::now()))
}

/// Runs a part of the meter itself, whose time is not a stall.
pub(crate) fn exclude(act: impl FnOnce()) {
    let start = Instant::now();
    act();
    WATCH.with(|watch| watch.own.set(watch.own.get() + start.elapsed()));
}

unsafe extern "C" fn poll(fds: *mut glib::ffi::GPollFD, n: c_uint, timeout: c_int) -> c_int {
    WATCH.with(|watch| watch.before_poll(Instant::now()));
    // SAFETY: GLib passes the arguments of its own poll function, and this calls that function.
    let ready = unsafe { glib::ffi::g_poll(fds, n, timeout) };
    WATCH.with(|watch| watch.after_poll(Instant::now()));
    ready
}

impl Watch {
    const fn new() -> Self {
        Self {
            polled: Cell::new(None),
            own: Cell::new(Duration::ZERO),
            start: Cell::new(None),
            longest: [const { Cell::new((0, Duration::ZERO)) }; SECONDS],
        }
    }

    fn before_poll(&self, now: Instant) {
        let own = self.own.take();
        let Some(polled) = self.polled.take() else {
            return;
        };
        let stall = now.duration_since(polled).saturating_sub(own);
        let second = self.second(now);
        let slot = &self.longest[second as usize % SECONDS];
        let (of, longest) = slot.get();
        let longest = if of == second {
            longest
        } else {
            Duration::ZERO
        };
        slot.set((second, longest.max(stall)));
    }

    fn after_poll(&self, now: Instant) {
        self.polled.set(Some(now));
    }

    fn second(&self, now: Instant) -> u64 {
        let start = self.start.get().unwrap_or(now);
        self.start.set(Some(start));
        now.duration_since(start).as_secs()
    }

    fn longest(&self, now: Instant) -> Duration {
        let second = self.second(now);
        let recent = |of: u64| second.saturating_sub(of) < SECONDS as u64;
        self.longest
            .iter()
            .map(Cell::get)
            .filter(|(of, _)| recent(*of))
            .map(|(_, stall)| stall)
            .max()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_longest_time_between_two_polls_is_the_stall() {
        let (watch, start) = (Watch::new(), Instant::now());
        for (ended, began) in [(0, 5), (100, 340), (400, 401)] {
            watch.after_poll(start + ms(ended));
            watch.before_poll(start + ms(began));
        }
        assert_eq!(watch.longest(start + ms(500)), ms(240));
    }

    #[test]
    fn a_stall_is_forgotten_after_ten_seconds() {
        let (watch, start) = (Watch::new(), Instant::now());
        watch.after_poll(start);
        watch.before_poll(start + ms(300));
        assert_eq!(watch.longest(start + ms(9_000)), ms(300));
        assert_eq!(watch.longest(start + ms(11_000)), ms(0));
    }

    #[test]
    fn the_time_of_the_meter_itself_is_excluded() {
        let (watch, start) = (Watch::new(), Instant::now());
        watch.after_poll(start);
        watch.own.set(ms(40));
        watch.before_poll(start + ms(50));
        assert_eq!(watch.longest(start + ms(60)), ms(10));
    }

    #[test]
    fn a_blocked_context_is_a_stall() {
        let context = glib::MainContext::default();
        let _mine = context.acquire().unwrap();
        watch();
        context.block_on(async {
            glib::timeout_future(ms(10)).await;
            std::thread::sleep(ms(120));
            glib::timeout_future(ms(10)).await;
        });
        assert!(longest() >= ms(120), "{:?}", longest());
    }
}
