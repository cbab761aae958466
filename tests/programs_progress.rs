//! A program's progress: seen as soon as it is drawn, however it is drawn, and reported no more often than documented.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use legwork::progress::Step;
use legwork::{Command, Stdio, glib};
use legwork_tests::context::{run, until};
use legwork_tests::programs::sh;

/// How often progress is told, as documented.
const PERIOD: Duration = Duration::from_millis(50);

/// Percents, as most programs draw them.
fn percent(line: &str) -> Option<Step> {
    let (before, _) = line.split_once('%')?;
    let number = before.rsplit(|c: char| !c.is_ascii_digit()).next()?;
    Some(Step::new(number.parse().ok()?, 100))
}

/// Runs a program; gives the percents that were told, as `each` gets them at once.
async fn told(command: Command, each: impl Fn(u64) + 'static) -> Vec<u64> {
    let program = command.progress(percent).spawn();
    let told = Rc::<RefCell<Vec<_>>>::default();
    let seen = told.clone();
    program.status().connect_done_notify(move |status| {
        each(status.done());
        seen.borrow_mut().push(status.done());
    });
    program.await.unwrap();
    told.take()
}

#[test]
fn every_step_is_told_while_it_is_drawn() {
    let draws = [
        ("backspaces", r"%3d%%\b\b\b\b"),
        ("a return before it", r"\r[download] %d%%"),
        ("a return after it", r"[download] %d%%\r"),
        ("erased before it", r"\033[2K\033[G%d%%"),
        ("erased after the return", r"\r\033[K%d%%"),
        ("in colour, up a line", r"\033[A\033[32m%d%%\033[0m\n"),
    ];
    run(|| async {
        let folder = tempfile::tempdir().unwrap();
        let mut tasks = Vec::new();
        for (how, draw) in draws {
            for on_terminal in [false, true] {
                // It draws the next step, or ends, when the one before has been told.
                let mark = folder.path().join(format!("{how}, {on_terminal}, "));
                let script = format!(
                    "for p in 10 20 30; do printf '{draw}' $p; until [ -e '{mark}'$p ]; do sleep 0.1; done; done",
                    mark = mark.display()
                );
                let command = sh(&script).deadline(Duration::from_secs(60));
                let command = match on_terminal {
                    true => command.terminal(80, 24),
                    false => command,
                };
                let marks =
                    move |step| std::fs::write(format!("{}{step}", mark.display()), "").unwrap();
                tasks.push((how, glib::spawn_future_local(told(command, marks))));
            }
        }
        for (how, task) in tasks {
            assert_eq!(task.await.unwrap(), [10, 20, 30], "{how}");
        }
    });
}

#[test]
fn a_line_is_parsed_once_unless_there_is_more_of_it() {
    run(|| async {
        let lines = Rc::new(RefCell::new(Vec::new()));
        let seen = lines.clone();
        let script =
            "printf one; sleep 0.2; echo; echo two; printf thr; sleep 0.2; echo ee; printf four";
        let program = sh(script).progress(move |line: &str| {
            seen.borrow_mut().push(line.to_owned());
            None
        });
        program.spawn().await.unwrap();
        assert_eq!(*lines.borrow(), ["one", "two", "thr", "three", "four"]);
    });
}

#[test]
fn progress_is_told_at_most_every_50_milliseconds_and_the_last_of_it_always() {
    run(|| async {
        let start = Instant::now();
        let script = "i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo $i%; sleep 0.005; done";
        let steps = told(sh(script), |_| ()).await;
        let most = start.elapsed().div_duration_f64(PERIOD) as usize + 2;
        println!("{} of 100 steps were told, {most} may be", steps.len());
        assert!(steps.len() <= most && steps.len() > most / 4, "{steps:?}");
        assert_eq!(steps.last(), Some(&100));

        // What comes right before the end is not lost.
        for _ in 0..20 {
            let steps = told(sh("echo 1%; echo 2%; echo 3%"), |_| ()).await;
            assert_eq!(steps.last(), Some(&3), "{steps:?}");
        }
    });
}

#[test]
fn a_parser_may_run_the_main_loop() {
    run(|| async {
        let steps = Rc::new(RefCell::new(Vec::new()));
        let seen = steps.clone();
        let script = "echo 1%; echo 2% >&2; sleep 0.3; echo 3%; echo 4% >&2; read wait";
        let mut program = sh(script)
            .stdin(Stdio::piped())
            .progress(move |line: &str| {
                let step = percent(line)?;
                seen.borrow_mut().push(step.done);
                let context = glib::MainContext::ref_thread_default();
                let end = Instant::now() + Duration::from_millis(400);
                while Instant::now() < end {
                    context.iteration(false);
                    std::thread::sleep(Duration::from_millis(1));
                }
                Some(step)
            })
            .spawn();
        until("all are seen", || steps.borrow().len() == 4).await;
        drop(program.stdin());
        let _ = program.await;
        let mut seen = steps.take();
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 3, 4]);
    });
}
