//! S6's control. A program forks and makes the copy call a callback; the callback runs, and counts, in the copy.

use std::cell::Cell;
use std::convert::Infallible;
use std::time::Duration;

use legwork_tests::raw::ForkedCopy;
use legwork_tests::scene::tell;
use legwork_tests::scene_jobs::call_back;

fn main() {
    let counter = Cell::new(0);
    let copy = ForkedCopy::new(|| {
        let Ok(sum) = call_back(100, |_| {
            counter.set(counter.get() + 1);
            Ok::<_, Infallible>(counter.get())
        });
        i32::from(sum != 5050)
    });
    let end = copy.end_within(Duration::from_secs(60));
    tell("the_callback_ran", end == Some(0));
    tell("counter", counter.get());
}
