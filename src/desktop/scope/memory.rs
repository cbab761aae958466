//! Hears of a scope that runs out of memory while that can still be known: when its last process has ended, systemd
//! removes the cgroup, and the kernel's count with it.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use glib::{ControlFlow, IOCondition, MainContext, Priority};
use rustix::fs::OFlags;

use crate::process::cgroup::Cgroup;

/// Has the cgroup remember what the kernel tells of its memory, as long as it is there and anybody has it. Nothing
/// happens until then. Without the memory controller, nothing is to be heard.
///
/// The source is left to its context, and ends by itself.
pub(super) fn listen(cgroup: &Arc<Cgroup>) {
    let Ok(events) = cgroup.open("memory.events", OFlags::RDONLY) else {
        return;
    };
    let (events, cgroup) = (File::from(events), Arc::downgrade(cgroup));
    let number = events.as_raw_fd();
    let read = move || {
        let mut text = [0; 1024];
        // Reading also makes the kernel wait for the next event. It fails when the cgroup has been removed.
        let length = events.read_at(&mut text, 0).ok()?;
        cgroup
            .upgrade()?
            .note_events(&String::from_utf8_lossy(&text[..length]));
        Some(())
    };
    if read().is_none() {
        return;
    }
    let told = move |_, _| read().map_or(ControlFlow::Break, |()| ControlFlow::Continue);
    let (what, name) = (IOCondition::PRI | IOCondition::ERR, Some("legwork-memory"));
    let source = glib_unix::fd_source_new(number, what, name, Priority::DEFAULT, told);
    source.attach(Some(&MainContext::ref_thread_default()));
}
