//! A child that cannot be started results in an error with the step, the error number and the path.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::{
        fd::OwnedFd,
        unix::fs::{OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use legwork::spawn::{Plan, Program, SpawnError, Step};
use legwork_tests::{program, sacrifice};
use tempfile::TempDir;

/// A folder for programs that do not work, for one test at a time.
///
/// While one thread writes a program, a child of another holds a copy of the open file until its exec, and then
/// "text file busy" would come from nowhere.
struct Folder {
    folder: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Folder {
    fn new() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        Self {
            _alone: ALONE.lock().unwrap_or_else(PoisonError::into_inner),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, mode: u32, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        let mut options = OpenOptions::new();
        let mut file = options
            .create_new(true)
            .write(true)
            .mode(mode)
            .open(&path)
            .unwrap();
        file.write_all(content).unwrap();
        path
    }
}

fn start(program: impl Into<PathBuf>) -> SpawnError {
    failure(Plan::new(Program::path(program)))
}

fn failure(plan: Plan) -> SpawnError {
    let error = match plan.spawn() {
        Err(error) => error,
        Ok(child) => panic!("a false success: process {}", child.pid()),
    };
    let wait = rustix::process::wait(rustix::process::WaitOptions::NOHANG);
    assert_eq!(
        wait.unwrap_err(),
        rustix::io::Errno::CHILD,
        "a zombie is left"
    );
    error
}

/// Step, error number, path and words of an error.
#[track_caller]
fn assert_says(error: &SpawnError, step: Step, errno: i32, path: &Path, words: &str) {
    assert_eq!(error.step(), step, "{error}");
    assert_eq!(error.errno(), Some(errno), "{error}");
    assert_eq!(error.path(), Some(path), "{error}");
    let sentence = error.to_string();
    assert!(sentence.contains(words), "{sentence}");
    assert!(sentence.contains(&format!("{path:?}")), "{sentence}");
    assert!(error.candidates().is_empty());
}

#[test]
fn a_missing_program() {
    let folder = Folder::new();
    let missing = folder.path("missing");
    assert_says(
        &start(&missing),
        Step::Program,
        libc::ENOENT,
        &missing,
        "does not exist",
    );
    let below = folder.file("file", 0o644, b"").join("below");
    assert_says(
        &start(&below),
        Step::Program,
        libc::ENOTDIR,
        &below,
        "cannot be reached",
    );
}

#[test]
fn a_link_to_nowhere_or_in_a_circle_as_program() {
    let folder = Folder::new();
    let nowhere = folder.path("nowhere");
    std::os::unix::fs::symlink("missing", &nowhere).unwrap();
    assert_says(
        &start(&nowhere),
        Step::Program,
        libc::ENOENT,
        &nowhere,
        "does not exist",
    );
    let circle = folder.path("circle");
    std::os::unix::fs::symlink("circle", &circle).unwrap();
    assert_says(
        &start(&circle),
        Step::Program,
        libc::ELOOP,
        &circle,
        "symbolic links",
    );
}

#[test]
fn a_directory_as_program() {
    let folder = Folder::new();
    let path = folder.folder.path();
    assert_says(
        &start(path),
        Step::Program,
        libc::EISDIR,
        path,
        "is a directory",
    );
}

#[test]
fn a_device_as_program() {
    let _alone = Folder::new();
    let null = Path::new("/dev/null");
    assert_says(
        &start(null),
        Step::Program,
        libc::EACCES,
        null,
        "is not a regular file",
    );
}

#[test]
fn a_file_that_is_not_executable_as_program() {
    let folder = Folder::new();
    let file = folder.file("file", 0o644, b"#!/bin/sh\n");
    assert_says(
        &start(&file),
        Step::Program,
        libc::EACCES,
        &file,
        "is not executable",
    );
}

#[test]
fn a_file_of_no_known_format_as_program() {
    let folder = Folder::new();
    for (name, content) in [
        ("empty", &b""[..]),
        ("garbage", b"\x01\x02\x03"),
        ("text", b"echo"),
    ] {
        let file = folder.file(name, 0o755, content);
        assert_says(&start(&file), Step::Execute, libc::ENOEXEC, &file, "format");
    }
}

#[test]
fn a_program_that_is_open_for_writing() {
    let folder = Folder::new();
    let content = fs::read(program("report")).unwrap();
    let file = folder.file("busy", 0o755, &content);
    let writer = OpenOptions::new().write(true).open(&file).unwrap();
    assert_says(
        &start(&file),
        Step::Execute,
        libc::ETXTBSY,
        &file,
        "open for writing",
    );
    // The control: the same file starts when nobody writes.
    drop(writer);
    let mut child = Plan::new(Program::path(&file)).spawn().unwrap();
    assert_eq!(child.wait().unwrap().status.code(), Some(2));
}

#[test]
fn a_script_whose_interpreter_is_missing_or_not_executable() {
    let folder = Folder::new();
    let missing = folder.path("interpreter");
    let script = format!("#! {} -x\n", missing.display());
    let script = folder.file("script", 0o755, script.as_bytes());
    let error = start(&script);
    assert_says(
        &error,
        Step::Interpreter,
        libc::ENOENT,
        &missing,
        "does not exist",
    );
    assert!(
        error.to_string().contains(&format!("{script:?}")),
        "{error}"
    );

    let plain = folder.file("interpreter", 0o644, b"");
    assert_says(
        &start(&script),
        Step::Interpreter,
        libc::EACCES,
        &plain,
        "is not executable",
    );
}

#[test]
fn a_binary_whose_dynamic_loader_is_missing() {
    let folder = Folder::new();
    let mut content = fs::read(program("report")).unwrap();
    let loader = b"/ld-linux";
    let at = content
        .windows(loader.len())
        .position(|bytes| bytes == loader)
        .unwrap();
    content[at + 1..at + 3].copy_from_slice(b"no");
    let start_of_name = content[..at].iter().rposition(|byte| *byte == 0).unwrap() + 1;
    let end = at + content[at..].iter().position(|byte| *byte == 0).unwrap();
    let name = String::from_utf8(content[start_of_name..end].to_vec()).unwrap();

    let file = folder.file("binary", 0o755, &content);
    let error = start(&file);
    assert_says(
        &error,
        Step::Interpreter,
        libc::ENOENT,
        Path::new(&name),
        "dynamic loader",
    );
}

#[test]
fn where_the_system_cannot_tell_the_candidates_are_listed() {
    let folder = Folder::new();
    // Scripts that are run by scripts: each is fine, and all together are too many.
    let mut interpreter = PathBuf::from("/bin/sh");
    for level in 0..8 {
        let script = format!("#!{}\n", interpreter.display());
        interpreter = folder.file(&format!("script{level}"), 0o755, script.as_bytes());
    }
    let error = start(&interpreter);
    assert_eq!(error.step(), Step::Child, "{error}");
    assert_eq!(error.errno(), Some(libc::ELOOP));
    let steps: Vec<_> = error
        .candidates()
        .iter()
        .map(|c| (c.step(), c.path()))
        .collect();
    assert_eq!(
        steps,
        [
            (Step::Program, Some(&*interpreter)),
            (Step::Interpreter, Some(&*folder.path("script6"))),
            (Step::DescriptorMap, Some(Path::new("/dev/null"))),
        ]
    );
    assert!(
        error
            .to_string()
            .contains("does not say which of these failed: the program"),
        "{error}"
    );
}

#[test]
fn a_missing_working_directory() {
    let folder = Folder::new();
    let missing = folder.path("missing");
    let error = failure(Plan::new(Program::name("true")).current_dir(&missing));
    assert_says(
        &error,
        Step::WorkingDirectory,
        libc::ENOENT,
        &missing,
        "does not exist",
    );
}

#[test]
fn a_file_as_working_directory() {
    let folder = Folder::new();
    let file = folder.file("file", 0o755, b"");
    let error = failure(Plan::new(Program::name("true")).current_dir(&file));
    assert_says(
        &error,
        Step::WorkingDirectory,
        libc::ENOTDIR,
        &file,
        "is not a directory",
    );
    let open = OwnedFd::from(File::open(&file).unwrap());
    let error = failure(Plan::new(Program::name("true")).current_dir_fd(open));
    assert_eq!(
        (error.step(), error.errno()),
        (Step::WorkingDirectory, Some(libc::ENOTDIR))
    );
}

#[test]
fn an_argument_that_is_too_long_is_named() {
    let _alone = Folder::new();
    let long = "x".repeat(32 * rustix::param::page_size());
    let error = failure(Plan::new(Program::name("true")).args(["a", "b", &long]));
    assert_eq!(
        (error.step(), error.errno()),
        (Step::Arguments, Some(libc::E2BIG))
    );
    assert!(
        error.to_string().starts_with("argument 3 is too long"),
        "{error}"
    );
    // The control: one byte less, as a NUL is counted.
    let plan = Plan::new(Program::name("true")).arg(&long[1..]);
    assert!(plan.spawn().unwrap().wait().unwrap().success());
}

#[test]
fn a_variable_that_is_too_long_is_named() {
    let _alone = Folder::new();
    let long = "x".repeat(32 * rustix::param::page_size());
    let error = failure(Plan::new(Program::name("true")).env("LONG", long));
    assert_eq!(
        (error.step(), error.errno()),
        (Step::Environment, Some(libc::E2BIG))
    );
    assert!(
        error
            .to_string()
            .contains(r#"the environment variable "LONG" is too long"#),
        "{error}"
    );
}

#[test]
fn too_many_arguments() {
    let _alone = Folder::new();
    let many = std::iter::repeat_n("x".repeat(1000), 20_000);
    let error = failure(Plan::new(Program::name("true")).args(many));
    assert_eq!(
        (error.step(), error.errno()),
        (Step::Arguments, Some(libc::E2BIG))
    );
    assert!(error.to_string().contains("20001 arguments"), "{error}");
}

#[test]
fn an_argument_with_a_nul_byte_is_named() {
    let _alone = Folder::new();
    let error = failure(Plan::new(Program::name("true")).args(["a", "b\0c"]));
    assert_eq!((error.step(), error.errno()), (Step::Arguments, None));
    assert_eq!(
        error.to_string(),
        r#"argument 2 contains a NUL byte: "b\0c""#
    );
}

#[test]
fn a_nul_byte_in_a_path_is_refused() {
    let _alone = Folder::new();
    let steps = [
        (start("/bin/tr\0ue"), Step::Program),
        (failure(Plan::new(Program::name("tr\0ue"))), Step::Program),
        (
            failure(Plan::new(Program::name("true")).current_dir("/t\0mp")),
            Step::WorkingDirectory,
        ),
        (
            failure(Plan::new(Program::name("true")).arg0("tr\0ue")),
            Step::Arguments,
        ),
    ];
    for (error, step) in steps {
        assert_eq!((error.step(), error.errno()), (step, None));
        assert!(error.to_string().contains("NUL byte"), "{error}");
    }
}

#[test]
fn a_name_is_searched_for_and_what_cannot_be_executed_is_passed_over() {
    let folder = Folder::new();
    let named = |path: &str| {
        Plan::new(Program::Name {
            name: "tool".into(),
            path: Some(path.into()),
        })
    };
    let [first, second] = ["first", "second"].map(|name| {
        fs::create_dir(folder.path(name)).unwrap();
        folder.path(name).display().to_string()
    });
    let path = format!("/nowhere:{first}:{second}");

    let error = failure(named(&path));
    assert_eq!(
        (error.step(), error.errno()),
        (Step::Program, Some(libc::ENOENT))
    );
    // A person reads a sentence, and a developer where it was searched for.
    assert_eq!(error.to_string(), r#"the program "tool" was not found"#);
    assert!(error.is_not_found());
    assert_eq!(error.searched().unwrap(), &*path);

    let plain = folder.file("first/tool", 0o644, b"");
    assert_says(
        &failure(named(&path)),
        Step::Program,
        libc::EACCES,
        &plain,
        "not executable",
    );

    fs::copy(program("report"), folder.path("second/tool")).unwrap();
    fs::set_permissions(
        folder.path("second/tool"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    let mut child = named(&path).spawn().unwrap();
    assert_eq!(child.wait().unwrap().status.code(), Some(2));
}

#[test]
fn an_empty_name_or_path_and_a_name_with_a_slash_are_refused() {
    let _alone = Folder::new();
    let sentence = |program: Program| {
        let error = failure(Plan::new(program));
        assert_eq!((error.step(), error.errno()), (Step::Program, None));
        error.to_string()
    };
    assert_eq!(
        sentence(Program::name("")),
        "the name of the program is empty"
    );
    assert_eq!(
        sentence(Program::path("")),
        "the path of the program is empty"
    );
    assert!(sentence(Program::name("bin/true")).contains("contains a slash"));
}

#[test]
fn a_script_by_descriptor_is_refused_as_it_would_fail_later() {
    let folder = Folder::new();
    let script = folder.file("script", 0o755, b"#!/bin/sh\n");
    let open = OwnedFd::from(File::open(script).unwrap());
    let error = failure(Plan::new(Program::Descriptor(open)));
    assert_eq!(error.step(), Step::Program);
    assert!(error.to_string().contains("script"), "{error}");
}

#[test]
fn the_error_becomes_an_io_error_of_the_same_kind() {
    let folder = Folder::new();
    let error = std::io::Error::from(start(folder.path("missing")));
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(error.to_string().contains("does not exist"));
}

#[test]
fn no_descriptors_left_in_the_app() {
    let _alone = Folder::new();
    sacrifice("spawn_without_spare");
}

#[test]
fn a_descriptor_that_is_snatched_from_the_pidfd_leaves_no_process() {
    let _alone = Folder::new();
    sacrifice("steal_the_last_descriptor");
}

#[test]
fn no_processes_left_for_the_user() {
    let _alone = Folder::new();
    sacrifice("start_at_the_process_limit");
}
