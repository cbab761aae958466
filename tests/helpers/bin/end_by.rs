//! Ends as its arguments say: `exit CODE`, `signal NUMBER`, `signal-with-core NUMBER`, `burn MILLISECONDS`.

use std::time::Duration;

use legwork_tests::raw;
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    time::{ClockId, clock_gettime},
};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let how = arguments.next().expect("how to end");
    let number: i32 = arguments
        .next()
        .expect("a number")
        .parse()
        .expect("a number");
    match &*how {
        "exit" => std::process::exit(number),
        "signal" => {
            limit_core(Some(0));
            raw::end_by_signal(number);
        }
        "signal-with-core" => {
            limit_core(getrlimit(Resource::Core).maximum);
            raw::end_by_signal(number);
        }
        "burn" => burn(Duration::from_millis(number.unsigned_abs().into())),
        _ => panic!("no such end: {how}"),
    }
}

fn limit_core(current: Option<u64>) {
    let maximum = getrlimit(Resource::Core).maximum;
    setrlimit(Resource::Core, Rlimit { current, maximum }).expect("a lower limit");
}

/// Uses this much processor time.
fn burn(time: Duration) {
    loop {
        let used = clock_gettime(ClockId::ProcessCPUTime);
        let used = Duration::new(used.tv_sec.unsigned_abs(), used.tv_nsec as u32);
        if used >= time + Duration::from_millis(20) {
            return;
        }
    }
}
