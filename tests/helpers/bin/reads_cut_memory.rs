//! Trusts memory that it receives without checking the seals, as a careless reader would: it maps the memory, the
//! sender truncates it, then it reads. It dies of SIGBUS.

#![allow(unsafe_code)]

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap};

const LEN: usize = 1 << 20;

fn main() {
    let memory = memfd_create(c"cut", MemfdFlags::CLOEXEC).expect("a memfd");
    ftruncate(&memory, LEN as u64).expect("a length");
    // SAFETY: a new mapping, at an address that the kernel chooses.
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
    // SAFETY: the address is mapped. That it no longer has a page is what this program is for.
    let byte = unsafe { start.cast::<u8>().read_volatile() };
    println!("read {byte}");
}
