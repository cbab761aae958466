//! The examples run, and the pages show and name what exists.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use legwork_tests::until;

fn run(program: &str, args: &[&Path]) -> Output {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output();
    output.expect("the example starts")
}

/// What a successful run prints.
fn said(program: &str) -> String {
    let output = run(program, &[]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn every_example_is_run_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let here = concat!(
        include_str!("examples.rs"),
        include_str!("real_programs.rs"),
        include_str!("services/tests/bus_peers.rs")
    );
    for entry in std::fs::read_dir(folder).expect("the examples") {
        let file: PathBuf = entry.expect("an entry").path();
        if file.is_dir() {
            assert!(
                file.join("tests").is_dir(),
                "nobody runs {}",
                file.display()
            );
            continue;
        }
        let name = |part: Option<&std::ffi::OsStr>| part.expect("a name").display().to_string();
        // A program of this package, or a script.
        let name = match file.extension().is_some_and(|kind| kind == "rs") {
            true => format!("CARGO_BIN_EXE_example_{}", name(file.file_stem())),
            false => format!("examples/{}", name(file.file_name())),
        };
        assert!(here.contains(&name), "nobody runs {}", file.display());
    }
}

#[test]
fn checksum_prints_the_sums_of_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("abc"), "abc").expect("a file");
    let output = run(env!("CARGO_BIN_EXE_example_checksum"), &[folder.path()]);
    assert!(output.status.success());
    let line = String::from_utf8(output.stdout).expect("text");
    // The example of FIPS 180-2.
    let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let path = folder.path().join("abc");
    assert_eq!(line, format!("{sum}  {}\n", path.display()));
}

#[test]
fn checksum_fails_for_a_folder_that_is_not_there() {
    let missing = Path::new("/nonexistent");
    let output = run(env!("CARGO_BIN_EXE_example_checksum"), &[missing]);
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("No such file or directory"), "{words}");
}

#[test]
fn ctrl_c_stops_checksum() {
    let folder = tempfile::tempdir().expect("a folder");
    // Nothing but holes: an hour of reading, and no room on the disk.
    let file = std::fs::File::create(folder.path().join("large")).expect("a file");
    file.set_len(1 << 40).expect("holes");
    let mut small = std::fs::File::create(folder.path().join("small")).expect("a file");
    small.write_all(b"x").expect("a byte");
    let mut app = Command::new(env!("CARGO_BIN_EXE_example_checksum"))
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the example starts");
    until("the app handles Ctrl+C", || catches_sigint(app.id()));
    assert!(app.try_wait().expect("a child").is_none());
    let pid = rustix::process::Pid::from_child(&app);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    assert_eq!(app.wait().expect("a child").code(), Some(130));
}

/// As in proc_pid_status(5): the signals that have a handler, as bits.
fn catches_sigint(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    caught.is_some_and(|bits| bits & (1 << (libc::SIGINT - 1)) != 0)
}

#[test]
fn call_and_answer_answers() {
    let text = said(env!("CARGO_BIN_EXE_example_call_and_answer"));
    let expected = "spawn: Some(Known)\n\
        pidfd: Some(Unknown)\n\
        pidfd: Some(Learned { words: 4 })\n\
        pidfd: Some(Known)\n\
        4 questions\n";
    assert_eq!(text, expected);
}

#[test]
fn big_data_arrives_without_a_copy() {
    let text = said(env!("CARGO_BIN_EXE_example_big_data"));
    assert!(
        text.starts_with("2048 x 2048 pixels, 16777216 bytes\n"),
        "{text}"
    );
    assert!(text.contains("no byte was copied"), "{text}");
}

#[test]
fn unit_test_runs_its_job_in_a_child_as_well() {
    assert_eq!(said(env!("CARGO_BIN_EXE_example_unit_test")), "sleeps\n");
}

#[test]
fn the_readme_shows_the_program_that_is_built_and_tested() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |file: &str| std::fs::read_to_string(root.join(file)).expect(file);
    let readme = read("README.md");
    for file in ["lib.rs", "main.rs"] {
        let code = read(&format!("examples/sums/src/{file}"));
        let block = format!("```rust,ignore\n{code}```");
        assert!(readme.contains(&block), "the README shows another {file}");
    }
    let manifest = read("examples/sums/Cargo.toml");
    let (_, dependencies) = manifest.split_once("[dependencies]").expect("a section");
    for line in dependencies
        .lines()
        .filter(|line| !line.starts_with("legwork"))
    {
        assert!(readme.contains(line), "the README has no {line}");
    }
}

#[test]
fn no_page_has_a_link_to_a_file_that_is_not_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for page in [
        "README.md",
        "docs/dbus.md",
        "docs/doctor.md",
        "docs/from-gio-subprocess.md",
        "docs/from-std-process.md",
        "docs/gotchas.md",
        "docs/performance.md",
        "docs/protocol.md",
    ] {
        let page = root.join(page);
        let text = std::fs::read_to_string(&page).expect("a page");
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = link.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let target = page.parent().expect("a folder").join(file);
            assert!(target.exists(), "{}: {link}", page.display());
        }
    }
}

#[test]
fn every_test_that_a_page_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut code = String::new();
    read_all(&root.join("tests"), &mut code);
    read_all(&root.join("src"), &mut code);
    let mut found = 0;
    for page in [
        "README.md",
        "docs/glib-test-cases.md",
        "docs/gotchas.md",
        "docs/protocol.md",
    ] {
        let text = std::fs::read_to_string(root.join(page)).expect("a page");
        for name in text.split('`').skip(1).step_by(2) {
            // A sentence, and no function of the C library.
            let is_sentence = name.matches('_').count() > 3 && !name.starts_with("posix_");
            if is_sentence && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()) {
                assert!(code.contains(&format!("fn {name}(")), "{page}: {name}");
                found += 1;
            }
        }
    }
    assert!(
        found > 10,
        "the pages name {found} tests: this one sees nothing"
    );
}

#[test]
fn every_case_of_glib_has_a_test_of_ours() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut code = String::new();
    read_all(&root.join("tests"), &mut code);
    let page = std::fs::read_to_string(root.join("docs/glib-test-cases.md")).expect("the page");
    let mut cases = 0;
    for row in page.lines().filter(|line| line.starts_with("| `/")) {
        let cells: Vec<_> = row.split('|').collect();
        assert_eq!(cells.len(), 5, "{row}");
        let names = |cell: &str| -> Vec<String> {
            let names = cell.split('`').skip(1).step_by(2);
            names.map(str::to_owned).collect()
        };
        let ours = names(cells[2]);
        assert!(!ours.is_empty(), "{row}");
        for name in ours {
            assert!(code.contains(&format!("#[test]\nfn {name}()")), "{name}");
        }
        let and_others = if cells[1].contains("the five") { 5 } else { 0 };
        cases += names(cells[1]).len() + and_others;
    }
    // As many as GLib's five programs register on Unix.
    assert_eq!(cases, 106);
}

/// Appends every Rust file of a folder and those in it.
fn read_all(folder: &Path, code: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read_all(&path, code);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            code.push_str(&std::fs::read_to_string(&path).expect("a file"));
        }
    }
}
