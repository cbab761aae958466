#![no_main]
//! What the doctor reads of `/proc` and of the kernel's lists: other programs choose names in there.

use legwork::spawn::named_descriptors;
use legwork_fuzz::below;
use procfs::FromRead;
use procfs::process::{FDTarget, Stat, Syscall};

#[allow(dead_code)]
#[path = "../../inspect/src/fdinfo.rs"]
mod fdinfo;
#[allow(dead_code)]
#[path = "../../cli/src/doctor/proc.rs"]
mod proc;
#[allow(dead_code)]
#[path = "../../inspect/src/unix_table.rs"]
mod unix_table;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some((which, text)) = bytes.split_first() {
        below(1 << 20, || read(which % 8, text));
    }
});

fn read(which: u8, text: &[u8]) {
    match which {
        0 => {
            let details = fdinfo::FdInfo::parse(text);
            (details.flags(), details.access(), details.pid());
            (
                details.eventfd_id(),
                details.eventfd_count(),
                details.timer_ticks(),
            );
        }
        1 => {
            let lines = text.split(|byte| *byte == b'\n').count();
            assert!(unix_table::by_lines(text).len() <= lines);
        }
        2 => {
            let (mut rest, mut count) = (text, 0);
            while let Some((_, body, next)) = unix_table::next_message(rest) {
                unix_table::entry(body);
                (rest, count) = (next, count + 1);
                assert!(count <= text.len(), "it turns for ever");
            }
        }
        3 => drop(proc::AnyStatus::from_read(text)),
        4 => {
            // Of this line a process chooses its name and nothing else; what the kernel writes, procfs trusts.
            let name = String::from_utf8_lossy(&text[..text.len().min(15)]);
            let line = format!("7 ({name}) S 1 {}\n", "0 ".repeat(48));
            let stat = Stat::from_read(line.as_bytes()).expect("the kernel's line");
            assert_eq!((stat.pid, &*stat.comm, stat.ppid), (7, &*name, 1));
        }
        5 => drop(Syscall::from_read(text)),
        6 => drop(String::from_utf8_lossy(text).parse::<FDTarget>()),
        _ => {
            let text = String::from_utf8_lossy(text);
            let (name, value) = text.split_once('=').unwrap_or_default();
            let numbers = named_descriptors(name.as_ref(), value.as_ref());
            assert!(numbers.iter().all(|number| *number >= 0));
        }
    }
}
