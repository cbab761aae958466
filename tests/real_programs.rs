//! Real programs, from the distribution's packages: ffmpeg and borg, and the examples that run them.

use std::cell::Cell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio as StdStdio;
use std::rc::Rc;
use std::time::Duration;

use legwork::process::Signal;
use legwork::{Command, ErrorKind, Secret, Stdio, Stop, Worker, progress};
use legwork_tests::context::{run, until};

/// Fails where a program is not installed.
fn needs(program: &str) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    assert!(
        found,
        "{program} is not installed: `cargo xtask test` installs it"
    );
}

fn real(program: &str) -> Command {
    needs(program);
    Command::new(program).helper(&Worker::program(env!("CARGO_BIN_EXE_worker")))
}

fn ffmpeg() -> Command {
    real("ffmpeg").args(["-y", "-v", "error", "-nostats", "-progress", "pipe:1"])
}

/// A tone, made as fast as it can be.
fn tone(seconds: u32) -> [String; 4] {
    let source = format!("sine=frequency=440:duration={seconds}");
    ["-f".into(), "lavfi".into(), "-i".into(), source]
}

/// How long a file plays, in seconds; fails for a file that cannot be played.
async fn length(file: &Path) -> Result<f64, legwork::Error> {
    let output = real("ffprobe")
        .args(["-v", "error", "-show_entries", "format=duration"])
        .args(["-of", "csv=p=0"])
        .arg(file)
        .output()
        .await?;
    Ok(output.stdout_utf8().unwrap().trim().parse().unwrap())
}

#[test]
fn a_conversion_tells_its_progress_to_the_end() {
    run(|| async {
        let folder = tempfile::tempdir().unwrap();
        let wave = folder.path().join("tone.wav");
        let made = ffmpeg().args(tone(120)).arg(&wave);
        made.output().await.unwrap();
        let result = folder.path().join("tone.flac");
        let conversion = ffmpeg()
            .arg("-i")
            .arg(&wave)
            .arg(&result)
            .progress(progress::ffmpeg(Duration::from_secs(120)))
            .spawn();
        let status = conversion.status().clone();
        conversion.await.unwrap();
        assert_eq!((status.done(), status.total()), (120_000, 120_000));
        assert!((length(&result).await.unwrap() - 120.0).abs() < 1.0);
    });
}

/// Converts in real time into a file whose index stands at its end, and stops it after two seconds of sound.
async fn stopped(file: &Path, stop: Stop) -> legwork::Error {
    let conversion = ffmpeg()
        .arg("-re")
        .args(tone(3600))
        .arg(file)
        .progress(progress::ffmpeg(Duration::from_secs(3600)))
        .stop(stop)
        .spawn();
    let status = conversion.status().clone();
    until("two seconds are converted", || status.done() > 2000).await;
    assert!(status.done() < 600_000);
    conversion.cancel();
    conversion.await.unwrap_err()
}

#[test]
fn a_conversion_that_is_stopped_by_q_leaves_a_file_that_plays() {
    run(|| async {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tone.mp4");
        let q = Stop::stdin(b"q").grace(Duration::from_secs(60));
        let error = stopped(&file, q).await;
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert!(length(&file).await.unwrap() > 1.0);
        // The control: killed, it leaves a file without an index.
        stopped(&file, Stop::kill()).await;
        assert!(length(&file).await.is_err());
    });
}

#[test]
fn a_conversion_that_fails_says_why_and_one_that_is_late_is_stopped() {
    run(|| async {
        let missing = ffmpeg().args(["-i", "/nonexistent.wav", "-f", "null", "-"]);
        let error = missing.output().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exit);
        let words = error.to_string();
        assert!(words.contains("No such file or directory"), "{words}");

        let late = ffmpeg()
            .arg("-re")
            .args(tone(3600))
            .args(["-f", "null", "-"])
            .stdout(Stdio::null())
            .deadline(Duration::from_millis(500))
            .stop(Stop::stdin(b"q"))
            .spawn();
        assert_eq!(late.await.unwrap_err().kind(), ErrorKind::Timeout);
    });
}

const PASSPHRASE: &str = "correct horse battery staple";

/// borg with a home of its own.
fn borg(home: &Path) -> Command {
    real("borg")
        .args(["--log-json", "--progress"])
        .env("BORG_BASE_DIR", home)
        .env_remove("BORG_PASSPHRASE")
        .env_remove("BORG_PASSCOMMAND")
        .secret(Secret::Env("BORG_PASSPHRASE_FD".into()), PASSPHRASE)
        .success_codes([0, 1])
        .stop(Stop::signal(Signal::INT).grace(Duration::from_secs(60)))
        .progress(progress::borg())
}

/// A repository, and a folder of so many bytes that nothing can compress.
async fn repository(home: &Path, bytes: usize) -> (PathBuf, PathBuf) {
    let repository = home.join("repository");
    let init = borg(home).args(["init", "--encryption=repokey"]);
    init.arg(&repository).output().await.unwrap();
    let folder = home.join("data");
    std::fs::create_dir(&folder).unwrap();
    let mut random = std::fs::File::open("/dev/urandom").unwrap();
    let mut noise = std::fs::File::create(folder.join("noise")).unwrap();
    let mut few = std::io::Read::take(&mut random, bytes as u64);
    std::io::copy(&mut few, &mut noise).unwrap();
    (repository, folder)
}

fn archive(repository: &Path, name: &str) -> String {
    format!("{}::{name}", repository.display())
}

#[test]
fn a_backup_is_made_and_listed_and_its_passphrase_is_in_no_place_that_others_read() {
    run(|| async {
        let home = tempfile::tempdir().unwrap();
        let (repository, folder) = repository(home.path(), 1000).await;
        let create = borg(home.path()).arg("create");
        let create = create.arg(archive(&repository, "first")).arg(&folder);
        let create = create.arg("-").stdin(Stdio::piped());
        let mut create = create.spawn();
        let mut input = create.stdin().unwrap();
        let pid = create.pid().unwrap();
        let status = create.status().clone();
        let looks = Rc::new(Cell::new(0));
        let look = {
            let looks = looks.clone();
            async move {
                loop {
                    for file in ["environ", "cmdline"] {
                        let text = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
                        let text = String::from_utf8_lossy(&text);
                        assert!(!text.contains(PASSPHRASE), "{file}");
                        if text.contains("BORG_PASSPHRASE_FD=") {
                            looks.set(looks.get() + 1);
                        }
                    }
                    legwork::glib::timeout_future(Duration::from_millis(5)).await;
                }
            }
        };
        let context = legwork::glib::MainContext::ref_thread_default();
        let look = context.spawn_local(look);
        // borg tells how far it is every so often, and not a last time: there is more until it has.
        let mut pieces = 0;
        while status.done() == 0 {
            assert!(pieces < 1000, "no progress was told");
            input.write(&vec![pieces as u8; 1 << 20]).await.unwrap();
            legwork::glib::timeout_future(Duration::from_millis(10)).await;
            pieces += 1;
        }
        drop(input);
        assert_eq!(create.await.unwrap().status.code(), Some(0));
        assert!(looks.get() > 0, "nothing was looked at");
        look.abort();

        let list = borg(home.path()).args(["list", "--short"]);
        let list = list.arg(&repository).output().await.unwrap();
        assert_eq!(list.stdout_utf8().unwrap(), "first\n");

        // The control: another passphrase opens nothing.
        let other = borg(home.path()).arg("list").arg(&repository);
        let other = other.secret(Secret::Env("BORG_PASSPHRASE_FD".into()), "wrong");
        assert_eq!(other.output().await.unwrap_err().exit_code(), Some(2));
    });
}

#[test]
fn a_backup_with_warnings_is_a_success() {
    run(|| async {
        let home = tempfile::tempdir().unwrap();
        let (repository, folder) = repository(home.path(), 1000).await;
        let create = || {
            let create = borg(home.path()).arg("create");
            let create = create.arg(archive(&repository, "{now:%f}")).arg(&folder);
            create.arg("/nonexistent")
        };
        let done = create().output().await.unwrap();
        assert_eq!(done.status.code(), Some(1));
        // The control: without the rule it is a failure.
        let error = create().success_codes([0]).output().await.unwrap_err();
        assert_eq!(error.exit_code(), Some(1));
    });
}

#[test]
fn a_backup_that_is_stopped_leaves_its_repository_unlocked() {
    run(|| async {
        let home = tempfile::tempdir().unwrap();
        let (repository, folder) = repository(home.path(), 1000).await;
        // Never at its end: what is read is a pipe that nobody closes.
        let create = borg(home.path()).arg("create");
        let create = create.arg(archive(&repository, "never"));
        let create = create.args([folder.as_os_str(), "-".as_ref()]);
        let create = create.stdin(Stdio::piped()).spawn();
        let lock = repository.join("lock.exclusive");
        until("it has the lock", || lock.exists()).await;
        create.cancel();
        assert!(create.await.unwrap_err().is_cancelled());
        assert!(!lock.exists(), "it was killed before it could unlock");
    });
}

#[test]
fn the_example_of_ffmpeg_converts_stops_and_says_why_it_failed() {
    needs("ffmpeg");
    let program = env!("CARGO_BIN_EXE_example_ffmpeg");
    let folder = tempfile::tempdir().unwrap();
    let [tone, copy] = ["tone.mp4", "copy.ogg"].map(|name| folder.path().join(name));
    let example = || {
        let mut example = std::process::Command::new(program);
        example.stdin(StdStdio::null());
        example
    };
    let output = example().arg("tone").arg(&tone).arg("1").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let output = example().arg(&tone).arg(&copy).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("100 %"), "{errors}");

    let output = example().arg("/nonexistent").arg(&copy).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("No such file"), "{errors}");

    let mut long = example();
    let long = long.arg("tone").arg(&tone).arg("3600");
    let mut long = long.stderr(StdStdio::piped()).spawn().unwrap();
    // The first words are progress: it runs, and Ctrl+C is handled.
    let mut byte = [0];
    std::io::Read::read_exact(long.stderr.as_mut().unwrap(), &mut byte).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let pid = rustix::process::Pid::from_child(&long);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(long.wait_with_output().unwrap().status.code(), Some(130));
    run(|| async { assert!(length(&tone).await.unwrap() > 0.1) });
}

#[test]
fn the_example_of_borg_saves_a_folder_and_says_why_it_failed() {
    needs("borg");
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("file"), "text").unwrap();
    let example = |passphrase: &str| {
        let mut example = std::process::Command::new(env!("CARGO_BIN_EXE_example_borg"))
            .arg(home.path().join("repository"))
            .arg(&folder)
            .env("BORG_BASE_DIR", home.path())
            .stdin(StdStdio::piped())
            .stdout(StdStdio::piped())
            .stderr(StdStdio::piped())
            .spawn()
            .unwrap();
        writeln!(example.stdin.take().unwrap(), "{passphrase}").unwrap();
        example.wait_with_output().unwrap()
    };
    for archives in [1, 2] {
        let output = example("open sesame");
        assert!(output.status.success(), "{output:?}");
        let list = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(list.lines().count(), archives, "{list}");
    }
    let output = example("open barley");
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("passphrase supplied"), "{errors}");
}
