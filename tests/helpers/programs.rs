//! Commands for tests, with the tests' worker program as their helper, and the report of the programs that they start.

use std::ffi::OsStr;
use std::path::PathBuf;

use legwork::{Command, Error, Worker};

use crate::program;
use crate::report::Report;

/// The worker program of the tests.
pub fn worker() -> Worker {
    Worker::program(program("worker"))
}

/// Creates a command whose helper is the tests' worker program.
pub fn command(name: impl AsRef<OsStr>) -> Command {
    Command::new(name).helper(&worker())
}

/// Creates a command that runs a shell script.
pub fn sh(script: &str) -> Command {
    command("sh").arg("-c").arg(script)
}

/// Runs the program `report` by a command that the test completes, and returns its report.
pub async fn reported(complete: impl FnOnce(Command) -> Command) -> Result<Report, Error> {
    let file = tempfile::NamedTempFile::new()
        .expect("a temporary file")
        .into_temp_path();
    let command = command(program("report")).arg(&file);
    complete(command).spawn().await?;
    Ok(Report::read(&file).expect("a whole report"))
}

/// Creates a folder under the target directory for programs that a test file writes. The files exist before any of the
/// tests starts a child: a file that is open for writing cannot be executed, and a child of another thread that is just
/// being started holds it open.
pub fn stage(name: &str, files: &[(&str, u32, &str)]) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let here = std::env::current_exe().expect("the path of this program");
    let folder = here
        .ancestors()
        .nth(2)
        .expect("tests lie in `deps`")
        .join("stages")
        .join(name);
    let _ = std::fs::remove_dir_all(&folder);
    for (path, mode, text) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder is made");
        std::fs::write(&path, text).expect("a file is written");
        let mode = std::fs::Permissions::from_mode(*mode);
        std::fs::set_permissions(&path, mode).expect("its mode is set");
    }
    folder
}
