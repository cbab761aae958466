//! The jobs of the app on the session bus: `org.legwork.Jobs1`.
//!
//! One object for each job that is shown, with properties that are told when they change, and methods that do what a
//! [`Control`](crate::Control) can. They are found by a name of the app's own that is there while there is a job, so that
//! nobody has to start an app to ask whether it runs any. All of it is GDBus on a connection that the app has anyway,
//! and asynchronous: a bus that is not there, does not read or goes away is noticed here and nowhere else.
//!
//! - [`list`]: the public type, with the jobs that are in it; from there on and off the bus.
//! - [`object`]: one job: its properties and its methods.
//! - [`outlet`]: what is sent while the app is on the bus; it holds back while the bus does not read.
//! - [`name`]: the app's name for this.
//! - [`caller`]: who may call.

mod caller;
mod list;
mod name;
mod object;
mod outlet;

pub use list::JobList;

/// Where the object manager is, and below it the jobs.
const PATH: &str = "/org/legwork/Jobs1";
