//! The program that runs this app's jobs: its lean worker, wherever it is installed.

use std::path::PathBuf;

use legwork::Worker;

const PROGRAM: &str = "legwork-demo-worker";

/// The lean worker next to this program, or in the folder that the build was configured for; else this program itself,
/// which can run the same jobs and takes longer to start.
pub(crate) fn worker() -> Worker {
    let next_to_this = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.to_owned()));
    let installed = option_env!("LEGWORK_DEMO_LIBEXECDIR").map(PathBuf::from);
    [next_to_this, installed]
        .into_iter()
        .flatten()
        .map(|folder: PathBuf| folder.join(PROGRAM))
        .find(|program: &PathBuf| program.is_file())
        .map_or_else(Worker::current_exe, Worker::program)
}
