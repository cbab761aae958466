//! C6: a child that does not become what it was started for results in an outcome that says why, the same on every
//! route.

use std::fs;
use std::io::{IoSlice, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use legwork::spawn::{Plan, Program, Step};
use legwork::{Command, Error, ErrorKind, JobBuilder, State, Worker, prelude::*};
use legwork_tests::context::{run, state};
use legwork_tests::hostile::{Believe, kind, said, script, send};
use legwork_tests::jobs::Count;
use legwork_tests::programs::worker;
use legwork_tests::{program, sacrifice, until};

/// A program that is written while another test starts a child is busy for a moment: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an error says to a program: step, error number, path.
type Answer = (Option<Step>, Option<i32>, Option<PathBuf>);

fn answer(error: &Error) -> Answer {
    let path = error.spawn_error().and_then(|error| error.path());
    (error.step(), error.errno(), path.map(Path::to_owned))
}

fn count(worker: &Worker) -> JobBuilder<Count> {
    Count { to: 3 }.builder().worker(worker)
}

/// The loader that a program names, as `PT_INTERP`.
fn loader_of(program: &Path) -> PathBuf {
    let bytes = fs::read(program).unwrap();
    let words = bytes
        .split(|byte| *byte == 0)
        .filter_map(|word| str::from_utf8(word).ok());
    let loader = words.filter(|word| word.starts_with('/') && word.contains("/ld-"));
    loader.map(PathBuf::from).next().expect("a dynamic program")
}

#[test]
fn an_app_that_was_started_through_the_loader_runs_its_jobs() {
    let app = program("example_checksum");
    let loader = loader_of(&app);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("one"), "1").unwrap();
    let sums = |options: &[&str], app: &Path| {
        let mut through = std::process::Command::new(&loader);
        through.args(options).arg(app).arg(folder.path());
        let output = through.current_dir(app_folder()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let name = Path::new("./example_checksum");
    let plain = std::process::Command::new(&app)
        .arg(folder.path())
        .output()
        .unwrap()
        .stdout;
    assert!(plain.ends_with(b"one\n"), "{plain:?}");
    assert_eq!(sums(&[], &app), plain);
    assert_eq!(sums(&[], name), plain);
    assert_eq!(
        sums(&["--inhibit-cache", "--library-path", "/nowhere"], name),
        plain
    );
    assert_eq!(sums(&["--argv0", "another name"], name), plain);
}

/// Needs valgrind: where that is missing, this says so and shows nothing.
#[test]
fn an_app_in_valgrind_runs_its_jobs_or_is_told_what_valgrind_lacks() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("one"), "1").unwrap();
    let app = program("example_checksum");
    let mut in_valgrind = std::process::Command::new("valgrind");
    in_valgrind.arg("-q").arg(&app).arg(folder.path());
    let Ok(output) = in_valgrind.output() else {
        println!("C6: skipped, as valgrind is not installed");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => {
            let plain = std::process::Command::new(&app).arg(folder.path()).output();
            assert_eq!(output.stdout, plain.unwrap().stdout);
        }
        Some(1) => assert!(
            said.contains("in valgrind one that knows pidfd_open(2)"),
            "{said}"
        ),
        code => panic!("{code:?}: {said}"),
    }
    println!("C6: in valgrind: {:?}", output.status);
}

fn app_folder() -> PathBuf {
    program("example_checksum").parent().unwrap().to_owned()
}

/// A job whose worker is a program that does this instead.
fn no_worker(what: &str) -> JobBuilder<Count> {
    let program = Worker::program(env!("CARGO_BIN_EXE_no_worker"));
    count(&program).env("NO_WORKER", what)
}

/// The outcome of a job that did not start: its error, after a look at what everybody can see.
#[track_caller]
fn not_started<J>(job: JobBuilder<J>) -> Error
where
    J: legwork::Listed,
{
    let start = Instant::now();
    let error = run(|| async {
        let handle = job.spawn();
        let (status, pid) = (handle.status().clone(), handle.pid());
        let error = match handle.await {
            Err(error) => error,
            Ok(_) => panic!("a false success"),
        };
        assert_eq!(status.state(), State::Failed);
        assert_eq!(status.error(), Some(error.to_string()));
        if let Some(pid) = pid {
            assert_eq!(state(pid), None, "it is left, or a zombie of it");
        }
        error
    });
    assert_eq!(error.kind(), ErrorKind::Start, "{error:?}");
    assert!(!error.has_run());
    // Whatever happens, it happens long before the deadline that these tests give.
    assert!(start.elapsed() < PATIENCE / 2, "{error}");
    error
}

/// A deadline that is never reached.
const PATIENCE: Duration = Duration::from_secs(60);

#[track_caller]
fn assert_words(error: &Error, words: &[&str]) {
    let sentence = error.to_string();
    for part in words {
        assert!(sentence.contains(part), "no {part:?} in {sentence:?}");
    }
}

const HINT: &str = "Does its main begin with run_if_worker() or run_worker()?";

#[test]
fn what_no_program_is_gives_the_same_answer_on_every_route() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let file = |name: &str, mode: u32, content: &str| {
        fs::write(path(name), content).unwrap();
        fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
        path(name)
    };
    symlink("circle", path("circle")).unwrap();
    let missing = format!("#!{}\n", path("interpreter").display());
    let faults = [
        (path("missing"), Step::Program, libc::ENOENT),
        (folder.path().to_owned(), Step::Program, libc::EISDIR),
        (file("plain", 0o644, ""), Step::Program, libc::EACCES),
        (path("plain/below"), Step::Program, libc::ENOTDIR),
        (path("circle"), Step::Program, libc::ELOOP),
        (
            file("script", 0o755, &missing),
            Step::Interpreter,
            libc::ENOENT,
        ),
        (file("text", 0o755, "words"), Step::Execute, libc::ENOEXEC),
    ];
    for (program, step, errno) in faults {
        let plan = Plan::new(Program::path(&program)).spawn().unwrap_err();
        let expected = (
            Some(plan.step()),
            plan.errno(),
            plan.path().map(Path::to_owned),
        );
        assert_eq!((plan.step(), plan.errno()), (step, Some(errno)), "{plan}");

        let no_worker = Worker::program(&program);
        let command = || Command::new(&program).helper(&worker());
        let fails = |command: Command| run(|| command.output()).unwrap_err();
        let errors = [
            ("a job", not_started(count(&no_worker))),
            ("a program", fails(command())),
            ("a program by a helper", fails(command().umask(0o022))),
            (
                "a helper",
                fails(Command::new("true").helper(&no_worker).umask(0o022)),
            ),
            (
                "a helper of a guarded program",
                fails(Command::new("true").helper(&no_worker).guarded_from_birth()),
            ),
        ];
        for (route, error) in &errors {
            assert!(error.is_start(), "{route}: {error:?}");
            assert_eq!(answer(error), expected, "{route}: {error:?}");
            let words = plan.to_string();
            assert!(
                error.to_string().ends_with(&words),
                "{route}: {error}, {words}"
            );
        }
    }
}

#[test]
fn a_helper_that_cannot_do_its_part_names_the_step_and_the_number() {
    let _alone = alone();
    let long = "x".repeat(32 * rustix::param::page_size());
    let fails = |command: Command| {
        let command = command.helper(&worker()).umask(0o022);
        run(|| command.output()).unwrap_err()
    };
    let error = fails(Command::new("true").args(["a", &long]));
    assert_eq!(
        (error.step(), error.errno()),
        (Some(Step::Arguments), Some(libc::E2BIG))
    );
    assert_words(&error, &["argument 2 is too long"]);

    // Above what the kernel bears, whoever asks.
    let error = fails(Command::new("true").limit(legwork::Limit::OpenFiles, Some(2), Some(1)));
    assert_eq!(
        (error.step(), error.errno()),
        (Some(Step::Helper), Some(libc::EINVAL))
    );
    assert_words(&error, &["setting the limit RLIMIT_NOFILE"]);
}

#[test]
fn a_helper_that_is_no_worker_is_found_out() {
    let _alone = alone();
    for what in ["exit", "exit well", "die", "hang up"] {
        let command = Command::new("true").umask(0o022).env("NO_WORKER", what);
        let command = command.helper(&Worker::program(env!("CARGO_BIN_EXE_no_worker")));
        let start = Instant::now();
        let error = run(|| command.deadline(PATIENCE).output()).unwrap_err();
        assert!(error.is_start(), "{what}: {error:?}");
        assert!(start.elapsed() < PATIENCE / 2, "{what}: {error:?}");
        let hint = "Does its main begin with legwork::init(), run_if_worker() or run_worker()?";
        assert_words(&error, &["helper closed its control socket", hint]);
    }
}

#[test]
fn an_app_that_forgot_to_look_whether_it_is_a_worker() {
    let _alone = alone();
    let app = program("app_without_guardian");
    let error = not_started(count(&Worker::program(&app)).handshake_deadline(PATIENCE));
    assert_words(
        &error,
        &[&app.display().to_string(), "before it answered", HINT],
    );

    // This test is such an app, too; of itself it is known before anything is started.
    let error = not_started(Count { to: 1 }.builder());
    assert_words(&error, &["its main has not called run_if_worker()"]);
    assert_eq!(error.usage(), None, "a process has been started");
}

#[test]
fn a_worker_that_ends_before_the_handshake_is_not_waited_for() {
    let _alone = alone();
    let error = not_started(no_worker("exit").handshake_deadline(PATIENCE));
    assert_words(&error, &["no_worker", "ended with exit code 2", HINT]);
    assert_eq!(error.exit_code(), Some(2));
    assert_eq!(error.output_tail(), "usage: no_worker FILE\n");

    let error = not_started(no_worker("exit well").handshake_deadline(PATIENCE));
    assert_words(&error, &["ended with exit code 0", HINT]);

    let error = not_started(no_worker("die").handshake_deadline(PATIENCE));
    assert_words(&error, &["ended with SIGBUS", HINT]);
    assert_eq!(error.signal().unwrap().name(), "SIGBUS");
}

#[test]
fn a_worker_that_prints_instead_of_answering_is_none() {
    let _alone = alone();
    let error = not_started(no_worker("print").handshake_deadline(PATIENCE));
    assert_words(&error, &["ended with exit code 0", HINT]);
    // 8 KiB of bytes that are no UTF-8, each of which is told as a character of three.
    assert_eq!(error.output_tail(), "\u{FFFD}".repeat(8 * 1024));
}

#[test]
fn a_worker_that_says_something_else_is_a_protocol_fault() {
    let _alone = alone();
    let error = run(|| {
        no_worker("answer")
            .handshake_deadline(PATIENCE)
            .spawn()
            .into_future()
    });
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
    assert!(!error.has_run());
}

#[test]
fn a_worker_that_says_nothing_has_a_deadline() {
    let _alone = alone();
    for (what, words) in [
        ("hang", "did not answer within 200ms"),
        ("hang up", "closed its control socket"),
    ] {
        let deadline = Duration::from_millis(200);
        let error = not_started(no_worker(what).handshake_deadline(deadline));
        assert_words(&error, &["no_worker", words, HINT]);
        assert_eq!(error.signal().unwrap().name(), "SIGKILL");
    }
}

#[test]
fn one_that_is_stopped_while_it_says_nothing_is_cancelled() {
    let _alone = alone();
    let error = run(|| async {
        let job = no_worker("hang").handshake_deadline(PATIENCE);
        let job = job.grace(Duration::from_millis(50)).spawn();
        job.cancel();
        job.await.unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error:?}");
    assert!(!error.has_run());
}

#[test]
fn a_worker_of_another_build_is_refused_by_itself() {
    let _alone = alone();
    // It has a table of other jobs.
    let other = Worker::program(env!("CARGO_BIN_EXE_scene_worker"));
    let error = not_started(count(&other));
    assert_words(
        &error,
        &["scene_worker", "built from other sources", "build id"],
    );
}

#[test]
fn an_app_that_has_no_descriptor_left_after_the_start_does_not_lose_the_job() {
    let _alone = alone();
    sacrifice("full_at_the_handshake");
}

#[test]
fn a_worker_that_may_send_no_descriptor_says_so() {
    let _alone = alone();
    sacrifice("crowded_handshake");
}

#[test]
fn a_worker_of_another_protocol_says_which() {
    let _alone = alone();
    let (name, value) = script(&[send(said(kind::REFUSED, &(0u32, 9u32)))]);
    let hostile = Worker::program(env!("CARGO_BIN_EXE_hostile"));
    let error = not_started(Believe.builder().worker(&hostile).env(name, value));
    assert_words(
        &error,
        &["hostile", "speaks protocol 9", "this app speaks 4"],
    );
}

/// Starts the worker as an app of a later version would, and returns what it says.
fn greet(protocol: u32) -> Vec<u8> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    let hello = [
        &[1, 0][..],
        b"LEGWORK\n",
        &protocol.to_le_bytes(),
        // Role, level, flags, class, jobs, build.
        &[1, 3, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
    ]
    .concat();
    rustix::io::writev(&ours, &[IoSlice::new(&hello)]).unwrap();
    let mut child = Plan::new(Program::path(env!("CARGO_BIN_EXE_worker")))
        .fd(3, theirs)
        .spawn()
        .unwrap();
    let mut said = vec![0; 1000];
    let length = fs::File::from(ours).read(&mut said).unwrap();
    said.truncate(length);
    assert_eq!(child.wait().unwrap().status.code(), Some(1));
    said
}

#[test]
fn a_worker_that_is_greeted_by_another_version_says_which_it_is() {
    let _alone = alone();
    // Refused: another protocol, mine is 4.
    assert_eq!(greet(7), [kind::REFUSED, 0, 0, 4]);
    // Refused: another build, mine is so and so.
    assert_eq!(greet(4)[..3], [kind::REFUSED, 0, 1]);
}

#[test]
fn a_start_that_failed_leaves_the_app_able_to_start_others() {
    let _alone = alone();
    for what in ["exit", "die", "hang up"] {
        let deadline = Duration::from_millis(100);
        not_started(no_worker(what).handshake_deadline(deadline));
        assert_eq!(run(|| count(&worker()).spawn().into_future()).unwrap(), 3);
    }
    let nowhere = Worker::program("/nonexistent/worker");
    assert_eq!(not_started(count(&nowhere)).errno(), Some(libc::ENOENT));
    assert_eq!(run(|| count(&worker()).spawn().into_future()).unwrap(), 3);
    until("nothing is left of them", || {
        legwork::counters().workers == 0
    });
}
