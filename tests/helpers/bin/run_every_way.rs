//! Runs programs in every available way, none of which forks, and checks how they end, while it is traced. With the
//! argument `and-fork` it forks at the end, to check that the trace shows it.

use std::os::fd::OwnedFd;
use std::time::Duration;

use legwork::process::Signal;
use legwork::spawn::Group;
use legwork::{Command, Limit, Secret, Stdio, Stop};
use legwork_tests::context::run;
use legwork_tests::programs::command;
use legwork_tests::raw;

fn main() {
    raw::atfork::watch();
    run(every_way);
    assert_eq!(raw::atfork::called(), 0);
    if std::env::args().nth(1).is_some() {
        assert_eq!(raw::in_a_forked_copy(|| 0), 0);
        assert_eq!(raw::atfork::called(), 1, "the count counts nothing");
    }
}

async fn every_way() {
    let cat = || command("cat").stdin(Stdio::bytes("text"));
    let file = || OwnedFd::from(tempfile::tempfile().unwrap());
    let ways: [fn(Command) -> Command; 12] = [
        |command| command,
        |command| command.group(Group::Inherit),
        |command| command.group(Group::Session),
        |command| command.stderr(Stdio::merged()),
        |command| command.env("A", "b").env_remove("C"),
        |command| {
            command
                .env_clear()
                .env("PATH", "/usr/bin:/bin")
                .search_own_path()
        },
        |command| command.current_dir("/"),
        |command| command.secret(Secret::Env("SECRET_FD".into()), "secret"),
        |command| command.umask(0o077).nice(1).no_new_privileges(),
        |command| command.limit(Limit::Core, Some(0), Some(0)),
        |command| command.deadline(Duration::from_secs(60)),
        |command| command.arg0("other"),
    ];
    for way in ways {
        assert_eq!(way(cat()).output().await.unwrap().stdout, b"text");
    }
    cat().fd(7, file()).stdout(file()).spawn().await.unwrap();
    command("true").terminal(80, 24).spawn().await.unwrap();
    let executable = std::fs::File::open("/bin/true").unwrap();
    let by_fd = Command::from_fd(executable, "true");
    by_fd.spawn().await.unwrap();

    // Under a tracer an exit is reported like any other, see GLib's merge request 3433.
    let sleep = || command("sleep").arg("1000");
    let killed = sleep().spawn();
    killed.control().signal(Signal::KILL).unwrap();
    assert_eq!(
        killed.exited().await.unwrap().status.signal(),
        Some(Signal::KILL)
    );
    assert_eq!(killed.await.unwrap_err().signal(), Some(Signal::KILL));
    let stopped = sleep().stop(Stop::signal(Signal::TERM)).spawn();
    stopped.cancel();
    assert!(stopped.await.unwrap_err().is_cancelled());
    let late = sleep().deadline(Duration::from_millis(10)).spawn();
    assert!(late.await.unwrap_err().is_timeout());
    drop(sleep().spawn());
    assert_eq!(
        command("false").output().await.unwrap_err().exit_code(),
        Some(1)
    );
    assert!(
        command("/nonexistent")
            .output()
            .await
            .unwrap_err()
            .is_start()
    );
    assert!(
        command("/etc/passwd")
            .output()
            .await
            .unwrap_err()
            .is_start()
    );
}
