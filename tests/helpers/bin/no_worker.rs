//! A program that is asked to be a worker and does not check: it does what the variable `NO_WORKER` says.

use std::io::Write;
use std::time::Duration;

fn main() {
    match &*std::env::var("NO_WORKER").expect("what to do") {
        "exit" => {
            eprintln!("usage: no_worker FILE");
            std::process::exit(2);
        }
        "exit well" => (),
        "die" => legwork_tests::raw::end_by_signal(libc::SIGBUS),
        "print" => {
            // Not short, without lines, and not UTF-8.
            let _ = std::io::stdout().write_all(&[0xff; 300_000]);
        }
        "hang" => loop {
            std::thread::sleep(Duration::from_secs(1000));
        },
        "hang up" => {
            legwork_tests::raw::close(3);
            std::thread::sleep(Duration::from_secs(1000));
        }
        "answer" => {
            println!("READY");
            let ready = b"READY";
            let _ = legwork_tests::raw::send_to(3, ready);
            std::thread::sleep(Duration::from_secs(1000));
        }
        other => panic!("{other}?"),
    }
}
