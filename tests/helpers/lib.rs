//! What the tests share: jobs, programs that misbehave, and functions to inspect a process.

pub mod bus;
pub mod context;
pub mod counted;
pub mod death;
pub mod display;
pub mod hostile;
pub mod jobs;
pub mod log_jobs;
pub mod poll;
pub mod programs;
pub mod raw;
pub mod report;
pub mod scene;
pub mod scene_jobs;
#[cfg(target_arch = "x86_64")]
pub mod tracer;
pub mod with_glib;

use std::{
    fs::File,
    io::{Read, Seek},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use legwork::spawn::{Plan, Program};

pub use context::is_alive;

/// Returns the path of a helper program, for tests and for helpers that start another.
pub fn program(name: &str) -> PathBuf {
    let here = std::env::current_exe().expect("the path of this program");
    // Tests are in `deps`, helper programs in the folder above.
    here.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("there is no helper program {name}"))
}

/// Runs a helper program that ruins its own process, and judges itself.
///
/// The helper starts without the open descriptors of the other tests in this process, which would disturb it.
pub fn sacrifice(name: &str) {
    sacrifice_with(name, &[]);
}

/// Runs a helper program with arguments in the same way.
pub fn sacrifice_with(name: &str, arguments: &[&str]) {
    let mut said = tempfile::tempfile().expect("a temporary file");
    let mut helper = Plan::new(Program::path(program(name)))
        .args(arguments.iter().copied())
        .stdout(duplicate(&said))
        .stderr(duplicate(&said))
        .spawn()
        .expect("the helper program starts");
    let exit = helper.wait().expect("nobody else waits for it");
    if !exit.success() {
        let mut words = String::new();
        said.rewind().expect("a file");
        let _ = said.read_to_string(&mut words);
        panic!("{name} {arguments:?}: {}\n{words}", exit.status);
    }
}

fn duplicate(file: &File) -> OwnedFd {
    file.try_clone().expect("a descriptor").into()
}

/// For helper programs: starts `report` by a plan, and again by the control, which returns the process id. The two
/// arguments are the paths of the reports.
pub fn order_reports(control: impl FnOnce(&Path) -> i32) {
    let mut files = std::env::args_os().skip(1).map(PathBuf::from);
    let (by_legwork, by_control) = (files.next().unwrap(), files.next().unwrap());
    let mut child = Plan::new(Program::path(program("report")))
        .arg(by_legwork)
        .spawn()
        .unwrap();
    assert!(child.wait().unwrap().success());
    let child = rustix::process::Pid::from_raw(control(&by_control));
    let options = rustix::process::WaitOptions::empty();
    let (_, status) = rustix::process::waitpid(child, options).unwrap().unwrap();
    assert_eq!(status.exit_status(), Some(0));
}

/// Returns whether the kernel remembers how a child ended that others have reaped: since Linux 6.15.
pub fn kernel_remembers_exits() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(15)) && raw::pidfds_have_info()
}

/// Waits until a condition is true. The timeout is generous, because the machine may be busy.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "still not: {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
