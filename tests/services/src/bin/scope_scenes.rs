//! An app that runs children in scopes: `scope_scenes SCENE [ARGUMENT]`. It judges itself.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Command as Plain;
use std::time::{Duration, Instant};

use legwork::desktop::{Enforcement, Qos, Scope, ScopeLimit, ScopeState};
use legwork::glib::MainContext;
use legwork::prelude::*;
use legwork::{Command, ErrorKind, State, Stdio};
use legwork_service_tests::scope_jobs::{JOBS, Priority, Tree, Where};
use legwork_tests::context::{is_alive, until};

fn main() {
    JOBS.run_if_worker();
    let mut arguments = std::env::args().skip(1);
    let scene = arguments.next().expect("a scene");
    let argument = arguments.next().unwrap_or_default();
    MainContext::default().block_on(async {
        match &*scene {
            "is_in_its_scope" => is_in_its_scope().await,
            "on_another_thread" => on_another_thread(),
            "limits" => limits().await,
            "stop" => stop(&argument).await,
            "pause" => pause(&argument).await,
            "leaves_itself" => leaves_itself(&argument).await,
            "app_dies" => app_dies(&argument).await,
            "none_left" => none_left(argument.parse().unwrap()).await,
            "restart" => restart().await,
            "meets_a_restart" => meets_a_restart().await,
            "cost" => cost().await,
            "without" => without(&argument).await,
            "required" => required(&argument).await,
            "at_the_gate" => at_the_gate(&argument).await,
            "refused" => refused().await,
            "qos" => qos().await,
            "qos_in_a_scope" => qos_in_a_scope().await,
            other => panic!("there is no scene {other}"),
        }
    });
}

fn sh(script: &str) -> Command {
    Command::new("sh")
        .arg("-c")
        .arg(script)
        .stderr(Stdio::null())
}

fn systemctl(arguments: &[&str]) -> String {
    let output = Plain::new("systemctl")
        .arg("--user")
        .args(arguments)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The units of this app that systemd knows.
fn units() -> Vec<String> {
    let all = systemctl(&[
        "list-units",
        "--all",
        "--no-legend",
        "--plain",
        "app-legwork-*",
    ]);
    all.lines().map(str::to_owned).collect()
}

async fn is_in_its_scope() {
    let scope = Scope::new().description("A test").slice("background.slice");
    assert_eq!(scope.state(), ScopeState::Unused);
    let program = sh("cat /proc/self/cgroup; read line")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut program = program.scope(&scope).spawn();
    let (mut input, output) = (program.stdin().unwrap(), program.stdout().unwrap());
    let mut lines = output.lines();
    let own = loop {
        let line = lines.recv().await.expect("its cgroup").text;
        if let Some(own) = line.strip_prefix("0::") {
            break own.to_owned();
        }
    };
    assert_eq!(scope.state(), ScopeState::Active);
    let unit = scope.unit().unwrap();
    assert!(
        unit.starts_with(r"app-legwork-scope_scenes-") && unit.ends_with(".scope"),
        "{unit}"
    );
    assert_eq!(own, format!("/background.slice/{unit}"));
    let shown = systemctl(&[
        "show",
        "-P",
        "Description",
        "-P",
        "Slice",
        "-P",
        "CollectMode",
        &unit,
    ]);
    assert_eq!(shown, "background.slice\nA test\ninactive-or-failed\n");
    let usage = scope.usage().expect("a cgroup");
    println!("{usage:?}");
    let refused = sh("true").scope(&scope).spawn().await.unwrap_err();
    assert!(
        refused.is_start() && refused.to_string().contains("another child"),
        "{refused}"
    );
    input.write(b"\n").await.unwrap();
    program.await.unwrap();
    assert_eq!((scope.state(), scope.unit()), (ScopeState::Ended, None));
    until("systemd has forgotten it", || units().is_empty()).await;

    // The same scope again, for a job.
    let job = Where.builder().scope(&scope).spawn();
    let own = job.await.unwrap();
    assert!(
        own.starts_with("/background.slice/app-legwork-scope_scenes-"),
        "{own}"
    );
}

/// A thread with a context of its own, which goes away with a child in its scope.
fn on_another_thread() {
    let thread = std::thread::spawn(|| {
        let grandchild = legwork_tests::context::run(|| async {
            let scope = Scope::new().required();
            let own = Where.builder().scope(&scope).spawn().await.unwrap();
            assert!(own.starts_with("/app.slice/app-legwork-"), "{own}");
            let (program, grandchild) = tree(Some(&scope)).await;
            program.detach();
            grandchild
        });
        legwork_tests::until("it has ended with its context", || !is_alive(grandchild));
    });
    thread.join().unwrap();
    legwork_tests::until("systemd has forgotten them", || units().is_empty());
}

async fn limits() {
    use ScopeLimit::*;
    let scope = Scope::new()
        .memory_max(256 << 20)
        .memory_high(200 << 20)
        .tasks_max(50);
    let scope = scope.cpu_weight(50).cpu_quota(150).io_weight(50);
    let controllers = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap();
    sh("true").scope(&scope).spawn().await.unwrap();
    let mut missing = 0;
    for (limit, controller) in [
        (MemoryMax, "memory"),
        (MemoryHigh, "memory"),
        (TasksMax, "pids"),
        (CpuWeight, "cpu"),
        (CpuQuota, "cpu"),
        (IoWeight, "io"),
    ] {
        let enforcement = scope.enforcement(limit);
        println!("{limit:?}: {enforcement:?}");
        if controllers
            .split_whitespace()
            .any(|known| known == controller)
        {
            assert_eq!(enforcement, Enforcement::Enforced);
        } else {
            missing += 1;
            let Enforcement::NotEnforced(why) = enforcement else {
                panic!("{limit:?} is said to be enforced, without a controller");
            };
            assert!(why.contains(controller), "{why}");
        }
    }
    let file = Path::new("/tmp").join(format!("legwork-ran-{}", std::process::id()));
    let touch = sh(&format!("touch {}", file.display()));
    let outcome = touch.scope(&scope.required()).spawn().await;
    if missing > 0 {
        let error = outcome.unwrap_err();
        assert!(error.is_start() && !error.has_run(), "{error:?}");
        assert!(error.to_string().contains("is not enforced"), "{error}");
        assert!(!file.exists());
        println!("{error}");
        let required = Scope::new().tasks_max(50).required();
        let error = Where.builder().scope(&required).spawn().await.unwrap_err();
        assert!(error.is_start() && !error.has_run(), "{error:?}");
        assert!(
            error.to_string().contains("TasksMax of its scope"),
            "{error}"
        );
    } else {
        outcome.unwrap();
        fs::remove_file(file).unwrap();
    }
    until("systemd has forgotten them", || units().is_empty()).await;
}

/// A program with a grandchild in a session of its own, and that grandchild.
async fn tree(scope: Option<&Scope>) -> (legwork::CommandHandle, u32) {
    let mut command = sh("setsid sleep 1000 >/dev/null & echo $!; wait").stdout(Stdio::piped());
    if let Some(scope) = scope {
        command = command.scope(scope);
    }
    let mut program = command.spawn();
    let mut lines = program.stdout().unwrap().lines();
    let Some(line) = lines.recv().await else {
        panic!("{:?} {:?}", scope.map(Scope::state), program.await)
    };
    let grandchild = line.text.parse().unwrap();
    until("it has its own session", || {
        session_of(grandchild) == grandchild
    })
    .await;
    (program, grandchild)
}

fn session_of(pid: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    rest.split(' ')
        .nth(3)
        .and_then(|session| session.parse().ok())
        .unwrap_or(0)
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

/// The whole tree ends. Without a scope, what has left the group lives on.
async fn stop(how: &str) {
    let scope = Scope::new();
    let scoped = (how == "scoped").then_some(&scope);
    let (program, grandchild) = tree(scoped).await;
    program.cancel();
    assert!(program.await.unwrap_err().is_cancelled());
    match scoped {
        None => {
            assert!(is_alive(grandchild));
            return kill(grandchild);
        }
        Some(_) => until("the grandchild has ended", || !is_alive(grandchild)).await,
    }
    let mut job = Tree.builder().scope(&scope).spawn();
    let grandchild = job.message().await.unwrap();
    until("it has its own session", || {
        session_of(grandchild) == grandchild
    })
    .await;
    job.cancel();
    assert!(job.await.unwrap_err().is_cancelled());
    until("the job's child has ended", || !is_alive(grandchild)).await;
    until("systemd has forgotten them", || units().is_empty()).await;
}

/// The whole tree is paused, can be resumed, and stopped while it is paused.
async fn pause(how: &str) {
    let scope = Scope::new();
    let scoped = (how == "scoped").then_some(&scope);
    let (program, grandchild) = tree(scoped).await;
    let control = program.control();
    control.pause().unwrap();
    assert!(program.status().paused());
    if scoped.is_none() {
        assert!(!is_held(grandchild));
        kill(grandchild);
        return;
    }
    until("the grandchild is frozen", || is_held(grandchild)).await;
    control.resume().unwrap();
    until("the grandchild goes on", || !is_held(grandchild)).await;
    control.pause().unwrap();
    program.cancel();
    assert!(program.await.unwrap_err().is_cancelled());
    until("the grandchild has ended", || !is_alive(grandchild)).await;
}

/// Whether its cgroup is frozen.
fn is_held(pid: u32) -> bool {
    let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let Some(own) = cgroups.lines().find_map(|line| line.strip_prefix("0::")) else {
        return false;
    };
    let events = fs::read_to_string(format!("/sys/fs/cgroup{own}/cgroup.events"));
    events.unwrap_or_default().contains("frozen 1")
}

/// Says who is to be gone with it, and waits to be killed.
async fn leaves_itself(how: &str) {
    let scope = Scope::new().required();
    let scoped = (how != "plain").then_some(&scope);
    let (program, grandchild) = tree(scoped).await;
    let (other, mut job) = (Scope::new().required(), Tree.builder());
    if scoped.is_some() {
        job = job.scope(&other);
    }
    let mut job = job.spawn();
    let of_job = job.message().await.unwrap();
    until("it has its own session", || session_of(of_job) == of_job).await;
    if how == "paused" {
        program.control().pause().unwrap();
        job.control().pause().unwrap();
        until("they are frozen", || is_held(grandchild) && is_held(of_job)).await;
    }
    println!(
        "{} {grandchild} {} {of_job}",
        program.pid().unwrap(),
        job.pid().unwrap()
    );
    std::future::pending::<()>().await;
}

/// An app is killed: its children and all that they have started are gone. Without scopes, what has left a group lives.
async fn app_dies(how: &str) {
    let app = Plain::new(std::env::current_exe().unwrap())
        .args(["leaves_itself", how])
        .stdout(std::process::Stdio::piped())
        .spawn();
    let mut app = app.unwrap();
    let mut line = String::new();
    BufReader::new(app.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let pids: Vec<u32> = line
        .split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect();
    assert_eq!(pids.len(), 4);
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    app.kill().unwrap();
    let start = Instant::now();
    app.wait().unwrap();
    let [program, grandchild, job, of_job] = pids[..] else {
        unreachable!()
    };
    until("the children have ended", || {
        !is_alive(program) && !is_alive(job)
    })
    .await;
    if how == "plain" {
        legwork::glib::timeout_future(Duration::from_secs(1)).await;
        assert!(is_alive(grandchild) && is_alive(of_job));
        kill(grandchild);
        return kill(of_job);
    }
    until("theirs have ended", || {
        !is_alive(grandchild) && !is_alive(of_job)
    })
    .await;
    let processes = start.elapsed();
    until("systemd has forgotten them", || units().is_empty()).await;
    println!(
        "processes gone after {processes:?}, units after {:?}",
        start.elapsed()
    );
    assert!(start.elapsed() < Duration::from_secs(1));
}

/// Many that are killed leave no unit behind.
async fn none_left(many: usize) {
    let start = Instant::now();
    for _ in 0..many / 10 {
        let children: Vec<_> = (0..10)
            .map(|_| sh("sleep 1000").scope(&Scope::new()).spawn())
            .collect();
        for child in children {
            let status = child.status().clone();
            until("it runs", || status.state() == State::Running).await;
            child.control().kill().unwrap();
            assert_eq!(child.await.unwrap_err().kind(), ErrorKind::Signal);
        }
    }
    println!("{many} killed in {:?}", start.elapsed());
    until("systemd has forgotten them", || units().is_empty()).await;
}

/// An app meets a manager that executes itself again. What the manager was told in that moment may be lost, so that a unit
/// can stay until the app has ended, but no longer.
async fn restart() {
    let app = Plain::new(std::env::current_exe().unwrap())
        .arg("meets_a_restart")
        .status();
    assert!(app.unwrap().success());
    until("systemd has forgotten them", || units().is_empty()).await;
}

/// The manager executes itself again, before starts, during a start, and during a child's life.
async fn meets_a_restart() {
    let (scope, held) = (Scope::new(), Scope::new());
    let (program, grandchild) = tree(Some(&held)).await;
    let mut reexec = Plain::new("systemctl")
        .args(["--user", "daemon-reexec"])
        .spawn()
        .unwrap();
    // What becomes of a scope in this moment is not promised; that it ends is.
    for _ in 0..20 {
        sh("true").scope(&scope).spawn().await.unwrap();
    }
    assert!(reexec.wait().unwrap().success());
    sh("true")
        .scope(&scope.clone().required())
        .spawn()
        .await
        .unwrap();
    program.cancel();
    assert!(program.await.unwrap_err().is_cancelled());
    until("the grandchild has ended", || !is_alive(grandchild)).await;
}

/// What a start in a scope costs, beside a plain one and, of a program, one by way of the helper.
async fn cost() {
    let (mut of_programs, mut of_jobs) = (Vec::new(), Vec::new());
    for way in ["plain", "by the helper", "in a scope"] {
        let start = || {
            let command = Command::new("true");
            let at = Instant::now();
            let program = match way {
                "by the helper" => command.guarded_from_birth().spawn(),
                "in a scope" => command.scope(&Scope::new().required()).spawn(),
                _ => command.spawn(),
            };
            let blocked = at.elapsed();
            let ends = async move { drop(program.await.unwrap()) };
            (at, blocked, ends)
        };
        of_programs.push(measure(&format!("a program {way}"), start).await);
    }
    for way in ["plain", "in a scope"] {
        let start = || {
            let job = Where.builder();
            let at = Instant::now();
            let job = match way {
                "in a scope" => job.scope(&Scope::new().required()).spawn(),
                _ => job.spawn(),
            };
            let blocked = at.elapsed();
            let ends = async move { drop(job.await.unwrap()) };
            (at, blocked, ends)
        };
        of_jobs.push(measure(&format!("a job {way}"), start).await);
    }
    // The machine may be busy; a call of D-Bus that is waited for takes longer than this, and twice.
    let within = |plain: Duration| 2 * plain + Duration::from_millis(2);
    assert!(of_programs[2] < within(of_programs[1]));
    assert!(of_jobs[1] < within(of_jobs[0]));
}

/// Prints medians of many starts: how long the main thread was blocked, and when the child had ended.
async fn measure<F: Future>(what: &str, start: impl Fn() -> (Instant, Duration, F)) -> Duration {
    let (mut all_blocked, mut all_ended) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        // What the one before has left to do elsewhere is not to be measured.
        legwork::glib::timeout_future(Duration::from_millis(20)).await;
        let (at, blocked, ends) = start();
        ends.await;
        all_blocked.push(blocked);
        all_ended.push(at.elapsed());
    }
    all_blocked.sort();
    all_ended.sort();
    let (blocked, ended) = (all_blocked[50], all_ended[50]);
    println!("{what}: {blocked:?} of the main thread, ended after {ended:?}");
    blocked
}

/// The child runs, and it is said why it has no scope.
async fn without(words: &str) {
    let scope = Scope::new().tasks_max(1000).memory_max(256 << 20);
    let scope = scope.within(Duration::from_secs(1));
    let start = Instant::now();
    // The limit of its data in KiB, its nice value and its policy.
    let program = sh("ulimit -d; nice; chrt -p $$")
        .scope(&scope)
        .qos(Qos::Background);
    let output = program.output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.starts_with("262144\n19\n") && said.contains("SCHED_IDLE"),
        "{said}"
    );
    let ScopeState::Unavailable(why) = scope.state() else {
        panic!("{:?}", scope.state());
    };
    println!("{why} (after {:?})", start.elapsed());
    assert!(why.contains(words), "{why}");
    let of_memory = scope.enforcement(ScopeLimit::MemoryMax);
    assert_eq!(of_memory, Enforcement::PerProcess);
    assert_eq!(
        scope.enforcement(ScopeLimit::TasksMax),
        Enforcement::NotEnforced(why)
    );
    assert_eq!(
        (scope.unit(), scope.cgroup(), scope.usage()),
        (None, None, None)
    );
    assert!(start.elapsed() < Duration::from_secs(20));
    Where.builder().scope(&scope).spawn().await.unwrap();
}

/// The child does not start, and it is said why.
async fn required(words: &str) {
    let scope = Scope::new().within(Duration::from_secs(1)).required();
    let file = Path::new("/tmp").join(format!("legwork-ran-{}", std::process::id()));
    let touch = sh(&format!("touch {}", file.display()));
    let error = touch.scope(&scope).spawn().await.unwrap_err();
    println!("{error}");
    assert!(
        error.is_start() && !error.has_run() && error.to_string().contains(words),
        "{error:?}"
    );
    assert_eq!(error.step(), Some(legwork::spawn::Step::Gate));
    let error = Where.builder().scope(&scope).spawn().await.unwrap_err();
    assert!(
        error.is_start() && !error.has_run() && error.to_string().contains(words),
        "{error:?}"
    );
    assert!(!file.exists());
}

/// What waits for its scope is ended at once, whatever its stop is.
async fn at_the_gate(how: &str) {
    let scope = || Scope::new().within(Duration::from_secs(100));
    let hour = Duration::from_secs(3600);
    let stop = legwork::Stop::stdin(b"q");
    let program = || sh("sleep 1000").stdin(Stdio::piped()).stop(stop.clone());
    let job = || Tree.builder().grace(hour);
    let soon = Duration::from_millis(100);
    let start = Instant::now();
    let (program, job) = match how {
        "deadline" => {
            let program = program().scope(&scope()).deadline(soon).spawn();
            (program, job().scope(&scope()).deadline(soon).spawn())
        }
        _ => (
            program().scope(&scope()).spawn(),
            job().scope(&scope()).spawn(),
        ),
    };
    let pids = [program.pid().unwrap(), job.pid().unwrap()];
    legwork::glib::timeout_future(soon).await;
    assert!(how == "deadline" || pids.iter().all(|pid| is_alive(*pid)));
    match how {
        "drop" => drop((program, job)),
        "deadline" => {
            assert!(program.await.unwrap_err().is_timeout());
            assert!(job.await.unwrap_err().is_timeout());
        }
        "kill" => {
            program.control().kill().unwrap();
            job.control().kill().unwrap();
            let (program, job) = (program.await.unwrap_err(), job.await.unwrap_err());
            println!("{program}; {job}");
            assert!(!job.has_run());
        }
        _ => {
            program.cancel();
            job.cancel();
            let (program, job) = (program.await.unwrap_err(), job.await.unwrap_err());
            assert!(program.is_cancelled() && job.is_cancelled());
            assert!(!job.has_run());
        }
    }
    until("they have ended", || !pids.iter().any(|pid| is_alive(*pid))).await;
    assert!(start.elapsed() < Duration::from_secs(20));
}

/// Each class, for a program and for a job.
async fn qos() {
    for (qos, nice, policy, io) in [
        (Qos::Interactive, "0", "SCHED_OTHER", "none"),
        (Qos::Utility, "5", "SCHED_BATCH", "best-effort: prio 6"),
        (Qos::Background, "19", "SCHED_IDLE", "idle"),
    ] {
        let program = sh("nice; chrt -p $$; ionice -p $$").qos(qos);
        let output = program.output().await.unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        println!("{qos:?}: {said}");
        assert!(said.starts_with(&format!("{nice}\n")), "{said}");
        assert!(said.contains(policy) && said.contains(io), "{said}");
        let said = Priority.builder().qos(qos).spawn().await.unwrap();
        println!("{said}");
        assert!(said.contains(&format!("nice {nice},")), "{said}");
        assert!(said.contains(policy) && said.contains(io), "{said}");
        // The watcher of a worker does not yield.
        assert!(said.contains("watcher 0"), "{said}");
    }
}

/// In a scope, the weights say it, and go up again.
async fn qos_in_a_scope() {
    let scope = Scope::new();
    let program = sh("nice; chrt -p $$; sleep 1000").stdout(Stdio::piped());
    let mut program = program.qos(Qos::Background).scope(&scope).spawn();
    let mut lines = program.stdout().unwrap().lines();
    assert_eq!(lines.recv().await.unwrap().text, "0");
    assert!(lines.recv().await.unwrap().text.contains("SCHED_OTHER"));
    let unit = scope.unit().unwrap();
    let weights = || systemctl(&["show", "-P", "CPUWeight", "-P", "IOWeight", &unit]);
    assert_eq!(weights(), "10\n10\n");
    println!("{:?}", scope.enforcement(ScopeLimit::CpuWeight));
    for (qos, weight) in [(Qos::Interactive, 100), (Qos::Utility, 50)] {
        println!("{:?}", scope.set_qos(qos).await);
        assert_eq!(weights(), format!("{weight}\n{weight}\n"));
    }
    program.cancel();
    assert!(program.await.unwrap_err().is_cancelled());
    assert_eq!(scope.set_qos(Qos::Utility).await, Enforcement::Unknown);
}

/// What can never be is said before anything is started.
async fn refused() {
    let scopes = [
        (Scope::new().memory_max(0), "MemoryMax"),
        (Scope::new().tasks_max(0), "TasksMax"),
        (Scope::new().cpu_weight(10_001), "CPUWeight"),
        (Scope::new().slice("no slice"), "slice"),
        (Scope::new().slice("../x.slice"), "slice"),
    ];
    for (scope, words) in scopes {
        let program = sh("true").scope(&scope).spawn();
        assert_eq!(program.pid(), None);
        let error = program.await.unwrap_err();
        assert!(
            error.is_start() && error.to_string().contains(words),
            "{error}"
        );
        let error = Where.builder().scope(&scope).spawn().await.unwrap_err();
        assert!(
            error.is_start() && error.to_string().contains(words),
            "{error}"
        );
    }
}
