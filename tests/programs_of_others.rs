//! Programs that become another user's process, as `sudo` and `pkexec` do, cannot be stopped: the outcome says so.
//!
//! Needs root, which makes a program set-user-ID for an app of an ordinary user.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use legwork_tests::{program, raw, until};

const NOBODY: u32 = 65_534;

/// A folder that everybody may search, with these programs and `becomes_root`; `None` where nothing can be made
/// set-user-ID.
fn folder(programs: &[&Path]) -> Option<tempfile::TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let flags = rustix::fs::statvfs(folder.path()).unwrap().f_flag;
    if !rustix::process::geteuid().is_root()
        || flags.contains(rustix::fs::StatVfsMountFlags::NOSUID)
    {
        println!("skipped: only root can make a program set-user-ID, and not on every file system");
        return None;
    }
    let allow =
        |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    allow(folder.path(), 0o755);
    let root = program("becomes_root");
    for (program, mode) in programs
        .iter()
        .map(|program| (*program, 0o755))
        .chain([(&*root, 0o4755)])
    {
        let copy = folder.path().join(program.file_name().unwrap());
        fs::copy(program, &copy).unwrap();
        allow(&copy, mode);
    }
    Some(folder)
}

fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.uid(NOBODY).gid(NOBODY).current_dir("/");
    command
}

#[test]
fn a_program_that_becomes_root_is_not_waited_for_when_it_cannot_be_stopped() {
    let app = program("cannot_stop_root");
    let Some(folder) = folder(&[&app]) else {
        return;
    };
    let output = as_nobody(&folder.path().join("cannot_stop_root"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    let left = said
        .lines()
        .filter_map(|line| line.strip_prefix("left ")?.parse().ok());
    left.for_each(raw::kill);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_command_does_not_wait_for_a_program_that_it_cannot_stop() {
    let command = Path::new(env!("CARGO_BIN_EXE_command_legwork"));
    let Some(folder) = folder(&[command]) else {
        return;
    };
    let start = Instant::now();
    let mut run = as_nobody(&folder.path().join("command_legwork"))
        .args(["run", "--timeout", "3", "--grace", "0.3", "--"])
        .arg(folder.path().join("becomes_root"))
        .arg("40")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let children = format!("/proc/{0}/task/{0}/children", run.id());
    let is_root = |pid: &str| {
        let status = fs::metadata(format!("/proc/{pid}"));
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        name.trim() == "becomes_root"
            && status.is_ok_and(|status| std::os::unix::fs::MetadataExt::uid(&status) == 0)
    };
    let mut root = None;
    until("the program is root", || {
        let children = fs::read_to_string(&children).unwrap_or_default();
        root = children
            .split_whitespace()
            .find(|pid| is_root(pid))
            .map(|pid| pid.parse().unwrap());
        root.is_some()
    });
    raw::signal(run.id(), libc::SIGTERM);
    run.wait().unwrap();
    let took = start.elapsed();
    // It holds the pipes.
    root.into_iter().for_each(raw::kill);
    let output = run.wait_with_output().unwrap();
    println!("after {took:?}: {output:?}");
    assert!(took < Duration::from_secs(35));
    assert_eq!(output.status.code(), Some(125));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("SIGTERM cannot be sent to the program"),
        "{said}"
    );
    assert!(
        said.contains("the program could not be stopped, and runs on"),
        "{said}"
    );
}
