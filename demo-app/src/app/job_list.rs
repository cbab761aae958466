//! All jobs of the window, as one list for one view: a heading and the running jobs, a heading and the finished ones.
//!
//! One view for both has one scrollbar and one tab stop, and thousands of finished jobs cost no more than the rows in
//! sight.

use gtk::{gio, glib, glib::clone, prelude::*};

use super::job::Job;

/// Every job of this run of the app.
#[derive(Debug)]
pub(crate) struct JobList {
    /// Jobs that have not ended, the newest first.
    pub(crate) running: gio::ListStore,
    /// Jobs that have ended, the last first.
    pub(crate) finished: gio::ListStore,
}

impl Default for JobList {
    fn default() -> Self {
        Self {
            running: gio::ListStore::new::<Job>(),
            finished: gio::ListStore::new::<Job>(),
        }
    }
}

impl JobList {
    /// Adds a job, which moves to the finished ones when it ends.
    pub(crate) fn add(&self, job: &Job) {
        self.running.insert(0, job);
        let ended = clone!(
            #[weak(rename_to = running)]
            self.running,
            #[weak(rename_to = finished)]
            self.finished,
            move |job: &Job| {
                if remove(&running, job) {
                    finished.insert(0, job);
                }
            }
        );
        if !job.running() {
            ended(job);
        }
        job.connect_running_notify(ended);
    }

    /// Removes the finished jobs and returns them, so that this can be undone.
    pub(crate) fn clear(&self) -> Vec<Job> {
        let jobs = self.finished.iter::<Job>().flatten().collect();
        self.finished.remove_all();
        jobs
    }

    /// Adds finished jobs again, below those that have finished since.
    pub(crate) fn restore(&self, jobs: &[Job]) {
        self.finished.extend_from_slice(jobs);
    }

    /// Removes one finished job.
    pub(crate) fn remove(&self, job: &Job) {
        remove(&self.finished, job);
    }

    /// Asks every running job to stop.
    pub(crate) fn stop_all(&self) {
        let running: Vec<_> = self.running.iter::<Job>().flatten().collect();
        running.iter().for_each(Job::stop);
    }

    /// Headings and jobs for the view; `search` narrows them by their titles.
    pub(crate) fn rows(&self, search: &gtk::StringFilter) -> gtk::FlattenListModel {
        let sections = [("Running", &self.running), ("Finished", &self.finished)];
        let sections = sections.map(|(heading, jobs)| {
            let found = gtk::FilterListModel::new(Some(jobs.clone()), Some(search.clone()));
            (heading, gtk::StringList::new(&[]), found)
        });
        let all = gio::ListStore::new::<gio::ListModel>();
        for (_, headings, found) in &sections {
            all.append(headings);
            all.append(found);
        }
        let rows = gtk::FlattenListModel::new(Some(all));
        // Connected after the flat list has connected: it must not meet a new heading in the middle of a change.
        for (heading, headings, found) in sections {
            found.connect_items_changed(move |found, position, _, added| {
                mark_edges(found, position, added);
                let shown: &[&str] = if found.n_items() > 0 { &[heading] } else { &[] };
                if headings.n_items() as usize != shown.len() {
                    headings.splice(0, headings.n_items(), shown);
                }
            });
        }
        rows
    }
}

fn remove(jobs: &gio::ListStore, job: &Job) -> bool {
    let position = jobs.find(job);
    position
        .into_iter()
        .for_each(|position| jobs.remove(position));
    position.is_some()
}

/// Only the neighbours of what has changed can have become a first or a last row.
fn mark_edges(jobs: &gtk::FilterListModel, changed: u32, added: u32) {
    let last = jobs.n_items().saturating_sub(1);
    for position in changed.saturating_sub(1)..=(changed + added).min(last) {
        let Some(job) = jobs.item(position).and_downcast::<Job>() else {
            continue;
        };
        let first_edge = if position == 0 { "first" } else { "" };
        let last_edge = if position == last { "last" } else { "" };
        let edges = format!("{first_edge} {last_edge}");
        if job.edges() != edges {
            job.set_edges(edges);
        }
    }
}
