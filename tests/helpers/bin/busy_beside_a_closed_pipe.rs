//! A main loop that is busy, beside a pipe whose other end is closed and which it does not wait for.
//!
//! With the argument `idle`, an idle source always asks to be called again, so that the loop never sleeps. With
//! `often`, a timer wakes the loop some thousand times a second, and it sleeps in between.

use std::os::fd::AsRawFd;

use legwork::glib::{self, ControlFlow, IOCondition, MainLoop};
use legwork_tests::scene::tell;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

fn main() {
    let (closed, writer) = std::io::pipe().expect("a pipe");
    drop(writer);
    tell("closed", closed.as_raw_fd());
    let how = std::env::args().nth(1).expect("how");
    if how == "idle" {
        glib::idle_add_local(|| ControlFlow::Continue);
    } else {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC);
        let timer = timer.expect("a timer");
        let often = Timespec {
            tv_sec: 0,
            tv_nsec: 100_000,
        };
        let often = Itimerspec {
            it_interval: often,
            it_value: often,
        };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &often).expect("a timer");
        let number = timer.as_raw_fd();
        tell("timer", number);
        glib_unix::unix_fd_add_local(number, IOCondition::IN, move |_, _| {
            rustix::io::read(&timer, &mut [0; 8]).expect("a tick");
            ControlFlow::Continue
        });
    }
    println!("ready");
    MainLoop::new(None, false).run();
}
