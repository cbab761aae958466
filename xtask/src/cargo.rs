//! Calls to cargo, and the paths of the workspace.

use std::path::PathBuf;
use std::process::{Command, ExitStatus};

/// Returns the workspace, wherever in it the task was started.
pub(crate) fn workspace() -> PathBuf {
    // The variable takes precedence: a built xtask may have been moved together with its checkout.
    let here =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    PathBuf::from(here)
        .parent()
        .expect("xtask lies in the workspace")
        .to_path_buf()
}

/// Returns the folder where cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    let chosen = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    workspace().join(chosen.unwrap_or_else(|| "target".into()))
}

/// Returns a command that calls the cargo that runs this task.
pub(crate) fn command() -> Command {
    let mut cargo = Command::new(program());
    prepare(&mut cargo);
    cargo
}

/// Returns the cargo that runs this task.
pub(crate) fn program() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Makes `command`, which is a cargo, work on the workspace.
pub(crate) fn prepare(command: &mut Command) {
    forget(command);
    command.current_dir(workspace());
    if std::env::var_os("CARGO_TARGET_DIR").is_some() {
        command.env("CARGO_TARGET_DIR", target_dir());
    }
}

/// Removes from `command`'s environment what cargo added for this task, so that the program finds what the caller's
/// shell has, and the libraries of the system.
pub(crate) fn forget(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    if let Some(searched) = std::env::var_os("LD_LIBRARY_PATH") {
        let toolchain = PathBuf::from(program());
        let toolchain = toolchain.ancestors().nth(2).unwrap_or(&toolchain);
        let own =
            |folder: &PathBuf| folder.starts_with(target_dir()) || folder.starts_with(toolchain);
        let left: Vec<_> = std::env::split_paths(&searched)
            .filter(|folder| !own(folder))
            .collect();
        match std::env::join_paths(&left) {
            Ok(left) if !left.is_empty() => command.env("LD_LIBRARY_PATH", left),
            _ => command.env_remove("LD_LIBRARY_PATH"),
        };
    }
}

/// Runs `command`, or returns a sentence that says why it could not be run at all.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus, String> {
    command.status().map_err(|error| {
        format!(
            "{} could not be run: {error}",
            command.get_program().display()
        )
    })
}

/// Runs `command`, which must succeed.
pub(crate) fn must(command: &mut Command) -> Result<(), String> {
    let status = status(command)?;
    if status.success() {
        return Ok(());
    }
    let args: Vec<_> = command
        .get_args()
        .map(|arg| arg.to_string_lossy())
        .collect();
    Err(format!(
        "{} {} failed: {status}",
        command.get_program().display(),
        args.join(" ")
    ))
}
