//! The table of a program's jobs.
//!
//! Both sides link the same table: the app finds a job's index in it, and the worker the code at that index. A table
//! that `main` names needs no code that runs before `main`, and no section that a linker may drop.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use super::answer::{Answer, run_job};
use super::ctx::Ctx;
use super::job::Job;
use super::link::Link;
use crate::wire::frame::{JobNumber, NAME_MAX, PROTOCOL, Start};
use crate::wire::schema;

/// A table of the jobs that a program can run. Made by [`jobs!`](crate::jobs!).
#[derive(Debug)]
pub struct Jobs {
    package: &'static str,
    version: &'static str,
    entries: &'static [Entry],
    build: OnceLock<u64>,
}

/// One job of the table.
#[doc(hidden)]
#[derive(Debug)]
pub struct Entry {
    name: &'static str,
    schema: fn(&mut schema::Fingerprint) -> io::Result<()>,
    pub(super) run: fn(&'static Link, JobNumber, &Start, Vec<OwnedFd>) -> Answer,
}

impl Entry {
    #[doc(hidden)]
    pub const fn of<J: Listed>() -> Entry {
        assert!(J::NAME.len() <= NAME_MAX, "the job's name is too long");
        Entry {
            name: J::NAME,
            schema: |fingerprint| {
                fingerprint.add::<J>()?;
                fingerprint.add::<J::Message>()?;
                fingerprint.add::<J::Output>()
            },
            run: run_job::<J>,
        }
    }
}

/// The name of a type that was written as a path: what comes after its modules.
#[doc(hidden)]
pub const fn name_of(path: &'static str) -> &'static str {
    let bytes = path.as_bytes();
    let (mut at, mut start) = (0, 0);
    // What is in angle brackets has paths of its own.
    while at < bytes.len() && bytes[at] != b'<' {
        if bytes[at] == b':' || bytes[at] == b' ' {
            start = at + 1;
        }
        at += 1;
    }
    path.split_at(start).1
}

impl Jobs {
    #[doc(hidden)]
    pub const fn new(
        package: &'static str,
        version: &'static str,
        entries: &'static [Entry],
    ) -> Jobs {
        Jobs {
            package,
            version,
            entries,
            build: OnceLock::new(),
        }
    }

    pub(super) fn entry(&self, index: u32, name: &str) -> Option<&'static Entry> {
        let entry = self.entries.get(usize::try_from(index).ok()?)?;
        (entry.name == name).then_some(entry)
    }

    /// A hash of all that both sides must agree on: the protocol, the package and its version, and in their order the
    /// name of every job and the shapes of its input, message and output.
    ///
    /// # Errors
    ///
    /// The process has no descriptor left to find out the shapes with. The next call may succeed.
    pub(crate) fn build_id(&self) -> io::Result<u64> {
        match self.build.get() {
            Some(id) => Ok(*id),
            None => {
                let id = self.fingerprint()?;
                Ok(*self.build.get_or_init(|| id))
            }
        }
    }

    fn fingerprint(&self) -> io::Result<u64> {
        let mut fingerprint = schema::Fingerprint::new();
        fingerprint.number(u64::from(PROTOCOL));
        fingerprint.text(env!("CARGO_PKG_VERSION"));
        fingerprint.text(self.package);
        fingerprint.text(self.version);
        for entry in self.entries {
            fingerprint.text(entry.name);
            (entry.schema)(&mut fingerprint)?;
        }
        Ok(fingerprint.finish())
    }
}

/// A job that is listed in a table. It is implemented by [`jobs!`](crate::jobs!) alone: a job that is not listed
/// cannot be started.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not listed in a `jobs!` table",
    label = "this job is not listed",
    note = "add it to the table of the crate that defines it: `legwork::jobs! {{ pub static JOBS = [..., {Self}]; }}`"
)]
pub trait Listed: Job {
    #[doc(hidden)]
    const INDEX: u32;
    #[doc(hidden)]
    const NAME: &'static str;
    #[doc(hidden)]
    fn table() -> &'static Jobs;
}

/// Lists the jobs that a program can run, in a `static` of the type [`Jobs`].
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # macro_rules! job { ($name:ident) => {
/// #     #[derive(Serialize, Deserialize)] struct $name;
/// #     impl legwork::Job for $name {
/// #         type Message = (); type Output = (); type Error = std::convert::Infallible;
/// #         fn run(self, _: &legwork::Ctx<Self>) -> Result<(), Self::Error> { Ok(()) }
/// #     }
/// # } }
/// # job!(Checksum);
/// # job!(Thumbnail);
/// legwork::jobs! {
///     /// The jobs of this app.
///     pub static JOBS = [Checksum, Thumbnail];
/// }
///
/// fn main() {
///     JOBS.run_if_worker(); // returns at once in the app
/// }
/// ```
///
/// Invoke the macro in the crate that defines the jobs. If app and worker are two programs, put the jobs into a
/// library that both link.
///
/// A job may be a path, and a type with parameters, each of which is a job of its own:
///
/// ```
/// mod images {
///     # use std::marker::PhantomData;
///     # use serde::{Deserialize, Serialize};
///     #[derive(Serialize, Deserialize)]
///     pub struct Convert<F>(PhantomData<F>);
///     # pub struct Png;
///     # pub struct Jpeg;
///     # impl<F: 'static> legwork::Job for Convert<F> {
///     #     type Message = (); type Output = (); type Error = std::convert::Infallible;
///     #     fn run(self, _: &legwork::Ctx<Self>) -> Result<(), Self::Error> { Ok(()) }
///     # }
/// }
/// legwork::jobs! {
///     static JOBS = [images::Convert<images::Png>, images::Convert<images::Jpeg>];
/// }
/// # fn main() {
/// assert_eq!(<images::Convert<images::Png> as legwork::Listed>::NAME, "Convert<images::Png>");
/// # }
/// ```
///
/// Errors and logs call the job by its name, without the modules before it; where two have the same, import one by
/// `use … as …`. List each job once, in the one table of the program.
#[macro_export]
macro_rules! jobs {
    ($(#[$attribute:meta])* $visible:vis static $table:ident = [$($job:ty),* $(,)?];) => {
        $(#[$attribute])*
        $visible static $table: $crate::Jobs = $crate::Jobs::new(
            ::core::env!("CARGO_PKG_NAME"),
            ::core::env!("CARGO_PKG_VERSION"),
            &[$($crate::__private::Entry::of::<$job>()),*],
        );
        $crate::jobs!(@list $table, 0; $($job,)*);
    };
    (@list $table:ident, $index:expr; $job:ty, $($rest:ty,)*) => {
        impl $crate::Listed for $job {
            const INDEX: u32 = $index;
            const NAME: &'static str = $crate::__private::name_of(::core::stringify!($job));
            fn table() -> &'static $crate::Jobs {
                &$table
            }
        }
        $crate::jobs!(@list $table, $index + 1; $($rest,)*);
    };
    (@list $table:ident, $index:expr;) => {};
}

/// Checks what the documentation of [`Ctx`] says: the job's threads may share it.
const fn shared<T: Send + Sync>() {}
const _: () = {
    const fn of<J: Job>() {
        shared::<Ctx<J>>();
    }
    let _ = of::<NoJob>;
};

#[derive(serde::Serialize, serde::Deserialize)]
struct NoJob;
impl Job for NoJob {
    type Message = ();
    type Output = ();
    type Error = std::convert::Infallible;
    fn run(self, _: &Ctx<Self>) -> Result<(), Self::Error> {
        Ok(())
    }
}
