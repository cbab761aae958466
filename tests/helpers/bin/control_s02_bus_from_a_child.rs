//! S2's control. A program with a connection to the session bus forks, and the copy makes a call over it. GDBus writes
//! and reads on a thread of its own, which the copy does not have.

use std::time::{Duration, Instant};

use legwork::gio::{BusType, Cancellable, bus_get_sync};
use legwork_tests::raw::ForkedCopy;
use legwork_tests::scene::tell;
use legwork_tests::with_glib::id_of_bus;

const PATIENCE: Duration = Duration::from_secs(5);

fn main() {
    let bus = bus_get_sync(BusType::Session, Cancellable::NONE).expect("a session bus");
    let start = Instant::now();
    id_of_bus(&bus, Cancellable::NONE).expect("an answer, before anything is forked");
    tell("answer_before_milliseconds", start.elapsed().as_millis());

    let copy = ForkedCopy::new(|| i32::from(id_of_bus(&bus, Cancellable::NONE).is_err()));
    let end = copy.end_within(PATIENCE);
    tell("waited_seconds", PATIENCE.as_secs());
    tell("answered", end == Some(0));
}
