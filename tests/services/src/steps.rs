//! A job that reports steps.

use std::time::{Duration, Instant};

use legwork::{Cancelled, Ctx, Job};
use serde::{Deserialize, Serialize};

legwork::jobs! {
    /// The one job.
    pub static JOBS = [Steps];
}

/// Makes this many steps in this many milliseconds, and reports each.
#[derive(Debug, Serialize, Deserialize)]
pub struct Steps {
    /// How many.
    pub count: u64,
    /// In which time, in milliseconds.
    pub milliseconds: u64,
}

impl Job for Steps {
    type Message = ();
    type Output = u64;
    type Error = Cancelled;

    fn run(self, cx: &Ctx<Self>) -> Result<u64, Cancelled> {
        let start = Instant::now();
        cx.set_total(self.count);
        for step in 1..=self.count {
            let due = Duration::from_micros(self.milliseconds * 1000 * step / self.count);
            std::thread::sleep(due.saturating_sub(start.elapsed()));
            cx.check()?;
            cx.set_text(format!("step {step}"));
            cx.advance(1);
        }
        Ok(self.count)
    }
}
