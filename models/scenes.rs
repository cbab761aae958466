//! What the threads of an app and of its worker do to the files: each scene in many orders.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread::spawn;

use shuttle::future::block_on;

use crate::channel::{Messages, Open};
use crate::control::{FRAME_MAX, Payload, Unclaimed};
use crate::mailbox::{Mailbox, Outlet, PutError, mailbox};
use crate::page::Page;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use crate::taken::{Arrived, Taken};

/// In orders by chance, and in such as have few changes of the thread, which find what needs a certain one.
fn in_many_orders(scene: fn()) {
    const ORDERS: usize = 2_000;
    shuttle::check_random(scene, ORDERS);
    shuttle::check_pct(scene, ORDERS, 3);
}

async fn all_of<T>(mut mailbox: Mailbox<T>) -> Vec<T> {
    let mut all = Vec::new();
    while let Some(value) = poll_fn(|cx| mailbox.poll_next(cx)).await {
        all.push(value);
    }
    all
}

/// Whoever waits for a mailbox is woken by each value and by the end.
pub fn mailbox_is_read() {
    in_many_orders(|| {
        let (outlet, mailbox) = mailbox(1);
        let reader = spawn(move || block_on(all_of(mailbox)));
        let mut put = 0;
        for value in 0..3 {
            match outlet.put(value) {
                Ok(()) => put += 1,
                Err(PutError::Full) => {}
                Err(PutError::Closed(_)) => unreachable!("it is read to the end"),
            }
        }
        drop(outlet);
        assert_eq!(reader.join().unwrap().len(), put);
    });
}

/// The wait ends when another thread hangs up.
pub fn mailbox_is_hung_up() {
    in_many_orders(|| {
        let (outlet, mailbox) = mailbox::<u8>(1);
        let slot = outlet.waker_slot();
        let reader = spawn(move || block_on(all_of(mailbox)));
        let put = outlet.put(1).is_ok();
        spawn(move || slot.hang_up()).join().unwrap();
        let read = reader.join().unwrap();
        assert!(read.len() <= usize::from(put));
        drop(outlet);
    });
}

/// A waker drops the mailbox that it was called for.
pub fn mailbox_is_dropped_by_its_waker() {
    struct Dropper(Mutex<Option<Mailbox<u8>>>);
    impl Wake for Dropper {
        fn wake(self: Arc<Self>) {
            let mailbox = self.0.lock().unwrap().take();
            drop(mailbox);
        }
    }
    in_many_orders(|| {
        let (outlet, mailbox) = mailbox(1);
        let dropper = Arc::new(Dropper(Mutex::new(Some(mailbox))));
        let slot = outlet.waker_slot();
        let puts = spawn(move || {
            let _ = outlet.put(1);
            let _ = outlet.put(2);
        });
        let hangs_up = spawn(move || slot.hang_up());
        let waker = Waker::from(dropper.clone());
        let mut taken = dropper.0.lock().unwrap().take();
        if let Some(mailbox) = &mut taken {
            let _ = mailbox.poll_next(&mut Context::from_waker(&waker));
        }
        *dropper.0.lock().unwrap() = taken;
        puts.join().unwrap();
        hangs_up.join().unwrap();
    });
}

const JOB: u32 = 1;

fn pages() -> (Arc<Page>, Arc<Page>) {
    let (worker, memory) = Page::create().unwrap();
    let app = Page::adopt(&memory).unwrap();
    worker.start(JOB);
    (worker.into(), app.into())
}

/// As the worker waits for leave to send.
fn wait_for(page: &Page, until: impl Fn() -> bool) {
    loop {
        let changes = page.changes();
        if until() {
            return;
        }
        page.wait(changes);
    }
}

fn arrived(length: usize) -> Arrived {
    Arrived::new(Payload::Spilled(vec![0; length]), Unclaimed::default())
}

/// As the hub's thread puts a message.
fn put(outlet: &Outlet<Arrived>, taken: &Taken, message: Arrived) {
    if outlet.is_closed() {
        return taken.one_more_at_once();
    }
    taken.admit(&message).unwrap();
    match outlet.put(message) {
        Ok(()) => {}
        Err(PutError::Full) => panic!("more than it may send"),
        Err(PutError::Closed(message)) => taken.one_more(&message),
    }
}

/// The reader of messages goes away while they arrive: the job goes on, and all are counted.
pub fn messages_are_dropped() {
    const CAPACITY: usize = 1;
    const MESSAGES: u64 = 3;
    in_many_orders(|| {
        let (theirs, ours) = pages();
        let taken = Arc::new(Taken::new());
        taken.tell_by(&ours, JOB);
        let (outlet, mailbox) = mailbox(CAPACITY);
        let mut messages = Messages::<u8>::new(Some(Open {
            mailbox,
            taken: taken.clone(),
            pace: crate::around::hub::Pace,
        }));
        let (sends, receives) = shuttle::sync::mpsc::channel();
        let worker = spawn(move || {
            for sent in 0..MESSAGES {
                wait_for(&theirs, || sent - theirs.taken() < CAPACITY as u64);
                sends.send(arrived(1)).unwrap();
            }
            wait_for(&theirs, || theirs.taken() == MESSAGES);
        });
        let reader = spawn(move || {
            messages.try_recv();
            drop(messages);
        });
        for message in receives {
            put(&outlet, &taken, message);
        }
        worker.join().unwrap();
        reader.join().unwrap();
        // Nothing is left of what waited.
        taken.admit(&arrived(FRAME_MAX)).unwrap();
    });
}

/// Messages are read on one thread as they arrive on another: none is lost, and the job never waits in vain.
pub fn messages_are_read() {
    const MESSAGES: u64 = 3;
    in_many_orders(|| {
        let (theirs, ours) = pages();
        let taken = Arc::new(Taken::new());
        taken.tell_by(&ours, JOB);
        let (outlet, mailbox) = mailbox(1);
        let mut messages = Messages::<u8>::new(Some(Open {
            mailbox,
            taken: taken.clone(),
            pace: crate::around::hub::Pace,
        }));
        let (sends, receives) = shuttle::sync::mpsc::channel();
        spawn(move || {
            for sent in 0..MESSAGES {
                wait_for(&theirs, || sent == theirs.taken());
                sends.send(arrived(1)).unwrap();
            }
        });
        let reader = spawn(move || {
            block_on(async move {
                let mut count = 0;
                while messages.recv().await.is_some() {
                    count += 1;
                }
                count
            })
        });
        for message in receives {
            put(&outlet, &taken, message);
        }
        drop(outlet);
        assert_eq!(reader.join().unwrap(), MESSAGES);
    });
}

/// Two threads take messages: the worker sees the count grow, and reach what they have taken.
pub fn taken_is_counted_by_two() {
    in_many_orders(|| {
        let (theirs, ours) = pages();
        let taken = Arc::new(Taken::new());
        taken.tell_by(&ours, JOB);
        for _ in 0..2 {
            let taken = taken.clone();
            spawn(move || (0..2).for_each(|_| taken.one_more_at_once()));
        }
        let mut last = 0;
        while last < 4 {
            let changes = theirs.changes();
            let now = theirs.taken();
            assert!(now >= last, "it goes backwards: {now} after {last}");
            last = now;
            if now < 4 {
                theirs.wait(changes);
            }
        }
    });
}

/// What the app says late of a job does nothing to the next one of its worker.
pub fn page_is_of_one_job() {
    in_many_orders(|| {
        let (theirs, ours) = pages();
        let late = spawn(move || {
            ours.set_taken(JOB, 3);
            ours.cancel(JOB);
        });
        theirs.start(JOB + 1);
        assert_eq!(theirs.taken(), 0);
        late.join().unwrap();
        assert_eq!(theirs.taken(), 0);
        assert!(!theirs.is_cancelled(JOB + 1));
    });
}

/// Who waits at the page is woken by a cancel.
pub fn page_wakes_who_waits() {
    in_many_orders(|| {
        let (theirs, ours) = pages();
        let two = [theirs.clone(), theirs]
            .map(|theirs| spawn(move || wait_for(&theirs, || theirs.is_cancelled(JOB))));
        ours.cancel(JOB);
        two.into_iter().for_each(|one| one.join().unwrap());
    });
}

/// A text is read whole however far its writer has come, or has died.
pub fn page_text_is_whole() {
    in_many_orders(|| {
        let (theirs, ours) = pages();
        let texts = ["", "first text", "second text, longer", "third"];
        spawn(move || texts[1..].iter().for_each(|text| theirs.set_text(text)));
        let mut last = 0;
        for _ in 0..2 {
            let text = ours.snapshot().text;
            let at = texts.iter().position(|whole| *whole == text);
            let at = at.unwrap_or_else(|| panic!("{text:?}"));
            assert!(at >= last, "{text:?} after {:?}", texts[last]);
            last = at;
        }
    });
}

/// What was printed is known while the app reads it out of the pipe.
pub fn page_knows_what_was_printed() {
    in_many_orders(|| {
        let (theirs, ours) = pages();
        let pipe = Arc::new(AtomicU64::new(3));
        let (unread, done) = (pipe.clone(), AtomicBool::new(false));
        let app = spawn(move || {
            for read in 0..3 {
                ours.begin_to_read(0, read);
                pipe.fetch_add(u64::MAX, SeqCst);
                ours.has_read(0, read + 1);
            }
        });
        while !done.load(SeqCst) {
            let printed = theirs.printed(0, || unread.load(SeqCst));
            assert_eq!(printed, 3);
            done.store(printed == 3, SeqCst);
        }
        app.join().unwrap();
    });
}
