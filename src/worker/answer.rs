//! One job, from its input to its answer.
#![allow(unsafe_code)]

use std::error::Error;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::ctx::{Backend, Ctx};
use super::error::Cancelled;
use super::job::Job;
use super::link::Link;
use super::run::{self, Run};
use crate::process::{background, leave, leave_with_group};
use crate::wire::attach;
use crate::wire::control::{Wait, is_peer_gone};
use crate::wire::frame::{CAUSES_MAX, Failure, JobNumber, Kind, Refusal, Start};
use crate::wire::limits::cut;

/// How long a job's last log records may wait for space in the socket.
const LAST_LOGS: Duration = Duration::from_secs(2);

/// How long what was printed may take to be flushed: another thread may hold the lock for ever.
const LAST_PRINTS: Duration = Duration::from_secs(1);

/// The longest text of a refusal, and of a job's error and all of its causes together, in bytes. What is longer is cut.
const FAILURE_MAX: usize = 56 * 1024;

/// How a job ended: its last frame.
#[derive(Debug)]
#[allow(unreachable_pub)] // named by the type of a public, hidden function pointer
pub struct Answer {
    kind: Kind,
    payload: Vec<u8>,
    descriptors: Vec<Arc<OwnedFd>>,
}

impl Answer {
    fn of(kind: Kind, payload: &impl serde::Serialize) -> Answer {
        Answer {
            kind,
            payload: postcard::to_allocvec(payload).unwrap_or_default(),
            descriptors: Vec::new(),
        }
    }

    /// Sends the answer to the app, after everything else that the job has sent. Returns the exit status for the case
    /// that the process ends with this job.
    pub(super) fn finish(self, link: &Link, number: JobNumber) -> i32 {
        let status = match self.kind {
            Kind::Done => 0,
            Kind::Panicked => 101,
            _ => 1,
        };
        // A copy that the job has forked has nothing to say to the app, and its buffers are the job's.
        if !link.control.is_own() {
            leave(status);
        }
        flush_within(LAST_PRINTS);
        if let Some(run) = run::current() {
            run.flush_progress(Wait::Yes);
        }
        link.flush_logs_within(LAST_LOGS);
        let borrowed: Vec<BorrowedFd<'_>> = self.descriptors.iter().map(|fd| fd.as_fd()).collect();
        let sent = link.send_about(number, self.kind, &self.payload, &borrowed);
        if sent.is_err_and(|error| is_peer_gone(&error)) {
            // The app is gone, and the watcher may come too late for what the job has started.
            leave_with_group();
        }
        link.page.finish(number);
        run::set_current(link, None);
        status
    }
}

/// Flushes what was printed, by Rust and by C.
fn flush_within(bound: Duration) {
    let (done, finished) = std::sync::mpsc::channel();
    background::run("legwork-flush", move || {
        let _ = std::io::stdout().flush();
        // SAFETY: flushes all streams that are written to; has no precondition.
        unsafe { libc::fflush(std::ptr::null_mut()) };
        let _ = done.send(());
    });
    let _ = finished.recv_timeout(bound);
}

/// Decodes a job, runs it, and encodes its answer.
pub(super) fn run_job<J: Job>(
    link: &'static Link,
    number: JobNumber,
    start: &Start,
    descriptors: Vec<OwnedFd>,
) -> Answer {
    let run = Arc::new(Run::new(link, number, start.capacity));
    // Before the input is decoded: what that panics with is this job's.
    run::set_current(link, Some(run.clone()));
    let answer = catch_unwind(AssertUnwindSafe(|| {
        let job: J = match attach::decode(&start.input, descriptors) {
            Ok(job) => job,
            Err(error) => return refused(Refusal::Input(error.to_string())),
        };
        link.page.start(number);
        // The watcher may not have run yet, and the job's first `check()` is to fail already.
        if link.control.has_hung_up() {
            link.retire();
        }
        match job.run(&Ctx::new(Backend::Run(run))) {
            Ok(output) => match attach::encode(&output) {
                Ok((payload, descriptors)) => Answer {
                    kind: Kind::Done,
                    payload,
                    descriptors,
                },
                Err(error) => failed(&error),
            },
            Err(error) => failed(&*error.into()),
        }
    }));
    answer.unwrap_or_else(|payload| {
        // The panic hook has sent the report. What the panic carries may panic when it is dropped.
        std::mem::forget(payload);
        Answer::of(Kind::Panicked, &())
    })
}

fn failed(error: &(dyn Error + 'static)) -> Answer {
    let mut failure = Failure {
        chain: Vec::new(),
        cancelled: false,
    };
    let mut left = FAILURE_MAX;
    let mut next = Some(error);
    while let Some(error) = next {
        if failure.chain.len() < CAUSES_MAX && left > 0 {
            let text = cut(error.to_string(), left);
            left = left.saturating_sub(text.len());
            failure.chain.push(text);
        }
        failure.cancelled |= error.is::<Cancelled>();
        next = error.source();
    }
    Answer::of(Kind::Failed, &failure)
}

/// The answer for a job that this worker cannot run. It can still run others.
pub(super) fn refused(refusal: Refusal) -> Answer {
    let refusal = match refusal {
        Refusal::Input(why) => Refusal::Input(cut(why, FAILURE_MAX)),
        other => other,
    };
    Answer::of(Kind::Refused, &refusal)
}
