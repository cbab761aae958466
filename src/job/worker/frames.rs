//! Which frame a worker may send when, and what is in it.

use crate::job::outcome::ProcessFacts;
use crate::wire::control::{Fault, Packet, Unclaimed};
use crate::wire::frame::{Kind, NO_JOB, Refusal};
use crate::wire::page::Page;

/// A frame that may come now.
pub(super) enum Admitted<'a> {
    /// The handshake, which brings the shared page.
    Ready(Page),
    /// It will not serve.
    Refused(Refusal),
    /// About a job, or at any time about any.
    OfJob(Kind, Packet<'a>),
}

/// Judges a frame by what the process has said before.
pub(super) fn admit<'a>(packet: Packet<'a>, facts: &ProcessFacts) -> Result<Admitted<'a>, Fault> {
    let kind = Kind::from_worker(packet.kind)
        .ok_or_else(|| Fault(format!("a frame of unknown kind {}", packet.kind)))?;
    let may_bring = matches!(kind, Kind::Ready | Kind::Message | Kind::Done);
    if !packet.descriptors.is_empty() && !may_bring {
        return Err(Fault(format!("{kind:?} came with descriptors")));
    }
    if kind.is_unprompted() {
        return Ok(Admitted::OfJob(kind, packet));
    }
    if facts.refusal.is_some() {
        return Err(Fault(format!("{kind:?} came after the refusal")));
    }
    match (kind, packet.job) {
        (Kind::Ready, _) if facts.ready => Err(Fault("a second handshake".to_owned())),
        (Kind::Ready, NO_JOB) if packet.payload.is_empty() => {
            shared_page(packet.descriptors).map(Admitted::Ready)
        }
        (Kind::Ready, NO_JOB) => Err(Fault("the handshake has bytes after its end".to_owned())),
        (Kind::Ready, job) => Err(Fault(format!("the handshake is about job {job}"))),
        (Kind::Refused, NO_JOB) if facts.ready => {
            Err(Fault("a refusal after the handshake".to_owned()))
        }
        (Kind::Refused, NO_JOB) => parsed("the refusal", &packet.payload).map(Admitted::Refused),
        _ if !facts.ready => Err(Fault(format!("{kind:?} came before the handshake"))),
        _ => Ok(Admitted::OfJob(kind, packet)),
    }
}

/// The page that came with the handshake.
fn shared_page(descriptors: Unclaimed) -> Result<Page, Fault> {
    let [memory] = &*descriptors else {
        let count = descriptors.len();
        let what = format!("the handshake came with {count} descriptors instead of one");
        return Err(Fault(what));
    };
    let page = Page::adopt(memory).map_err(|why| Fault(format!("the shared page {why}")))?;
    // Memory of this size, which it is now known to be, is closed at once.
    drop(descriptors.claim());
    Ok(page)
}

/// Reads a payload of postcard, whole.
pub(in crate::job) fn parsed<'a, T: serde::Deserialize<'a>>(
    what: &str,
    bytes: &'a [u8],
) -> Result<T, Fault> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(Fault(format!("{what} has bytes after its end"))),
        Err(error) => Err(Fault(format!("{what} cannot be read: {error}"))),
    }
}
