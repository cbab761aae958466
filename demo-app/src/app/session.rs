//! What the session is told of the jobs.

use legwork::desktop::JobList;

thread_local!(static JOBS: JobList = JobList::new());

/// Those on the session bus.
pub(super) fn jobs() -> JobList {
    JOBS.with(JobList::clone)
}
