//! What a process finds when it starts: the helper program `report` writes it to a file, and a test reads it.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use legwork::spawn::{Plan, Program, SpawnError};
use serde::{Deserialize, Serialize};

use crate::program;

/// A process as it sees itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its descriptors, as the links of `/proc/self/fd`.
    pub descriptors: BTreeMap<i32, PathBuf>,
    /// `flags:` of `/proc/self/fdinfo`, in octal.
    pub descriptor_flags: BTreeMap<i32, String>,
    /// Its arguments, including number 0.
    pub arguments: Vec<OsString>,
    /// Its environment.
    pub environment: BTreeMap<OsString, OsString>,
    /// Its working directory.
    #[serde(with = "legwork::path")]
    pub directory: PathBuf,
    /// Its id, and those of its parent, group and session.
    pub pid: i32,
    /// The process that started it.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Its session.
    pub session: i32,
    /// `SigBlk` of `/proc/self/status`: bit 0 is signal 1.
    pub blocked: u64,
    /// `SigIgn`.
    pub ignored: u64,
    /// `SigCgt`.
    pub caught: u64,
    /// `/proc/self/limits`.
    pub limits: String,
}

impl Report {
    /// Inspects the calling process. Opens nothing that would be in the report.
    pub fn of_self() -> io::Result<Self> {
        let (descriptors, descriptor_flags) = own_descriptors()?;
        let status = fs::read_to_string("/proc/self/status")?;
        let bits = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            u64::from_str_radix(line.unwrap_or_default().trim(), 16)
                .map_err(|error| io::Error::other(format!("{name} {error}")))
        };
        let (group, session) = crate::raw::group_and_session();
        Ok(Self {
            descriptors,
            descriptor_flags,
            arguments: std::env::args_os().collect(),
            environment: std::env::vars_os().collect(),
            directory: std::env::current_dir()?,
            pid: rustix::process::getpid().as_raw_nonzero().get(),
            parent: rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get()),
            group,
            session,
            blocked: bits("SigBlk:")?,
            ignored: bits("SigIgn:")?,
            caught: bits("SigCgt:")?,
            limits: fs::read_to_string("/proc/self/limits")?,
        })
    }

    /// Writes the report to a file.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        fs::write(path, postcard::to_stdvec(self).map_err(io::Error::other)?)
    }

    /// Reads what [`write`](Self::write) wrote.
    pub fn read(path: &Path) -> io::Result<Self> {
        postcard::from_bytes(&fs::read(path)?).map_err(io::Error::other)
    }

    /// Returns the descriptors above 2.
    pub fn beyond_standard(&self) -> BTreeMap<i32, PathBuf> {
        self.descriptors
            .range(3..)
            .map(|(number, link)| (*number, link.clone()))
            .collect()
    }
}

type Descriptors = (BTreeMap<i32, PathBuf>, BTreeMap<i32, String>);

fn own_descriptors() -> io::Result<Descriptors> {
    let numbers: Vec<String> = fs::read_dir("/proc/self/fd")?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<_>>()?;
    let mut links = BTreeMap::new();
    let mut flags = BTreeMap::new();
    for name in numbers {
        // It is the directory that was just read, and no longer exists.
        let Ok(link) = fs::read_link(format!("/proc/self/fd/{name}")) else {
            continue;
        };
        let details = fs::read_to_string(format!("/proc/self/fdinfo/{name}"))?;
        let found = details.lines().find_map(|line| line.strip_prefix("flags:"));
        let number = name.parse().map_err(io::Error::other)?;
        links.insert(number, link);
        flags.insert(number, found.unwrap_or_default().trim().to_owned());
    }
    Ok((links, flags))
}

/// Creates a plan for the program `report`, and the path of its report.
pub fn report_plan() -> (Plan, tempfile::TempPath) {
    let file = tempfile::NamedTempFile::new()
        .expect("a temporary file")
        .into_temp_path();
    let plan = Plan::new(Program::path(program("report"))).arg(file.as_os_str());
    (plan, file)
}

/// Starts `report` by a plan that the test completes, and returns its report.
pub fn report(complete: impl FnOnce(Plan) -> Plan) -> Result<Report, SpawnError> {
    let (plan, file) = report_plan();
    let mut child = complete(plan).spawn()?;
    let exit = child.wait().expect("nobody else waits for it");
    assert!(exit.success(), "the report ended with {}", exit.status);
    Ok(Report::read(&file).expect("a whole report"))
}

/// Starts the same program by `std::process::Command`: the control.
pub fn report_by_std(
    complete: impl FnOnce(&mut std::process::Command) -> &mut std::process::Command,
) -> Report {
    let (_, file) = report_plan();
    let mut command = std::process::Command::new(program("report"));
    let status = complete(command.arg(file.as_os_str()))
        .status()
        .expect("the control starts");
    assert!(status.success(), "the control ended with {status}");
    Report::read(&file).expect("a whole report")
}

/// Returns how a descriptor appears in a report.
pub fn link(descriptor: impl AsFd) -> PathBuf {
    use std::os::fd::AsRawFd;
    let number = descriptor.as_fd().as_raw_fd();
    fs::read_link(format!("/proc/self/fd/{number}")).expect("an open descriptor")
}
