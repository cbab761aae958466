//! What the app has open, beside what a job's process has open, and what a careless fork would have done.

use legwork_inspect::{DescriptorInfo, Harm, Kind, Service};

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
        let list = legwork_inspect::list(pid).ok()?;
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
    let harm = match side {
        Side::App => info.harm().map(Harm::risk),
        Side::Job => None,
    };
    Open {
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
    own.unwrap_or(match kind {
        Kind::Eventfd => "Wakeup of a main loop",
        Kind::Epoll => "What the main loop waits for",
        Kind::Inotify => "Watched files",
        Kind::Timerfd => "Timer",
        Kind::Signalfd => "Signals",
        Kind::Pidfd => "A process to watch",
        Kind::Memfd => "Shared memory",
        Kind::Pipe => "Pipe",
        Kind::Inhibitor => "What keeps the machine awake",
        Kind::File => "File",
        Kind::UnixSocket | Kind::Socket => "Private line to another process",
        Kind::TcpSocket | Kind::UdpSocket => "Network connection",
        Kind::Directory => "Folder",
        Kind::Terminal => "Terminal",
        Kind::Null => "Nothing",
        Kind::Device => "Device",
        _ => "Something else",
    })
    .into()
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
    fn every_connection_has_a_name() {
        let bus = Some(Service::SessionBus);
        assert_eq!(name(7, Kind::UnixSocket, bus, Side::App), "Session bus");
        assert_eq!(name(1, Kind::Pipe, None, Side::App), "Standard output");
        assert_eq!(
            name(7, Kind::UnixSocket, None, Side::Job),
            "Its line to the app"
        );
    }
}
