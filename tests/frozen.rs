//! An app that does not run for a while, and whose children do not either: stopped, in a debugger, in a frozen cgroup, or
//! about to be suspended. The time that a child is given is time in which it can run.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use legwork_tests::{program, raw};

/// More than the children are given.
const FROZEN: Duration = Duration::from_secs(3);

/// Who is frozen, and by what.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Freeze {
    Nobody,
    BySignal,
    BySignalTheChildAlone,
    ByCgroup,
    ByCgroupTheChildAlone,
}

/// A cgroup of version 2, which is removed when it is dropped.
struct Cgroup(PathBuf);

impl Cgroup {
    /// `None` where none can be made.
    fn new(name: &str) -> Option<Self> {
        let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
        let root = roots
            .iter()
            .find(|root| Path::new(root).join("cgroup.procs").exists())?;
        let own = Path::new(root).join(format!("legwork-{name}-{}", std::process::id()));
        fs::create_dir(&own).ok()?;
        let own = Cgroup(own);
        own.0.join("cgroup.freeze").exists().then_some(own)
    }

    fn write(&self, file: &str, text: impl ToString) {
        fs::write(self.0.join(file), text.to_string()).unwrap();
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        legwork_tests::until("it is empty", || fs::remove_dir(&self.0).is_ok());
    }
}

/// An app that is at `scene`, with its standard input held back.
fn app(scene: &str, folder: &Path) -> Child {
    let slow = folder.join("slow_worker");
    let script = format!(
        "#!/bin/sh\nsleep 0.3\nexec '{}' \"$@\"\n",
        program("worker").display()
    );
    fs::write(&slow, script).unwrap();
    fs::set_permissions(&slow, Permissions::from_mode(0o755)).unwrap();
    Command::new(program("frozen_app"))
        .arg(scene)
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[track_caller]
fn play(scene: &str, freeze: Freeze) {
    let by_cgroup = matches!(freeze, Freeze::ByCgroup | Freeze::ByCgroupTheChildAlone);
    let cgroup = by_cgroup
        .then(|| Cgroup::new(&format!("{scene}-{freeze:?}")))
        .flatten();
    if by_cgroup && cgroup.is_none() {
        println!("skipped: no cgroup can be made here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut app = app(scene, folder.path());
    if let (Some(cgroup), Freeze::ByCgroup) = (&cgroup, freeze) {
        cgroup.write("cgroup.procs", app.id());
    }
    app.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let mut line = String::new();
    BufReader::new(app.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let child: u32 = line.trim().parse().unwrap();
    sleep(Duration::from_millis(100));
    let app_too = freeze == Freeze::BySignal;
    match (freeze, &cgroup) {
        (Freeze::BySignal | Freeze::BySignalTheChildAlone, _) => {
            let both = [app.id(), child];
            let frozen = if app_too { &both[..] } else { &both[1..] };
            frozen
                .iter()
                .for_each(|pid| raw::signal(*pid, libc::SIGSTOP));
            sleep(FROZEN);
            for pid in frozen {
                raw::signal(*pid, libc::SIGCONT);
                // The app goes on first.
                sleep(Duration::from_millis(50));
            }
        }
        (_, Some(cgroup)) => {
            if freeze == Freeze::ByCgroupTheChildAlone {
                cgroup.write("cgroup.procs", child);
            }
            cgroup.write("cgroup.freeze", 1);
            sleep(FROZEN);
            cgroup.write("cgroup.freeze", 0);
        }
        _ => (),
    }
    let output = app.wait_with_output().unwrap();
    assert!(output.status.success(), "{scene}, {freeze:?}: {output:?}");
}

#[test]
fn a_program_that_was_frozen_with_the_app_is_not_stalled() {
    play("stall", Freeze::ByCgroup);
    play("stall", Freeze::ByCgroup);
    play("stall", Freeze::BySignal);
}

#[test]
fn a_program_that_somebody_has_stopped_is_not_stalled() {
    play("stall", Freeze::BySignalTheChildAlone);
    play("stall", Freeze::ByCgroupTheChildAlone);
    // The control: it is stalled when nobody keeps it from writing.
    play("silence", Freeze::Nobody);
    play("silence", Freeze::BySignal);
}

#[test]
fn a_job_that_was_frozen_is_not_stalled() {
    play("job", Freeze::ByCgroup);
    play("job", Freeze::BySignal);
    play("job", Freeze::BySignalTheChildAlone);
    play("job", Freeze::ByCgroupTheChildAlone);
}

#[test]
fn a_program_that_was_frozen_in_its_grace_has_the_rest_of_it() {
    play("grace", Freeze::ByCgroup);
    play("grace", Freeze::BySignal);
}

#[test]
fn a_worker_that_was_frozen_before_its_handshake_has_the_rest_of_its_time() {
    play("handshake", Freeze::ByCgroup);
    play("handshake", Freeze::BySignal);
}
