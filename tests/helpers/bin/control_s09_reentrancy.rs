//! S9's control. A queue drops its items while it holds its lock, and an item adds something to the queue when it is
//! dropped.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use legwork_tests::scene::tell;

const PATIENCE: Duration = Duration::from_secs(3);

static QUEUE: Mutex<Vec<Item>> = Mutex::new(Vec::new());

struct Item {
    says_goodbye: bool,
}

impl Drop for Item {
    fn drop(&mut self) {
        if self.says_goodbye {
            QUEUE.lock().unwrap().push(Item {
                says_goodbye: false,
            });
        }
    }
}

fn main() {
    for says_goodbye in [false, true] {
        let (done, is_done) = channel();
        std::thread::spawn(move || {
            QUEUE.lock().unwrap().push(Item { says_goodbye });
            QUEUE.lock().unwrap().clear();
            done.send(()).unwrap();
        });
        let finished = is_done.recv_timeout(PATIENCE).is_ok();
        tell(
            if says_goodbye {
                "finished_with_finalizers"
            } else {
                "finished_without"
            },
            finished,
        );
    }
    tell("waited_seconds", PATIENCE.as_secs());
}
