//! A job: a value that is sent to a child and run there.

use std::error::Error;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ctx::{Backend, Ctx};
use super::here::Here;
use crate::wire::attach;

/// A piece of work for another process.
///
/// The value itself is the job's input: it is encoded in the app, decoded in the worker, and run there. A job owns all
/// that it needs, and shares nothing with the app. The compiler refuses what cannot be encoded (`Rc`, references,
/// closures, GObjects). A reference to a variable of the app:
///
/// ```compile_fail,E0277
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Count<'a> {
///     counter: &'a mut u32, // another process cannot reach the app's variable
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
/// A counter that is shared in the app:
///
/// ```compile_fail,E0277
/// # use std::{cell::Cell, rc::Rc};
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Count {
///     counter: Rc<Cell<u32>>, // the job would increment a copy
/// }
/// # impl legwork::Job for Count {
/// #     type Message = (); type Output = (); type Error = std::convert::Infallible;
/// #     fn run(self, _: &legwork::Ctx<Self>) -> Result<(), Self::Error> { Ok(()) }
/// # }
/// ```
///
/// A closure, which may have captured either of these:
///
/// ```compile_fail,E0277
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Count {
///     on_step: Box<dyn Fn(u32)>, // send messages instead, and see `JobHandle::on_message`
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
///     window: legwork::glib::Object, // only the app is connected to the display
/// }
/// # impl legwork::Job for Count {
/// #     type Message = (); type Output = (); type Error = std::convert::Infallible;
/// #     fn run(self, _: &legwork::Ctx<Self>) -> Result<(), Self::Error> { Ok(()) }
/// # }
/// ```
///
/// Pass a value instead, and send results as messages or return them:
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
/// A `static` that the job changes is the worker's own copy: the app's `static` of the same name stays as it is. The
/// compiler cannot refuse that. (Nor does it refuse an `Rc` if some crate has enabled serde's feature `rc`; the job gets
/// a copy.)
///
/// # Example
///
/// ```
/// use serde::{Deserialize, Serialize};
///
/// /// Counts the lines of a text, and sends each as a message.
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
    /// The type of the messages that the job sends while it runs. Use `()` for a job that sends none.
    type Message: Serialize + DeserializeOwned + Send + 'static;

    /// The type of its result.
    type Output: Serialize + DeserializeOwned + 'static;

    /// The type of its error. It arrives in the app as text, with its causes; a failure that the app wants to match
    /// on belongs in [`Output`](Self::Output).
    type Error: Into<Box<dyn Error + Send + Sync>>;

    /// Does the work. It is called once, in the worker, on the worker's first thread.
    ///
    /// # Errors
    ///
    /// The job's own. If the job was asked to stop and returns [`Cancelled`](crate::Cancelled), or an error that has it
    /// among its causes, it ends as cancelled (or, at its deadline, as timed out).
    fn run(self, cx: &Ctx<Self>) -> Result<Self::Output, Self::Error>;

    /// Runs the job in this process, on this thread, for unit tests: without a child, without a main loop. The
    /// value is encoded and decoded first, as it would be on its way to a worker. `on_message` is called with
    /// each message, after the job has ended. There are no requests.
    ///
    /// # Errors
    ///
    /// The job's own, or that the job could not be encoded or decoded.
    fn run_here(
        self,
        on_message: impl FnMut(Self::Message),
    ) -> Result<Self::Output, Box<dyn Error + Send + Sync>> {
        // So that a type that cannot be sent fails in its unit test.
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

/// A job that the app can send requests to while it runs.
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
    /// The type of the requests that the app sends to the running job.
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
