//! Where the jobs of this app run: in its lean worker, wherever that was installed.

use std::path::PathBuf;

use legwork::Worker;

const PROGRAM: &str = "legwork-demo-worker";

/// The lean worker beside this program, or where the build said that it would be installed; else this
/// program once more, which can do the same and takes longer to start.
pub(crate) fn worker() -> Worker {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.to_owned()));
    let installed = option_env!("LEGWORK_DEMO_LIBEXECDIR").map(PathBuf::from);
    [beside, installed]
        .into_iter()
        .flatten()
        .map(|folder: PathBuf| folder.join(PROGRAM))
        .find(|program: &PathBuf| program.is_file())
        .map_or_else(Worker::current_exe, Worker::program)
}
