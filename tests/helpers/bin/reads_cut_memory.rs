//! Trusts memory that it was sent without looking at its seals, as a careless reader would: maps it,
//! then its maker makes it shorter, then it reads. Dies of SIGBUS.

#![allow(unsafe_code)]

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap};

const LEN: usize = 1 << 20;

fn main() {
    let memory = memfd_create(c"cut", MemfdFlags::CLOEXEC).expect("a memfd");
    ftruncate(&memory, LEN as u64).expect("a length");
    // SAFETY: a new mapping, at a place of the kernel's choice.
    let start = unsafe {
        mmap(
            std::ptr::null_mut(),
            LEN,
            ProtFlags::READ,
            MapFlags::PRIVATE,
            &memory,
            0,
        )
    }
    .expect("a mapping");
    ftruncate(&memory, 0).expect("no length");
    // SAFETY: the address is mapped. That it has no page any more is what this program is for.
    let byte = unsafe { start.cast::<u8>().read_volatile() };
    println!("read {byte}");
}
