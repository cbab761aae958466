//! A program's descriptors, as the hub knows them.

use crate::main_loop::hub::Token;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Lane {
    /// The exec helper's control socket.
    Helper = 0,
    /// The pidfd.
    Exit = 1,
    /// Standard input.
    Input = 2,
    /// Standard output, or the terminal.
    Output = 3,
    /// Standard error.
    Errors = 4,
}

impl Lane {
    pub(super) fn token(self) -> Token {
        self as Token
    }

    pub(super) fn of(token: Token) -> Lane {
        match token {
            0 => Lane::Helper,
            1 => Lane::Exit,
            2 => Lane::Input,
            3 => Lane::Output,
            _ => Lane::Errors,
        }
    }
}
