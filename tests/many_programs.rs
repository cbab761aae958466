//! A thousand programs at once, and a family of fifty that resists being stopped.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use legwork::{CommandHandle, OutputStream, Stdio, Stop, glib};
use legwork_tests::context::{is_alive, run, until};
use legwork_tests::counted::{BLOCK, Counter};
use legwork_tests::programs::{command, sh};
use legwork_tests::{program, raw};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The descriptors and the memory of this process are measured: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What each writes to each of its pipes.
const EACH: usize = 1 << 20;

/// What this process has, with the allocator's reserves given back.
#[derive(Debug)]
struct Holdings {
    descriptors: usize,
    resident: u64,
    peak: u64,
    children: BTreeSet<u32>,
}

impl Holdings {
    fn now() -> Self {
        raw::trim_memory();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let kib = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap()
                .trim()
                .trim_end_matches(" kB")
                .parse()
                .unwrap()
        };
        let mut children = BTreeSet::new();
        for task in std::fs::read_dir("/proc/self/task").unwrap() {
            let list = task.unwrap().path().join("children");
            // A thread may have ended meanwhile.
            let list = std::fs::read_to_string(list).unwrap_or_default();
            children.extend(
                list.split_whitespace()
                    .map(|pid| pid.parse::<u32>().unwrap()),
            );
        }
        Holdings {
            descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count(),
            resident: kib("VmRSS:"),
            peak: kib("VmHWM:"),
            children,
        }
    }
}

fn start(number: u64) -> CommandHandle {
    command(program("write_both"))
        .args([number.to_string(), (EACH / BLOCK).to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

async fn count(stream: Option<OutputStream>, mut counter: Counter) -> usize {
    let mut stream = stream.expect("a pipe");
    while let Some(chunk) = stream.chunk().await {
        counter.look(&chunk);
    }
    counter.bytes()
}

/// Runs so many at once, and looks at every byte.
async fn run_at_once(programs: u64) {
    let mut handles: Vec<_> = (0..programs).map(start).collect();
    // None can have ended: what it writes is more than a pipe holds, and nobody has read yet.
    let alive = handles
        .iter()
        .filter(|handle| handle.pid().is_some_and(is_alive))
        .count();
    assert_eq!(alive as u64, programs);
    let here = glib::MainContext::ref_thread_default();
    let mut readers = Vec::new();
    for (handle, number) in handles.iter_mut().zip(0..) {
        for (stream, which) in [(handle.stdout(), 0), (handle.stderr(), 1)] {
            readers.push(here.spawn_local(count(stream, Counter::new(number, which))));
        }
    }
    for reader in readers {
        assert_eq!(reader.await.unwrap(), EACH);
    }
    for handle in handles {
        let output = handle.await.unwrap();
        assert!(!output.incomplete && !output.truncated);
    }
}

#[test]
fn a_thousand_programs_at_once_lose_nothing_and_leave_nothing() {
    const PROGRAMS: u64 = 1000;
    /// What the allocator may keep of it in the end, in KiB.
    const KEPT: u64 = 8 * 1024;
    let _alone = alone();
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    // All that is there once, such as the guardian.
    run(|| run_at_once(20));
    let before = Holdings::now();
    let begin = Instant::now();
    run(|| run_at_once(PROGRAMS));
    let time = begin.elapsed();
    let after = Holdings::now();
    println!(
        "{PROGRAMS} programs, 1 MiB to each of two pipes: {time:.2?}; descriptors {} before, {} after; \
         resident {} KiB before, {} at most, {} after",
        before.descriptors, after.descriptors, before.resident, after.peak, after.resident
    );
    assert_eq!(after.descriptors, before.descriptors);
    assert_eq!(after.children, before.children);
    assert!(
        after.resident < before.resident + KEPT,
        "{before:?} {after:?}"
    );
}

/// Fifty processes in three generations, all of which hold the pipe and tell their numbers, the first of them last. Every
/// second of the youngest ignores SIGTERM, so does the whole third brood with its mother, and with `DEAF` the first of all
/// when it has started the others. With `STOPS` one of each brood is stopped.
const FAMILY: &str = r#"
    for mother in 1 2 3 4 5 6 7; do
        mother=$mother sh -c '
            [ $mother = 3 ] && trap "" TERM
            echo $$
            for child in 1 2 3 4 5 6; do
                child=$child sh -c "
                    [ \$((child % 2)) = 1 ] && trap \"\" TERM
                    echo \$\$
                    [ \$child\$STOPS = 6yes ] && kill -STOP \$\$
                    exec sleep 1000
                " &
            done
            wait' &
    done
    [ $DEAF = yes ] && trap "" TERM
    echo $$
    wait
"#;

const GRACE: Duration = Duration::from_millis(200);

async fn family(deaf: &str, stops: &str) -> (CommandHandle, Vec<u32>) {
    let program = sh(FAMILY).env("DEAF", deaf).env("STOPS", stops);
    let program = program
        .stdout(Stdio::piped())
        .stop(Stop::default().grace(GRACE));
    let mut program = program.spawn();
    let mut lines = program.stdout().unwrap().lines();
    let mut pids = Vec::new();
    while pids.len() < 50 {
        pids.push(lines.recv().await.unwrap().text.parse().unwrap());
    }
    // From now on nobody reads.
    drop(lines);
    (program, pids)
}

fn left(pids: &[u32]) -> usize {
    pids.iter().filter(|pid| is_alive(**pid)).count()
}

/// How long it takes from the request to stop until nothing is left, and how many sat out their grace.
async fn stopped(deaf: &str) -> (Duration, usize) {
    let (program, pids) = family(deaf, "yes").await;
    assert_eq!(left(&pids), 50);
    let begin = Instant::now();
    program.cancel();
    let mut at_last = 50;
    let gone = loop {
        let (time, now) = (begin.elapsed(), left(&pids));
        if now == 0 {
            break time;
        }
        if time < GRACE {
            at_last = now;
        }
        assert!(time < Duration::from_secs(30), "{now} are left");
        glib::timeout_future(Duration::from_millis(1)).await;
    };
    assert!(program.await.unwrap_err().is_cancelled());
    (gone, at_last)
}

#[test]
fn a_family_of_fifty_is_gone_when_its_grace_is_over() {
    let _alone = alone();
    run(|| async {
        let (gone, deaf) = stopped("yes").await;
        // They had their time: three in each of six broods, the third with its mother, and the first of all.
        assert!(deaf >= 26 && gone >= GRACE, "{deaf} {gone:?}");
        println!(
            "50 processes, {deaf} of them deaf: nothing left {:.1?} after the grace",
            gone - GRACE
        );
    });
}

#[test]
fn a_family_whose_first_goes_at_once_is_gone_with_it() {
    let _alone = alone();
    run(|| async {
        let (gone, _) = stopped("no").await;
        println!(
            "50 processes: nothing left {gone:.1?} after the request, the grace being {GRACE:?}"
        );
    });
}

#[test]
fn control_whoever_kills_the_first_of_a_family_alone_leaves_the_others() {
    let _alone = alone();
    run(|| async {
        let (program, pids) = family("yes", "no").await;
        let first = program.pid().unwrap();
        raw::kill(first);
        program.exited().await.unwrap();
        assert_eq!(left(&pids), 49);
        // What the test owes the machine.
        let others = pids.iter().filter(|pid| **pid != first);
        others.for_each(|pid| raw::kill(*pid));
        until("all are gone", || left(&pids) == 0).await;
        program.await.unwrap_err();
    });
}
