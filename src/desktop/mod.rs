//! What the session knows of a child, and does for it: feature `desktop`, which needs GIO alone.
//!
//! A [`Surface`] is a part of the desktop that shows running jobs and programs. It is handed to
//! [`JobBuilder::show_in`](crate::JobBuilder::show_in) or [`Command::show_in`](crate::Command::show_in), and
//! is told of each child that has started: what it hears is the child's [`Status`](crate::Status), what it can do is
//! its [`Control`](crate::Control). Of jobs, programs and workers it must not know more.
//!
//! A [`Scope`] is a unit of the user's systemd for a child and all that it starts, with limits; a [`Qos`] is how much a
//! child yields to others. Both join its start: by a gate at which it waits, and in what it is sent first.
//!
//! ```no_run
//! use legwork::desktop::{Hold, Inhibit, Inhibitor, JobView, Launcher, Notice};
//! use legwork::{Command, gio};
//!
//! # async fn example(app: &gio::Application) -> Result<(), legwork::Error> {
//! let launcher = Launcher::new(app, "org.example.App.desktop"); // one for the app
//! let rsync = Command::new("rsync")
//!     .args(["-a", "Photos", "/media/disk"])
//!     .label("Copying photos")
//!     .show_in(&launcher)
//!     .show_in(&JobView::new(app))
//!     .show_in(&Inhibitor::new(app, Inhibit::SUSPEND | Inhibit::LOGOUT, "Copying photos"))
//!     .show_in(&Notice::new(app))
//!     .show_in(&Hold::new(app))
//!     .spawn();
//! rsync.await?;
//! # Ok(()) }
//! ```
//!
//! # What all surfaces have in common
//!
//! - They speak over the app's own connection, `g_application_get_dbus_connection()`: the app is one name on the bus. An app
//!   has it once it is registered, whether it has an id or not. GLib ends an app whose bus is closed; where
//!   `exit-on-close` is off, the surfaces become unavailable and the jobs run on.
//! - Nothing waits for them, and nothing fails because of them. One that is missing, slow (5 s) or hostile is
//!   [unavailable](Availability), which can be asked at any time. What answers late is used, or given back.
//! - What they show goes when the job ends, and with the app, however that dies.
//! - They belong to the thread of the `GApplication`, and to jobs that were started there.
//!
//! `docs/desktop.md` has a table of what each needs. Files: [`follow`] is one child and one surface; [`throttle`] how often
//! that is told; [`task`] what waits for answers; [`bus`] calls and names; [`connection`] whose connection a list uses;
//! [`portal`] says who the app is; the others are a surface each ([`jobs1`] lists the jobs on the session bus);
//! [`memory`] has nothing to show; [`scope`] and [`qos`] are beside all that.

mod availability;
mod background;
mod bus;
mod connection;
mod follow;
mod hold;
mod inhibit;
mod job_view;
mod jobs1;
mod known;
mod launcher;
pub mod memory;
mod notice;
mod portal;
mod qos;
mod scope;
mod task;
mod throttle;

pub use availability::Availability;
pub use background::BackgroundStatus;
pub use hold::Hold;
pub use inhibit::{Inhibit, Inhibitor};
pub use job_view::JobView;
pub use jobs1::JobList;
pub use launcher::Launcher;
pub use notice::Notice;
pub use qos::Qos;
pub use scope::{Enforcement, Scope, ScopeLimit, ScopeState, ScopeUsage};

/// A part of the desktop that shows jobs and programs while they run.
pub trait Surface: sealed::Surface {}

mod sealed {
    pub trait Surface {
        /// Makes what is told of one child.
        fn observer(&self) -> crate::child::observer::Observer;
    }
}
