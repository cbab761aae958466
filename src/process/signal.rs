//! Signals by number and name.

use std::borrow::Cow;
use std::fmt;

/// A signal, 1 to 64; see signal(7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(i32);

impl Signal {
    /// `SIGHUP`: the terminal was hung up.
    pub const HUP: Self = Self(libc::SIGHUP);
    /// `SIGINT`: interrupted, as by Ctrl+C.
    pub const INT: Self = Self(libc::SIGINT);
    /// `SIGQUIT`: quit with a core file.
    pub const QUIT: Self = Self(libc::SIGQUIT);
    /// `SIGABRT`: aborted, as by abort(3).
    pub const ABRT: Self = Self(libc::SIGABRT);
    /// `SIGKILL`: kill; cannot be caught.
    pub const KILL: Self = Self(libc::SIGKILL);
    /// `SIGSEGV`: an invalid memory access.
    pub const SEGV: Self = Self(libc::SIGSEGV);
    /// `SIGPIPE`: a write to a pipe without a reader.
    pub const PIPE: Self = Self(libc::SIGPIPE);
    /// `SIGTERM`: a request to terminate.
    pub const TERM: Self = Self(libc::SIGTERM);
    /// `SIGCONT`: continue after a stop.
    pub const CONT: Self = Self(libc::SIGCONT);
    /// `SIGSTOP`: stop; cannot be caught.
    pub const STOP: Self = Self(libc::SIGSTOP);
    /// `SIGTTIN`: a read from the terminal by a group in the background.
    pub const TTIN: Self = Self(libc::SIGTTIN);
    /// `SIGTTOU`: a change of the terminal, or a write, by a group in the background.
    pub const TTOU: Self = Self(libc::SIGTTOU);
    /// `SIGUSR1`: defined by the program.
    pub const USR1: Self = Self(libc::SIGUSR1);
    /// `SIGUSR2`: defined by the program.
    pub const USR2: Self = Self(libc::SIGUSR2);

    /// The signal with this number, if it is one.
    pub const fn from_raw(number: i32) -> Option<Self> {
        match number {
            1..=64 => Some(Self(number)),
            _ => None,
        }
    }

    /// The signal that the kernel reported, which is always a valid one.
    pub(super) const fn reported(number: i32) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn as_raw(self) -> i32 {
        self.0
    }

    /// The name as in signal(7): `SIGSEGV`, `SIGRTMIN+2`.
    pub fn name(self) -> Cow<'static, str> {
        if let Ok(named) = nix::sys::signal::Signal::try_from(self.0) {
            return named.as_str().into();
        }
        match self.0 - libc::SIGRTMIN() {
            0 => "SIGRTMIN".into(),
            above @ 1.. => format!("SIGRTMIN+{above}").into(),
            // 32 and 33, which the C library reserves.
            _ => format!("signal {}", self.0).into(),
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}
