//! What the app has open, beside what a job's process has open, and what a careless fork would have done.

use legwork::process::descriptors::{self, DescriptorInfo, Kind, Service};

/// One open descriptor in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) number: i32,
    /// `Wakeup of the main loop`.
    pub(crate) name: String,
    /// What the system calls it.
    pub(crate) technical: String,
    /// What a forked child that holds it can do to the app; `None` for what is harmless.
    pub(crate) harm: Option<&'static str>,
    /// Whether even a new program would have inherited it.
    pub(crate) survives_exec: bool,
}

/// What is open in this process and in `pid`, or nothing if one of them cannot be looked at any more.
///
/// Waits for the file system: not for the main thread.
pub(crate) fn look(pid: u32) -> Option<(Vec<Open>, Vec<Open>)> {
    let list = |pid, side| {
        let list = descriptors::list(pid).ok()?;
        Some(list.into_iter().map(|info| open(info, side)).collect())
    };
    Some((list(std::process::id(), Side::App)?, list(pid, Side::Job)?))
}

/// Whose descriptor it is: the same thing is something else to each.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    App,
    Job,
}

fn open(info: DescriptorInfo, side: Side) -> Open {
    let (name, harm) = words(info.number, info.kind, info.service, side);
    Open {
        number: info.number,
        name,
        harm,
        survives_exec: !info.close_on_exec,
        technical: info.description,
    }
}

fn words(
    number: i32,
    kind: Kind,
    service: Option<Service>,
    side: Side,
) -> (String, Option<&'static str>) {
    let standard = match number {
        0 => Some("Standard input"),
        1 => Some("Standard output"),
        2 => Some("Standard error"),
        _ => None,
    };
    if let Some(name) = standard {
        return (name.into(), None);
    }
    if let Some(service) = service {
        let name = service.name();
        let name = name[..1].to_uppercase() + &name[1..];
        let harm = match service {
            Service::Log => None,
            Service::X11 | Service::Wayland => {
                Some("What a child draws or says there garbles this window")
            }
            _ => Some("A child’s messages would mix with the app’s"),
        };
        return (name, harm);
    }
    let own = match kind {
        _ if side == Side::App => None,
        Kind::UnixSocket => Some("Its line to the app"),
        Kind::Eventfd => Some("A wakeup of its own"),
        Kind::Pidfd => Some("The app, to notice its end"),
        Kind::File => Some("A file that it reads"),
        Kind::Directory => Some("A folder that it reads"),
        Kind::Memfd => Some("Memory that it hands over"),
        _ => None,
    };
    if let Some(name) = own {
        return (name.into(), None);
    }
    let (name, harm) = match kind {
        Kind::Eventfd => (
            "Wakeup of a main loop",
            Some("A child that touches it keeps the app busy for nothing"),
        ),
        Kind::Epoll => (
            "What the main loop waits for",
            Some("What a child changes there, the app waits for, too"),
        ),
        Kind::Inotify => (
            "Watched files",
            Some("A child would take the news away from the app"),
        ),
        Kind::Timerfd => (
            "Timer",
            Some("A child that reads it takes the tick from the app"),
        ),
        Kind::Signalfd => ("Signals", None),
        Kind::Pidfd => ("A process to watch", None),
        Kind::Memfd => (
            "Shared memory",
            Some("A child could change it while it is shown"),
        ),
        Kind::Pipe => (
            "Pipe",
            Some("While a child holds it, its other end never sees the end"),
        ),
        Kind::File => ("File", Some("Both would read from one position")),
        Kind::UnixSocket | Kind::Socket => (
            "Private line to another process",
            Some("A child could take answers meant for the app"),
        ),
        Kind::TcpSocket | Kind::UdpSocket => (
            "Network connection",
            Some("Two processes would speak into one connection"),
        ),
        Kind::Directory => ("Folder", None),
        Kind::Terminal => ("Terminal", None),
        Kind::Null => ("Nothing", None),
        Kind::Device => (
            "Device",
            Some("A child could operate it behind the app’s back"),
        ),
        _ => ("Something else", None),
    };
    (name.into(), harm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_told_apart_from_another() {
        let (here, there) = look(std::process::id()).unwrap();
        assert!(!here.is_empty());
        let numbers = |open: &[Open]| {
            open.iter()
                .take(3)
                .map(|open| open.number)
                .collect::<Vec<_>>()
        };
        assert_eq!(numbers(&here), numbers(&there));
        assert!(look(0).is_none());
    }

    #[test]
    fn every_connection_has_a_name_and_its_harm() {
        let (name, harm) = words(7, Kind::UnixSocket, Some(Service::SessionBus), Side::App);
        assert_eq!(name, "Session bus");
        assert!(harm.is_some());
        assert_eq!(
            words(1, Kind::Pipe, None, Side::App),
            ("Standard output".into(), None)
        );
    }
}
