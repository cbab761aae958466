//! A job as the window sees it: one GObject whose properties the widgets are bound to.
//!
//! It starts the work, listens to the handle, and keeps what came of it. Nothing in the window asks a
//! job anything: rows and pages bind to the properties and list models here, and whatever changes them
//! is in this file.

use std::time::{Duration, Instant};

use gtk::{gio, glib, glib::clone, prelude::*, subclass::prelude::*};
use legwork::prelude::*;
use legwork_demo::jobs::Tally;

use super::{
    entry::Entry,
    failure,
    isolation::{self, Open},
    log_line::{Level, LogLine},
    meter::Meter,
    output::Output,
    program,
    words::{self, Look, Told},
    work::Work,
};
use crate::workplace;

mod imp {
    use std::cell::{Cell, OnceCell, RefCell};

    use super::*;

    #[derive(glib::Properties)]
    #[properties(wrapper_type = super::Job)]
    pub(crate) struct Job {
        /// What it is called in the list.
        #[property(get, set)]
        title: RefCell<String>,
        /// The line below: how far it is, or how it ended.
        #[property(get, set)]
        line: RefCell<String>,
        /// What to do next after a failure; else empty.
        #[property(get, set)]
        advice: RefCell<String>,
        /// The technical part of its end; else empty.
        #[property(get, set)]
        details: RefCell<String>,
        #[property(get, set)]
        icon_name: RefCell<String>,
        #[property(get, set, builder(Look::default()))]
        look: Cell<Look>,
        #[property(get, set)]
        running: Cell<bool>,
        /// It was asked to stop and has not ended yet.
        #[property(get, set)]
        stopping: Cell<bool>,
        /// Whether it may be worth doing again.
        #[property(get, set)]
        can_retry: Cell<bool>,
        #[property(get, set)]
        fraction: Cell<f64>,
        /// Whether `fraction` means something: what there is to do is counted.
        #[property(get, set)]
        counted: Cell<bool>,
        /// The process that it runs in; 0 before there is one.
        #[property(get, set)]
        pid: Cell<u32>,
        /// Which edges of a list it stands at: `first`, `last`, `first last` or nothing.
        #[property(get, set)]
        edges: RefCell<String>,
        /// What it found, as [`Entry`]s.
        #[property(get)]
        entries: gio::ListStore,
        /// What it logged, as [`LogLine`]s.
        #[property(get)]
        log: gio::ListStore,
        /// What the app had open when the job started, as boxed [`Open`]s.
        #[property(get)]
        open_here: gio::ListStore,
        /// What the job's process has open.
        #[property(get)]
        open_there: gio::ListStore,
        /// What a program wrote.
        #[property(get)]
        output: Output,
        /// Whether it is a program that reads what somebody types.
        #[property(get, set)]
        listens: Cell<bool>,
        /// Whether it is a program that can be paused now.
        #[property(get, set)]
        can_pause: Cell<bool>,
        #[property(get, set)]
        paused: Cell<bool>,
        /// The file that it made, when it has.
        #[property(get, set, nullable)]
        made: RefCell<Option<gio::File>>,
        pub(super) work: OnceCell<Work>,
        pub(in crate::app) cancellable: gio::Cancellable,
        pub(in crate::app) running_program: RefCell<program::Running>,
        pub(super) meter: RefCell<Meter>,
        pub(super) told: Cell<Option<Instant>>,
        /// Entries that are not in the list yet.
        pub(super) found: RefCell<Vec<Entry>>,
    }

    impl Default for Job {
        fn default() -> Self {
            Self {
                title: RefCell::default(),
                line: RefCell::default(),
                advice: RefCell::default(),
                details: RefCell::default(),
                icon_name: RefCell::default(),
                look: Cell::default(),
                running: Cell::default(),
                stopping: Cell::default(),
                can_retry: Cell::default(),
                fraction: Cell::default(),
                counted: Cell::default(),
                pid: Cell::default(),
                edges: RefCell::default(),
                entries: gio::ListStore::new::<Entry>(),
                log: gio::ListStore::new::<LogLine>(),
                open_here: gio::ListStore::new::<glib::BoxedAnyObject>(),
                open_there: gio::ListStore::new::<glib::BoxedAnyObject>(),
                output: Output::default(),
                listens: Cell::default(),
                can_pause: Cell::default(),
                paused: Cell::default(),
                made: RefCell::default(),
                work: OnceCell::default(),
                running_program: RefCell::default(),
                cancellable: gio::Cancellable::new(),
                meter: RefCell::default(),
                told: Cell::default(),
                found: RefCell::default(),
            }
        }
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Job {
        const NAME: &'static str = "LegworkDemoJob";
        type Type = super::Job;
    }

    #[glib::derived_properties]
    impl ObjectImpl for Job {}
}

glib::wrapper! {
    /// A job of the window, running or ended.
    pub(crate) struct Job(ObjectSubclass<imp::Job>);
}

/// The line changes at most this often: faster than that nobody can read it.
const LINE_EVERY: Duration = Duration::from_millis(200);
/// Entries go into the list together: each change of a list costs its views the more, the longer it is.
const LIST_EVERY: Duration = Duration::from_millis(100);
/// Log lines that are kept for a look.
const LOG_KEPT: u32 = 10_000;

impl Job {
    /// Starts `work` in a process of its own.
    pub(crate) fn start(work: Work) -> Self {
        let job: Self = glib::Object::builder()
            .property("title", work.title())
            .property("icon-name", work.icon())
            .property("line", "Starting…")
            .property("running", true)
            .build();
        job.imp().work.set(work.clone()).expect("a new job");
        match work {
            Work::Checksum(input) => {
                job.run(input, |job, file| job.found(Entry::sum(&file)), Some);
            }
            Work::Thumbnails(input) => {
                job.run(
                    input,
                    |job, picture| job.found(Entry::picture(&picture)),
                    Some,
                );
            }
            Work::Misbehave(input) => job.run(input, |_, ()| {}, |()| None),
            Work::Program(program) => job.run_program(program),
            Work::Convert(convert) => job.run_conversion(convert),
        }
        job
    }

    /// What it does, to do it again.
    pub(crate) fn work(&self) -> &Work {
        self.imp().work.get().expect("set at the start")
    }

    /// Asks it to stop.
    pub(crate) fn stop(&self) {
        if self.running() && !self.stopping() {
            self.set_stopping(true);
            self.set_paused(false);
            self.set_line("Stopping…");
            self.imp().cancellable.cancel();
        }
    }

    fn run<J: legwork::Listed>(
        &self,
        input: J,
        take: impl Fn(&Self, J::Message) + 'static,
        tally: impl FnOnce(J::Output) -> Option<Tally> + 'static,
    ) {
        let mut builder = input
            .builder()
            .worker(&workplace::worker())
            .label(self.title())
            .cancellable(&self.imp().cancellable)
            .log_level(legwork::Level::Info);
        if let Some(deadline) = self.work().deadline() {
            builder = builder.deadline(deadline);
        }
        let start = Instant::now();
        let mut handle = builder.spawn();
        self.follow(handle.status());
        self.keep_log(handle.logs());
        glib::spawn_future_local(clone!(
            #[strong(rename_to = job)]
            self,
            async move {
                while let Some(message) = handle.message().await {
                    take(&job, message);
                }
                job.list_found();
                match handle.await {
                    Ok(output) => {
                        let told = words::done(job.work(), tally(output), start.elapsed());
                        job.end(told, "");
                    }
                    Err(error) => {
                        let kept = job.kept();
                        let told = failure::told(job.work(), kept, &error);
                        let details = match told.look {
                            Look::Stopped => String::new(),
                            _ => failure::details(&error),
                        };
                        job.end(told, &details);
                    }
                }
            }
        ));
    }

    pub(super) fn follow(&self, status: &legwork::Status) {
        status
            .bind_property("fraction", self, "fraction")
            .sync_create()
            .build();
        status
            .bind_property("pid", self, "pid")
            .sync_create()
            .build();
        status.connect_notify_local(
            None,
            clone!(
                #[weak(rename_to = job)]
                self,
                move |status, _| job.progress(status)
            ),
        );
        self.connect_pid_notify(|job| job.look_at_descriptors());
        if self.pid() != 0 {
            self.look_at_descriptors();
        }
    }

    /// Tells how far it is, now or soon.
    pub(super) fn progress(&self, status: &legwork::Status) {
        if !self.running() {
            return;
        }
        let (now, imp) = (Instant::now(), self.imp());
        let counted = status.total() > 0;
        if counted {
            imp.meter.borrow_mut().note(now, status.done());
        }
        if counted != self.counted() {
            self.set_counted(counted);
            // What was said while it counted is not said beside a bar that has a length.
            self.tell_progress(status);
        }
        match imp.told.get() {
            // One that waits already will tell this, too.
            Some(told) if told > now => {}
            Some(told) if now < told + LINE_EVERY => {
                let wait = told + LINE_EVERY - now;
                imp.told.set(Some(now + wait));
                glib::timeout_add_local_once(
                    wait,
                    clone!(
                        #[weak(rename_to = job)]
                        self,
                        #[weak]
                        status,
                        move || job.tell_progress(&status)
                    ),
                );
            }
            _ => {
                imp.told.set(Some(now));
                self.tell_progress(status);
            }
        }
    }

    fn tell_progress(&self, status: &legwork::Status) {
        if self.work().is_program() && !self.counted() {
            self.tell_output();
        } else if self.running() && !self.stopping() && !self.paused() {
            let meter = self.imp().meter.borrow();
            let remaining = meter.remaining(status.total());
            let text = self.progress_text(status);
            let line = words::progress(self.work(), &text, meter.rate(), remaining);
            self.set_line(line);
        }
    }

    fn progress_text(&self, status: &legwork::Status) -> String {
        let text = status.text();
        if !matches!(self.work(), Work::Convert(_)) {
            return text;
        }
        let played = words::played(status.done(), status.total());
        if text.is_empty() {
            played
        } else {
            format!("{played} · {text}")
        }
    }

    fn keep_log(&self, mut logs: legwork::Logs) {
        glib::spawn_future_local(clone!(
            #[weak(rename_to = job)]
            self,
            async move {
                while let Some(record) = logs.recv().await {
                    let log = job.log();
                    log.append(&failure::log_line(&record));
                    if log.n_items() > LOG_KEPT {
                        log.remove(0);
                    }
                }
            }
        ));
    }

    fn found(&self, entry: Entry) {
        let mut found = self.imp().found.borrow_mut();
        found.push(entry);
        if found.len() == 1 {
            glib::timeout_add_local_once(
                LIST_EVERY,
                clone!(
                    #[weak(rename_to = job)]
                    self,
                    move || job.list_found()
                ),
            );
        }
    }

    fn list_found(&self) {
        let found = self.imp().found.take();
        self.entries().extend_from_slice(&found);
    }

    /// Results without trouble.
    fn kept(&self) -> u64 {
        let entries = self.entries();
        entries
            .iter::<Entry>()
            .flatten()
            .filter(|entry| entry.trouble().is_empty())
            .count() as u64
    }

    pub(super) fn end(&self, told: Told, details: &str) {
        if told.look == Look::Failed {
            self.log()
                .append(&LogLine::new(Level::Error, &told.sentence));
        }
        self.set_line(told.sentence);
        self.set_advice(told.advice);
        self.set_details(details);
        self.set_look(told.look);
        if let Some(icon) = told.look.icon() {
            self.set_icon_name(icon);
        }
        self.set_can_retry(told.look != Look::Done);
        self.set_listens(false);
        self.set_can_pause(false);
        self.set_paused(false);
        self.set_stopping(false);
        self.set_running(false);
    }

    /// Notes what the app and the job's process have open, while both run.
    pub(crate) fn look_at_descriptors(&self) {
        let pid = self.pid();
        if pid == 0 || !self.running() {
            return;
        }
        glib::spawn_future_local(clone!(
            #[weak(rename_to = job)]
            self,
            async move {
                let looked = gio::spawn_blocking(move || isolation::look(pid)).await;
                if let Ok(Some((here, there))) = looked {
                    show(&job.open_here(), here);
                    show(&job.open_there(), there);
                }
            }
        ));
    }
}

fn show(list: &gio::ListStore, open: Vec<Open>) {
    let open: Vec<_> = open.into_iter().map(glib::BoxedAnyObject::new).collect();
    list.splice(0, list.n_items(), &open);
}
