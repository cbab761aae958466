//! Whether a program is installed, and how to install it.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// Finds a program of this name in `PATH`. Blocks on the file system: not for the main thread.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

/// A sentence that says how to install a package with the package manager of this system. Blocks like [`find`].
pub(crate) fn install_hint(package: &str) -> String {
    let command = [
        ("apt", "sudo apt install"),
        ("dnf", "sudo dnf install"),
        ("pacman", "sudo pacman -S"),
        ("zypper", "sudo zypper install"),
    ]
    .into_iter()
    .find(|(manager, _)| find(manager).is_some());
    match command {
        Some((_, install)) => {
            format!("Install it from your software centre, or in a terminal: {install} {package}")
        }
        None => "Install it from your software centre.".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_program_that_is_installed_is_found() {
        assert!(find("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(find("no-such-program-as-this"), None);
    }

    #[test]
    fn a_folder_or_a_plain_file_is_not_a_program() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_program(folder.path()));
        let file = folder.path().join("notes");
        std::fs::write(&file, "").unwrap();
        assert!(!is_program(&file));
    }
}
