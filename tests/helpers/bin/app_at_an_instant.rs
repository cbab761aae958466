//! An app that starts something for every line that it reads, and answers with what came of it.

use std::any::Any;
use std::io::BufRead;

use legwork::prelude::*;
use legwork::{Command, Error, Stdio, Worker};
use legwork_tests::context::run;
use legwork_tests::jobs::{Count, Echo, JOBS, Misbehave, Unpack};
use legwork_tests::program;

fn main() {
    JOBS.run_if_worker();
    let what = std::env::args().nth(1).unwrap();
    let worker = Worker::program(program("worker"));
    run(async || {
        // What the loop itself needs.
        legwork::glib::timeout_future(std::time::Duration::from_millis(1)).await;
        if what.starts_with("another ") {
            let first = act("sum", &worker).await;
            assert_eq!(first.unwrap().0, "42");
        }
        let what = what.trim_start_matches("another ");
        println!("ready");
        let mut held = Vec::new();
        let mut lines = std::io::stdin().lock().lines();
        while let Some(Ok(_)) = lines.next() {
            match act(what, &worker).await {
                Ok((answer, child)) => {
                    held.push(child);
                    println!("{answer}");
                }
                Err(error) => println!("error: {}", error.to_string().replace('\n', " ")),
            }
        }
    });
}

/// What it answers, and what is to be held on to.
async fn act(what: &str, worker: &Worker) -> Result<(String, Box<dyn Any>), Error> {
    let sleep = || Command::new("sleep").arg("60");
    Ok(match what {
        "program" => ("started".into(), Box::new(sleep().spawn())),
        "guarded program" => {
            let program = sleep().guarded_from_birth().spawn();
            ("started".into(), Box::new(program))
        }
        "job" => {
            let mut job = Misbehave::Family.builder().worker(worker).spawn();
            let child = job.message().await;
            (child.map_or("failed", |_| "started").into(), Box::new(job))
        }
        "sum" => {
            let mut job = Count { to: 42 }.builder().worker(worker).spawn();
            let mut sum = 0;
            while let Some(number) = job.message().await {
                sum += number;
            }
            let count = job.await?;
            assert_eq!(sum, 861, "a message was lost");
            (count.to_string(), Box::new(()))
        }
        "echo" => {
            let mut job = Echo.builder().worker(worker).spawn();
            let sender = job.sender();
            for _ in 0..3 {
                if let Err(error) = sender.send(vec![14; 100_000]).await {
                    return Ok((format!("error: {error}"), Box::new(())));
                }
            }
            drop(sender);
            let mut sum = 0;
            for _ in 0..3 {
                sum += job.message().await.map_or(0, |bytes| usize::from(bytes[0]));
            }
            job.await?;
            (sum.to_string(), Box::new(()))
        }
        "unpack" => {
            let file = match std::fs::File::open("/dev/null") {
                Ok(file) => file,
                Err(error) => return Ok((format!("error: {error}"), Box::new(()))),
            };
            let input = Unpack {
                bytes: vec![1; 42],
                files: vec![std::os::fd::OwnedFd::from(file).into()],
            };
            let (bytes, files) = input.builder().worker(worker).spawn().await?;
            assert_eq!(files.len(), 1);
            (bytes.len().to_string(), Box::new(()))
        }
        "output" | "guarded output" => {
            let mut command = Command::new("cat").stdin(Stdio::bytes(b"42".to_vec()));
            if what.starts_with("guarded") {
                command = command.guarded_from_birth();
            }
            (
                command.output().await?.stdout_utf8().unwrap().to_owned(),
                Box::new(()),
            )
        }
        other => panic!("nobody can {other:?}"),
    })
}
