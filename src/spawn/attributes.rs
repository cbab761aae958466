//! What a child starts with besides its descriptors: its group and session, its signal mask.

/// The process group and session that a child starts in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Group {
    /// The app's own group: Ctrl+C in the app's terminal reaches the child as well, and the child
    /// cannot be signalled together with its descendants.
    Inherit,
    /// A new group led by the child, in the app's session. Its descendants can be stopped with it.
    #[default]
    Lead,
    /// A new session and group led by the child, without a controlling terminal; see setsid(2).
    /// `/dev/tty` cannot be opened (ENXIO). The first terminal that the child opens without
    /// `O_NOCTTY` becomes its controlling one.
    Session,
}

/// The signal mask that a child starts with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Mask {
    /// Blocks no signal.
    #[default]
    Empty,
    /// Blocks every signal except SIGKILL and SIGSTOP, which cannot be blocked.
    Full,
}
