//! What Legwork is compared with, written by hand and without Legwork.
//!
//! Each does one thing in the shortest correct way, so that it is a real lower limit and not a straw man.

#[cfg(feature = "bus")]
pub(crate) mod bus;
pub(crate) mod by_hand;
pub(crate) mod channel;
#[cfg(feature = "peers")]
pub(crate) mod crates;
pub(crate) mod native;
pub(crate) mod pipes;
pub(crate) mod wakeups;

/// Runs a control in this process, which is started for that and ruined by it.
pub(crate) fn control(name: &str) -> crate::Result<()> {
    match name {
        "wakeups" => wakeups::forked(),
        #[cfg(feature = "bus")]
        "bus" => bus::serve(),
        #[cfg(feature = "bus")]
        "bus-flood" => bus::flood(),
        #[cfg(feature = "peers")]
        "zbus" => crates::serve_zbus(),
        _ => Err(format!("no control is named {name}").into()),
    }
}
