//! The open descriptors of the app and of a job's process, and what a forked child could do with the app's.

use legwork_inspect::{DescriptorInfo, Harm, Kind, Service};

/// An open descriptor, described for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub(crate) number: i32,
    /// `Wakeup of a main loop`.
    pub(crate) name: String,
    /// The system's name for it.
    pub(crate) technical: String,
    /// What a forked child that holds it can do to the app; `None` if it is harmless.
    pub(crate) harm: Option<&'static str>,
    /// Whether it stays open in a new program that is executed.
    pub(crate) survives_exec: bool,
}

/// The descriptors of this process and of `pid`; `None` if one of them cannot be read any more.
///
/// Waits for the file system: not for the main thread.
pub(crate) fn inspect(pid: u32) -> Option<(Vec<Descriptor>, Vec<Descriptor>)> {
    let list = |pid, side| {
        let list = legwork_inspect::list(pid).ok()?;
        Some(
            list.into_iter()
                .map(|info| descriptor(info, side))
                .collect(),
        )
    };
    Some((
        list(std::process::id(), Side::App)?,
        list(pid, Side::Process)?,
    ))
}

/// Whose descriptor it is: the same kind has another purpose in each.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    App,
    Process,
}

fn descriptor(info: DescriptorInfo, side: Side) -> Descriptor {
    let harm = match side {
        Side::App => info.harm().map(Harm::risk),
        Side::Process => None,
    };
    Descriptor {
        number: info.number,
        name: name(info.number, info.kind, info.service, side),
        harm,
        survives_exec: !info.close_on_exec,
        technical: info.description,
    }
}

fn name(number: i32, kind: Kind, service: Option<Service>, side: Side) -> String {
    let standard = match number {
        0 => Some("Standard input"),
        1 => Some("Standard output"),
        2 => Some("Standard error"),
        _ => None,
    };
    if let Some(name) = standard {
        return name.into();
    }
    if let Some(service) = service {
        let name = service.name();
        return name[..1].to_uppercase() + &name[1..];
    }
    let purpose = match kind {
        _ if side == Side::App => None,
        Kind::UnixSocket => Some("Control socket to the app"),
        Kind::Eventfd => Some("Wakeup of its own"),
        Kind::Pidfd => Some("The app’s process, to notice its end"),
        Kind::File => Some("File that it reads"),
        Kind::Directory => Some("Folder that it reads"),
        Kind::Memfd => Some("Memory that it shares with the app"),
        _ => None,
    };
    purpose
        .unwrap_or(match kind {
            Kind::Eventfd => "Wakeup of a main loop",
            Kind::Epoll => "Event queue of the main loop",
            Kind::Inotify => "Watched files",
            Kind::Timerfd => "Timer",
            Kind::Signalfd => "Signals",
            Kind::Pidfd => "Process that it watches",
            Kind::Memfd => "Shared memory",
            Kind::Pipe => "Pipe",
            Kind::Inhibitor => "Inhibitor that keeps the computer awake",
            Kind::File => "File",
            Kind::UnixSocket | Kind::Socket => "Connection to another process",
            Kind::TcpSocket | Kind::UdpSocket => "Network connection",
            Kind::Directory => "Folder",
            Kind::Terminal => "Terminal",
            Kind::Null => "Null device",
            Kind::Device => "Device",
            _ => "Other descriptor",
        })
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processes_are_listed_or_none() {
        let (app, process) = inspect(std::process::id()).unwrap();
        assert!(!app.is_empty());
        let numbers = |list: &[Descriptor]| {
            list.iter()
                .take(3)
                .map(|one| one.number)
                .collect::<Vec<_>>()
        };
        assert_eq!(numbers(&app), numbers(&process));
        assert!(inspect(0).is_none());
    }

    #[test]
    fn every_connection_has_a_name() {
        let bus = Some(Service::SessionBus);
        assert_eq!(name(7, Kind::UnixSocket, bus, Side::App), "Session bus");
        assert_eq!(name(1, Kind::Pipe, None, Side::App), "Standard output");
        assert_eq!(
            name(7, Kind::UnixSocket, None, Side::Process),
            "Control socket to the app"
        );
    }
}
