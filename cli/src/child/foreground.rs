//! The terminal's foreground, lent to the program's group.

use legwork::process::{Process, Signal};
use nix::sys::signal::{SigSet, Signal as NixSignal};
use rustix::process::{Pid, getpgrp};
use rustix::stdio;
use rustix::termios::{isatty, tcgetpgrp, tcsetpgrp};

/// While it is there, the program reads what is typed and gets Ctrl+C, as it would without this
/// command. Taken back when dropped.
pub(super) struct Foreground(());

impl Foreground {
    /// `None` where this command has no foreground to lend.
    pub(super) fn lend_to(process: &Process) -> Option<Self> {
        let ours = tcgetpgrp(stdio::stdin()).ok()?;
        if !isatty(stdio::stdin()) || ours != getpgrp() || !process.leads_group() {
            return None;
        }
        let group = Pid::from_raw(i32::try_from(process.pid()).ok()?)?;
        tcsetpgrp(stdio::stdin(), group).ok()?;
        // It may have been stopped for reading before this.
        let _ = process.signal_group(Signal::CONT);
        Some(Self(()))
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        // A background process that does this is stopped by SIGTTOU, unless that is held.
        let mut held = SigSet::empty();
        held.add(NixSignal::SIGTTOU);
        let _ = held.thread_block();
        let _ = tcsetpgrp(stdio::stdin(), getpgrp());
    }
}
