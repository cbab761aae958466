//! Runs a job's work in a process of its own, and writes what becomes of it to the [`Job`].

use gtk::glib;
use legwork::prelude::*;
use legwork_demo::jobs::Summary;

use super::{entry::Entry, error, job::Job, outcome, program, session, work::Work};
use crate::worker_program;

/// Starts `work`.
pub(super) fn start(work: Work) -> Job {
    let job = Job::new(work);
    match job.work().clone() {
        Work::Checksum(input) => {
            run(
                &job,
                input,
                |job, file| job.add_entry(Entry::sum(&file)),
                Some,
            );
        }
        Work::Thumbnails(input) => {
            run(
                &job,
                input,
                |job, picture| job.add_entry(Entry::picture(&picture)),
                Some,
            );
        }
        Work::Misbehave(input) => run(&job, input, |_, ()| {}, |()| None),
        Work::Program(program) => program::run(&job, program),
        Work::Convert(conversion) => program::convert(&job, conversion),
    }
    job
}

fn run<J: legwork::Listed>(
    job: &Job,
    input: J,
    add: impl Fn(&Job, J::Message) + 'static,
    summary: impl FnOnce(J::Output) -> Option<Summary> + 'static,
) {
    let mut builder = input
        .builder()
        .worker(&worker_program::worker())
        .label(job.title())
        .cancellable(job.cancellable())
        .show_in(&session::jobs())
        .log_level(legwork::Level::Info);
    if let Some(deadline) = job.work().deadline() {
        builder = builder.deadline(deadline);
    }
    let mut handle = builder.spawn();
    job.follow(handle.status());
    job.keep_log(handle.logs());
    let job = job.clone();
    glib::spawn_future_local(async move {
        while let Some(message) = handle.message().await {
            add(&job, message);
        }
        job.flush_entries();
        match handle.await {
            Ok(output) => {
                let outcome = outcome::completed(job.work(), summary(output), job.elapsed());
                job.end(outcome, "");
            }
            Err(error) => {
                let outcome = outcome::failed(job.work(), job.n_complete(), &(&error).into());
                job.end(outcome, &error::details(&error));
            }
        }
    });
}
