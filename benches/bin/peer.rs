//! The child of the hand-written peers: what somebody would write who needs only this one thing.
//!
//! `bench-peer WHAT [NUMBER]`; its end of the socket or pipe is descriptor 3.
//!
//! - `wait`: do nothing until the other end closes.
//! - `echo`: read 64 bytes, write them back.
//! - `notes COUNT`: for every byte read, write COUNT messages of 128 bytes, one write each.
//! - `fresh LENGTH`: for every byte read, fill LENGTH bytes of new memory and write them.
//! - `whole LENGTH`: the same from memory that is kept between rounds.
//! - `pieces LENGTH`: the same bytes, filled and written in pieces that stay in the cache.
//! - `memfd LENGTH`: for every byte read, map a new memfd, fill it, seal it and send it.
//!
//! `fresh`, `whole` and `pieces` read their orders from standard input and begin with eight bytes: the time when filling
//! started, which `memfd` sends with the descriptor.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{IoSlice, Read, Result, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use legwork_benches::mapped::Mapped;
use legwork_benches::{clock, data};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

/// The capacity of a pipe. More would block in the middle of a write.
const PIECE: usize = 64 * 1024;

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let what = words.next().unwrap_or_default();
    let number = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
    // SAFETY: whoever starts this program maps its end to 3, and nothing else in here knows that number.
    let mut end = File::from(unsafe { OwnedFd::from_raw_fd(3) });
    match what.as_str() {
        "wait" => wait(&mut end),
        "echo" => echo(&mut end),
        "notes" => notes(&mut end, number),
        "fresh" => fresh(&mut end, number),
        "whole" => whole(&mut end, number),
        "pieces" => pieces(&mut end, number),
        "memfd" => memfd(&mut end, number),
        _ => Err(std::io::Error::other(
            "bench-peer: wait, echo, notes, fresh, whole, pieces or memfd",
        )),
    }
}

fn wait(end: &mut File) -> Result<()> {
    end.read(&mut [0]).map(drop)
}

fn echo(end: &mut File) -> Result<()> {
    let mut call = [0; size_of::<data::Call>()];
    while end.read(&mut call)? == call.len() {
        end.write_all(&call)?;
    }
    Ok(())
}

fn notes(end: &mut File, count: usize) -> Result<()> {
    let note = [7; size_of::<data::Note>()];
    while end.read(&mut [0])? == 1 {
        for _ in 0..count {
            end.write_all(&note)?;
        }
    }
    Ok(())
}

fn fresh(end: &mut File, len: usize) -> Result<()> {
    let mut seed = 0;
    while std::io::stdin().read(&mut [0])? == 1 {
        let started = clock::now();
        let mut memory = vec![0; len];
        data::fill(&mut memory, seed);
        end.write_all(&started.to_ne_bytes())?;
        end.write_all(&memory)?;
        seed += 1;
    }
    Ok(())
}

fn whole(end: &mut File, len: usize) -> Result<()> {
    let mut kept = vec![1; len];
    let mut seed = 0;
    while std::io::stdin().read(&mut [0])? == 1 {
        let started = clock::now();
        data::fill(&mut kept, seed);
        end.write_all(&started.to_ne_bytes())?;
        end.write_all(&kept)?;
        seed += 1;
    }
    Ok(())
}

fn pieces(end: &mut File, len: usize) -> Result<()> {
    let mut piece = vec![1; PIECE];
    let mut seed = 0;
    while std::io::stdin().read(&mut [0])? == 1 {
        end.write_all(&clock::now().to_ne_bytes())?;
        for start in (0..len).step_by(PIECE) {
            data::fill(&mut piece, seed + (start / 8) as u64);
            end.write_all(&piece[..PIECE.min(len - start)])?;
        }
        seed += 1;
    }
    Ok(())
}

fn memfd(end: &mut File, len: usize) -> Result<()> {
    let mut seed = 0;
    while end.read(&mut [0])? == 1 {
        let started = clock::now();
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let memory = memfd_create(c"peer", flags)?;
        ftruncate(&memory, len as u64)?;
        let mut mapped = Mapped::shared(&memory, len, true)?;
        data::fill(&mut mapped, seed);
        // While it is mapped for writing it cannot be sealed.
        drop(mapped);
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        fcntl_add_seals(&memory, seals)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut descriptors = SendAncillaryBuffer::new(&mut space);
        let memory = [memory.as_fd()];
        descriptors.push(SendAncillaryMessage::ScmRights(&memory));
        let started = started.to_ne_bytes();
        sendmsg(
            &end,
            &[IoSlice::new(&started)],
            &mut descriptors,
            SendFlags::empty(),
        )?;
        seed += 1;
    }
    Ok(())
}
