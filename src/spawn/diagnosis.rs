//! After a failed start: which of the steps in the child was it?
//!
//! `posix_spawn` returns one error number for all of them. This module looks at each step that can have given
//! this number. If it finds the fault, the error names it; if not, it lists them all.

use std::{
    ffi::{CStr, CString, OsStr},
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::{
    birth::Fault,
    error::{Candidate, SpawnError, Step, describe},
    plan::Checked,
    program,
};

/// The longest single string that execve(2) takes, with its NUL: 32 pages.
const PAGES_PER_STRING: usize = 32;

/// What was to be executed.
struct Tried<'a> {
    file: &'a Path,
    arguments: &'a [CString],
    /// What the child had to do before, unless it is known to have done it.
    before: Option<&'a Checked>,
}

/// A program that a helper could not execute.
pub(super) fn explain_execution(errno: i32, file: &Path, arguments: &[CString]) -> SpawnError {
    let before = None;
    in_the_child(
        errno,
        &Tried {
            file,
            arguments,
            before,
        },
    )
}

pub(super) fn explain(fault: Fault, plan: &Checked) -> SpawnError {
    match fault {
        Fault::Setter { call, errno } => SpawnError::failed(
            Step::Prepare,
            errno,
            format!("{call} failed: {}", describe(errno)),
        ),
        Fault::Pidfd { errno } => no_pidfd(errno, true),
        Fault::Spawn { errno } => {
            let tried = Tried {
                file: &plan.program.file,
                arguments: &plan.arguments,
                before: Some(plan),
            };
            in_the_child(errno, &tried)
        }
    }
}

/// `lost`: there was a child already.
pub(super) fn no_pidfd(errno: i32, lost: bool) -> SpawnError {
    let why = match errno {
        libc::EMFILE => "the app has no descriptor left (RLIMIT_NOFILE)",
        libc::ENFILE => "the system has no open file left",
        libc::ENOSYS => "the kernel has no pidfds; Linux 5.10 or newer is needed",
        libc::EPERM => "a sandbox forbids it",
        other => describe(other),
    };
    let after = if lost { "; the child was killed" } else { "" };
    SpawnError::failed(
        Step::Pidfd,
        errno,
        format!("there is no pidfd for the new process, as {why}{after}"),
    )
}

fn in_the_child(errno: i32, tried: &Tried<'_>) -> SpawnError {
    let file = tried.file;
    match errno {
        libc::E2BIG => too_big(tried),
        libc::EAGAIN => SpawnError::failed(
            Step::Process,
            errno,
            "no new process: the limit of processes is reached (RLIMIT_NPROC, or the cgroup's pids.max)",
        ),
        libc::ETXTBSY => SpawnError::failed(
            Step::Execute,
            errno,
            format!("the program {file:?} is open for writing"),
        )
        .at(file),
        libc::ENOEXEC => SpawnError::failed(
            Step::Execute,
            errno,
            format!("the program {file:?} has no format that this machine can execute"),
        )
        .at(file),
        libc::ENOENT | libc::ENOTDIR | libc::EACCES | libc::ELOOP => file_fault(errno, tried),
        other if tried.before.is_none() => SpawnError::failed(
            Step::Execute,
            errno,
            format!(
                "the program {file:?} could not be executed: {}",
                describe(other)
            ),
        )
        .at(file),
        libc::ENOMEM => SpawnError::failed(Step::Child, errno, unclear(errno)).or_any_of(vec![
            candidate(Step::Process, None),
            candidate(Step::Execute, Some(file)),
        ]),
        libc::EBADF | libc::EMFILE | libc::ENFILE => {
            SpawnError::failed(Step::Child, errno, unclear(errno)).or_any_of(vec![
                candidate(Step::DescriptorMap, None),
                candidate(Step::Execute, Some(file)),
            ])
        }
        _ => SpawnError::failed(Step::Child, errno, unclear(errno)).or_any_of(vec![
            candidate(Step::Process, None),
            candidate(Step::DescriptorMap, None),
            candidate(Step::Execute, Some(file)),
        ]),
    }
}

fn unclear(errno: i32) -> String {
    format!(
        "the new process did not reach its program: {}",
        describe(errno)
    )
}

fn candidate(step: Step, path: Option<&Path>) -> Candidate {
    Candidate {
        step,
        path: path.map(Path::to_owned),
    }
}

fn too_big(tried: &Tried<'_>) -> SpawnError {
    let longest = PAGES_PER_STRING * rustix::param::page_size();
    let too_long = |string: &CStr| string.to_bytes_with_nul().len() > longest;
    if let Some((index, argument)) = tried
        .arguments
        .iter()
        .enumerate()
        .find(|(_, s)| too_long(s))
    {
        let length = argument.as_bytes().len();
        return SpawnError::failed(
            Step::Arguments,
            libc::E2BIG,
            format!(
                "argument {index} is too long: {length} bytes, {} at most",
                longest - 1
            ),
        );
    }
    let environment = || {
        let strings = tried.before.map(|plan| plan.environment.iter());
        strings.into_iter().flatten()
    };
    if let Some(variable) = environment().find(|string| too_long(string)) {
        let bytes = variable.to_bytes();
        let name = bytes.split(|byte| *byte == b'=').next().unwrap_or(bytes);
        return SpawnError::failed(
            Step::Environment,
            libc::E2BIG,
            format!(
                "the environment variable {:?} is too long: {} bytes, {} at most",
                OsStr::from_bytes(name),
                bytes.len(),
                longest - 1
            ),
        );
    }
    // The kernel counts a pointer for each string, too.
    let size = |string: &CStr| string.to_bytes_with_nul().len() + size_of::<usize>();
    let arguments: usize = (tried.arguments.iter())
        .map(|argument| size(argument))
        .sum();
    let Some(plan) = tried.before else {
        // The same environment was not too much for the helper.
        return SpawnError::failed(
            Step::Arguments,
            libc::E2BIG,
            format!(
                "{} arguments of {arguments} bytes are, with the environment, more than the system takes (a \
                 quarter of RLIMIT_STACK)",
                tried.arguments.len(),
            ),
        );
    };
    let environment: usize = plan.environment.iter().map(size).sum();
    let step = if arguments >= environment {
        Step::Arguments
    } else {
        Step::Environment
    };
    SpawnError::failed(
        step,
        libc::E2BIG,
        format!(
            "{} arguments of {arguments} bytes and {} environment variables of {environment} bytes are \
             together more than the system takes (a quarter of RLIMIT_STACK)",
            plan.arguments.len(),
            plan.environment.len()
        ),
    )
}

/// A file was missing or forbidden: which one?
fn file_fault(errno: i32, tried: &Tried<'_>) -> SpawnError {
    let file = tried.file;
    let interpreter = program::head(file)
        .ok()
        .and_then(|head| interpreter(file, &head));
    if let Some((kind, path)) = &interpreter
        && let Some(why) = fault_of(path, errno)
    {
        return SpawnError::failed(
            Step::Interpreter,
            errno,
            format!("the {kind} {path:?} of the program {file:?} {why}"),
        )
        .at(path);
    }
    if let Some(why) = fault_of(file, errno) {
        return SpawnError::failed(Step::Program, errno, format!("the program {file:?} {why}"))
            .at(file);
    }
    let mut candidates = vec![candidate(Step::Program, Some(file))];
    candidates.extend(interpreter.map(|(_, path)| candidate(Step::Interpreter, Some(&path))));
    if let Some(plan) = tried.before {
        candidates.extend(
            plan.directory
                .as_ref()
                .map(|place| candidate(Step::WorkingDirectory, place.path())),
        );
        candidates.push(candidate(Step::DescriptorMap, Some(Path::new("/dev/null"))));
    }
    SpawnError::failed(Step::Child, errno, unclear(errno)).or_any_of(candidates)
}

/// Why this file would give this error number, if it still would.
fn fault_of(file: &Path, errno: i32) -> Option<&'static str> {
    let found = match fs::metadata(file) {
        Err(error) => error.raw_os_error()?,
        Ok(status) if !status.is_file() => libc::EACCES,
        Ok(_) => accessat(CWD, file, Access::EXEC_OK, AtFlags::EACCESS)
            .err()?
            .raw_os_error(),
    };
    (found == errno).then_some(match errno {
        libc::ENOENT => "does not exist",
        libc::EACCES => "is not executable",
        other => describe(other),
    })
}

/// What the kernel executes instead of, or together with, the file.
fn interpreter(file: &Path, head: &[u8]) -> Option<(&'static str, PathBuf)> {
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next()?.trim_ascii_start();
        let name = line.split(|byte| *byte == b' ' || *byte == b'\t').next()?;
        return Some(("interpreter", PathBuf::from(OsStr::from_bytes(name))));
    }
    elf_loader(file, head).map(|path| ("dynamic loader", path))
}

/// The `PT_INTERP` of a 64-bit little-endian ELF file; see elf(5).
fn elf_loader(file: &Path, head: &[u8]) -> Option<PathBuf> {
    const HEADER: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1];
    const PT_INTERP: u64 = 3;
    let number = |at: usize, bytes: usize| -> Option<u64> {
        let field = head.get(at..at.checked_add(bytes)?)?;
        Some(
            field
                .iter()
                .rev()
                .fold(0, |n, byte| n << 8 | u64::from(*byte)),
        )
    };
    if !head.starts_with(&HEADER) {
        return None;
    }
    let table = usize::try_from(number(32, 8)?).ok()?;
    let (size, count) = (number(54, 2)? as usize, number(56, 2)? as usize);
    for index in 0..count {
        let entry = table.checked_add(index * size)?;
        if number(entry, 4)? == PT_INTERP {
            let (offset, length) = (number(entry + 8, 8)?, number(entry + 32, 8)?);
            return read_string(file, offset, length);
        }
    }
    None
}

fn read_string(file: &Path, offset: u64, length: u64) -> Option<PathBuf> {
    use std::os::unix::fs::FileExt;
    let mut bytes = vec![0; usize::try_from(length.min(4096)).ok()?];
    fs::File::open(file)
        .ok()?
        .read_exact_at(&mut bytes, offset)
        .ok()?;
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some(PathBuf::from(OsStr::from_bytes(&bytes[..end])))
}
