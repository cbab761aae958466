//! What a child can do with an inherited descriptor, and what some have done.

use crate::descriptor::DescriptorInfo;
use crate::kind::Kind;
use crate::service::Service;

/// Why it matters who inherits a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Harm {
    risk: &'static str,
    scene: Option<Scene>,
}

/// One of the thirteen scenes that `docs/gotchas.md` ends with: what went wrong in a real program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scene(u8);

impl Harm {
    const fn new(risk: &'static str) -> Self {
        Self { risk, scene: None }
    }

    const fn seen(self, number: u8) -> Self {
        Self {
            scene: Some(Scene(number)),
            ..self
        }
    }

    /// Returns what a child can do, as a sentence without its full stop.
    pub const fn risk(self) -> &'static str {
        self.risk
    }

    /// Returns the scene in which it has happened.
    pub const fn scene(self) -> Option<Scene> {
        self.scene
    }
}

impl Scene {
    /// A call that a forked child makes over an inherited connection is never answered.
    pub const BUS: Self = Self(2);
    /// Two processes talk over one connection.
    pub const SESSION: Self = Self(3);
    /// A forked child wakes its parent's main loop without end.
    pub const WAKEUP: Self = Self(1);
    /// A thread held a lock at the instant of the fork.
    pub const LOCK: Self = Self(4);
    /// Two processes write to one log.
    pub const LOG: Self = Self(5);

    /// Returns its number, 1 to 13.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Returns what happened, as a sentence without its full stop.
    pub const fn happened(self) -> &'static str {
        match self.0 {
            1 => "A forked child wrote to it: its idle parent used 98 % of a processor",
            2 => "A forked child made a call over it: the answer never came",
            3 => "Parent and child talked over one connection: random errors, months to find",
            4 => "A thread held a lock at the fork: the child waited for it for ever",
            5 => "Parent and child wrote to one log: it hung, or its lines were mixed",
            _ => "See docs/gotchas.md",
        }
    }
}

impl DescriptorInfo {
    /// Returns what a child that inherits it can do to this process. `None` if it does no harm, and for 0, 1 and 2 if
    /// they are what every program expects there.
    pub fn harm(&self) -> Option<Harm> {
        if let Some(service) = self.service {
            return of_service(service);
        }
        if self.number <= 2 && !self.is_odd_for_a_standard_one() {
            return None;
        }
        Some(match self.kind {
            Kind::Eventfd => {
                Harm::new("A child that writes to it keeps the app busy for nothing").seen(1)
            }
            Kind::Epoll => Harm::new("A child can change what the app waits for"),
            Kind::Inotify => Harm::new("A child that reads it takes the events from the app"),
            Kind::Timerfd => Harm::new("A child that reads it takes the tick from the app"),
            Kind::Memfd => Harm::new("A child could change it while the app uses it"),
            Kind::Pipe => Harm::new("While a child holds it, the other end never sees it closed"),
            Kind::Inhibitor => Harm::new("While a child holds it, the machine stays awake"),
            Kind::File if self.writable => {
                Harm::new("Parent and child would write at one position").seen(5)
            }
            Kind::File => Harm::new("Parent and child would read from one position"),
            _ if self.listening => {
                Harm::new("While a child holds it, the address stays taken and nobody answers")
            }
            Kind::UnixSocket | Kind::Socket => {
                Harm::new("A child could take answers meant for the app").seen(3)
            }
            Kind::TcpSocket | Kind::UdpSocket => {
                Harm::new("Two processes would talk over one connection").seen(3)
            }
            Kind::Device => Harm::new("A child could use it without the app's knowledge"),
            _ => return None,
        })
    }

    /// Returns whether it got the number 0, 1 or 2 only because nothing was open there.
    fn is_odd_for_a_standard_one(&self) -> bool {
        matches!(
            self.kind,
            Kind::Eventfd
                | Kind::Epoll
                | Kind::Inotify
                | Kind::Timerfd
                | Kind::Inhibitor
                | Kind::Memfd
        )
    }
}

fn of_service(service: Service) -> Option<Harm> {
    Some(match service {
        Service::Log => return None,
        Service::X11 | Service::Wayland => {
            Harm::new("What a child sends there garbles the app's window").seen(3)
        }
        Service::SessionBus | Service::SystemBus | Service::AccessibilityBus => {
            Harm::new("A child's messages would mix with the app's").seen(2)
        }
        Service::Sound => Harm::new("A child's messages would mix with the app's").seen(3),
    })
}
