//! Which program a name refers to, and the error if there is none.
//!
//! Covers GLib's `spawn-path-search.c`, the cases `search-path`, `search-path-from-envp` and `fail-initialization` of
//! `gsubprocess.c`, and the scripts and missing programs of `spawn-singlethread.c` and `spawn-test.c`. The whole table
//! is in `docs/glib-test-cases.md`.

use std::path::PathBuf;
use std::process::{Command as StdCommand, Output};
use std::sync::LazyLock;

use legwork::spawn::Step;
use legwork_tests::context::run;
use legwork_tests::programs::{command, stage};

/// What the tests search for: `tool` tells where it was found, and its exit code says so again.
static STAGE: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = stage(
        "programs_search",
        &[
            ("one/tool", 0o755, "#!/bin/sh\necho one $#\nexit 1\n"),
            ("two/tool", 0o755, "#!/bin/sh\necho two $#\nexit 2\n"),
            ("here/tool", 0o755, "#!/bin/sh\necho here $#\nexit 3\n"),
            ("here/inner/tool", 0o755, "#!/bin/sh\necho inner\nexit 4\n"),
            ("plain/tool", 0o644, "#!/bin/sh\nexit 5\n"),
            ("folder/tool/file", 0o644, ""),
            (
                "scripts/option",
                0o755,
                "#!/bin/sh -e\necho \"$1\"; false; echo no\n",
            ),
            ("scripts/argument0", 0o755, "#!/bin/sh\necho \"$0\"\n"),
            (
                "scripts/no-line",
                0o755,
                "echo text without a first line of its own\n",
            ),
            ("scripts/lost", 0o755, "#!/no/such/interpreter -x\n"),
        ],
    );
    std::fs::create_dir_all(folder.join("empty")).unwrap();
    folder
});

fn folder(name: &str) -> String {
    STAGE.join(name).to_str().unwrap().to_owned()
}

/// An app in the folder `here`, with this `PATH`, that starts the program of a name.
fn app(path: Option<&str>, arguments: &[&str]) -> Output {
    let mut app = StdCommand::new(env!("CARGO_BIN_EXE_start_by_name"));
    app.args(arguments).current_dir(folder("here"));
    match path {
        Some(path) => app.env("PATH", path),
        None => app.env_remove("PATH"),
    };
    app.output().unwrap()
}

/// What the program that was found says, or what is said instead, and how the app exits.
fn found(path: Option<&str>, arguments: &[&str]) -> (String, i32) {
    let output = app(path, arguments);
    // Another user may not find the helper, and is warned of that; a shell misses its folder.
    let warned = ["--not-as-root", "--nowhere"];
    let warned = warned.iter().any(|option| arguments.contains(option));
    assert!(warned || output.stderr.is_empty(), "{output:?}");
    let words = String::from_utf8(output.stdout).unwrap();
    (words.trim_end().to_owned(), output.status.code().unwrap())
}

fn is_found(path: Option<&str>, arguments: &[&str], words: &str, code: i32) {
    assert_eq!(found(path, arguments), (words.to_owned(), code));
}

const NOT_STARTED: i32 = 99;

fn is_not_found(path: Option<&str>, arguments: &[&str]) {
    let (words, code) = found(path, arguments);
    assert_eq!(code, NOT_STARTED, "{words}");
    assert!(words.contains("Some(Program) Some(2)"), "{words}");
    assert!(
        words.contains("the program \"tool\" was not found"),
        "{words}"
    );
}

#[test]
fn a_name_is_searched_for_in_the_apps_path() {
    let path = [folder("empty"), folder("one"), folder("two")].join(":");
    is_found(Some(&path), &["tool"], "one 0", 1);
}

#[test]
fn the_path_that_the_program_gets_is_not_searched() {
    let (one, two) = (folder("one"), folder("two"));
    is_found(Some(&one), &["--path", &two, "tool"], "one 0", 1);
    is_found(Some(&one), &["--no-path", "tool"], "one 0", 1);
}

#[test]
fn the_path_that_the_program_gets_is_searched_when_that_is_asked_for() {
    let (one, two) = (folder("one"), folder("two"));
    is_found(
        Some(&one),
        &["--own-path", "--path", &two, "tool"],
        "two 0",
        2,
    );
    // One that it inherits is its own, too.
    is_found(Some(&one), &["--own-path", "tool"], "one 0", 1);
    let empty = folder("empty");
    is_not_found(Some(&one), &["--own-path", "--path", &empty, "tool"]);
}

#[test]
fn a_name_with_a_slash_is_not_searched_for() {
    let one = folder("one");
    is_found(Some(&one), &["./tool"], "here 0", 3);
    is_found(Some(&one), &["inner/tool"], "inner", 4);
    // From the app's folder, whatever folder the program is given.
    is_found(Some(&one), &["--dir", &one, "./tool"], "here 0", 3);
    let (words, code) = found(Some(&one), &["./missing"]);
    assert_eq!(code, NOT_STARTED);
    assert!(words.contains("here/./missing\" does not exist"), "{words}");
}

#[test]
fn without_a_path_the_systems_folders_are_searched_and_the_current_one_is_not() {
    let one = folder("one");
    for (path, options) in [
        (None, &["--path", &one][..]),
        (None, &[]),
        (Some(&*one), &["--own-path", "--no-path"]),
        (None, &["--own-path"]),
    ] {
        let arguments = |name| [options, &[name]].concat();
        is_found(path, &arguments("true"), "", 0);
        is_not_found(path, &arguments("tool"));
    }
}

#[test]
fn an_empty_entry_of_the_path_is_the_apps_folder() {
    let one = folder("one");
    for path in [
        format!(":{one}"),
        format!("{}::{one}", folder("empty")),
        String::new(),
    ] {
        is_found(Some(&path), &["--dir", &one, "tool"], "here 0", 3);
        is_found(None, &["--own-path", "--path", &path, "tool"], "here 0", 3);
    }
    is_found(Some(&format!("{one}:")), &["tool"], "one 0", 1);
}

#[test]
fn a_relative_entry_of_the_path_counts_from_the_apps_folder() {
    let one = folder("one");
    is_found(Some("inner"), &["--dir", &one, "tool"], "inner", 4);
    is_found(Some("../two"), &["--dir", &one, "tool"], "two 0", 2);
    is_found(
        None,
        &["--own-path", "--path", "../two", "--dir", &one, "tool"],
        "two 0",
        2,
    );
}

#[test]
fn an_entry_of_the_path_that_leads_nowhere_is_passed_over_as_a_shell_does() {
    let two = folder("two");
    let path = format!("node_modules/.bin::{two}");
    for options in [&["--nowhere"][..], &["--nowhere", "--dir", "/"]] {
        is_found(Some(&path), &[options, &["tool"]].concat(), "two 0", 2);
    }
    is_not_found(Some("node_modules/.bin:"), &["--nowhere", "tool"]);
    // Neither is one that is too long, or a link in a circle.
    let circle = STAGE.join("circle");
    let _ = std::os::unix::fs::symlink("circle", &circle);
    let long = folder(&"_".repeat(4095));
    is_not_found(Some(&format!("{long}:{}", circle.display())), &["tool"]);
}

#[test]
fn a_relative_program_below_a_folder_that_may_not_be_searched_runs_as_in_a_shell() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let outside = tempfile::tempdir().unwrap();
    mode(outside.path(), 0o755);
    let home = outside.path().join("home");
    let here = home.join("work");
    std::fs::create_dir_all(&here).unwrap();
    std::fs::copy(STAGE.join("one/tool"), here.join("tool")).unwrap();
    std::fs::create_dir(here.join("inner")).unwrap();
    std::fs::copy(STAGE.join("two/tool"), here.join("inner/tool")).unwrap();
    let run = |arguments: &[&str]| {
        let mut app = StdCommand::new(env!("CARGO_BIN_EXE_start_by_name"));
        app.args(["--close", home.to_str().unwrap(), "--not-as-root"]);
        let output = app.args(arguments).env("PATH", "inner").current_dir(&here);
        let output = output.output().unwrap();
        mode(&home, 0o755);
        let words = String::from_utf8(output.stdout).unwrap();
        (words.trim_end().to_owned(), output.status.code().unwrap())
    };
    assert_eq!(run(&["./tool"]), ("one 0".to_owned(), 1));
    assert_eq!(run(&["tool"]), ("two 0".to_owned(), 2));
    // From another folder it can be reached no more, and it is said of which file.
    let (words, code) = run(&["--dir", "/", "./tool"]);
    assert_eq!(code, NOT_STARTED);
    assert!(words.contains("Some(Program) Some(13)"), "{words}");
    assert!(words.contains("work/./tool\" cannot be reached"), "{words}");
}

#[test]
fn a_sandbox_that_forbids_a_look_at_a_program_does_not_forbid_the_program() {
    let one = folder("one");
    let deny = libc::SYS_faccessat2.to_string();
    let path = [folder("plain"), folder("one")].join(":");
    is_found(Some(&path), &["--deny", &deny, "tool"], "one 0", 1);
    is_found(Some(&path), &["--deny", &deny, "./tool"], "here 0", 3);
    let arguments = ["--dir", &one, "--deny", &deny, "./tool"];
    is_found(Some(&path), &arguments, "here 0", 3);
    // What it can know in another way, it still says.
    let (words, code) = found(Some(&folder("plain")), &["--deny", &deny, "tool"]);
    assert_eq!(code, NOT_STARTED);
    assert!(words.contains("plain/tool\" is not executable"), "{words}");
}

#[test]
fn what_cannot_be_executed_is_passed_over() {
    let unfit = [
        folder("plain"),
        folder("folder"),
        folder("plain/tool"),
        folder("missing"),
    ];
    let path = [&unfit[..], &[folder("two")]].concat().join(":");
    is_found(Some(&path), &["tool"], "two 0", 2);
}

#[test]
fn where_nothing_else_is_found_what_cannot_be_executed_is_named() {
    let (words, code) = found(
        Some(&[folder("empty"), folder("plain")].join(":")),
        &["tool"],
    );
    assert_eq!(code, NOT_STARTED);
    assert!(words.contains("plain/tool\" is not executable"), "{words}");
    let (words, _) = found(Some(&folder("folder")), &["tool"]);
    assert!(words.contains("folder/tool\" is a directory"), "{words}");
}

#[test]
fn a_folder_that_may_not_be_searched_is_told_with_what_is_missing() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let outside = tempfile::tempdir().unwrap();
    mode(outside.path(), 0o755);
    let closed = outside.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    mode(&closed, 0o000);
    let closed = closed.to_str().unwrap();
    let path = format!("{closed}:/usr/bin:/bin");
    is_found(Some(&path), &["--not-as-root", "true"], "", 0);
    is_not_found(Some(&path), &["--not-as-root", "tool"]);
    let (words, _) = found(Some(&path), &["--not-as-root", "tool"]);
    assert!(words.ends_with("closed\" may not be searched"), "{words}");
}

#[test]
fn neither_a_long_path_nor_many_arguments_are_in_the_way_of_a_search() {
    let long = format!("{}:{}", folder("one"), folder(&"_".repeat(4095)));
    let arguments = [&["tool"][..], &["_"; 1001]].concat();
    is_found(Some(&long), &arguments, "one 1001", 1);
    let long = format!("{}:{}", folder(&"_".repeat(4095)), folder("one"));
    is_found(Some(&long), &arguments, "one 1001", 1);
}

#[test]
fn a_program_that_is_not_there_is_a_named_error_and_nothing_runs() {
    for name in [
        "no-such-program-at-all",
        "no such program",
        "/nonexistent/program",
    ] {
        let handle = command(name).args(["foo", "bar baz"]).spawn();
        assert_eq!(handle.pid(), None);
        let error = run(|| handle.into_future()).unwrap_err();
        assert!(error.is_start() && !error.has_run());
        assert_eq!(
            (error.step(), error.errno()),
            (Some(Step::Program), Some(2))
        );
        assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
    }
}

#[test]
fn a_script_is_run_by_the_interpreter_of_its_first_line() {
    run(|| async {
        let script = STAGE.join("scripts/option");
        let output = command(&script).arg("a b").success_codes([1]);
        assert_eq!(output.output().await.unwrap().stdout, b"a b\n");
        // What it sees as its own name is the path: `arg0` is lost to an interpreter, see execve(2).
        let script = STAGE.join("scripts/argument0");
        let output = command(&script).arg0("other").output().await.unwrap();
        assert_eq!(
            output.stdout_utf8().unwrap().trim_end(),
            script.to_str().unwrap()
        );
    });
}

#[test]
fn a_script_without_an_interpreter_or_with_a_missing_one_is_a_named_error() {
    run(|| async {
        let at = |name: &str| STAGE.join("scripts").join(name);
        for by_helper in [false, true] {
            let start = |name| {
                let script = command(at(name));
                if by_helper { script.umask(0) } else { script }
            };
            for (name, step, errno, words) in [
                (
                    "no-line",
                    Step::Execute,
                    libc::ENOEXEC,
                    "no-line\" has no format",
                ),
                (
                    "lost",
                    Step::Interpreter,
                    libc::ENOENT,
                    "/no/such/interpreter",
                ),
            ] {
                let error = start(name).output().await.unwrap_err();
                assert!(error.is_start() && !error.has_run());
                assert_eq!((error.step(), error.errno()), (Some(step), Some(errno)));
                assert!(error.to_string().contains(words), "{error}");
            }
        }
        // Whoever wants a shell to read it says so.
        let output = command("sh").arg(at("no-line")).output().await.unwrap();
        assert_eq!(output.stdout, b"text without a first line of its own\n");
    });
}
