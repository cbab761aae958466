//! The cost of moving one child's alarm among the alarms of others, which every line of a program with a stall deadline
//! may do. The alarms are the library's; there are no children.

use std::time::{Duration, Instant};

use legwork::__private::Alarms;

use crate::report::{Bar, Entry, Row};
use crate::samples::{Unit::Nanoseconds, in_turns};
use crate::{Effort, Result};

const FEW: u32 = 100;
const MANY: u32 = 10_000;
/// How many alarms are moved in one sample.
const MOVES: u32 = 1000;

pub(crate) fn answer(effort: Effort, row: &mut Row) -> Result<()> {
    let (mut few, mut many) = (Moving::new(FEW), Moving::new(MANY));
    let rounds = effort.of(500, 50);
    let [few, many] = in_turns(rounds, [&mut || Ok(few.round()), &mut || Ok(many.round())])?;
    // With a hundred times as many, the depth is log2(10,000) / log2(100), twice as much, and they are further apart in
    // memory; a linear search would take a hundred times as long.
    row.add(
        Entry::beside(
            "one move",
            many.figure("among 10,000", Nanoseconds),
            few.figure("among 100", Nanoseconds),
        )
        .bar(Bar::Ratio(5.0)),
    );
    Ok(())
}

struct Moving {
    alarms: Alarms,
    now: Instant,
    count: u32,
    next: u32,
}

impl Moving {
    fn new(count: u32) -> Self {
        let (mut alarms, now) = (Alarms::default(), Instant::now());
        for key in 0..count {
            alarms.set(key, Some(now + Duration::from_micros(key.into())));
        }
        Moving {
            alarms,
            now,
            count,
            next: 0,
        }
    }

    /// Moves some alarms to the end, each of another child. Returns the time of one move, in nanoseconds.
    fn round(&mut self) -> f64 {
        let started = Instant::now();
        for _ in 0..MOVES {
            let key = self.next.wrapping_mul(7919) % self.count;
            let at = Duration::from_micros((self.count + self.next).into());
            self.alarms.set(key, Some(self.now + at));
            self.next += 1;
        }
        std::hint::black_box(self.alarms.first());
        started.elapsed().as_nanos() as f64 / f64::from(MOVES)
    }
}
