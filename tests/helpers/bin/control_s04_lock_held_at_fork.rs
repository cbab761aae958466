//! S4's control. One thread holds a lock while another forks. In the copy the lock is held, and the thread does not
//! exist.

use std::sync::mpsc::channel;
use std::time::Duration;

use legwork_tests::raw::ForkedCopy;
use legwork_tests::scene::tell;
use legwork_tests::scene_jobs::LOCK;

const PATIENCE: Duration = Duration::from_secs(3);

fn main() {
    let (held, is_held) = channel();
    let (release, released) = channel();
    let holder = std::thread::spawn(move || {
        let _lock = LOCK.lock().unwrap();
        let _stdout = std::io::stdout().lock();
        held.send(()).unwrap();
        let () = released.recv().unwrap();
    });
    is_held.recv().unwrap();
    let locks = ForkedCopy::new(|| {
        *LOCK.lock().unwrap() += 1;
        0
    });
    let prints = ForkedCopy::new(|| {
        println!();
        0
    });
    // In this process both are free again at once.
    release.send(()).unwrap();
    holder.join().unwrap();
    *LOCK.lock().unwrap() += 1;
    println!();

    tell("has_the_lock", locks.end_within(PATIENCE).is_some());
    tell("has_printed", prints.end_within(Duration::ZERO).is_some());
    tell("waited_seconds", PATIENCE.as_secs());
}
