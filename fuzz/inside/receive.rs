//! The control socket: any packet, with any descriptors, is a frame or a fault.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::wire::control::{Control, FRAME_MAX, INLINE_MAX, Payload, Received, Scratch, Wait};

pub fn receive(bytes: &[u8]) {
    let Some((&brought, packet)) = bytes.split_first() else {
        return;
    };
    let (control, peer) = Control::pair().expect("a pair");
    let brought: Vec<_> = (0..brought & 3)
        .map(|at| thing(brought >> (2 + 2 * at), packet))
        .collect();
    let sent: Vec<_> = brought.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !sent.is_empty() {
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&sent)));
    }
    sendmsg(
        &peer,
        &[IoSlice::new(packet)],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )
    .expect("room");
    drop(peer);

    let mut scratch = Scratch::new();
    if let Ok(Received::Packet(frame)) = control.recv(&mut scratch, Wait::No) {
        assert_eq!(frame.length, packet.len());
        match &frame.payload {
            Payload::Inline(payload) => {
                assert!(payload.len() <= INLINE_MAX);
                assert!(packet.ends_with(payload));
                assert_eq!(frame.descriptors.len(), sent.len());
            }
            Payload::Spilled(payload) => {
                assert!(payload.len() <= FRAME_MAX);
                assert_eq!(frame.descriptors.len() + 1, sent.len());
            }
        }
    }
    assert!(matches!(
        control.recv(&mut scratch, Wait::No),
        Ok(Received::Closed)
    ));
}

/// Memory as long as the packet may claim, in four qualities; only the first is good.
fn thing(quality: u8, packet: &[u8]) -> OwnedFd {
    let claimed = packet
        .last_chunk()
        .map_or(0, |end| u64::from_le_bytes(*end));
    let length = (claimed % (256 * 1024)) as usize;
    let memory = memfd_create("fuzz", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING);
    let memory = memory.expect("memory");
    let (filled, seals) = match quality & 3 {
        0 => (
            length,
            SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
        ),
        1 => (length, SealFlags::SHRINK),
        2 => (
            length / 2,
            SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
        ),
        _ => (0, SealFlags::WRITE),
    };
    if filled > 0 {
        rustix::io::write(&memory, &vec![7; filled]).expect("memory");
    }
    ftruncate(&memory, length as u64).expect("memory");
    fcntl_add_seals(&memory, seals).expect("memory");
    memory
}
