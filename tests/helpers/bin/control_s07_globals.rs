//! S7's control. Four forked copies change a global that they take for shared; each has its own.

use std::time::Duration;

use legwork_tests::raw::ForkedCopy;
use legwork_tests::scene::tell;
use legwork_tests::scene_jobs::drift;

fn main() {
    for by in 1..=4 {
        let end = ForkedCopy::new(|| drift(by)).end_within(Duration::from_secs(60));
        tell(&format!("child_{by}"), end.expect("it ends"));
    }
    tell("parent", drift(0));
}
