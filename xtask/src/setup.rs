//! Installs what the system lacks.
//!
//! Only missing packages are installed. If the package manager is apt, it is called. For others, the packages are
//! printed, because nobody has tried those commands here, and the person who runs them should read them first.
//!
//! Every command is printed before it runs. A person at a terminal who is not root is asked first.

use std::io::{IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::needs::{Level, NEEDS, Need};
use crate::{cargo, say};

/// Whether a task may install packages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Install {
    Missing,
    Never,
}

/// Makes sure that what `level` needs is present, and installs what is missing if that is allowed.
pub(crate) fn ensure(level: Level, install: Install) -> Result<(), String> {
    let missing = missing(level);
    if missing.is_empty() {
        return Ok(());
    }
    list(&missing);

    if install == Install::Never {
        return settle(&missing, "--no-install was given, so nothing is installed");
    }
    match Manager::of_this_system() {
        Some(Manager::Apt) => install_by_apt(&missing)?,
        _ => return settle(&missing, "packages are installed only with apt"),
    }
    let missing = self::missing(level);
    if !missing.is_empty() {
        list(&missing);
    }
    settle(
        &missing,
        "the packages are installed but these are still missing, as on a system older than Debian 12",
    )
}

fn list(missing: &[&Need]) {
    say("missing on this system");
    for need in missing {
        let weight = if need.optional { " (optional)" } else { "" };
        eprintln!("    {}{weight}", need.what);
    }
}

/// Returns the needs of `level` that are not met.
fn missing(level: Level) -> Vec<&'static Need> {
    NEEDS
        .iter()
        .filter(|need| need.from <= level && !probe(need.probe))
        .collect()
}

fn probe(line: &str) -> bool {
    let quiet = Command::new("sh")
        .args(["-c", line])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    quiet.is_ok_and(|status| status.success())
}

/// Continues if everything that is missing is optional, and otherwise says what a person can do.
fn settle(missing: &[&'static Need], why: &str) -> Result<(), String> {
    if missing.iter().all(|need| need.optional) {
        return Ok(());
    }
    let advice = Manager::advice(missing);
    Err(format!(
        "cannot continue without them: {why}.\n{advice}Then run this task again."
    ))
}

/// The package managers whose package names are known.
#[derive(Clone, Copy)]
enum Manager {
    Apt,
    Dnf,
    Pacman,
}

impl Manager {
    const ALL: [Self; 3] = [Self::Apt, Self::Dnf, Self::Pacman];

    fn of_this_system() -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|manager| probe(&format!("command -v {}", manager.program())))
    }

    fn program(self) -> &'static str {
        match self {
            Self::Apt => "apt-get",
            Self::Dnf => "dnf",
            Self::Pacman => "pacman",
        }
    }

    fn packages(self, needs: &[&'static Need]) -> Vec<&'static str> {
        let of = |need: &'static Need| match self {
            Self::Apt => need.apt,
            Self::Dnf => need.dnf,
            Self::Pacman => need.pacman,
        };
        let mut packages: Vec<_> = needs.iter().flat_map(|need| of(need).split(' ')).collect();
        packages.sort_unstable();
        packages.dedup();
        packages
    }

    /// Returns the command that root would type.
    fn command_line(self, needs: &[&'static Need]) -> String {
        let install = match self {
            Self::Apt => "apt-get install --no-install-recommends",
            Self::Dnf => "dnf install",
            Self::Pacman => "pacman -S --needed",
        };
        format!("{install} {}", self.packages(needs).join(" "))
    }

    /// Returns the lines that tell a person what to type, on this system if it is known, otherwise on any.
    fn advice(needs: &[&'static Need]) -> String {
        let here = Self::of_this_system();
        let shown = here.map_or(Self::ALL.to_vec(), |manager| vec![manager]);
        let lines: String = shown
            .iter()
            .map(|manager| format!("    {}\n", manager.command_line(needs)))
            .collect();
        match here {
            Some(_) => format!("To install it, run as root:\n{lines}"),
            None => format!(
                "Install it with the system's package manager. On other systems, as root:\n{lines}"
            ),
        }
    }
}

/// How this process becomes root.
enum Root {
    Already,
    /// With sudo, which may ask for a password if there is a terminal.
    Sudo,
    No(&'static str),
}

impl Root {
    fn find() -> Self {
        // The owner of the process's own directory is the user it runs as; the standard library has no geteuid.
        if std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
            return Self::Already;
        }
        if !probe("command -v sudo") {
            return Self::No("installing needs root, and sudo is not available");
        }
        if !std::io::stdin().is_terminal() && !probe("sudo -n true") {
            return Self::No(
                "installing needs root, and there is no terminal to ask for a password",
            );
        }
        Self::Sudo
    }

    fn command(&self, program: &str) -> Command {
        let mut command = match self {
            Self::Sudo => Command::new("sudo"),
            _ => Command::new("env"),
        };
        if let Self::Sudo = self {
            command.arg("env");
        }
        command
            .args(["DEBIAN_FRONTEND=noninteractive", program])
            .stdin(Stdio::null());
        command
    }
}

fn install_by_apt(missing: &[&'static Need]) -> Result<(), String> {
    let root = Root::find();
    if let Root::No(why) = root {
        return settle(missing, why);
    }
    let packages = Manager::Apt.packages(missing);
    let stale = package_lists_are_stale();

    let sudo = if let Root::Sudo = root { "sudo " } else { "" };
    say("these commands will run");
    if stale {
        eprintln!("    {sudo}apt-get update");
    }
    eprintln!("    {sudo}{}", Manager::Apt.command_line(missing));
    if let Root::Sudo = root
        && std::io::stdin().is_terminal()
        && !confirmed()
    {
        return settle(missing, "the installation was declined");
    }

    let update = || {
        // If a third party's list cannot be fetched, that is no reason to stop: the packages come from the
        // distribution.
        if cargo::must(root.command("apt-get").arg("update")).is_err() {
            eprintln!("warning: some package lists could not be fetched");
        }
    };
    let install = || {
        cargo::must(
            root.command("apt-get")
                .args([
                    "install",
                    "--yes",
                    "--no-install-recommends",
                    "-o",
                    "DPkg::Lock::Timeout=300",
                ])
                .args(&packages),
        )
    };
    say("installing");
    if stale {
        update();
        return install().or_else(|error| settle(missing, &error));
    }
    install().or_else(|_| {
        // The lists may name versions that the archive no longer has.
        update();
        install().or_else(|error| settle(missing, &error))
    })
}

/// Whether the package lists are missing, as in a container image, or older than a day.
fn package_lists_are_stale() -> bool {
    let folder = Path::new("/var/lib/apt/lists");
    let is_list =
        |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().contains("_Packages");
    let listed = std::fs::read_dir(folder)
        .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(is_list)));
    // A list has the time at which the archive created it; the folder has the time at which a list was fetched.
    let fetched = std::fs::metadata(folder).and_then(|folder| folder.modified());
    !listed
        || fetched.is_ok_and(|at| {
            at.elapsed()
                .is_ok_and(|age| age > Duration::from_secs(24 * 60 * 60))
        })
}

fn confirmed() -> bool {
    eprint!("Continue? [Y/n] ");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    match std::io::stdin().read_line(&mut answer) {
        Ok(1..) => matches!(answer.trim().to_lowercase().as_str(), "" | "y" | "yes"),
        _ => false,
    }
}
