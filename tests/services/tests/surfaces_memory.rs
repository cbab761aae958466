//! Memory that really runs short: pages that are read again and again in a cgroup that is too small for them.

use std::cell::RefCell;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use legwork::desktop::Availability;
use legwork::desktop::memory::{Pressure, Watch};
use legwork_service_tests::services_or_skip;
use legwork_tests::context::{run, until};

#[test]
fn a_watch_is_told_of_real_pressure_until_it_is_dropped() {
    if !services_or_skip("it makes memory short for 16 s, and needs root and the memory controller")
    {
        return;
    }
    run(async || {
        let start = Instant::now();
        let told = Rc::<RefCell<Vec<(Duration, Pressure)>>>::default();
        let into = told.clone();
        let watch = Watch::new(move |pressure| into.borrow_mut().push((start.elapsed(), pressure)));
        assert_eq!(watch.availability(), Availability::Available);
        // The kernel reports what was before the first trigger: this is not passed on.
        legwork::glib::timeout_future(Duration::from_secs(3)).await;
        println!("before that: told of {:?}", told.borrow());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/memory-pressure.sh");
        let mut pressed = Command::new(script).arg("16").spawn().expect("bash");
        until("it is told of pressure", || {
            assert_ne!(
                pressed.try_wait().unwrap().and_then(|exit| exit.code()),
                Some(3),
                "not here"
            );
            let told = told.borrow();
            [Pressure::Low, Pressure::Medium]
                .iter()
                .all(|one| told.iter().any(|(_, other)| other == one))
        })
        .await;
        println!("told of {:?}", told.borrow());
        drop(watch);
        let count = told.borrow().len();
        legwork::glib::timeout_future(Duration::from_secs(5)).await;
        assert!(
            pressed.try_wait().unwrap().is_none(),
            "there is no pressure any more"
        );
        assert_eq!(told.borrow().len(), count, "told after it was dropped");
        assert!(pressed.wait().unwrap().success());
    });
}
