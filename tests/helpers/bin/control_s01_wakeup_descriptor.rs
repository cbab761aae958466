//! S1's control. A program whose main loop has nothing to do forks. The copy uses GLib, and with it the eventfd that
//! wakes the loop, which is the same one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use legwork::glib::{self, ControlFlow, MainContext, Priority};
use legwork_tests::raw::ForkedCopy;
use legwork_tests::scene::{processor_time, tell};
use legwork_tests::with_glib::tell_the_loop;

const WINDOW: Duration = Duration::from_secs(2);
const ENOUGH: Duration = Duration::from_millis(1501);
/// On a busy machine, both wait for a processor longer than they run.
const LONGEST: Duration = Duration::from_secs(60);

fn main() {
    let context = MainContext::default();
    context.iteration(false);
    let _copy = ForkedCopy::new(|| {
        tell_the_loop(|| false);
        0
    });
    let (start, used_before) = (Instant::now(), processor_time());
    let mut iterations = idle_for(&context, WINDOW);
    while processor_time() - used_before < ENOUGH && start.elapsed() < LONGEST {
        iterations += idle_for(&context, WINDOW / 10);
    }
    tell("used", (processor_time() - used_before).as_secs_f64());
    tell("elapsed", start.elapsed().as_secs_f64());
    tell("iterations", iterations);
}

/// Runs a loop that has nothing to do for this time. Returns how often it was woken.
fn idle_for(context: &MainContext, time: Duration) -> u64 {
    let over = Arc::new(AtomicBool::new(false));
    let is_over = over.clone();
    let end = glib::timeout_source_new(time, None, Priority::HIGH, move || {
        over.store(true, Relaxed);
        ControlFlow::Break
    });
    end.attach(Some(context));
    let mut iterations = 0;
    while !is_over.load(Relaxed) {
        context.iteration(true);
        iterations += 1;
    }
    iterations
}
