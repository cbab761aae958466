//! What a child waits at between its birth and the first instruction of its work, because something of it has to be
//! arranged that takes a while and needs its process: a cgroup of its own, say.
//!
//! The one seam between the start of a child and whoever arranges that. A program waits in the exec helper, which has
//! no order yet; a worker has said hello, and has no job yet. The guardian knows both. Whoever starts them knows no
//! more of a gate than this.

use std::fmt::Debug;
use std::rc::Rc;

use crate::process::SharedProcess;
use crate::process::class::Class;
use crate::text::Text;

/// See the module. It belongs to the thread of its child.
pub(crate) trait Gate: Debug {
    /// Says before anything is started why it would never open, if that is known.
    fn check(&self) -> Result<(), Text>;

    /// A child was born, and waits. `opened` is called once, later, from the thread's default context, with nothing
    /// borrowed: the child goes on, or is not to be started, for this reason. It may be called when the child has ended.
    ///
    /// What is returned is called when the child has ended.
    fn admit(&self, child: Newborn, opened: Opened) -> Box<dyn FnOnce()>;
}

/// A child that waits at a gate.
#[cfg_attr(not(feature = "desktop"), allow(dead_code))]
pub(crate) struct Newborn {
    pub(crate) process: SharedProcess,
    pub(crate) pid: u32,
    /// How much it is to yield to others: the gate sees to that.
    pub(crate) class: Option<Class>,
}

pub(crate) type Opened = Box<dyn FnOnce(Result<(), Text>)>;

/// As the options of a start hold it.
pub(crate) type SharedGate = Rc<dyn Gate>;
