//! S7: a child changes what looks shared, but every process has its own. The compiler makes sure that what a job
//! captures cannot look shared; a `static` still can.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use legwork::glib;
use legwork::prelude::*;
use legwork::{Buffer, Descriptor, Worker, gio};
use legwork_tests::context::run;
use legwork_tests::scene;
use legwork_tests::scene_jobs::{Drift, SHARED};
use serde::Serialize;
use serde::de::DeserializeOwned;

#[test]
fn control_four_forked_children_and_their_parent_have_five_values() {
    let figures = scene::control("control_s07_globals");
    let mut values: Vec<i32> = (1..=4)
        .map(|child| figures.get(&format!("child_{child}")))
        .collect();
    values.push(figures.get("parent"));
    println!("S7 control: the one number is {values:?}");
    let different: BTreeSet<_> = values.iter().collect();
    assert_eq!(
        different.len(),
        5,
        "the control no longer fails: what one process changes, another sees"
    );
}

/// The compiler cannot refuse this one. What a job has to tell, it answers.
#[test]
fn a_static_that_a_job_writes_is_the_workers_own() {
    let values = run(async || {
        let mut values = Vec::new();
        for by in 1..=4 {
            let job = Drift { by }
                .builder()
                .worker(&Worker::program(env!("CARGO_BIN_EXE_scene_worker")));
            values.push(job.spawn().await.unwrap());
        }
        values
    });
    let own = SHARED.load(SeqCst);
    println!(
        "S7 with Legwork: a static is {own} in the app, {values:?} in its jobs, as documented"
    );
    assert_eq!(values, [2, 3, 4, 5]);
    assert_eq!(own, 1);
}

/// Whether a value of this type can be part of a job: the bounds of [`legwork::Job`].
struct Candidate<T>(PhantomData<T>);

impl<T: Serialize + DeserializeOwned + 'static> Candidate<T> {
    /// Where the bounds hold, this is found first.
    fn can_be_in_a_job(&self) -> bool {
        true
    }
}

trait Otherwise {
    fn can_be_in_a_job(&self) -> bool {
        false
    }
}

impl<T> Otherwise for Candidate<T> {}

macro_rules! can_be_in_a_job {
    ($type:ty) => {
        Candidate::<$type>(PhantomData).can_be_in_a_job()
    };
}

macro_rules! value_can_be_in_a_job {
    ($value:expr) => {
        candidate(&$value).can_be_in_a_job()
    };
}

/// Closures have no name by which to ask for them.
fn candidate<T>(_: &T) -> Candidate<T> {
    Candidate(PhantomData)
}

#[test]
fn what_an_app_shares_with_itself_cannot_be_part_of_a_job() {
    // Values are copied, and nobody takes a copy of these for the thing itself.
    assert!(can_be_in_a_job!(Vec<String>));
    assert!(can_be_in_a_job!(Option<Buffer>));
    assert!(can_be_in_a_job!((u64, Descriptor)));

    assert!(value_can_be_in_a_job!("some text".to_owned()));

    let (counter, mut number) = (Cell::new(0), 0);
    assert!(!value_can_be_in_a_job!(|| counter.set(1)));
    assert!(!value_can_be_in_a_job!(|| number += 1));
    assert!(!value_can_be_in_a_job!(move || counter.get()));
    assert!(!value_can_be_in_a_job!(|| 1));

    assert!(!can_be_in_a_job!(Rc<RefCell<u32>>));
    assert!(!can_be_in_a_job!(Arc<Mutex<u32>>));
    assert!(!can_be_in_a_job!(&'static u32));
    assert!(!can_be_in_a_job!(&'static mut u32));
    assert!(!can_be_in_a_job!(*mut u32));
    assert!(!can_be_in_a_job!(Box<dyn FnMut(u32)>));
    assert!(!can_be_in_a_job!(fn(u32)));
    assert!(!can_be_in_a_job!(std::fs::File));
    assert!(!can_be_in_a_job!(std::thread::JoinHandle<()>));
    assert!(!can_be_in_a_job!(glib::Object));
    assert!(!can_be_in_a_job!(glib::WeakRef<glib::Object>));
    assert!(!can_be_in_a_job!(glib::MainContext));
    assert!(!can_be_in_a_job!(gio::Cancellable));
    assert!(!can_be_in_a_job!(gio::DBusConnection));
    assert!(!can_be_in_a_job!(legwork::Status));
    assert!(!can_be_in_a_job!(legwork::JobHandle<Drift>));
}
