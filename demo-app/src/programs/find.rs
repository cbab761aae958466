//! Whether a program is installed, and how a person gets it.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// Where `PATH` has a program of this name. Asks the file system: not for the main thread.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

/// A sentence that says how to get a package, in the words of the package manager that is there. As [`find`].
pub(crate) fn how_to_get(package: &str) -> String {
    let line = [
        ("apt", "sudo apt install"),
        ("dnf", "sudo dnf install"),
        ("pacman", "sudo pacman -S"),
        ("zypper", "sudo zypper install"),
    ]
    .into_iter()
    .find(|(manager, _)| find(manager).is_some());
    match line {
        Some((_, install)) => {
            format!("Get it from your software centre, or in a terminal: {install} {package}")
        }
        None => "Get it from your software centre.".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_and_a_name_that_nobody_has_is_not() {
        assert!(find("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(find("no-such-program-as-this"), None);
    }

    #[test]
    fn a_folder_or_a_plain_file_in_the_path_is_no_program() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_program(folder.path()));
        let file = folder.path().join("notes");
        std::fs::write(&file, "").unwrap();
        assert!(!is_program(&file));
    }
}
