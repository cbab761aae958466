//! One job, from its bytes to its answer.

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
use crate::wire::attach;
use crate::wire::control::Wait;
use crate::wire::frame::{CAUSES_MAX, Failure, JobNumber, Kind, Refusal, Start};
use crate::wire::text::cut;

/// How long the end of a job waits for the app to read its last log records.
const LAST_LOGS: Duration = Duration::from_secs(2);

/// How many bytes the job's error and its causes may have in all, and the text of a refusal: what
/// is longer is cut.
const FAILURE_MAX: usize = 56 * 1024;

/// How a job ended, to be told to the app.
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

    /// Tells the app the end of a job, after all else that it has to say. Returns the exit status, should
    /// this be the end of the process as well.
    pub(super) fn finish(self, link: &Link, number: JobNumber) -> i32 {
        let _ = std::io::stdout().flush();
        if let Some(run) = run::current() {
            run.flush_progress(Wait::Yes);
        }
        link.flush_logs_within(LAST_LOGS);
        let borrowed: Vec<BorrowedFd<'_>> = self.descriptors.iter().map(|fd| fd.as_fd()).collect();
        // When the app is gone there is nobody to tell.
        let _ = link.send_about(number, self.kind, &self.payload, &borrowed);
        link.page.finish(number);
        run::set_current(link, None);
        match self.kind {
            Kind::Done => 0,
            Kind::Panicked => 101,
            _ => 1,
        }
    }
}

/// One job, decoded, run, and its end encoded.
pub(super) fn run_job<J: Job>(
    link: &'static Link,
    number: JobNumber,
    start: &Start,
    descriptors: Vec<OwnedFd>,
) -> Answer {
    let job: J = match attach::decode(&start.input, descriptors) {
        Ok(job) => job,
        Err(error) => return refused(Refusal::Input(error.to_string())),
    };
    let run = Arc::new(Run::new(link, number, start.capacity));
    link.page.start(number);
    run::set_current(link, Some(run.clone()));
    // The watcher may be yet to have its first look, and the job's first look is to see it.
    if link.control.has_hung_up() {
        link.retire();
    }
    let cx = Ctx::new(Backend::Run(run));
    match catch_unwind(AssertUnwindSafe(|| job.run(&cx))) {
        Ok(Ok(output)) => match attach::encode(&output) {
            Ok((payload, descriptors)) => Answer {
                kind: Kind::Done,
                payload,
                descriptors,
            },
            Err(error) => failed(&error),
        },
        Ok(Err(error)) => failed(&*error.into()),
        // What it said has been told by the panic hook.
        Err(_) => Answer::of(Kind::Panicked, &()),
    }
}

fn failed(error: &(dyn Error + 'static)) -> Answer {
    let mut failure = Failure {
        chain: Vec::new(),
        cancelled: false,
    };
    let mut room = FAILURE_MAX;
    let mut next = Some(error);
    while let Some(error) = next {
        if failure.chain.len() < CAUSES_MAX && room > 0 {
            let text = cut(error.to_string(), room);
            room = room.saturating_sub(text.len());
            failure.chain.push(text);
        }
        failure.cancelled |= error.is::<Cancelled>();
        next = error.source();
    }
    Answer::of(Kind::Failed, &failure)
}

/// The job cannot run here; another may.
pub(super) fn refused(refusal: Refusal) -> Answer {
    let refusal = match refusal {
        Refusal::Input(why) => Refusal::Input(cut(why, FAILURE_MAX)),
        other => other,
    };
    Answer::of(Kind::Refused, &refusal)
}
