//! What is known of one surface, shared by all that show something there.

use std::cell::RefCell;
use std::rc::Rc;

use super::availability::Availability;
use crate::text::Text;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Known {
    surface: &'static str,
    now: Rc<RefCell<Availability>>,
}

impl Known {
    /// Of a surface, by the name that the app's log has for it.
    pub(super) fn new(surface: &'static str) -> Self {
        Known {
            surface,
            now: Rc::new(RefCell::new(Availability::Unused)),
        }
    }

    pub(super) fn get(&self) -> Availability {
        self.now.borrow().clone()
    }

    /// Somebody is asked. What was known before counts until the answer comes.
    pub(super) fn ask(&self) {
        let mut now = self.now.borrow_mut();
        if *now == Availability::Unused {
            *now = Availability::Pending;
        }
    }

    pub(super) fn set<T>(&self, result: &Result<T, Text>) {
        let now = match result {
            Ok(_) => Availability::Available,
            Err(why) => Availability::none(self.surface, why),
        };
        self.now.replace(now);
    }
}
