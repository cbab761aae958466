//! What the system knows about sockets: the addresses of the buses, and the kernel's lists.

use std::cell::OnceCell;

use crate::internet_table::InternetTable;
use crate::service::Addresses;
use crate::unix_table::UnixTable;

/// The lists, which are read once per process, when the first socket needs them.
pub(crate) struct Network {
    pub(crate) pid: u32,
    addresses: OnceCell<Addresses>,
    unix: OnceCell<UnixTable>,
    internet: OnceCell<InternetTable>,
}

impl Network {
    pub(crate) fn of(pid: u32) -> Self {
        Self {
            pid,
            addresses: OnceCell::new(),
            unix: OnceCell::new(),
            internet: OnceCell::new(),
        }
    }

    pub(crate) fn addresses(&self) -> &Addresses {
        self.addresses.get_or_init(|| Addresses::of(self.pid))
    }

    pub(crate) fn unix(&self) -> &UnixTable {
        self.unix.get_or_init(|| UnixTable::read(self.pid))
    }

    pub(crate) fn internet(&self) -> &InternetTable {
        self.internet.get_or_init(|| InternetTable::read(self.pid))
    }
}
