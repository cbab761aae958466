//! What the session knows of a child, and does for it: feature `desktop`, which needs GIO alone.
//!
//! - [`scope`]: a unit of the user's systemd for a child and all that it starts, with limits.
//! - [`qos`]: how much a child yields to others.

mod qos;
mod scope;

pub use qos::Qos;
pub use scope::{Enforcement, Scope, ScopeLimit, ScopeState, ScopeUsage};
