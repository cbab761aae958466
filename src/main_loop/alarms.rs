//! The alarms of a hub's children, in the order of their times.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

/// One alarm for each entry that has set one.
#[derive(Debug, Default)]
pub struct Alarms {
    in_order: BTreeSet<(Instant, u32)>,
    by_key: HashMap<u32, Instant>,
}

impl Alarms {
    /// Sets, moves or removes the alarm of `key`: logarithmic in their number.
    pub fn set(&mut self, key: u32, at: Option<Instant>) {
        let before = match at {
            Some(at) => self.by_key.insert(key, at),
            None => self.by_key.remove(&key),
        };
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.in_order.remove(&(before, key));
        }
        if let Some(at) = at {
            self.in_order.insert((at, key));
        }
    }

    /// When the first of them rings.
    pub fn first(&self) -> Option<Instant> {
        self.in_order.first().map(|(at, _)| *at)
    }

    /// Takes the first, if its time has come.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<u32> {
        let (at, key) = self.in_order.first().copied()?;
        (at <= now).then(|| {
            self.set(key, None);
            key
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_key_has_one_alarm_and_they_ring_in_order() {
        let mut alarms = Alarms::default();
        let now = Instant::now();
        let at = |seconds| Some(now + Duration::from_secs(seconds));
        alarms.set(1, at(1));
        alarms.set(2, at(2));
        alarms.set(1, at(3));
        alarms.set(3, at(2));
        alarms.set(3, None);
        alarms.set(4, None);
        assert_eq!(alarms.first(), at(2));
        assert_eq!(alarms.take_due(now), None);
        let later = now + Duration::from_secs(9);
        assert_eq!(alarms.take_due(later), Some(2));
        assert_eq!(alarms.take_due(later), Some(1));
        assert_eq!(alarms.take_due(later), None);
        assert_eq!(alarms.first(), None);
    }
}
