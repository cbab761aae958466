//! Quality of service: how much a child yields to what people wait for.

use crate::process::class::Class;

/// How much a child yields to others. For [`JobBuilder::qos`](crate::JobBuilder::qos) and
/// [`Command::qos`](crate::Command::qos).
///
/// | class | without a scope | in a [`Scope`](super::Scope) |
/// |---|---|---|
/// | `Interactive` | as the app | weights of 100, as usual |
/// | `Utility` | nice value 5, `SCHED_BATCH`, I/O priority 6 of 7 | weights of 50 |
/// | `Background` | nice value 19, `SCHED_IDLE`, I/O class *idle* | weights of 10 |
///
/// Without a scope a class holds for the thread of the job, or the whole program, and all that it starts; it never goes up
/// again, as that would need a privilege. The weights of a scope hold among the scopes of its slice, for all of its
/// processes together, and [`Scope::set_qos`](super::Scope::set_qos) raises them as well.
///
/// ```no_run
/// use legwork::desktop::Qos;
///
/// # async fn example() -> Result<(), legwork::Error> {
/// legwork::Command::new("tracker3").args(["index", "."]).qos(Qos::Background).spawn().await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Qos {
    /// Somebody waits for it and does nothing else meanwhile.
    Interactive,
    /// Somebody waits for it, and does something else meanwhile: a conversion with a progress bar.
    Utility,
    /// Nobody waits for it: an index, a backup.
    Background,
}

impl Qos {
    pub(crate) fn class(self) -> Option<Class> {
        match self {
            Qos::Interactive => None,
            Qos::Utility => Some(Class::Utility),
            Qos::Background => Some(Class::Background),
        }
    }
}
