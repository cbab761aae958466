//! S6: a callback that is passed to a child runs in the child, and nothing changes in the app.

use std::cell::Cell;
use std::rc::Rc;

use legwork::Worker;
use legwork::glib::MainContext;
use legwork::prelude::*;
use legwork_tests::context::run;
use legwork_tests::scene;
use legwork_tests::scene_jobs::CallBack;

#[test]
fn control_a_callback_runs_in_a_forked_child_and_its_effects_stay_there() {
    let figures = scene::control("control_s06_callback");
    let counter: u64 = figures.get("counter");
    println!("S6 control: the callback ran 100 times, and the parent's counter is {counter}");
    assert!(figures.get::<bool>("the_callback_ran"));
    assert_eq!(
        counter, 0,
        "the control no longer fails: the parent has counted"
    );
}

#[test]
fn a_callback_runs_in_the_app_on_its_context_and_its_answer_goes_back_to_the_job() {
    run(async || {
        let counter = Rc::new(Cell::new(0));
        let (app, thread) = (std::process::id(), std::thread::current().id());
        let context = MainContext::ref_thread_default();
        let mut job = CallBack { times: 100 }
            .builder()
            .worker(&Worker::program(env!("CARGO_BIN_EXE_scene_worker")))
            .spawn();
        assert_ne!(job.pid(), Some(app));
        let sender = job.sender();
        let count = counter.clone();
        job.on_message(move |number| {
            assert_eq!(number, count.get(), "in the order of the calls");
            assert_eq!(std::process::id(), app);
            assert_eq!(std::thread::current().id(), thread);
            assert!(context.is_owner());
            count.set(count.get() + 1);
            assert!(sender.try_send(count.get()).unwrap());
        });
        let sum = job.await.unwrap();
        assert_eq!(counter.get(), 100);
        assert_eq!(sum, 5050);
        println!(
            "S6 with Legwork: the app's counter is {}, and the answers that the job was given add up to {sum}",
            counter.get()
        );
    });
}
