//! S1: a forked child that uses GLib writes to the wakeup descriptor of its parent, and keeps its idle loop busy.

use std::cell::Cell;
use std::future::IntoFuture;
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

use legwork::counters;
use legwork::glib::{self, ControlFlow, MainContext, Priority};
use legwork::prelude::*;
use legwork::{Worker, glib::clone};
use legwork_tests::scene::{self, processor_time};
use legwork_tests::with_glib::TellTheLoop;

const WINDOW: Duration = Duration::from_secs(2);

/// Both measure the processor: one after the other.
static PROCESSOR: Mutex<()> = Mutex::new(());

#[test]
fn control_a_forked_child_that_uses_glib_keeps_the_loop_of_its_parent_busy() {
    let _alone = PROCESSOR.lock();
    let figures = scene::control("control_s01_wakeup_descriptor");
    let used: f64 = figures.get("used");
    println!(
        "S1 control: the parent, idle, used {used:.2} s of {:.2} s in {} iterations",
        figures.get::<f64>("elapsed"),
        figures.get::<u64>("iterations"),
    );
    assert!(
        used > 1.5,
        "the control no longer fails: its parent used {used:.3} s"
    );
}

#[test]
fn a_job_that_uses_glib_leaves_the_loop_of_the_app_idle() {
    let _alone = PROCESSOR.lock();
    let worker = Worker::program(env!("CARGO_BIN_EXE_worker_with_glib"));
    let context = MainContext::new();
    let run = || {
        let over = Rc::new(Cell::new(false));
        let (used, frames, mut iterations) = (processor_time(), counters().frames, 0u64);
        let end = glib::timeout_source_new(WINDOW, None, Priority::HIGH, {
            let over = glib::thread_guard::ThreadGuard::new(over.clone());
            move || {
                over.get_ref().set(true);
                ControlFlow::Break
            }
        });
        end.attach(Some(&context));
        let messages = Rc::new(Cell::new(0));
        let mut job = TellTheLoop.builder().worker(&worker).spawn();
        job.on_message(clone!(
            #[strong]
            messages,
            move |_| messages.set(messages.get() + 1)
        ));
        while !over.get() {
            context.iteration(true);
            iterations += 1;
        }
        let used = processor_time() - used;
        let frames = counters().frames - frames;
        job.cancel();
        let steps = context
            .block_on(job.into_future())
            .expect("it answers, although it was cancelled");
        (used, frames, iterations, messages.get(), steps)
    };
    let (used, frames, iterations, messages, steps) =
        context.with_thread_default(run).expect("our own context");
    println!(
        "S1 with Legwork: the app used {:.4} s of 2 s in {iterations} iterations for {frames} frames, while its job told \
         a loop of {steps} steps",
        used.as_secs_f64()
    );
    assert!(
        messages > 1 && steps > 1000,
        "the job has not done its work"
    );
    assert!(used < WINDOW / 100, "the app was not idle: {used:?}");
    assert!(
        iterations <= frames + 2,
        "{iterations} iterations, {frames} frames"
    );
}
