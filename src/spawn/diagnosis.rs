//! After a failed start: which of the steps in the child failed?
//!
//! `posix_spawn` returns one error number for all of them. This module checks each step that can
//! have caused that number. If it finds the fault, the error names it; if not, it lists them all.

use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::checked::Checked;
use super::error::{Candidate, SpawnError, Step, describe};
use super::posix_spawn::Fault;
use super::program::{self, Located};
use crate::text::{Text, text};

/// The longest single string that execve(2) takes, with its NUL: 32 pages.
const PAGES_PER_STRING: usize = 32;

/// An execution that failed.
struct Attempt<'a> {
    program: &'a Located,
    arguments: &'a [CString],
    /// What the child had to do before, unless it is known to have done it.
    plan: Option<&'a Checked>,
}

impl Attempt<'_> {
    fn failed(&self, step: Step, errno: i32, sentence: Text) -> SpawnError {
        SpawnError::failed(step, errno, sentence).at(&self.program.file)
    }
}

/// A helper could not execute the program.
pub(super) fn explain_execution(
    errno: i32,
    program: &Located,
    arguments: &[CString],
) -> SpawnError {
    let attempt = Attempt {
        program,
        arguments,
        plan: None,
    };
    in_the_child(errno, &attempt)
}

pub(super) fn explain(fault: Fault, plan: &Checked) -> SpawnError {
    match fault {
        Fault::Setter { call, errno } => SpawnError::failed(
            Step::Prepare,
            errno,
            text!(
                "{call} failed: {error}",
                call = call,
                error = describe(errno)
            ),
        ),
        Fault::Pidfd { errno } => SpawnError::no_pidfd(errno, true),
        Fault::Spawn { errno } => {
            let attempt = Attempt {
                program: &plan.program,
                arguments: &plan.arguments,
                plan: Some(plan),
            };
            in_the_child(errno, &attempt)
        }
    }
}

fn in_the_child(errno: i32, attempt: &Attempt<'_>) -> SpawnError {
    let file = &*attempt.program.file;
    match errno {
        libc::E2BIG => too_big(attempt),
        libc::EAGAIN => SpawnError::failed(
            Step::Process,
            errno,
            text!(
                "no process could be created: the limit of processes is reached (RLIMIT_NPROC, or \
                 the cgroup's pids.max)"
            ),
        ),
        libc::ETXTBSY => attempt.failed(
            Step::Execute,
            errno,
            text!(
                "the program {file} is open for writing",
                file = Text::quoted(file)
            ),
        ),
        libc::ENOEXEC => attempt.failed(
            Step::Execute,
            errno,
            text!(
                "the program {file} has no format that this system can execute; a script needs a \
                 first line that names its interpreter, such as #!/bin/sh",
                file = Text::quoted(file)
            ),
        ),
        libc::ENOENT | libc::ENOTDIR | libc::EACCES | libc::ELOOP => file_fault(errno, attempt),
        _ if attempt.plan.is_none() => attempt.failed(
            Step::Execute,
            errno,
            text!(
                "the program {file} could not be executed: {error}",
                file = Text::quoted(file),
                error = describe(errno)
            ),
        ),
        libc::ENOMEM => unclear(errno).with_candidates(vec![
            candidate(Step::Process, None),
            candidate(Step::Execute, Some(file)),
        ]),
        libc::EBADF | libc::EMFILE | libc::ENFILE => unclear(errno).with_candidates(vec![
            candidate(Step::DescriptorMap, None),
            candidate(Step::Execute, Some(file)),
        ]),
        _ => unclear(errno).with_candidates(vec![
            candidate(Step::Process, None),
            candidate(Step::DescriptorMap, None),
            candidate(Step::Execute, Some(file)),
        ]),
    }
}

fn unclear(errno: i32) -> SpawnError {
    let sentence = text!(
        "the new process did not execute its program: {error}",
        error = describe(errno)
    );
    SpawnError::failed(Step::Child, errno, sentence)
}

fn candidate(step: Step, path: Option<&Path>) -> Candidate {
    Candidate {
        step,
        path: path.map(Path::to_owned),
    }
}

fn too_big(attempt: &Attempt<'_>) -> SpawnError {
    let failed = |step, sentence| SpawnError::failed(step, libc::E2BIG, sentence);
    let longest = PAGES_PER_STRING * rustix::param::page_size();
    let too_long = |string: &CStr| string.to_bytes_with_nul().len() > longest;
    let mut arguments = attempt.arguments.iter().enumerate();
    if let Some((index, argument)) = arguments.find(|(_, argument)| too_long(argument)) {
        let sentence = text!(
            "argument {index} is too long: {length} bytes, where {most} are allowed",
            index = index,
            length = argument.as_bytes().len(),
            most = longest - 1
        );
        return failed(Step::Arguments, sentence);
    }
    let environment = || {
        let strings = attempt.plan.map(|plan| plan.environment.iter());
        strings.into_iter().flatten()
    };
    if let Some(variable) = environment().find(|string| too_long(string)) {
        let bytes = variable.to_bytes();
        let name = bytes.split(|byte| *byte == b'=').next().unwrap_or(bytes);
        let sentence = text!(
            "the environment variable {name} is too long: {length} bytes, where {most} are allowed",
            name = Text::quoted(OsStr::from_bytes(name)),
            length = bytes.len(),
            most = longest - 1
        );
        return failed(Step::Environment, sentence);
    }
    // The kernel counts a pointer for each string as well.
    let size = |string: &CStr| string.to_bytes_with_nul().len() + size_of::<usize>();
    let count = attempt.arguments.len();
    let arguments: usize = attempt.arguments.iter().map(|string| size(string)).sum();
    let Some(plan) = attempt.plan else {
        // The same environment was not too much for the helper.
        let sentence = text!(
            "{count} arguments of {bytes} bytes are, with the environment, more than the system \
             allows (a quarter of RLIMIT_STACK)",
            count = count,
            bytes = arguments
        );
        return failed(Step::Arguments, sentence);
    };
    let environment: usize = plan.environment.iter().map(size).sum();
    let step = if arguments >= environment {
        Step::Arguments
    } else {
        Step::Environment
    };
    let sentence = text!(
        "{count} arguments of {bytes} bytes and {variables} environment variables of \
         {variable_bytes} bytes are together more than the system allows (a quarter of \
         RLIMIT_STACK)",
        count = count,
        bytes = arguments,
        variables = plan.environment.len(),
        variable_bytes = environment
    );
    failed(step, sentence)
}

/// A file was missing or forbidden: which one?
fn file_fault(errno: i32, attempt: &Attempt<'_>) -> SpawnError {
    let (file, path) = (&*attempt.program.file, attempt.program.path());
    let interpreter = program::head(path)
        .ok()
        .and_then(|head| Interpreter::of(path, &head));
    if let Some(interpreter) = &interpreter
        && let Some(sentence) = fault_of(interpreter.path(), errno, interpreter.text(file))
    {
        return SpawnError::failed(Step::Interpreter, errno, sentence).at(interpreter.path());
    }
    let program = text!("the program {file}", file = Text::quoted(file));
    if let Some(sentence) = fault_of(path, errno, program) {
        return attempt.failed(Step::Program, errno, sentence);
    }
    let mut candidates = vec![candidate(Step::Program, Some(file))];
    candidates.extend(interpreter.map(|it| candidate(Step::Interpreter, Some(it.path()))));
    if let Some(plan) = attempt.plan {
        candidates.extend(
            plan.directory
                .as_ref()
                .map(|directory| candidate(Step::WorkingDirectory, directory.path())),
        );
        candidates.push(candidate(Step::DescriptorMap, Some(Path::new("/dev/null"))));
    }
    unclear(errno).with_candidates(candidates)
}

/// What is wrong with this file, which people know as `shown`, if it causes this error number.
fn fault_of(file: &Path, errno: i32, shown: Text) -> Option<Text> {
    let found = match fs::metadata(file) {
        Err(error) => error.raw_os_error()?,
        Ok(status) if !status.is_file() => libc::EACCES,
        Ok(_) => program::access(file).err()?,
    };
    (found == errno).then(|| match errno {
        libc::ENOENT => text!("{file} does not exist", file = shown),
        libc::EACCES => text!("{file} is not executable", file = shown),
        other => text!(
            "{file} cannot be executed: {error}",
            file = shown,
            error = describe(other)
        ),
    })
}

/// What the kernel executes instead of the file, or with it.
enum Interpreter {
    /// Of a script (`#!`).
    Script(PathBuf),
    /// The dynamic loader of a binary.
    Loader(PathBuf),
}

impl Interpreter {
    fn of(file: &Path, head: &[u8]) -> Option<Self> {
        if let Some(line) = head.strip_prefix(b"#!") {
            let line = line.split(|byte| *byte == b'\n').next()?.trim_ascii_start();
            let name = line.split(|byte| *byte == b' ' || *byte == b'\t').next()?;
            return Some(Self::Script(PathBuf::from(OsStr::from_bytes(name))));
        }
        elf_loader(file, head).map(Self::Loader)
    }

    fn path(&self) -> &Path {
        let (Self::Script(path) | Self::Loader(path)) = self;
        path
    }

    fn text(&self, program: &Path) -> Text {
        let (path, file) = (Text::quoted(self.path()), Text::quoted(program));
        match self {
            Self::Script(_) => text!(
                "the interpreter {path} of the program {file}",
                path = path,
                file = file
            ),
            Self::Loader(_) => text!(
                "the dynamic loader {path} of the program {file}",
                path = path,
                file = file
            ),
        }
    }
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
