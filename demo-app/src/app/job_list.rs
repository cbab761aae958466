//! All jobs of the window, as one list for one view: a heading and the running ones, a heading and the
//! finished ones.
//!
//! One view for both has one scrollbar and one tab stop, and thousands of finished jobs cost no more
//! than the rows in sight.

use gtk::{gio, glib, glib::clone, prelude::*, subclass::prelude::*};

use super::job::Job;

mod imp {
    use std::cell::Cell;

    use super::*;

    #[derive(glib::Properties)]
    #[properties(wrapper_type = super::JobList)]
    pub(crate) struct JobList {
        /// Jobs that have not ended, the newest first.
        #[property(get)]
        running: gio::ListStore,
        /// Jobs that have, the last to end first.
        #[property(get)]
        finished: gio::ListStore,
        /// How many run.
        #[property(get)]
        n_running: Cell<u32>,
        /// How many have ended.
        #[property(get)]
        n_finished: Cell<u32>,
    }

    impl Default for JobList {
        fn default() -> Self {
            Self {
                running: gio::ListStore::new::<Job>(),
                finished: gio::ListStore::new::<Job>(),
                n_running: Cell::default(),
                n_finished: Cell::default(),
            }
        }
    }

    #[glib::object_subclass]
    impl ObjectSubclass for JobList {
        const NAME: &'static str = "LegworkDemoJobList";
        type Type = super::JobList;
    }

    #[glib::derived_properties]
    impl ObjectImpl for JobList {}

    impl JobList {
        pub(super) fn count(&self) {
            self.n_running.set(self.running.n_items());
            self.n_finished.set(self.finished.n_items());
            self.obj().notify_n_running();
            self.obj().notify_n_finished();
        }
    }
}

glib::wrapper! {
    /// Every job of this run of the app.
    pub(crate) struct JobList(ObjectSubclass<imp::JobList>);
}

impl Default for JobList {
    fn default() -> Self {
        glib::Object::new()
    }
}

impl JobList {
    /// Takes a job in, and moves it when it ends.
    pub(crate) fn add(&self, job: &Job) {
        self.running().insert(0, job);
        self.imp().count();
        job.connect_running_notify(clone!(
            #[weak(rename_to = list)]
            self,
            move |job| list.ended(job)
        ));
        if !job.running() {
            self.ended(job);
        }
    }

    fn ended(&self, job: &Job) {
        if let Some(place) = self.running().find(job) {
            self.running().remove(place);
            self.finished().insert(0, job);
            self.imp().count();
        }
    }

    /// Forgets the finished jobs and returns them, so that this can be undone.
    pub(crate) fn clear(&self) -> Vec<Job> {
        let finished = self.finished();
        let jobs = finished.iter::<Job>().flatten().collect();
        finished.remove_all();
        self.imp().count();
        jobs
    }

    /// Takes finished jobs back, below those that finished meanwhile.
    pub(crate) fn restore(&self, jobs: &[Job]) {
        self.finished().extend_from_slice(jobs);
        self.imp().count();
    }

    /// Forgets one finished job.
    pub(crate) fn remove(&self, job: &Job) {
        if let Some(place) = self.finished().find(job) {
            self.finished().remove(place);
            self.imp().count();
        }
    }

    /// Asks every running job to stop.
    pub(crate) fn stop_all(&self) {
        let running: Vec<_> = self.running().iter::<Job>().flatten().collect();
        running.iter().for_each(Job::stop);
    }

    /// Headings and jobs for the view; `search` narrows them by their titles.
    pub(crate) fn rows(&self, search: &gtk::StringFilter) -> gtk::FlattenListModel {
        let sections = [("Running", self.running()), ("Finished", self.finished())];
        let sections = sections.map(|(heading, jobs)| Section {
            heading,
            headings: gtk::StringList::new(&[]),
            found: gtk::FilterListModel::new(Some(jobs), Some(search.clone())),
        });
        let all = gio::ListStore::new::<gio::ListModel>();
        for section in &sections {
            all.append(&section.headings);
            all.append(&section.found);
        }
        let rows = gtk::FlattenListModel::new(Some(all));
        // After the flat list has heard of a change: a heading that came while it counts would confuse it.
        for Section {
            heading,
            headings,
            found,
        } in sections
        {
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

/// A heading, and the jobs below it.
struct Section {
    heading: &'static str,
    headings: gtk::StringList,
    found: gtk::FilterListModel,
}

/// Only the neighbours of what has changed can have become a first or a last row.
fn mark_edges(jobs: &gtk::FilterListModel, position: u32, added: u32) {
    let last = jobs.n_items().saturating_sub(1);
    for place in position.saturating_sub(1)..=(position + added).min(last) {
        let Some(job) = jobs.item(place).and_downcast::<Job>() else {
            continue;
        };
        let first_edge = if place == 0 { "first" } else { "" };
        let last_edge = if place == last { "last" } else { "" };
        let edges = format!("{first_edge} {last_edge}");
        if job.edges() != edges {
            job.set_edges(edges);
        }
    }
}
