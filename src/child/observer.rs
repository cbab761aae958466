//! Who is told of a child that has started.

use super::Control;
use crate::model::Status;

/// Called once, on the child's context, before its handle is returned; never for a start that failed.
pub(crate) type Observer = Box<dyn FnOnce(&Status, &Control)>;

/// The observers among the options of a start.
#[derive(Default)]
pub(crate) struct Observers(Vec<Observer>);

impl Observers {
    #[cfg(feature = "desktop")]
    pub(crate) fn add(&mut self, observer: Observer) {
        self.0.push(observer);
    }

    pub(crate) fn tell(self, status: &Status, control: &Control) {
        for observer in self.0 {
            observer(status, control);
        }
    }
}

impl std::fmt::Debug for Observers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Observers").field(&self.0.len()).finish()
    }
}
