//! What a job is: a value that is sent to a child and run there.

use std::error::Error;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ctx::{Backend, Ctx};
use super::here::Here;
use crate::wire::attach;

/// A piece of work for another process.
///
/// The value itself is the job's input: it is encoded in the app, decoded in the worker, and run
/// there. A job owns what it needs; there is nothing it could share with the app. What cannot be
/// encoded (`Rc`, references, closures, GObjects) is refused by the compiler. A reference to what
/// the app has:
///
/// ```compile_fail,E0277
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Count<'a> {
///     counter: &'a mut u32, // the app's variable: another process cannot have it
/// }
/// impl legwork::Job for Count<'_> {
///     type Message = ();
///     type Output = ();
///     type Error = std::convert::Infallible;
///     fn run(self, _: &legwork::Ctx<Self>) -> Result<(), Self::Error> {
///         *self.counter += 1;
///         Ok(())
///     }
/// }
/// ```
///
/// A counter that looks shared:
///
/// ```compile_fail,E0277
/// # use std::{cell::Cell, rc::Rc};
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Count {
///     counter: Rc<Cell<u32>>, // the job would count a copy
/// }
/// # impl legwork::Job for Count {
/// #     type Message = (); type Output = (); type Error = std::convert::Infallible;
/// #     fn run(self, _: &legwork::Ctx<Self>) -> Result<(), Self::Error> { Ok(()) }
/// # }
/// ```
///
/// A closure, which may have captured either:
///
/// ```compile_fail,E0277
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Count {
///     on_step: Box<dyn Fn(u32)>, // messages are for that: see `JobHandle::on_message`
/// }
/// # impl legwork::Job for Count {
/// #     type Message = (); type Output = (); type Error = std::convert::Infallible;
/// #     fn run(self, _: &legwork::Ctx<Self>) -> Result<(), Self::Error> { Ok(()) }
/// # }
/// ```
///
/// An object of the user interface:
///
/// ```compile_fail,E0277
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Count {
///     window: legwork::glib::Object, // the display's connection is the app's
/// }
/// # impl legwork::Job for Count {
/// #     type Message = (); type Output = (); type Error = std::convert::Infallible;
/// #     fn run(self, _: &legwork::Ctx<Self>) -> Result<(), Self::Error> { Ok(()) }
/// # }
/// ```
///
/// A value is what it takes; what the job has to tell it sends or answers:
///
/// ```
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Count {
///     counter: u32,
/// }
/// # impl legwork::Job for Count {
/// #     type Message = (); type Output = (); type Error = std::convert::Infallible;
/// #     fn run(self, _: &legwork::Ctx<Self>) -> Result<(), Self::Error> { Ok(()) }
/// # }
/// ```
///
/// A `static` that the job writes is the worker's own copy. The compiler cannot refuse that; the
/// app's `static` of the same name never changes. (Nor does it refuse an `Rc` where some crate has
/// switched on serde's feature `rc`: then it is a copy, too.)
///
/// # Example
///
/// ```
/// use serde::{Deserialize, Serialize};
///
/// /// How many lines a text has, one message for each.
/// #[derive(Serialize, Deserialize)]
/// struct Lines {
///     text: String,
/// }
///
/// impl legwork::Job for Lines {
///     type Message = String;
///     type Output = usize;
///     type Error = legwork::SendError;
///
///     fn run(self, cx: &legwork::Ctx<Self>) -> Result<usize, legwork::SendError> {
///         let lines: Vec<_> = self.text.lines().collect();
///         cx.set_total(lines.len() as u64);
///         for line in &lines {
///             cx.send(line.to_string())?;
///             cx.advance(1);
///         }
///         Ok(lines.len())
///     }
/// }
///
/// legwork::jobs! { static JOBS = [Lines]; }
/// # fn main() {}
/// ```
pub trait Job: Serialize + DeserializeOwned + Sized + 'static {
    /// What the job sends while it runs. Use [`Infallible`](std::convert::Infallible) or `()` for
    /// a job that sends nothing.
    type Message: Serialize + DeserializeOwned + Send + 'static;

    /// What it answers in the end.
    type Output: Serialize + DeserializeOwned + 'static;

    /// Why it may fail. It arrives in the app as text, with its causes; a failure that the app
    /// wants to match on belongs into [`Output`](Self::Output).
    type Error: Into<Box<dyn Error + Send + Sync>>;

    /// Does the work. Called once, in the worker, on its first thread.
    ///
    /// # Errors
    ///
    /// The job's own. An error that has [`Cancelled`](super::Cancelled) among its causes ends the
    /// job as cancelled (or as timed out, when a deadline asked it to stop).
    fn run(self, cx: &Ctx<Self>) -> Result<Self::Output, Self::Error>;

    /// Runs the job in this process, on this thread, for unit tests: no child, no main loop. The
    /// value goes through the encoder and back first, as it would on its way to a worker. The
    /// messages are handed to `on_message` when the job has ended; requests there are none.
    ///
    /// # Errors
    ///
    /// The job's own, or that the job's value does not survive the encoder.
    fn run_here(
        self,
        on_message: impl FnMut(Self::Message),
    ) -> Result<Self::Output, Box<dyn Error + Send + Sync>> {
        // A type that cannot travel is found by the unit test, not by the first user.
        let (bytes, descriptors) = attach::encode(&self)?;
        drop(self);
        let descriptors = descriptors
            .iter()
            .map(|fd| fd.try_clone())
            .collect::<Result<_, _>>()?;
        let job: Self = attach::decode(&bytes, descriptors)?;
        let cx = Ctx::new(Backend::Here(Here::new()));
        let result = job.run(&cx).map_err(Into::into);
        if let Backend::Here(here) = cx.backend {
            here.into_messages().into_iter().for_each(on_message);
        }
        result
    }
}

/// A job that the app can talk to while it runs.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// /// Answers every number with its square, until the app has no more.
/// #[derive(Serialize, Deserialize)]
/// struct Square;
///
/// impl legwork::Job for Square {
///     type Message = u64;
///     type Output = ();
///     type Error = Box<dyn std::error::Error + Send + Sync>;
///
///     fn run(self, cx: &legwork::Ctx<Self>) -> Result<(), Self::Error> {
///         while let Some(number) = cx.recv()? {
///             cx.send(number * number)?;
///         }
///         Ok(())
///     }
/// }
///
/// impl legwork::Receive for Square {
///     type Request = u64;
/// }
/// ```
pub trait Receive: Job {
    /// What the app sends to the running job.
    type Request: Serialize + DeserializeOwned + 'static;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Count(u32);

    impl Job for Count {
        type Message = u32;
        type Output = u32;
        type Error = Box<dyn Error + Send + Sync>;
        fn run(self, cx: &Ctx<Self>) -> Result<u32, Self::Error> {
            for n in 0..self.0 {
                cx.check()?;
                cx.send(n)?;
            }
            if self.0 == 0 {
                Err("nothing to count".into())
            } else {
                Ok(self.0)
            }
        }
    }

    #[test]
    fn a_job_run_here_hands_over_its_messages_in_order_and_its_output() {
        let mut seen = Vec::new();
        assert_eq!(Count(3).run_here(|n| seen.push(n)).unwrap(), 3);
        assert_eq!(seen, [0, 1, 2]);
    }

    #[test]
    fn a_job_run_here_hands_over_its_error() {
        let error = Count(0).run_here(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "nothing to count");
    }
}
