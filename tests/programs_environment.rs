//! What a program gets besides its descriptors: arguments, environment, working directory.
//!
//! Covers the cases `env`, `env/inherit`, `launcher-environment` and `cwd` of GLib's `gsubprocess.c`, and the arguments
//! of `spawn-singlethread.c`. The whole table is in `docs/glib-test-cases.md`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use legwork::Command;
use legwork_tests::context::run;
use legwork_tests::programs::{command, reported, sh};
use legwork_tests::raw;
use legwork_tests::report::Report;

/// What a program finds that is started plainly, and then by way of the helper.
async fn both(complete: impl Fn(Command) -> Command) -> [Report; 2] {
    [
        reported(&complete).await.unwrap(),
        reported(|program| complete(program.umask(0o022)))
            .await
            .unwrap(),
    ]
}

fn variable<'a>(report: &'a Report, name: &str) -> Option<&'a OsStr> {
    report
        .environment
        .get(OsStr::new(name))
        .map(OsString::as_os_str)
}

#[test]
fn arguments_arrive_as_they_are_whatever_a_shell_would_make_of_them() {
    let odd = [
        "",
        " ",
        "two words",
        " before and after ",
        "\t\n",
        "line\nbreak",
        "'single'",
        "\"double\"",
        "\\\"both\\\\\"",
        "$HOME $(id) `id` ${x}",
        "%PATH% 100%",
        "back\\slash\\",
        "*?[a-z]{1,2}~",
        "--",
        "-",
        "&& ; | > < &",
        "ä\u{1F600}",
        "#no comment",
    ];
    let mut wanted: Vec<OsString> = odd.map(OsString::from).into();
    wanted.push(OsString::from_vec((1..=255).collect()));
    run(|| async {
        for report in both(|program| program.args(&wanted)).await {
            // Number 0 is the program's own name, number 1 the report's file.
            assert_eq!(report.arguments[2..], wanted[..]);
        }
        let output = command("printf")
            .arg("%s")
            .args(odd)
            .output()
            .await
            .unwrap();
        assert_eq!(output.stdout_utf8().unwrap(), odd.concat());
    });
}

#[test]
fn a_thousand_arguments_and_a_hundred_thousand_bytes_arrive() {
    run(|| async {
        let many: Vec<String> = (0..1000).map(|number| format!("{number:0100}")).collect();
        for report in both(|program| program.args(&many).arg("x".repeat(100_000))).await {
            assert_eq!(report.arguments.len(), 2 + 1000 + 1);
            assert_eq!(report.arguments[1001], *many[999]);
            assert_eq!(report.arguments[1002].len(), 100_000);
        }
    });
}

#[test]
fn its_own_name_is_the_program_as_it_was_written_or_what_is_said() {
    run(|| async {
        for report in both(|program| program.arg0("moo cow \u{1F404}")).await {
            assert_eq!(report.arguments[0], "moo cow \u{1F404}");
        }
        for report in both(|program| program.arg0("")).await {
            assert_eq!(report.arguments[0], "");
        }
        let name = |program: Command| program.args(["-c", "echo $0"]).output();
        assert_eq!(name(command("sh")).await.unwrap().stdout, b"sh\n");
        assert_eq!(name(command("/bin/sh")).await.unwrap().stdout, b"/bin/sh\n");
    });
}

#[test]
fn variables_are_set_over_each_other_and_removed_in_the_order_of_the_calls() {
    run(|| async {
        let base = [("ONE", "1"), ("TWO", "1"), ("THREE", "3"), ("FOUR", "1")];
        let complete = |program: Command| {
            let program = program.env("EARLY", "lost").env_clear().envs(base);
            program
                .env("TWO", "2")
                .env_remove("FOUR")
                .env_remove("FIVE")
                .env("FIVE", "=5=")
        };
        let told = complete(command("true"));
        let told: Vec<_> = told
            .get_envs()
            .map(|(name, value)| (name, value.unwrap_or_default()))
            .collect();
        let wanted = [
            ("FIVE", "=5="),
            ("FOUR", ""),
            ("ONE", "1"),
            ("THREE", "3"),
            ("TWO", "2"),
        ];
        assert_eq!(
            told,
            wanted.map(|(name, value)| (OsStr::new(name), OsStr::new(value)))
        );
        for report in both(complete).await {
            assert_eq!(variable(&report, "ONE").unwrap(), "1");
            assert_eq!(variable(&report, "TWO").unwrap(), "2");
            assert_eq!(variable(&report, "THREE").unwrap(), "3");
            assert_eq!(variable(&report, "FOUR"), None);
            assert_eq!(variable(&report, "FIVE").unwrap(), "=5=");
            assert_eq!(report.environment.len(), 4);
        }
    });
}

#[test]
fn what_is_inherited_can_be_removed_and_added_to() {
    run(|| async {
        // Two that every test of this package has from cargo.
        let (gone, stays) = ("CARGO_PKG_NAME", "CARGO_PKG_VERSION");
        assert!(std::env::var_os(gone).is_some());
        for report in both(|program| program.env_remove(gone).env("TWO", "2")).await {
            assert_eq!(variable(&report, gone), None);
            assert_eq!(variable(&report, stays), std::env::var_os(stays).as_deref());
            assert_eq!(variable(&report, "TWO").unwrap(), "2");
        }
        let script = format!("echo ${{{gone}-gone}} ${{{stays}-gone}} $E");
        let output = sh(&script)
            .env_remove(gone)
            .env("E", "F")
            .output()
            .await
            .unwrap();
        let version = std::env::var(stays).unwrap();
        assert_eq!(output.stdout_utf8().unwrap(), format!("gone {version} F\n"));
    });
}

#[test]
fn an_environment_may_be_empty_and_its_values_any_bytes() {
    run(|| async {
        for report in both(Command::env_clear).await {
            assert!(report.environment.is_empty(), "{:?}", report.environment);
        }
        let odd = OsString::from_vec((1..=255).collect());
        let name = OsStr::from_bytes(b"no \xff utf-8");
        for report in both(|program| program.env_clear().env(name, &odd).env("EMPTY", "")).await {
            assert_eq!(report.environment[name], odd);
            assert_eq!(report.environment[OsStr::new("EMPTY")], "");
        }
    });
}

#[test]
fn the_working_directory_is_the_apps_or_as_asked() {
    run(|| async {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let odd = folder.join(OsStr::from_bytes(b" odd\n\xff"));
        std::fs::create_dir(&odd).unwrap();
        let here = std::env::current_dir().unwrap();
        for report in both(|program| program).await {
            assert_eq!(report.directory, here);
        }
        for path in [&*folder, &odd, Path::new("/")] {
            for report in both(|program| program.current_dir(path)).await {
                assert_eq!(report.directory, path);
            }
            for report in both(|program| program.current_dir_fd(File::open(path).unwrap())).await {
                assert_eq!(report.directory, path);
            }
        }
        for report in both(|program| program.current_dir("..")).await {
            assert_eq!(report.directory, here.parent().unwrap());
        }
        let output = command("pwd").current_dir(&folder).output().await.unwrap();
        assert_eq!(
            output.stdout,
            [folder.as_os_str().as_bytes(), b"\n"].concat()
        );
    });
}

#[test]
fn no_signal_is_blocked_or_ignored_whatever_the_app_does() {
    // A thread of its own, whose mask goes with it. Rust ignores SIGPIPE in its programs, this one too.
    let thread = std::thread::spawn(|| {
        raw::block_every_signal();
        let app = Report::of_self().unwrap();
        assert_ne!(
            (app.blocked, app.ignored),
            (0, 0),
            "the control shows nothing"
        );
        run(|| both(|program| program))
    });
    for report in thread.join().unwrap() {
        assert_eq!((report.blocked, report.ignored, report.caught), (0, 0, 0));
    }
}

#[test]
fn a_command_tells_what_it_was_given() {
    let told = Command::new("program")
        .args(["a", "b"])
        .arg("c")
        .current_dir("/folder");
    assert_eq!(told.get_program(), "program");
    assert!(told.get_args().eq(["a", "b", "c"]));
    assert_eq!(told.get_current_dir(), Some(Path::new("/folder")));
    assert_eq!(Command::new("program").get_current_dir(), None);
}

#[test]
fn a_program_of_the_host_does_not_get_what_an_appimage_has_brought_along() {
    const INNER: &str = "LEGWORK_TEST_OF_AN_APPIMAGE";
    let test = "a_program_of_the_host_does_not_get_what_an_appimage_has_brought_along";
    let Some(bundle) = std::env::var_os(INNER) else {
        let bundle = tempfile::tempdir().unwrap();
        let [lib, bin] = ["usr/lib", "usr/bin"].map(|folder| bundle.path().join(folder));
        for folder in [&lib, &bin] {
            std::fs::create_dir_all(folder).unwrap();
        }
        // Nobody's libraries: a program that loads one of them does not start. Which of them bash needs differs.
        for name in ["libtinfo.so.6", "libreadline.so.8"] {
            std::fs::write(lib.join(name), "built for another system").unwrap();
        }
        let tool = bin.join("bash");
        std::fs::write(&tool, "#!/bin/sh\necho bundled\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&tool, mode).unwrap();
        let before = |folder: &Path, name| {
            let rest = std::env::var_os(name).unwrap_or_default();
            let all = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&rest));
            std::env::join_paths(all).unwrap()
        };
        let inner = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env(INNER, bundle.path())
            .env("APPDIR", bundle.path())
            .env("APPIMAGE", "/somewhere/Tool.AppImage")
            .env("LD_LIBRARY_PATH", before(&lib, "LD_LIBRARY_PATH"))
            .env("PATH", before(&bin, "PATH"))
            .output()
            .unwrap();
        assert!(inner.status.success(), "{inner:?}");
        // A name that no test has would be a success as well.
        let shown = String::from_utf8_lossy(&inner.stdout);
        assert!(shown.contains("1 passed"), "{shown}");
        return;
    };
    run(|| async {
        let host = |program: &str| command(program).host_environment();
        let output = host("bash").args(["-c", "echo host"]).output().await;
        assert_eq!(output.unwrap().stdout, b"host\n");
        // The control: the app's own programs get it, and what needs that library does not start.
        let output = command("bash").output().await;
        assert_eq!(output.unwrap().stdout, b"bundled\n");
        let broken = command("/bin/bash").args(["-c", ":"]).output().await;
        let error = broken.unwrap_err();
        let library = Path::new(&bundle).join("usr/lib/lib");
        let tail = error.output_tail();
        assert!(tail.contains(library.to_str().unwrap()), "{error:?}");

        let [plain, helped] = both(|program| program.host_environment().env("SET", &bundle)).await;
        for report in [plain, helped] {
            assert_eq!(variable(&report, "APPDIR"), None);
            assert_eq!(variable(&report, "APPIMAGE"), None);
            assert_eq!(variable(&report, "SET"), Some(&*bundle));
        }
    });
}
