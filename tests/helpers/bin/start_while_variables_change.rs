//! Starts children while another thread sets and removes variables, by the standard library, which has a lock for that.

#![allow(unsafe_code)]

use std::thread;
use std::time::{Duration, Instant};

use legwork::spawn::{Plan, Program, Step};

fn main() {
    let set = |name: String| {
        // SAFETY: whoever else in this process looks at variables does so by the standard library, or it is what this
        // program is to show.
        unsafe { std::env::set_var(name, "x".repeat(200)) }
    };
    // Many, so that a look at all of them takes its time.
    (0..2_000).for_each(|number| set(format!("BASE{number}")));
    thread::spawn(move || {
        loop {
            (0..3_000).for_each(|number| set(format!("MORE{number}")));
            for number in 0..3_000 {
                // SAFETY: as above.
                unsafe { std::env::remove_var(format!("MORE{number}")) };
            }
        }
    });
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        // Most are refused after the variables were read, so that there are many in the time.
        for _ in 0..100 {
            let plan = Plan::new(Program::path("/bin/true")).current_dir("/nonexistent");
            assert_eq!(plan.spawn().unwrap_err().step(), Step::WorkingDirectory);
        }
        let mut child = Plan::new(Program::path("/bin/true")).spawn().unwrap();
        assert!(child.wait().unwrap().success());
    }
    std::process::exit(0);
}
