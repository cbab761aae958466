//! Waits for any child, as some libraries do, and so reaps Legwork's. With the argument `forgotten` the kernel does not
//! remember how a process ended that was reaped, as before Linux 6.15.

use legwork::process::{ExitStatus, Process, Signal};
use legwork::spawn::{Plan, Program};
use legwork_tests::context::run;
use legwork_tests::programs::sh;
use legwork_tests::{kernel_remembers_exits, raw};
use rustix::process::{Pid, WaitOptions, wait, waitpid};

fn reaped(script: &str) -> Process {
    let plan = Plan::new(Program::name("sh")).args(["-c", script]);
    let child = plan.spawn().unwrap();
    let (pid, _) = wait(WaitOptions::empty()).unwrap().unwrap();
    assert_eq!(pid.as_raw_nonzero().get().cast_unsigned(), child.pid());
    child
}

fn main() {
    let is_forgotten = std::env::args().nth(1).is_some();
    if is_forgotten {
        raw::deny(libc::SYS_ioctl as u32);
    }
    if is_forgotten || !kernel_remembers_exits() {
        let mut child = reaped("exit 3");
        let error = child.wait().unwrap_err();
        assert!(error.is_reaped_elsewhere());
        assert_eq!(error.errno(), libc::ECHILD);
        let words = "other code in this program waited for it";
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(child.try_wait(), Err(error));
    } else {
        let signal = Signal::TERM;
        let killed = ExitStatus::Signal {
            signal,
            core_dumped: false,
        };
        for (script, status) in [("exit 3", ExitStatus::Code(3)), ("kill $$", killed)] {
            let mut child = reaped(script);
            let exit = child.wait().unwrap();
            assert_eq!(exit.status, status);
            assert_eq!(child.try_wait(), Ok(Some(exit)));
        }
    }
    drop(reaped("exit 3"));
    run(async || {
        let program = sh("exit 3").spawn();
        let pid = Pid::from_raw(program.pid().unwrap().cast_signed());
        waitpid(pid, WaitOptions::empty()).unwrap();
        let error = program.await.unwrap_err();
        let known = !is_forgotten && kernel_remembers_exits();
        assert_eq!(error.exit_code(), known.then_some(3), "{error}");
        assert_eq!(error.usage(), None);
    });
}
