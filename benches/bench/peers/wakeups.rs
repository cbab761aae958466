//! The control of scene S1: a child that was forked and did not exec shares the wakeup descriptor of its parent's main
//! context, and wakes the parent whenever it uses that context.

use std::time::Duration;

use glib::{ControlFlow, MainContext, MainLoop, Priority};
use legwork_benches::clock;
use serde::{Deserialize, Serialize};

use super::native::{fork_without_exec, watch, watched};

/// What an idle process did meanwhile.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Idle {
    /// Nanoseconds of processor time.
    pub(crate) busy: u64,
    /// Returns from poll, without the one that ended it.
    pub(crate) wakeups: u64,
}

/// Runs `context` for `time` with nothing of its own to do, and returns what it did.
pub(crate) fn idle(context: &MainContext, time: Duration) -> Idle {
    let main_loop = MainLoop::new(Some(context), false);
    let timer = glib::timeout_source_new(time, None, Priority::DEFAULT, {
        let main_loop = main_loop.clone();
        move || {
            main_loop.quit();
            ControlFlow::Break
        }
    });
    timer.attach(Some(context));
    watch(context);
    let busy = clock::processor_time();
    main_loop.run();
    let busy = clock::processor_time() - busy;
    Idle {
        busy,
        wakeups: watched().polls - 1,
    }
}

/// The process that is sacrificed: it forks a child that uses GLib, idles for two seconds, and prints what that cost.
pub(crate) fn forked() -> crate::Result<()> {
    let context = MainContext::default();
    let _child = fork_without_exec(|| {
        loop {
            MainContext::default().wakeup();
        }
    })?;
    println!(
        "{}",
        serde_json::to_string(&idle(&context, Duration::from_secs(2)))?
    );
    Ok(())
}
