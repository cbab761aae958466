//! Something that happens at once when it is asked for, and then at most once in an interval.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// See the module. Nothing wakes the app up while nobody asks.
pub(super) struct Throttle {
    interval: Duration,
    act: Box<dyn Fn()>,
    /// Whether it was asked for since it last happened.
    asked: Cell<bool>,
    /// Runs from the time it has happened to the end of an interval in which nobody has asked.
    pause: RefCell<Option<glib::JoinHandle<()>>>,
}

impl Throttle {
    pub(super) fn new(interval: Duration, act: impl Fn() + 'static) -> Rc<Self> {
        Rc::new(Throttle {
            interval,
            act: Box::new(act),
            asked: Cell::new(false),
            pause: RefCell::default(),
        })
    }

    /// Has it happen, now or at the end of the interval, on the thread's default context. That one is not kept: it
    /// would not go away before its jobs have ended.
    pub(super) fn ask(self: &Rc<Self>) {
        self.asked.set(true);
        if self.pause.borrow().is_some() {
            return;
        }
        let context = glib::MainContext::ref_thread_default();
        let Ok(_owned) = context.acquire() else {
            return;
        };
        let (weak, interval) = (Rc::downgrade(self), self.interval);
        let pause = context.spawn_local(async move {
            while let Some(throttle) = weak.upgrade()
                && throttle.happens_or_rests()
            {
                drop(throttle);
                glib::timeout_future(interval).await;
            }
        });
        self.pause.replace(Some(pause));
    }

    /// Returns whether it has happened, and another interval begins.
    fn happens_or_rests(&self) -> bool {
        let happens = self.asked.replace(false);
        if happens {
            (self.act)();
        } else {
            self.pause.take();
        }
        happens
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        if let Some(pause) = self.pause.take() {
            pause.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_all_the_time_happens_once_an_interval_and_last_of_all_once_more() {
        let context = glib::MainContext::new();
        let times = Rc::new(Cell::new(0));
        let count = {
            let times = times.clone();
            move || times.set(times.get() + 1)
        };
        let throttle = Throttle::new(Duration::from_millis(100), count);
        let wait = |milliseconds| glib::timeout_future(Duration::from_millis(milliseconds));
        let asks = async {
            let begin = std::time::Instant::now();
            while begin.elapsed() < Duration::from_millis(450) {
                throttle.ask();
                wait(1).await;
            }
            let during = times.get();
            wait(300).await;
            (during, times.get())
        };
        let (during, after) = context
            .with_thread_default(|| context.block_on(asks))
            .expect("nobody else has this context");
        println!("{during} times in 450 ms, {after} in all");
        assert!((2..=5).contains(&during));
        assert_eq!(after, during + 1);
        assert!(throttle.pause.borrow().is_none());
    }
}
