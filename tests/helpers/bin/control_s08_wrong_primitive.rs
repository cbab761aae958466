//! S8's control. An event that was created for forked copies is used in a child that was started by an exec.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;
use std::time::Duration;

use legwork_tests::raw::{ForkedCopy, make_event, set_event_at};
use legwork_tests::scene::tell;

fn main() {
    if let Some(address) = std::env::args().nth(1) {
        set_event_at(address.parse().unwrap());
        return;
    }
    let event = make_event();
    let copy = ForkedCopy::new(|| set_event_at(event).cast_signed());
    let end = copy.end_within(Duration::from_secs(60));
    tell(
        "works_in_a_copy",
        end == Some(0) && set_event_at(event) == 1,
    );

    // The start is changed, in a line that does not mention events.
    let child = Command::new(std::env::current_exe().unwrap())
        .arg0("control_s08_wrong_primitive")
        .arg(event.to_string())
        .output()
        .unwrap();
    tell("signal", child.status.signal().unwrap_or(0));
    tell("words", child.stdout.len() + child.stderr.len());
}
