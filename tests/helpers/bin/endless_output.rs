//! Runs programs that write endlessly, and measures its own memory meanwhile.

use std::time::Duration;

use legwork::{Command, Stdio, Stop, glib};
use legwork_tests::context::run;
use legwork_tests::programs::{command, sh};
use legwork_tests::scene::{peak_memory, tell};

/// How long each of them writes.
const TIME: Duration = Duration::from_millis(700);

fn main() {
    run(|| async {
        // Everything that exists only once, such as the guardian.
        command("true").output().await.unwrap();
        let before = peak_memory();
        let endless = || command("yes").deadline(TIME).stop(Stop::kill());

        let error = endless().output_limit(1 << 20).output().await.unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        tell("collected", peak_memory() - before);

        // Output that is piped and that nobody reads.
        let error = both(sh("yes >&2 & exec yes")).await.unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        tell("unread", peak_memory() - before);

        // A stream that somebody took and does not read: the program waits.
        let mut program = endless().stdout(Stdio::piped()).spawn();
        let stream = program.stdout().unwrap();
        let error = program.await.unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        drop(stream);
        tell("waiting", peak_memory() - before);

        // One endless line, parsed as progress.
        let line = sh("tr '\\0' x </dev/zero").progress(|_: &str| None);
        let line = line
            .deadline(TIME)
            .stop(Stop::kill())
            .stdout(Stdio::piped());
        let mut line = line.spawn();
        let mut lines = line.stdout().unwrap().lines();
        let reader =
            glib::MainContext::ref_thread_default().spawn_local(async move { lines.recv().await });
        assert!(line.await.unwrap_err().is_timeout());
        let longest = reader.await.unwrap().unwrap();
        assert!(longest.cut);
        assert_eq!(longest.text.len(), 64 * 1024);
        tell("line", peak_memory() - before);
    });
}

fn both(program: Command) -> impl Future<Output = legwork::Ended> {
    let program = program.deadline(TIME).stop(Stop::kill());
    program
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .into_future()
}
