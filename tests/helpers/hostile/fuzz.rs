//! Valid packets, and mutations of them. The same seed gives the same packets.

use super::{
    SPILLED, Thing, Word, kind, packet, said, sealed,
    stage::{emit, made},
};

/// xorshift64*: the same numbers on every machine.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// Returns valid packets of every kind.
fn good_packets() -> Vec<(Vec<u8>, Vec<Thing>)> {
    let record = (3u8, "target", "text", Some("file.rs"), Some(7u32));
    let message = Word::List(vec![
        Word::Text("text".to_owned()),
        Word::Inside(Some(Box::new(Word::Inside(None)))),
    ]);
    // `Buffer { len, descriptor }` as the app expects it.
    let memory = (3u32, 4096u64, Some(0u32));
    let crash = [
        &[11u8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..],
        &[1; 8],
    ]
    .concat();
    let mut long = packet(kind::MESSAGE, &[]);
    long[1] |= SPILLED;
    long.extend_from_slice(&4096u64.to_le_bytes());
    vec![
        (packet(kind::READY, &[]), vec![Thing::Page]),
        (said(kind::MESSAGE, &message), vec![]),
        (said(kind::MESSAGE, &memory), vec![sealed(&[1; 4096], 1)]),
        (
            said(kind::MESSAGE, &(4u32, &[0u32, 1][..])),
            vec![Thing::Null, Thing::Pipe],
        ),
        (long, vec![sealed(&[0; 4096], 1)]),
        (said(kind::PROGRESS, &(1u64, 2u64, Some("text"))), vec![]),
        (said(kind::LOG, &(0u64, vec![record, record])), vec![]),
        (said(kind::PANIC, &("m", Some("l"), Some("t"), "b")), vec![]),
        (packet(kind::CRASH, &crash), vec![]),
        (packet(kind::CRASH_FRAMES, b"0: main\n"), vec![]),
        (said(kind::DONE, &message), vec![]),
        (said(kind::FAILED, &(vec!["error", "cause"], false)), vec![]),
        (packet(kind::PANICKED, &[]), vec![]),
        (said(kind::REFUSED, &(3u32, "why")), vec![]),
    ]
}

/// Sends packets that are nearly valid.
pub(super) fn fuzz(seed: u64, count: u32) {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let good = good_packets();
    if random.below(8) != 0 {
        let _ = emit(&good[0].0, &[made(Thing::Page)]);
    }
    for _ in 0..count {
        let (mut bytes, mut things) = good[random.below(good.len())].clone();
        for _ in 0..random.below(4) {
            mutate(&mut random, &mut bytes);
        }
        match random.below(12) {
            0 => things.push(Thing::Null),
            1 => drop(things.pop()),
            2 => things.extend(std::iter::repeat_n(Thing::Null, random.below(200))),
            3 => things.insert(0, sealed(&[2; 16], random.below(300))),
            _ => (),
        }
        let things: Vec<_> = things.into_iter().map(made).collect();
        if emit(&bytes, &things).is_err() {
            return;
        }
    }
}

fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    let at = random.below(bytes.len() + 1);
    match random.below(9) {
        0 => bytes.truncate(at),
        1 => bytes.insert(at, random.next() as u8),
        2 => bytes.extend((0..random.below(70_000)).map(|n| n as u8)),
        3 => {
            // An impossible length.
            let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
            bytes.splice(at..at, huge[10 - random.below(10)..].iter().copied());
        }
        4 => {
            let part = bytes[at..].to_vec();
            bytes.extend(part);
        }
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                match random.below(3) {
                    0 => *byte ^= 1 << random.below(8),
                    1 => *byte = random.next() as u8,
                    _ => *byte = 0xff,
                }
            }
        }
    }
}
