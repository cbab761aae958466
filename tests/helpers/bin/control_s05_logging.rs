//! S5's control. A program logs from a thread, and forks while that thread is in the logger; the copy logs as well.

use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use legwork_tests::raw::ForkedCopy;
use legwork_tests::scene::tell;

const PATIENCE: Duration = Duration::from_secs(3);

/// A typical logger: one file, one lock.
struct Logger(Mutex<File>);

/// A file that takes a long time to write one record.
struct File {
    inner: std::fs::File,
    slow: Option<(Sender<()>, Receiver<()>)>,
}

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let mut file = self.0.lock().unwrap();
        if let Some((is_in_it, go_on)) = file.slow.take() {
            is_in_it.send(()).unwrap();
            let () = go_on.recv().unwrap();
        }
        writeln!(file.inner, "{}", record.args()).unwrap();
    }

    fn flush(&self) {}
}

fn main() {
    let (is_in_it, in_it) = channel();
    let (let_it, go_on) = channel();
    let logger = Logger(Mutex::new(File {
        inner: tempfile::tempfile().unwrap(),
        slow: Some((is_in_it, go_on)),
    }));
    log::set_boxed_logger(Box::new(logger)).unwrap();
    log::set_max_level(log::LevelFilter::Info);

    let thread = std::thread::spawn(|| log::info!("from a thread of the app"));
    let () = in_it.recv().unwrap();
    let copy = ForkedCopy::new(|| {
        log::info!("from the child");
        0
    });
    let_it.send(()).unwrap();
    thread.join().unwrap();
    log::info!("the app goes on");

    tell("has_logged", copy.end_within(PATIENCE).is_some());
    tell("waited_seconds", PATIENCE.as_secs());
}
