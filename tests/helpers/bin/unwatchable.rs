//! Runs programs and a job while the kernel refuses to watch further descriptors.

use std::time::Duration;

use legwork::{ErrorKind, Stdio, Worker, glib, prelude::*};
use legwork_tests::context::run;
use legwork_tests::jobs::Count;
use legwork_tests::programs::{command, sh};
use legwork_tests::{program, raw::refuse_to_watch};

const LENGTH: usize = 2_000_000;

fn main() {
    run(|| async {
        // Watched from its start on, and then left alone, because nobody reads.
        let read = sh("head -c 2000000 /dev/zero; exit 5").success_codes([5]);
        let mut read = read.stdout(Stdio::piped()).spawn();
        let mut stdout = read.stdout().unwrap();
        // There is nothing to write yet, so there is nothing to wait for.
        let write = command("wc").arg("-c").stdin(Stdio::piped());
        let mut write = write.stdout(Stdio::piped()).spawn();
        let mut stdin = write.stdin().unwrap();
        let mut count = write.stdout().unwrap().lines();
        let beside = command("sleep").arg("1000").spawn();
        glib::timeout_future(Duration::from_millis(300)).await;
        refuse_to_watch();

        let mut total = 0;
        while let Some(chunk) = stdout.chunk().await {
            total += chunk.len();
        }
        assert_eq!(total, LENGTH);
        read.await.unwrap();
        stdin.write(&vec![0; LENGTH]).await.unwrap();
        stdin.flush().await.unwrap();
        drop(stdin);
        assert_eq!(count.recv().await.unwrap().text, LENGTH.to_string());
        write.await.unwrap();

        // Their ends could not be noticed.
        let unheard = command("sleep").arg("1000").spawn();
        let error = unheard.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Start, "{error:?}");
        assert!(error.to_string().contains("No space left"), "{error}");
        assert!(error.has_run());
        let worker = Worker::program(program("worker"));
        let unheard = Count { to: 1 }.builder().worker(&worker).spawn();
        let error = unheard.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Start, "{error:?}");
        assert!(error.to_string().contains("No space left"), "{error}");
        assert!(error.has_run());

        beside.cancel();
        assert!(beside.await.unwrap_err().is_cancelled());
    });
    // The first child of a context is not even started.
    run(|| async {
        let unborn = command("sleep").arg("1000").spawn();
        let error = unborn.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Start, "{error:?}");
        assert!(error.to_string().contains("No space left"), "{error}");
        assert!(!error.has_run());
    });
}
