//! An app of an ordinary user that stops programs which become root, by `becomes_root` beside it. It is its own worker.

use std::time::{Duration, Instant};

use legwork::{Command, CommandHandle, ErrorKind, Stdio, Stop};
use legwork_tests::context::{run, until};

const GRACE: Duration = Duration::from_millis(300);
/// Longer than any step here takes, and shorter than the programs run.
const SOON: Duration = Duration::from_secs(20);

fn main() {
    legwork_tests::jobs::JOBS.run_if_worker();
    assert!(!rustix::process::geteuid().is_root());
    let here = std::env::current_exe().unwrap();
    let root = here.with_file_name("becomes_root");
    let within = |grace| Stop::default().grace(grace);
    let root = |seconds: &str| Command::new(&root).arg(seconds).stop(within(GRACE));
    let child = || {
        let script = format!(
            "{} 40 & echo $!; wait",
            here.with_file_name("becomes_root").display()
        );
        Command::new("sh").arg("-c").arg(script).stop(within(GRACE))
    };
    run(async || {
        let (program, pid) = started(root("40")).await;
        println!("left {pid}");
        assert!(
            program
                .control()
                .kill()
                .is_err_and(|error| error.raw_os_error() == Some(libc::EPERM))
        );
        program.cancel();
        not_stopped(
            program,
            "could not be stopped, and runs on: Operation not permitted",
        )
        .await;

        let (program, pid) = started(root("40").deadline(Duration::from_secs(1))).await;
        println!("left {pid}");
        not_stopped(program, "could not be stopped, and runs on").await;

        // A child of it.
        let (program, pid) = started(child()).await;
        println!("left {pid}");
        program.cancel();
        if legwork_tests::raw::groups_have_pidfds() {
            not_stopped(program, "it ended, but a process that it had started").await;
        } else {
            // Nobody can tell: the signal reaches the leader, which has ended and is not reaped yet.
            assert!(program.await.unwrap_err().is_cancelled());
        }

        // What never heard that it was to stop has ended by itself.
        let (program, _) = started(root("1").stop(within(SOON))).await;
        program.cancel();
        assert!(program.await.unwrap().status.success());

        // The control: what is the user's own is stopped.
        let own = Command::new("sleep").arg("40").spawn();
        own.cancel();
        assert!(own.await.unwrap_err().is_cancelled());
    });
}

/// Starts a program, and waits until it says that it is root; with the id of that process.
async fn started(command: Command) -> (CommandHandle, u32) {
    let mut program = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let (mut pid, mut lines) = (program.pid().unwrap(), program.stdout().unwrap().lines());
    while let Some(line) = lines.recv().await {
        match line.text.parse() {
            Ok(child) => pid = child,
            Err(_) => {
                assert_eq!(line.text, "root");
                break;
            }
        }
    }
    until("it is root", || owner(pid) == Some(0)).await;
    (program, pid)
}

fn owner(pid: u32) -> Option<u32> {
    let status = std::fs::metadata(format!("/proc/{pid}")).ok()?;
    Some(std::os::unix::fs::MetadataExt::uid(&status))
}

async fn not_stopped(program: CommandHandle, sentence: &str) {
    let (start, status) = (Instant::now(), program.status().clone());
    let error = program.await.unwrap_err();
    println!("after {:?}: {error}", start.elapsed());
    assert!(start.elapsed() < SOON);
    assert_eq!(error.kind(), ErrorKind::NotStopped);
    assert!(error.to_string().contains(sentence), "{error}");
    assert_eq!(status.state(), legwork::State::Failed);
}
