//! A job as the window sees it: one GObject whose properties the widgets are bound to.
//!
//! It is the model alone. [`start`](super::start) runs the work and writes here what becomes of it; rows and pages
//! bind to the properties and list models, and never ask the work itself.

use std::time::{Duration, Instant};

use gtk::{gio, glib, glib::clone, prelude::*, subclass::prelude::*};
use legwork::{Logs, Status};

use super::{
    entry::Entry,
    format,
    isolation::{self, Descriptor},
    log_line::{Level, LogLine},
    outcome::{Outcome, State},
    output::Output,
    program_control::ProgramControl,
    rate::Rate,
    work::Work,
};

mod imp {
    use std::{
        cell::{Cell, OnceCell, RefCell},
        sync::OnceLock,
    };

    use glib::subclass::Signal;

    use super::*;

    #[derive(Default, glib::Properties)]
    #[properties(wrapper_type = super::Job)]
    pub(crate) struct Job {
        /// Its name in the list.
        #[property(get, set)]
        title: RefCell<String>,
        /// The line below the title: the progress, or the outcome.
        #[property(get, set)]
        line: RefCell<String>,
        /// What to do next after a failure; empty if there is nothing to do.
        #[property(get, set)]
        advice: RefCell<String>,
        /// The technical details of a failure; else empty.
        #[property(get, set)]
        details: RefCell<String>,
        #[property(get, set)]
        icon_name: RefCell<String>,
        #[property(get, set, builder(State::default()))]
        state: Cell<State>,
        #[property(get, set)]
        running: Cell<bool>,
        /// Whether it has not been asked to stop yet.
        #[property(get, set)]
        can_stop: Cell<bool>,
        #[property(get, set)]
        can_retry: Cell<bool>,
        #[property(get, set)]
        fraction: Cell<f64>,
        /// Whether the total is known, and `fraction` means something.
        #[property(get, set)]
        counted: Cell<bool>,
        /// The process that it runs in; 0 before there is one.
        #[property(get, set)]
        pid: Cell<u32>,
        /// The edges of a list that its row touches: `first`, `last`, both or none.
        #[property(get, set)]
        edges: RefCell<String>,
        /// Its results, as [`Entry`]s.
        #[property(get, construct_only)]
        entries: OnceCell<gio::ListStore>,
        /// Its log, as [`LogLine`]s.
        #[property(get, construct_only)]
        log: OnceCell<gio::ListStore>,
        /// What the app has open, as boxed [`Descriptor`]s.
        #[property(get, construct_only)]
        app_descriptors: OnceCell<gio::ListStore>,
        /// What the job's process has open, as boxed [`Descriptor`]s.
        #[property(get, construct_only)]
        process_descriptors: OnceCell<gio::ListStore>,
        /// What a program has written.
        #[property(get)]
        output: Output,
        /// Whether it is a program that reads input.
        #[property(get, set)]
        accepts_input: Cell<bool>,
        /// Whether it is a program that can be paused now.
        #[property(get, set)]
        can_pause: Cell<bool>,
        #[property(get, set)]
        paused: Cell<bool>,
        /// The file that it has written.
        #[property(get, set, nullable)]
        output_file: RefCell<Option<gio::File>>,
        pub(super) work: OnceCell<Work>,
        pub(super) started: OnceCell<Instant>,
        pub(super) cancellable: gio::Cancellable,
        pub(super) program: ProgramControl,
        pub(super) rate: RefCell<Rate>,
        /// Whether the line is going to be updated.
        pub(super) update_due: Cell<bool>,
        /// Entries that are not in the list yet.
        pub(super) pending: RefCell<Vec<Entry>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Job {
        const NAME: &'static str = "LegworkDemoJob";
        type Type = super::Job;
    }

    #[glib::derived_properties]
    impl ObjectImpl for Job {
        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| vec![Signal::builder("retry").build()])
        }
    }
}

glib::wrapper! {
    /// A job of the window, running or ended.
    pub(crate) struct Job(ObjectSubclass<imp::Job>);
}

/// How often the line may change: faster than that nobody can read it.
const LINE_INTERVAL: Duration = Duration::from_millis(200);
/// How often entries are added to the list: each change of a list costs its views the more, the longer it is.
const LIST_INTERVAL: Duration = Duration::from_millis(100);
/// Log records that are kept.
const LOG_MAX: u32 = 10_000;

impl Job {
    /// The job for `work`, which does not run yet.
    pub(crate) fn new(work: Work) -> Self {
        let job: Self = glib::Object::builder()
            .property("title", work.title())
            .property("icon-name", work.kind().icon)
            .property("line", "Starting…")
            .property("running", true)
            .property("can-stop", true)
            .property("entries", gio::ListStore::new::<Entry>())
            .property("log", gio::ListStore::new::<LogLine>())
            .property(
                "app-descriptors",
                gio::ListStore::new::<glib::BoxedAnyObject>(),
            )
            .property(
                "process-descriptors",
                gio::ListStore::new::<glib::BoxedAnyObject>(),
            )
            .build();
        job.imp().work.set(work).expect("a new job");
        job.imp().started.set(Instant::now()).expect("a new job");
        job
    }

    /// What it does.
    pub(crate) fn work(&self) -> &Work {
        self.imp().work.get().expect("set by new()")
    }

    /// The time since it was started.
    pub(crate) fn elapsed(&self) -> Duration {
        self.imp().started.get().expect("set by new()").elapsed()
    }

    /// What cancels it.
    pub(crate) fn cancellable(&self) -> &gio::Cancellable {
        &self.imp().cancellable
    }

    /// The program that it runs, if it runs one.
    pub(crate) fn program(&self) -> &ProgramControl {
        &self.imp().program
    }

    /// Asks it to stop.
    pub(crate) fn stop(&self) {
        if self.can_stop() {
            self.set_can_stop(false);
            self.set_line("Stopping…");
            self.cancellable().cancel();
        }
    }

    /// Asks for another run of the same work.
    pub(crate) fn retry(&self) {
        self.emit_by_name::<()>("retry", &[]);
    }

    /// Calls `retry` when another run is asked for.
    pub(crate) fn connect_retry(&self, retry: impl Fn(&Self) + 'static) {
        self.connect_closure(
            "retry",
            false,
            glib::closure_local!(move |job: Self| retry(&job)),
        );
    }

    /// Moves a bar without a length: there is no total yet, but progress.
    pub(crate) fn pulse(&self, bar: &gtk::ProgressBar) {
        if self.running() && !self.counted() {
            bar.pulse();
        }
    }

    /// Pauses the program, or resumes it.
    pub(crate) fn pause(&self, pause: bool) {
        if self.program().pause(pause) {
            if pause {
                self.set_line("Paused");
            } else {
                self.update_program_line();
            }
        }
    }

    /// Follows the status of the handle.
    pub(crate) fn follow(&self, status: &Status) {
        for property in ["fraction", "pid"] {
            status
                .bind_property(property, self, property)
                .sync_create()
                .build();
        }
        // It may have been stopped before it was started.
        for property in ["can-stop", "paused"] {
            status.bind_property(property, self, property).build();
        }
        status.connect_notify_local(
            None,
            clone!(
                #[weak(rename_to = job)]
                self,
                move |status, _| job.progress(status)
            ),
        );
        self.connect_pid_notify(Self::inspect_descriptors);
        if self.pid() != 0 {
            self.inspect_descriptors();
        }
    }

    /// Shows the progress, now or soon.
    pub(crate) fn progress(&self, status: &Status) {
        if !self.running() {
            return;
        }
        let imp = self.imp();
        let counted = status.total() > 0;
        if counted {
            imp.rate.borrow_mut().add(Instant::now(), status.done());
        }
        if counted != self.counted() {
            self.set_counted(counted);
            // The text from before there was a total does not fit a bar that has a length.
            self.update_line(status);
        }
        if !imp.update_due.replace(true) {
            glib::timeout_add_local_once(
                LINE_INTERVAL,
                clone!(
                    #[weak(rename_to = job)]
                    self,
                    #[weak]
                    status,
                    move || {
                        job.imp().update_due.set(false);
                        job.update_line(&status);
                    }
                ),
            );
        }
    }

    fn update_line(&self, status: &Status) {
        if self.work().is_program() && !self.counted() {
            self.update_program_line();
        } else if self.running() && self.can_stop() && !self.paused() {
            let mut text = status.text();
            if matches!(self.work(), Work::Convert(_)) {
                let position = format::position(status.done(), status.total());
                text = if text.is_empty() {
                    position
                } else {
                    format!("{position} · {text}")
                };
            }
            let rate = self.imp().rate.borrow();
            let remaining = rate.remaining(status.total());
            self.set_line(format::progress(
                self.work(),
                &text,
                rate.per_second(),
                remaining,
            ));
        }
    }

    /// Shows the last line of the program's output, or how long it has been running.
    fn update_program_line(&self) {
        if !self.running() || !self.can_stop() || self.paused() {
            return;
        }
        let last = self.output().last_line();
        self.set_line(match self.elapsed().as_secs() {
            _ if !last.is_empty() => last,
            0 => "Running".into(),
            seconds => format!(
                "Running for {}",
                format::duration(Duration::from_secs(seconds))
            ),
        });
    }

    /// Keeps the log records that arrive.
    pub(crate) fn keep_log(&self, mut logs: Logs) {
        glib::spawn_future_local(clone!(
            #[weak(rename_to = job)]
            self,
            async move {
                while let Some(record) = logs.recv().await {
                    let log = job.log();
                    log.append(&LogLine::from(&record));
                    if log.n_items() > LOG_MAX {
                        log.remove(0);
                    }
                }
            }
        ));
    }

    /// Adds a result, soon.
    pub(crate) fn add_entry(&self, entry: Entry) {
        let mut pending = self.imp().pending.borrow_mut();
        pending.push(entry);
        if pending.len() == 1 {
            glib::timeout_add_local_once(
                LIST_INTERVAL,
                clone!(
                    #[weak(rename_to = job)]
                    self,
                    move || job.flush_entries()
                ),
            );
        }
    }

    /// Adds the results that are not in the list yet.
    pub(crate) fn flush_entries(&self) {
        self.entries().extend_from_slice(&self.imp().pending.take());
    }

    /// The number of results without an error.
    pub(crate) fn n_complete(&self) -> u64 {
        let entries = self.entries();
        let complete = entries
            .iter::<Entry>()
            .flatten()
            .filter(|entry| entry.error().is_empty());
        complete.count() as u64
    }

    /// Shows how it ended.
    pub(crate) fn end(&self, outcome: Outcome, details: &str) {
        let state = outcome.state;
        if state == State::Failed {
            self.log()
                .append(&LogLine::new(Level::Error, &outcome.sentence));
            self.set_details(details);
        }
        self.set_line(outcome.sentence);
        self.set_advice(outcome.advice);
        self.set_state(state);
        if let Some(icon) = state.icon() {
            self.set_icon_name(icon);
        }
        self.set_can_retry(state != State::Done);
        self.set_accepts_input(false);
        self.set_can_pause(false);
        self.set_can_stop(false);
        self.set_running(false);
    }

    /// Reads what the app and the job's process have open, while both run.
    pub(crate) fn inspect_descriptors(&self) {
        let pid = self.pid();
        if pid == 0 || !self.running() {
            return;
        }
        glib::spawn_future_local(clone!(
            #[weak(rename_to = job)]
            self,
            async move {
                let inspected = gio::spawn_blocking(move || isolation::inspect(pid)).await;
                if let Ok(Some((app, process))) = inspected {
                    replace(&job.app_descriptors(), app);
                    replace(&job.process_descriptors(), process);
                }
            }
        ));
    }
}

fn replace(list: &gio::ListStore, descriptors: Vec<Descriptor>) {
    let boxed: Vec<_> = descriptors
        .into_iter()
        .map(glib::BoxedAnyObject::new)
        .collect();
    list.splice(0, list.n_items(), &boxed);
}
