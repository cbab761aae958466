//! Commands that cannot be carried out, and programs that misbehave. The result is a clear error before anything has
//! started, which says what is wrong and where, or a defined outcome.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use legwork::process::Signal;
use legwork::spawn::{MAX_TARGET, Step};
use legwork::{Command, ErrorKind, Limit, Secret, State, Stdio, Stop};
use legwork_tests::context::run;
use legwork_tests::programs::{command, sh, stage};
use legwork_tests::{sacrifice, scene};

fn null() -> OwnedFd {
    File::open("/dev/null").unwrap().into()
}

/// The start is refused at this step with these words, as it stands and by way of the helper, and nothing has run.
#[track_caller]
fn refused(step: Option<Step>, words: &[&str], complete: impl Fn(Command) -> Command) {
    for by_helper in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let touch = command("touch").arg(&mark);
        let handle = complete(if by_helper { touch.umask(0) } else { touch }).spawn();
        assert_eq!(handle.pid(), None);
        assert_eq!(handle.status().state(), State::Failed);
        let error = run(|| handle.into_future()).unwrap_err();
        assert!(error.is_start() && !error.has_run(), "{error:?}");
        assert_eq!(error.step(), step, "{error:?}");
        let said = error.to_string();
        for words in words {
            assert!(said.contains(words), "{said}: {words}");
        }
        assert!(!mark.exists());
    }
}

#[test]
fn a_nul_byte_is_refused_where_it_stands() {
    let nul = OsStr::from_bytes(b"a\0b");
    let shown = "a\\0b";
    let arguments = Some(Step::Arguments);
    refused(
        arguments,
        &["argument 2 contains a NUL byte", shown],
        |program| program.arg(nul),
    );
    refused(
        arguments,
        &["argument 0 contains a NUL byte", shown],
        |program| program.arg0(nul),
    );
    let environment = Some(Step::Environment);
    refused(environment, &["contains a NUL byte", shown], |program| {
        program.env(nul, "value")
    });
    refused(environment, &["\"PATH\" contains a NUL byte"], |program| {
        let path = OsStr::from_bytes(b"/bin\0:/usr/bin:/bin");
        program.env("PATH", path).search_own_path()
    });
    refused(environment, &["\"NAME\" contains a NUL byte"], |program| {
        program.env("NAME", nul)
    });
    let directory = Some(Step::WorkingDirectory);
    refused(
        directory,
        &["working directory contains a NUL byte"],
        |program| program.current_dir(Path::new(nul)),
    );
    for (name, words) in [
        (&b"a\0b"[..], "the name of the program contains a NUL byte"),
        (b"/bin/a\0b", "the path of the program contains a NUL byte"),
        (b"./a\0b", "the path of the program contains a NUL byte"),
    ] {
        refused(Some(Step::Program), &[words], |_| {
            command(OsStr::from_bytes(name))
        });
    }
}

#[test]
fn an_empty_program_is_refused() {
    refused(
        Some(Step::Program),
        &["program: the name of the program is empty"],
        |_| command(""),
    );
    for folder in ["/", "/usr", "./", ".."] {
        refused(Some(Step::Program), &["is a directory"], |_| {
            command(Path::new(folder).join(""))
        });
    }
}

#[test]
fn a_working_directory_that_is_none_is_refused() {
    let step = Some(Step::WorkingDirectory);
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path();
    let shown = format!("{path:?}");
    refused(step, &[&shown, "is not a directory"], |program| {
        program.current_dir(path)
    });
    let below = path.join("below");
    refused(step, &["below", "is not a directory"], |program| {
        program.current_dir(&below)
    });
    refused(
        step,
        &["given by descriptor", "is not a directory"],
        |program| program.current_dir_fd(File::open(path).unwrap()),
    );
    refused(step, &["/nonexistent", "does not exist"], |program| {
        program.current_dir("/nonexistent")
    });
    refused(step, &["\"\"", "does not exist"], |program| {
        program.current_dir("")
    });
}

#[test]
fn a_descriptor_number_that_cannot_be_is_refused() {
    let step = Some(Step::DescriptorMap);
    refused(step, &["descriptor 7", "given twice"], |program| {
        program.fd(7, null()).fd(7, null())
    });
    refused(step, &["descriptor 3", "given twice"], |program| {
        program.fd(3, null()).fd(3, null())
    });
    for standard in 0..=2 {
        let number = format!("descriptor {standard} ");
        let words = [&*number, "stdin(), stdout() or stderr()"];
        refused(step, &words, |program| program.fd(standard, null()));
    }
    refused(step, &["descriptor -1", "is negative"], |program| {
        program.fd(-1, null())
    });
    refused(
        step,
        &["descriptor -2147483648", "is negative"],
        |program| program.fd(i32::MIN, null()),
    );
    let above = MAX_TARGET + 1;
    refused(step, &["descriptor 1024", "is above 1023"], |program| {
        program.fd(above, null())
    });
    refused(step, &["is above 1023"], |program| {
        program.fd(i32::MAX, null())
    });
}

#[test]
fn a_variable_with_a_name_that_cannot_be_is_refused() {
    let step = Some(Step::Environment);
    refused(step, &["\"A=B\" has a '=' in its name"], |program| {
        program.env("A=B", "c")
    });
    refused(step, &["\"=\" has a '=' in its name"], |program| {
        program.env("=", "c")
    });
    refused(step, &["\"\" has an empty name"], |program| {
        program.env("", "c")
    });
    refused(step, &["\"A=\" has a '='"], |program| {
        program.envs([("GOOD", "1"), ("A=", "2")])
    });
    // To remove what cannot be there is no fault.
    run(|| async { sh("true").env_remove("").env_remove("A=B").spawn().await }).unwrap();
}

#[test]
fn standard_descriptors_that_make_no_sense_are_refused() {
    let step = Some(Step::DescriptorMap);
    let bytes = "Stdio::bytes() is for standard input only";
    refused(step, &[bytes], |program| program.stdout(Stdio::bytes("x")));
    refused(step, &[bytes], |program| program.stderr(Stdio::bytes("x")));
    let merged = "Stdio::merged() is for standard error only";
    refused(step, &[merged], |program| program.stdin(Stdio::merged()));
    refused(step, &[merged], |program| program.stdout(Stdio::merged()));
    refused(step, &["a secret of 65537 bytes", "65536"], |program| {
        program.secret(Secret::Env("FD".into()), vec![b'x'; 65_537])
    });
}

#[test]
fn too_many_or_too_long_arguments_and_variables_are_named() {
    // Found out by the kernel, in the new process: no handle has ever been without a process there.
    let page = rustix::param::page_size();
    let longest = 32 * page - 1;
    let long = "x".repeat(longest + 1);
    let many = vec!["x".repeat(1000); 20_000];
    run(|| async {
        for by_helper in [false, true] {
            let echo = |program: Command| if by_helper { program.umask(0) } else { program };
            let true_ = || echo(command("true"));
            for (program, step, words) in [
                (
                    true_().args(["a", &long]),
                    Step::Arguments,
                    "argument 2 is too long",
                ),
                (
                    true_().arg0(&long),
                    Step::Arguments,
                    "argument 0 is too long",
                ),
                (true_().args(&many), Step::Arguments, "20001 arguments of"),
                (
                    true_().env("LONG", &long),
                    Step::Environment,
                    "\"LONG\" is too long",
                ),
                (
                    true_().envs(
                        many.iter()
                            .enumerate()
                            .map(|(n, value)| (format!("N{n}"), value)),
                    ),
                    Step::Environment,
                    "environment variables of",
                ),
            ] {
                let error = program.spawn().await.unwrap_err();
                assert!(error.is_start() && !error.has_run(), "{error:?}");
                let said = error.to_string();
                assert_eq!(
                    (error.step(), error.errno()),
                    (Some(step), Some(libc::E2BIG))
                );
                assert!(said.contains(words), "{said}");
            }
            // The longest that there is.
            let fits = echo(command("printf"))
                .args(["%s", &long[1..]])
                .output()
                .await;
            assert_eq!(fits.unwrap().stdout.len(), longest);
        }
    });
}

#[test]
fn a_limit_that_may_not_be_given_is_named() {
    sacrifice("limit_above_the_hard_one");
    run(|| async {
        // Nobody may have a soft limit above the hard one.
        let error = sh("true")
            .limit(Limit::Core, Some(2), Some(1))
            .spawn()
            .await
            .unwrap_err();
        assert!(error.is_start() && !error.has_run(), "{error:?}");
        let said = error.to_string();
        assert!(
            said.contains("setting the limit RLIMIT_CORE failed: Invalid argument"),
            "{said}"
        );
    });
}

#[test]
fn times_of_nothing_and_without_end_are_times() {
    run(|| async {
        let none = Duration::ZERO;
        let sleep = || command("sleep").arg("1000");
        assert!(
            sleep()
                .deadline(none)
                .spawn()
                .await
                .unwrap_err()
                .is_timeout()
        );
        assert!(
            sleep()
                .stall_deadline(none)
                .output()
                .await
                .unwrap_err()
                .is_timeout()
        );
        let deaf = sh("trap '' TERM; echo deaf; while :; do sleep 0.01; done");
        let mut deaf = deaf
            .stdout(Stdio::piped())
            .stop(Stop::default().grace(none))
            .spawn();
        deaf.stdout().unwrap().chunk().await.unwrap();
        deaf.cancel();
        assert_eq!(deaf.await.unwrap_err().signal(), Some(Signal::KILL));
        let output = sh("echo all").drain(none).output().await.unwrap();
        assert_eq!(output.stdout, b"all\n");

        for time in [
            Duration::MAX,
            Duration::from_secs(u64::MAX / 2),
            Duration::from_secs(1 << 40),
        ] {
            let stop = Stop::default().grace(time);
            let echo = sh("echo all")
                .deadline(time)
                .stall_deadline(time)
                .drain(time);
            assert_eq!(
                echo.stop(stop.clone()).output().await.unwrap().stdout,
                b"all\n"
            );
            let sleep = sleep().stop(stop).spawn();
            sleep.cancel();
            assert!(sleep.await.unwrap_err().is_cancelled());
        }
    });
}

#[test]
fn a_program_that_closes_its_own_outputs_runs_on_and_its_end_is_told() {
    run(|| async {
        let quiet = sh("echo last; exec >&- 2>&-; read line; exit 3")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut quiet = quiet.spawn();
        let mut stdout = quiet.stdout().unwrap();
        assert_eq!(stdout.chunk().await.unwrap(), b"last\n");
        assert_eq!(stdout.chunk().await, None);
        assert_eq!(quiet.stderr().unwrap().chunk().await, None);
        assert!(quiet.pid().is_some() && quiet.try_exited().is_none());
        quiet.stdin().unwrap().write(b"go on\n").await.unwrap();
        let error = quiet.await.unwrap_err();
        assert_eq!(
            (error.kind(), error.exit_code()),
            (ErrorKind::Exit, Some(3))
        );

        // What collects does not take the end of the pipes for that of the program.
        let quiet = sh("echo last; exec >&- 2>&-; sleep 0.2; exit 4").success_codes([4]);
        let output = quiet.output().await.unwrap();
        assert_eq!(
            (output.stdout, output.status.code()),
            (b"last\n".to_vec(), Some(4))
        );
        // And it has written nothing since.
        let quiet = sh("exec >&- 2>&-; exec sleep 1000").stall_deadline(Duration::from_millis(50));
        assert!(quiet.output().await.unwrap_err().is_timeout());
    });
}

#[test]
fn a_program_that_writes_without_end_costs_the_app_a_bounded_piece_of_memory() {
    let seen = scene::control("endless_output");
    for (what, most) in [
        ("collected", 24),
        ("unread", 24),
        ("waiting", 24),
        ("line", 32),
    ] {
        let grown: u64 = seen.get(what);
        println!("{what}: {grown} KiB more at most");
        assert!(grown < most * 1024, "{what}: {grown} KiB");
    }
}

#[test]
fn a_program_that_comes_and_goes_is_run_or_named() {
    let folder = stage(
        "bad_commands",
        &[("there", 0o755, "#!/bin/sh\necho there\n")],
    );
    let (there, away) = (folder.join("there"), folder.join("away"));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                std::fs::rename(&there, &away).unwrap();
                std::thread::yield_now();
                std::fs::rename(&away, &there).unwrap();
                std::thread::yield_now();
            }
        });
        let (mut ran, mut missing) = (0, 0);
        run(|| async {
            for at in 0..400 {
                let program = command(&there);
                let program = if at % 4 == 0 {
                    program.umask(0)
                } else {
                    program
                };
                match program.output().await {
                    Ok(output) => {
                        assert_eq!(output.stdout, b"there\n");
                        ran += 1;
                    }
                    // The script was found, and gone when its shell opened it.
                    Err(error) if !error.is_start() => {
                        assert!(matches!(error.exit_code(), Some(2 | 127)), "{error:?}");
                        missing += 1;
                    }
                    Err(error) => {
                        assert!(!error.has_run());
                        let said = error.to_string();
                        assert!(
                            said.contains("does not exist")
                                || said.contains("No such file")
                                || said.contains("does not say"),
                            "{said}"
                        );
                        missing += 1;
                    }
                }
            }
        });
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        println!("{ran} ran, {missing} were missing");
    });
}
