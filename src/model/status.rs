//! One job or program, as a user interface shows it.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::rc::Rc;

use glib::Properties;
use glib::prelude::*;
use glib::subclass::prelude::*;

use crate::wire::nul::without_nul;

/// The states of a job or program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, glib::Enum)]
#[enum_type(name = "LegworkState")]
#[non_exhaustive]
pub enum State {
    /// The child is being started.
    #[default]
    Starting,
    /// The job runs.
    Running,
    /// It was asked to stop, and has not ended yet.
    Stopping,
    /// It ended with an output.
    Finished,
    /// It ended in any other way, [`Status::error`] says how.
    Failed,
    /// It ended because it was asked to.
    Cancelled,
}

mod imp {
    use super::*;

    #[derive(Debug, Default, Properties)]
    #[properties(wrapper_type = super::Status)]
    pub struct Status {
        /// The name that people see.
        #[property(get, set)]
        pub(super) label: RefCell<String>,
        /// The job's name in its table, or the program's.
        #[property(get)]
        pub(super) name: RefCell<String>,
        /// Its state.
        #[property(get, builder(State::Starting))]
        pub(super) state: Cell<State>,
        /// Whether it has not ended yet.
        #[property(get = Self::is_running)]
        pub(super) running: std::marker::PhantomData<bool>,
        /// Whether it can be asked to stop: it has not ended, and was not asked yet.
        #[property(get = Self::can_stop)]
        pub(super) can_stop: std::marker::PhantomData<bool>,
        /// Whether the app has paused it.
        #[property(get)]
        pub(super) paused: Cell<bool>,
        /// `done / total`, 0.0 to 1.0; 0.0 while the total is not known, 1.0 once finished.
        #[property(get, minimum = 0.0, maximum = 1.0)]
        pub(super) fraction: Cell<f64>,
        /// Steps done.
        #[property(get)]
        pub(super) done: Cell<u64>,
        /// Steps in all, 0 while not known.
        #[property(get)]
        pub(super) total: Cell<u64>,
        /// What the job says that it is doing.
        #[property(get)]
        pub(super) text: RefCell<String>,
        /// Why it failed, for people; `None` unless it did.
        #[property(get, nullable)]
        pub(super) error: RefCell<Option<String>>,
        /// The child's process id; 0 while there is no child.
        #[property(get)]
        pub(super) pid: Cell<u32>,
        /// Why it did not finish, in full, for those who wait for the child beside its handle.
        pub(super) failure: RefCell<Option<Rc<dyn Error>>>,
    }

    impl Status {
        fn is_running(&self) -> bool {
            matches!(
                self.state.get(),
                State::Starting | State::Running | State::Stopping
            )
        }

        fn can_stop(&self) -> bool {
            matches!(self.state.get(), State::Starting | State::Running)
        }
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Status {
        const NAME: &'static str = "LegworkStatus";
        type Type = super::Status;
    }

    #[glib::derived_properties]
    impl ObjectImpl for Status {}
}

glib::wrapper! {
    /// What a job or program is doing, as properties that bind to widgets.
    ///
    /// The properties change only on the thread and context that started the job, and each change
    /// is notified once. Progress changes at most every 50 ms.
    ///
    /// | property | type | |
    /// |---|---|---|
    /// | `label` | string | the name that people see; may be set |
    /// | `name` | string | the job's name in its table |
    /// | `state` | [`State`] | its state |
    /// | `running` | boolean | whether it has not ended yet |
    /// | `can-stop` | boolean | whether it was not asked to stop yet, and has not ended: for a Stop button |
    /// | `paused` | boolean | whether the app has [paused](crate::Control::pause) it |
    /// | `fraction` | double | 0.0 to 1.0 |
    /// | `done`, `total` | uint64 | steps; `total` is 0 while not known |
    /// | `text` | string | what the job says that it is doing |
    /// | `error` | string or none | why it failed, for people |
    /// | `pid` | uint | the child's process id, 0 when there is none |
    ///
    /// ```
    /// use legwork::glib::prelude::*;
    ///
    /// # let status: legwork::Status = legwork::glib::Object::new();
    /// # let bar: legwork::Status = legwork::glib::Object::builder().build();
    /// // `bar` stands for a gtk::ProgressBar, whose property has the same name and type.
    /// # let _ = || {
    /// status.bind_property("fraction", &bar, "fraction").sync_create().build();
    /// # };
    /// status.connect_state_notify(|status| println!("{:?}", status.state()));
    /// ```
    ///
    /// Neither `Send` nor `Sync`, as other GObjects of a user interface.
    pub struct Status(ObjectSubclass<imp::Status>);
}

impl Status {
    pub(crate) fn new(name: &str, label: &str) -> Self {
        let status: Self = glib::Object::new();
        status.imp().name.replace(without_nul(name.to_owned()));
        status.imp().label.replace(without_nul(label.to_owned()));
        status
    }

    pub(crate) fn set_state(&self, state: State) {
        let imp = self.imp();
        let (was_running, could_stop) = (self.running(), self.can_stop());
        if imp.state.replace(state) != state {
            let _frozen = self.freeze_notify();
            self.notify_state();
            if self.running() != was_running {
                self.notify_running();
            }
            if self.can_stop() != could_stop {
                self.notify_can_stop();
                self.set_paused(false);
            }
        }
    }

    /// One that stops is never paused.
    pub(crate) fn set_paused(&self, paused: bool) {
        if self.imp().paused.replace(paused) != paused {
            self.notify_paused();
        }
    }

    pub(crate) fn set_progress(&self, done: u64, total: u64, text: Option<String>) {
        let imp = self.imp();
        let _frozen = self.freeze_notify();
        if imp.done.replace(done) != done {
            self.notify_done();
        }
        if imp.total.replace(total) != total {
            self.notify_total();
        }
        let fraction = if total == 0 {
            0.0
        } else {
            (done as f64 / total as f64).min(1.0)
        };
        self.set_fraction(fraction);
        if let Some(text) = text.map(without_nul) {
            let changed = *imp.text.borrow() != text;
            if changed {
                imp.text.replace(text);
                self.notify_text();
            }
        }
    }

    /// Sets the child's process id, before anybody can be notified.
    pub(crate) fn begin(&self, pid: u32) {
        self.imp().pid.set(pid);
    }

    pub(crate) fn set_pid(&self, pid: u32) {
        if self.imp().pid.replace(pid) != pid {
            self.notify_pid();
        }
    }

    /// Sets the last state, and why it is not `Finished`.
    pub(crate) fn end(&self, state: State, error: Option<impl Error + 'static>) {
        let _frozen = self.freeze_notify();
        if state == State::Finished {
            self.set_fraction(1.0);
        }
        if state == State::Failed {
            let text = error.as_ref().map(ToString::to_string);
            self.imp().error.replace(text.map(without_nul));
            self.notify_error();
        }
        let failure = error.map(|error| Rc::new(error) as Rc<dyn Error>);
        self.imp().failure.replace(failure);
        self.set_pid(0);
        self.set_state(state);
    }

    /// Why it ended, if it did in any other way than with success.
    #[cfg(feature = "dbus")]
    pub(crate) fn failure(&self) -> Option<Rc<dyn Error>> {
        self.imp().failure.borrow().clone()
    }

    fn set_fraction(&self, fraction: f64) {
        if self.imp().fraction.replace(fraction) != fraction {
            self.notify_fraction();
        }
    }
}
