//! What a scope limits: what is asked of systemd, and what is found in the kernel's files after that.

use glib::Variant;
use glib::prelude::*;

use crate::process::cgroup::Cgroup;
use crate::process::class::Class;
use crate::text::{Text, text};

/// Something that a [`Scope`](super::Scope) limits or weighs; see systemd.resource-control(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScopeLimit {
    /// Bytes of memory, beyond which a process in the scope is killed.
    MemoryMax,
    /// Bytes of memory, beyond which the scope is slowed down.
    MemoryHigh,
    /// Its part of the processors, when others want them as well.
    CpuWeight,
    /// Processor time, in percent of one processor.
    CpuQuota,
    /// Processes and threads.
    TasksMax,
    /// Its part of the disks, when others want them as well.
    IoWeight,
}

/// Whether a limit holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Enforcement {
    /// It was not asked for, or no child has been started yet.
    Unknown,
    /// The kernel has it for the scope: it was read back.
    Enforced,
    /// There is no scope, and each process has the limit for itself: RLIMIT_DATA in place of
    /// [`ScopeLimit::MemoryMax`].
    PerProcess,
    /// It does not hold, for this reason.
    NotEnforced(String),
}

/// What was asked for, with the value in systemd's unit.
pub(super) type Asked = (ScopeLimit, u64);

/// Of the weights.
const WEIGHTS: std::ops::RangeInclusive<u64> = 1..=10_000;

/// The weights of a class.
pub(super) fn weights(class: Option<Class>) -> [Asked; 2] {
    let weight = match class {
        None => 100,
        Some(Class::Utility) => 50,
        Some(Class::Background) => 10,
    };
    [
        (ScopeLimit::CpuWeight, weight),
        (ScopeLimit::IoWeight, weight),
    ]
}

impl ScopeLimit {
    /// The name of systemd's property.
    pub(super) fn name(self) -> &'static str {
        match self {
            ScopeLimit::MemoryMax => "MemoryMax",
            ScopeLimit::MemoryHigh => "MemoryHigh",
            ScopeLimit::CpuWeight => "CPUWeight",
            ScopeLimit::CpuQuota => "CPUQuota",
            ScopeLimit::TasksMax => "TasksMax",
            ScopeLimit::IoWeight => "IOWeight",
        }
    }

    /// The file of a cgroup that has it, and its controller.
    fn file(self) -> (&'static str, &'static str) {
        match self {
            ScopeLimit::MemoryMax => ("memory.max", "memory"),
            ScopeLimit::MemoryHigh => ("memory.high", "memory"),
            ScopeLimit::CpuWeight => ("cpu.weight", "cpu"),
            ScopeLimit::CpuQuota => ("cpu.max", "cpu"),
            ScopeLimit::TasksMax => ("pids.max", "pids"),
            ScopeLimit::IoWeight => ("io.weight", "io"),
        }
    }

    /// Says what is wrong with a value, before anything is started.
    pub(super) fn check(self, value: u64) -> Result<(), Text> {
        let is_weight = matches!(self, ScopeLimit::CpuWeight | ScopeLimit::IoWeight);
        if is_weight && !WEIGHTS.contains(&value) {
            return Err(text!(
                "{limit} of the scope is {value}; it must be 1 to 10000",
                limit = self.name(),
                value = value
            ));
        }
        if value == 0 {
            return Err(text!(
                "{limit} of the scope is 0: nothing could run in it",
                limit = self.name()
            ));
        }
        Ok(())
    }

    /// The property of the unit.
    pub(super) fn property(self, value: u64) -> (String, Variant) {
        match self {
            ScopeLimit::CpuQuota => {
                // Microseconds per second.
                let time = value.saturating_mul(10_000);
                ("CPUQuotaPerSecUSec".to_owned(), time.to_variant())
            }
            _ => (self.name().to_owned(), value.to_variant()),
        }
    }

    /// Whether the kernel has it for this cgroup.
    pub(super) fn read_back(self, asked: u64, cgroup: &Cgroup) -> Enforcement {
        let (file, controller) = self.file();
        let not = |why: Text| Enforcement::NotEnforced(why.to_string());
        let text = match cgroup.read(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return not(text!(
                    "the kernel's {controller} controller is not available to the scope ({file} is missing)",
                    controller = controller,
                    file = file
                ));
            }
            Err(error) => {
                return not(text!(
                    "{file} could not be read: {error}",
                    file = file,
                    error = Text::of(&error)
                ));
            }
        };
        match self.holds(asked, &text) {
            true => Enforcement::Enforced,
            false => not(text!(
                "the kernel has something else in {file}: {value}",
                file = file,
                value = text.trim()
            )),
        }
    }

    fn holds(self, asked: u64, text: &str) -> bool {
        let words: Vec<_> = text.split_whitespace().collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
        match self {
            // Rounded to pages, downwards. A lower one that somebody else has set holds as well.
            ScopeLimit::MemoryMax | ScopeLimit::MemoryHigh | ScopeLimit::TasksMax => {
                number(0).is_some_and(|value| value <= asked)
            }
            ScopeLimit::CpuWeight => number(0) == Some(asked),
            ScopeLimit::IoWeight => words.first() == Some(&"default") && number(1) == Some(asked),
            // A quota and its period.
            ScopeLimit::CpuQuota => match (number(0), number(1)) {
                (Some(quota), Some(period @ 1..)) => {
                    quota.saturating_mul(100) <= asked.saturating_mul(period)
                }
                _ => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_holds_by_what_the_kernel_says_and_not_by_what_was_asked() {
        use ScopeLimit::*;
        let rows = [
            (MemoryMax, 10_000, "8192\n", true),
            (MemoryMax, 10_000, "max\n", false),
            (MemoryMax, 8192, "12288\n", false),
            (MemoryHigh, u64::MAX, "max\n", false),
            (TasksMax, 7, "7\n", true),
            (TasksMax, 7, "", false),
            (CpuWeight, 50, "50\n", true),
            (CpuWeight, 50, "100\n", false),
            (CpuQuota, 150, "150000 100000\n", true),
            (CpuQuota, 150, "max 100000\n", false),
            (CpuQuota, 50, "60000 100000\n", false),
            (CpuQuota, 50, "60000 0\n", false),
            (IoWeight, 30, "default 30\n8:0 100\n", true),
            (IoWeight, 30, "default 100\n", false),
        ];
        for (limit, asked, text, holds) in rows {
            assert_eq!(limit.holds(asked, text), holds, "{limit:?} {asked} {text}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_before_the_start() {
        use ScopeLimit::*;
        for limit in [
            MemoryMax, MemoryHigh, CpuWeight, CpuQuota, TasksMax, IoWeight,
        ] {
            assert!(limit.check(0).is_err());
            assert!(limit.check(1).is_ok());
        }
        assert!(CpuWeight.check(10_001).is_err() && MemoryMax.check(u64::MAX).is_ok());
    }
}
