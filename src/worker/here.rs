//! A job in this process, for unit tests: the same `run`, no child, no socket.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::ctx::{Backend, Ctx};
use super::job::Job;
use crate::wire::attach;

/// What a job that runs here has said.
pub(super) struct Here<J: Job> {
    messages: Mutex<Vec<J::Message>>,
    done: AtomicU64,
    total: AtomicU64,
    text: Mutex<String>,
}

impl<J: Job> Here<J> {
    pub(super) fn message(&self, message: J::Message) {
        self.messages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(message);
    }

    pub(super) fn set_total(&self, total: u64) {
        self.total.store(total, Relaxed);
    }

    pub(super) fn set_done(&self, done: u64) {
        self.done.store(done, Relaxed);
    }

    pub(super) fn advance(&self, steps: u64) {
        self.done.fetch_add(steps, Relaxed);
    }

    pub(super) fn set_text(&self, text: String) {
        *self.text.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }
}

/// Runs `job` in this process, on this thread.
pub(super) fn run<J: Job>(
    job: J,
    on_message: impl FnMut(J::Message),
) -> Result<J::Output, Box<dyn Error + Send + Sync>> {
    // Through the encoder and back, as on the way to a worker: a type that cannot travel is
    // found by the unit test, not by the first user.
    let (bytes, descriptors) = attach::encode(&job)?;
    drop(job);
    let descriptors = descriptors
        .iter()
        .map(|fd| fd.try_clone())
        .collect::<Result<_, _>>()?;
    let job: J = attach::decode(&bytes, descriptors)?;
    let cx = Ctx::new(Backend::Here(Here {
        messages: Mutex::default(),
        done: AtomicU64::new(0),
        total: AtomicU64::new(0),
        text: Mutex::default(),
    }));
    let result = job.run(&cx).map_err(Into::into);
    if let Backend::Here(here) = cx.backend {
        here.messages
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .into_iter()
            .for_each(on_message);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Count(u32);

    impl Job for Count {
        type Message = u32;
        type Output = u32;
        type Error = Box<dyn Error + Send + Sync>;
        fn run(self, cx: &Ctx<Self>) -> Result<u32, Self::Error> {
            for n in 0..self.0 {
                cx.check()?;
                cx.send(n)?;
            }
            if self.0 == 0 {
                Err("nothing to count".into())
            } else {
                Ok(self.0)
            }
        }
    }

    #[test]
    fn a_job_run_here_hands_over_its_messages_in_order_and_its_output() {
        let mut seen = Vec::new();
        assert_eq!(Count(3).run_here(|n| seen.push(n)).unwrap(), 3);
        assert_eq!(seen, [0, 1, 2]);
    }

    #[test]
    fn a_job_run_here_hands_over_its_error() {
        let error = Count(0).run_here(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "nothing to count");
    }
}
