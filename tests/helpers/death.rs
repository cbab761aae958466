//! An app that starts children on request, answers with their process ids, and dies on request.
//!
//! Every child is a family: it has a child of its own in its process group. Requests are lines on standard input; each
//! is answered by a line of process ids on standard output.

use std::any::Any;
use std::io::{BufRead, BufReader, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::time::Duration;

use legwork::glib::MainContext;
use legwork::prelude::*;
use legwork::spawn::{Plan, Program};
use legwork::{Command, Limit, Stdio, Worker, gio, guardian};

use crate::context::run;
use crate::jobs::Misbehave;
use crate::{program, raw};

/// A program that leads a family. It ignores the signal that the system itself sends to a group if a member is stopped
/// when the app dies.
const FAMILY: &str = "trap '' HUP; sleep 1000 & echo $!; wait";
/// A program that leaves its family and ends.
const LAUNCHER: &str = "sleep 1000 & echo $!";
/// A program that dies as soon as nobody reads its output.
const WRITER: &str = "sleep 1000 & echo $!; exec yes";

/// What the app keeps alive, such as children and their streams.
type Held = Vec<Box<dyn Any>>;

/// Runs the app.
pub fn app() {
    run(async || {
        let mut held = Held::new();
        while let Some(line) = next_line().await {
            let pids = match &*line {
                "lean job" => job(&lean(), &mut held).await,
                "own job" => job(&Worker::current_exe(), &mut held).await,
                "program" => family(shell(FAMILY), &mut held).await,
                "limited program" => {
                    let limited = shell(FAMILY).limit(Limit::Core, Some(0), None);
                    family(limited, &mut held).await
                }
                "program of no guardian" => {
                    let helper = Worker::program(program("no_worker"));
                    family(shell(FAMILY).helper(&helper), &mut held).await
                }
                "writer" => family(shell(WRITER), &mut held).await,
                "detached program" => {
                    let mut nothing = Held::new();
                    let pids = family(shell(FAMILY), &mut nothing).await;
                    nothing.into_iter().for_each(detach);
                    pids
                }
                "launcher" => launcher().await,
                "launcher by a plan" => planned_launcher(),
                "reader" => reader(&mut held),
                "plan" => planned(&mut held),
                "plan of a thread that ends" => of_a_thread_that_ends(&mut held),
                "threads" => of_threads(),
                "thousand programs" => thousand(&mut held),
                "programs of a helper" => of_a_helper(280, &mut held),
                "program of a helper" => of_a_helper(1, &mut held),
                "copy" => vec![raw::leave_a_copy()],
                "copy with programs of its own" => copy_with_programs(&mut held),
                "copies while others are told of" => copies_meanwhile(&mut held),
                "exit" => std::process::exit(3),
                "abort" => std::process::abort(),
                // Without the panic message, which would look like a failure of the test.
                "panic" => std::panic::resume_unwind(Box::new("as told")),
                "fault" => {
                    raw::end_by_signal(libc::SIGSEGV);
                    break;
                }
                "start and die" => start_and_die(&mut held, false),
                "start, be copied and die" => start_and_die(&mut held, true),
                other => panic!("nobody can {other:?}"),
            };
            answer(&pids);
        }
    });
}

fn lean() -> Worker {
    Worker::program(program("worker"))
}

async fn next_line() -> Option<String> {
    let read = gio::spawn_blocking(|| std::io::stdin().lines().next());
    read.await.expect("no panic")?.ok()
}

fn answer(pids: &[u32]) {
    let pids: Vec<_> = pids.iter().map(u32::to_string).collect();
    let line = pids.join(" ") + "\n";
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
}

async fn job(worker: &Worker, held: &mut Held) -> Vec<u32> {
    let mut job = Misbehave::Family.builder().worker(worker).spawn();
    let child = job.message().await.expect("it says so");
    let pids = vec![job.pid().expect("it runs"), number(&child)];
    held.push(Box::new(job));
    pids
}

fn shell(script: &str) -> Command {
    Command::new("sh")
        .args(["-c", script])
        .stdout(Stdio::piped())
}

async fn family(command: Command, held: &mut Held) -> Vec<u32> {
    let mut program = command.spawn();
    let mut lines = program.stdout().expect("piped").lines();
    let child = lines.recv().await.expect("it says so").text;
    let pids = vec![program.pid().expect("it runs"), number(&child)];
    held.push(Box::new(lines));
    held.push(Box::new(program));
    pids
}

/// Runs a program that starts another and ends.
async fn launcher() -> Vec<u32> {
    let mut program = shell(LAUNCHER).spawn();
    let mut lines = program.stdout().expect("piped").lines();
    let child = lines.recv().await.expect("it says so").text;
    drop(lines);
    program.await.expect("it has ended well");
    vec![number(&child)]
}

fn planned_launcher() -> Vec<u32> {
    let (said, theirs) = std::io::pipe().unwrap();
    let plan = Plan::new(Program::name("sh")).args(["-c", LAUNCHER]);
    let mut program = plan.stdout(theirs).spawn().unwrap();
    guardian::watch_over(&program, Program::Current).unwrap();
    let mut line = String::new();
    BufReader::new(said).read_line(&mut line).unwrap();
    assert!(program.wait().unwrap().success());
    vec![number(line.trim())]
}

/// Starts a thousand programs without iterating the main loop between them.
fn thousand(held: &mut Held) -> Vec<u32> {
    raise_the_limit_of_files();
    let sleep = |_| Command::new("sleep").arg("1000").spawn();
    let programs: Vec<_> = (0..1000).map(sleep).collect();
    let pids = programs.iter().map(|program| program.pid().unwrap());
    let pids = pids.collect();
    held.push(Box::new(programs));
    pids
}

/// Programs whose guardian is the program that the variable `HELPER` names.
fn of_a_helper(count: usize, held: &mut Held) -> Vec<u32> {
    let helper = Worker::program(std::env::var_os("HELPER").expect("a path"));
    let sleep = |_| Command::new("sleep").arg("1000").helper(&helper).spawn();
    let programs: Vec<_> = (0..count).map(sleep).collect();
    let pids = programs.iter().map(|program| program.pid().unwrap());
    let pids = pids.collect();
    held.push(Box::new(programs));
    pids
}

/// Raises the limit of open files as far as the system allows: each of a thousand children needs a pidfd.
pub fn raise_the_limit_of_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

fn detach(handle: Box<dyn Any>) {
    if let Ok(program) = handle.downcast::<legwork::CommandHandle>() {
        program.detach();
    }
}

/// Runs a program that ends at the end of its standard input, without a guardian.
fn reader(held: &mut Held) -> Vec<u32> {
    let (theirs, ours) = std::io::pipe().unwrap();
    let cat = Plan::new(Program::name("cat")).stdin(theirs);
    let cat = cat.spawn().unwrap();
    let pids = vec![cat.pid()];
    held.push(Box::new((ours, cat)));
    pids
}

/// Starts a child of a plan, and hands it to the guardian.
fn planned(held: &mut Held) -> Vec<u32> {
    let (said, theirs) = std::io::pipe().unwrap();
    let plan = Plan::new(Program::name("sh")).args(["-c", FAMILY]);
    let child = plan.stdout(theirs).spawn().unwrap();
    guardian::watch_over(&child, Program::Current).unwrap();
    let mut line = String::new();
    BufReader::new(said).read_line(&mut line).unwrap();
    let pids = vec![child.pid(), number(line.trim())];
    held.push(Box::new(child));
    pids
}

/// Starts the first child, and the guardian with it, on a thread that has ended when this returns.
fn of_a_thread_that_ends(held: &mut Held) -> Vec<u32> {
    let thread = std::thread::spawn(|| {
        let mut held = Vec::new();
        let pids = planned(&mut held);
        let child: Box<legwork::process::Process> = held.remove(0).downcast().unwrap();
        (pids, child)
    });
    let (pids, child) = thread.join().unwrap();
    held.push(child);
    pids
}

/// Starts children on several threads at once, which run their own main contexts.
fn of_threads() -> Vec<u32> {
    let (tell, told) = channel();
    for _ in 0..4 {
        let tell = tell.clone();
        std::thread::spawn(move || {
            run(async || {
                let mut held = Held::new();
                let mut pids = job(&lean(), &mut held).await;
                pids.extend(family(shell(FAMILY), &mut held).await);
                tell.send(pids).unwrap();
                std::future::pending::<()>().await;
            });
        });
    }
    drop(tell);
    told.into_iter().take(4).flatten().collect()
}

/// Forks a copy that continues as an app of its own, has programs, and ends. Returns the processes that must end with it.
fn copy_with_programs(held: &mut Held) -> Vec<u32> {
    let of_the_app = Plan::new(Program::name("sleep")).arg("1000");
    let of_the_app = of_the_app.spawn().unwrap();
    let (said, mut tell) = std::io::pipe().unwrap();
    let copy = raw::ForkedCopy::new(|| {
        // Only the app may do that.
        assert!(guardian::watch_over(&of_the_app, Program::Current).is_err());
        let planned = Plan::new(Program::name("sleep")).arg("1000");
        let planned = planned.spawn().unwrap();
        guardian::watch_over(&planned, Program::Current).unwrap();
        let program = MainContext::new();
        let program = program.with_thread_default(|| Command::new("sleep").arg("1000").spawn());
        let program = program.expect("nobody else has this context");
        writeln!(tell, "{} {}", planned.pid(), program.pid().unwrap()).unwrap();
        // It ends without stopping them.
        std::mem::forget((planned, program));
        0
    });
    drop(tell);
    assert_eq!(copy.end_within(Duration::from_secs(20)), Some(0));
    held.push(Box::new(of_the_app));
    let mut line = String::new();
    BufReader::new(said).read_line(&mut line).unwrap();
    line.split_whitespace().map(number).collect()
}

/// Forks copies while another thread passes a child to the app's guardian; each copy passes a child to its own.
fn copies_meanwhile(held: &mut Held) -> Vec<u32> {
    let child = Plan::new(Program::name("sleep")).arg("1000").spawn();
    let child = child.unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) {
                guardian::watch_over(&child, Program::Current).unwrap();
                std::thread::sleep(Duration::from_micros(20));
            }
        });
        let copies = (0..50).map(|_| {
            let copy = raw::ForkedCopy::new(|| {
                let own = Plan::new(Program::name("true")).spawn().unwrap();
                guardian::watch_over(&own, Program::Current).unwrap();
                0
            });
            copy.end_within(Duration::from_secs(20))
        });
        let well = copies.take_while(|end| *end == Some(0)).count();
        over.store(true, Relaxed);
        assert_eq!(well, 50);
    });
    let pids = vec![child.pid()];
    held.push(Box::new(child));
    pids
}

/// Dies before its main loop runs again, and before its guardian has had time to start.
fn start_and_die(held: &mut Held, copied: bool) -> ! {
    assert!(MainContext::thread_default().is_some());
    let program = Command::new("sleep").arg("1000").spawn();
    let job = Misbehave::Hang.builder().worker(&lean()).spawn();
    let mut pids = vec![program.pid().unwrap(), job.pid().unwrap()];
    held.push(Box::new((program, job)));
    if copied {
        pids.push(raw::leave_a_copy());
    }
    answer(&pids);
    raw::kill(std::process::id());
    unreachable!("killed");
}

fn number(text: &str) -> u32 {
    text.parse().expect("a process id")
}
