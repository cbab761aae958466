//! C8: when the app dies, whatever the cause, its workers, its programs and their process groups die with it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use legwork::process::{Process, Signal};
use legwork::spawn::{Plan, Program, Standard};
use legwork_tests::context::{is_stopped, state};
use legwork_tests::death::raise_the_limit_of_files;
use legwork_tests::{program, raw, until};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal as Kernels, pidfd_open, pidfd_send_signal};

/// Far more than the 100 ms of the design, as the machine may be busy.
const BOUND: Duration = Duration::from_secs(20);
/// How long somebody lives on who is meant to.
const WHILE: Duration = Duration::from_millis(500);

/// All that an app can have started.
const ALL: [&str; 6] = [
    "lean job",
    "own job",
    "program",
    "limited program",
    "detached program",
    "plan",
];

/// A child of the app's, or a child of one.
struct Life {
    pid: u32,
    /// `None` if it was gone before it could be looked at.
    pidfd: Option<OwnedFd>,
}

impl Life {
    fn of(pid: u32) -> Life {
        let number = Pid::from_raw(pid.cast_signed()).expect("a process id");
        let pidfd = match pidfd_open(number, PidfdFlags::empty()) {
            Ok(pidfd) => Some(pidfd),
            Err(Errno::SRCH) => None,
            Err(errno) => panic!("{pid}: {errno}"),
        };
        Life { pid, pidfd }
    }

    fn send(&self, signal: Kernels) {
        if let Some(pidfd) = &self.pidfd {
            let _ = pidfd_send_signal(pidfd, signal);
        }
    }

    fn stop(&self) {
        self.send(Kernels::STOP);
        until("it is stopped", || is_stopped(self.pid));
    }

    fn is_gone_within(&self, time: Duration) -> bool {
        let Some(pidfd) = &self.pidfd else {
            return true;
        };
        let time = Timespec::try_from(time).unwrap();
        poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&time)).unwrap() > 0
    }
}

fn command_line(pid: u32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

/// What a process has used.
fn processor_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(1000 * ticks / rustix::param::clock_ticks_per_second())
}

/// How many processes a process holds by their pidfds.
fn pidfds_of(pid: u32) -> usize {
    let table = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let links = table.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    // `anon_inode:[pidfd]`, and `pidfd:[NUMBER]` since Linux 6.9.
    links
        .filter(|link| link.to_string_lossy().contains("pidfd"))
        .count()
}

impl Drop for Life {
    /// A test that fails leaves nothing behind either.
    fn drop(&mut self) {
        self.send(Kernels::KILL);
    }
}

struct App {
    process: Process,
    told: PipeWriter,
    says: BufReader<PipeReader>,
    lives: Vec<Life>,
}

impl App {
    fn start() -> App {
        App::of("app_that_dies")
    }

    fn of(name: &str) -> App {
        App::with(name, &[])
    }

    fn with(name: &str, variables: &[(&str, &OsStr)]) -> App {
        let (input, told) = std::io::pipe().unwrap();
        let (says, output) = std::io::pipe().unwrap();
        let plan = Plan::new(Program::path(program(name))).env("NO_WORKER", "hang");
        let plan = (variables.iter()).fold(plan, |plan, (name, value)| plan.env(*name, *value));
        let process = plan
            .stdin(input)
            .stdout(output)
            .inherit(Standard::Error)
            .spawn()
            .unwrap();
        App {
            process,
            told,
            says: BufReader::new(says),
            lives: Vec::new(),
        }
    }

    fn tell(&mut self, what: &str) {
        writeln!(self.told, "{what}").unwrap();
    }

    fn answer(&mut self) -> Vec<Life> {
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the app has said {line:?}");
        let pids = line.split_whitespace().map(|pid| pid.parse().unwrap());
        pids.map(Life::of).collect()
    }

    /// Has it start something, and remembers who is to die with it.
    fn starts(&mut self, what: &str) -> &mut Self {
        self.tell(what);
        let lives = self.answer();
        for life in &lives {
            assert!(state(life.pid).is_some(), "{what} has not lived");
        }
        self.lives.extend(lives);
        self
    }

    fn starts_all(&mut self) -> &mut Self {
        for what in ALL {
            self.starts(what);
        }
        self
    }

    /// Has it start something that may live on.
    fn starts_aside(&mut self, what: &str) -> Life {
        self.tell(what);
        self.answer().remove(0)
    }

    fn stop_all(&mut self) -> &mut Self {
        self.lives.iter().for_each(Life::stop);
        self
    }

    /// Has it die, and returns how long it took until nobody was left.
    fn dies(&mut self, how: &str) -> Duration {
        let start = Instant::now();
        match how {
            "kill" => self.process.signal(Signal::KILL).unwrap(),
            how => self.tell(how),
        }
        let time = self.leaves_nobody(how, start);
        self.process.wait().unwrap();
        time
    }

    #[track_caller]
    fn leaves_nobody(&self, how: &str, start: Instant) -> Duration {
        let left: Vec<_> = (self.lives.iter())
            .filter(|life| !life.is_gone_within(BOUND.saturating_sub(start.elapsed())))
            .map(|life| command_line(life.pid))
            .collect();
        assert!(left.is_empty(), "{how}: after {BOUND:?} still {left:?}");
        start.elapsed()
    }

    /// The guardian, which may be on its way from the app's program to its own.
    fn its_guardian(&self) -> Life {
        let mut guardian = None;
        until("it has a guardian", || {
            guardian = self.guardian();
            guardian.is_some()
        });
        guardian.expect("seen above")
    }

    /// The guardian: a child of the app's that says so.
    fn guardian(&self) -> Option<Life> {
        let guardians = guardians(self.process.pid());
        guardians.first().copied().map(Life::of)
    }
}

fn guardians(app: u32) -> Vec<u32> {
    let children = File::open(format!("/proc/{app}/task/{app}/children")).unwrap();
    let children = std::io::read_to_string(children).unwrap();
    let pids = children.split_whitespace().map(|pid| pid.parse().unwrap());
    pids.filter(|pid| command_line(*pid).contains("--legwork-guardian"))
        .collect()
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    println!(
        "C8: {what}: nobody was left after {:.1} ms (median of {} deaths), {:.1} ms at most",
        times[times.len() / 2].as_secs_f64() * 1e3,
        times.len(),
        times[times.len() - 1].as_secs_f64() * 1e3
    );
}

#[test]
fn whatever_the_app_dies_of_nobody_is_left() {
    for how in ["kill", "exit", "abort", "panic", "fault"] {
        let times = (0..5).map(|_| App::start().starts_all().dies(how));
        print(how, times.collect());
    }
}

#[test]
fn nobody_is_left_by_an_app_that_only_runs_programs() {
    let mut app = App::of("app_of_programs");
    app.starts("program").starts("limited program");
    app.stop_all().dies("kill");

    // The control: it leaves a worker to the table that has its job.
    let mut app = App::with("app_of_programs", &[("HAS_JOBS", OsStr::new("1"))]);
    app.starts("own job").starts("program").dies("kill");
}

#[test]
fn nobody_is_left_that_was_stopped() {
    for how in ["kill", "abort"] {
        let times = (0..5).map(|_| App::start().starts_all().stop_all().dies(how));
        print(&format!("{how}, all of them stopped"), times.collect());
    }
}

#[test]
fn nobody_is_left_though_a_copy_of_the_app_holds_all_that_it_had() {
    for stopped in [false, true] {
        let times = (0..5).map(|_| {
            let mut app = App::start();
            let reader = app.starts_aside("reader");
            app.starts_all();
            if stopped {
                app.stop_all();
            }
            let copy = app.starts_aside("copy");
            let time = app.dies("kill");
            // The control: the copy is there, and who waits for an end-of-file does not see one.
            assert!(!copy.is_gone_within(Duration::ZERO));
            assert!(!reader.is_gone_within(Duration::ZERO));
            time
        });
        let stopped = if stopped { ", all of them stopped" } else { "" };
        print(&format!("kill, copied{stopped}"), times.collect());
    }
}

#[test]
fn nobody_is_left_whichever_thread_has_started_it() {
    let times = (0..5).map(|_| {
        let mut app = App::start();
        // It starts the guardian, too.
        app.starts("plan of a thread that ends").starts("threads");
        app.stop_all().dies("kill")
    });
    print("kill, started by threads", times.collect());
}

#[test]
fn nobody_is_left_by_an_app_that_dies_before_its_guardian_has_begun() {
    for what in ["start and die", "start, be copied and die"] {
        let times = (0..20).map(|_| {
            let mut app = App::start();
            app.tell(what);
            app.lives = app.answer();
            let start = Instant::now();
            // The copy comes last, and lives on.
            let _copy = (app.lives.len() > 2).then(|| app.lives.pop());
            app.leaves_nobody(what, start)
        });
        print(what, times.collect());
    }
}

#[test]
fn nobody_is_left_of_a_group_whose_leader_has_died_of_the_apps_death() {
    let times = (0..20).map(|_| {
        let mut app = App::start();
        app.starts("writer").starts("writer").dies("kill")
    });
    print("kill, of programs that write to it", times.collect());
}

/// The guardian is told with every 32nd child; the others wait in its socket.
#[test]
fn nobody_is_left_of_more_than_wait_for_the_guardian() {
    let mut app = App::start();
    for _ in 0..70 {
        app.starts("program");
    }
    print(
        "kill, of 70 programs that are stopped",
        vec![app.stop_all().dies("kill")],
    );
}

#[test]
fn a_guardian_that_was_killed_is_followed_by_one_that_knows_all_children() {
    let mut app = App::start();
    app.starts("program").starts("lean job");
    let guardian = app.its_guardian();
    guardian.send(Kernels::KILL);
    assert!(guardian.is_gone_within(BOUND));
    app.starts("lean job");
    let next = app.its_guardian();
    assert_ne!(next.pid, guardian.pid);
    app.stop_all().dies("kill");
    assert!(next.is_gone_within(BOUND), "it has nothing left to do");
}

#[test]
fn a_copy_of_the_app_that_has_programs_of_its_own_takes_only_those_along() {
    let mut app = App::start();
    app.starts_all();
    app.tell("copy with programs of its own");
    for life in app.answer() {
        assert!(life.is_gone_within(BOUND), "{}", command_line(life.pid));
    }
    for life in &app.lives {
        assert!(!life.is_gone_within(Duration::ZERO), "{}", life.pid);
    }
    assert!(!app.lives[0].is_gone_within(WHILE));
    app.stop_all().dies("kill");
}

#[test]
fn a_copy_of_the_app_that_is_made_while_the_guardian_is_told_of_somebody_has_its_own() {
    let mut app = App::start();
    app.starts("copies while others are told of");
    app.stop_all().dies("kill");
}

/// As `pkill -f` sends one: the guardian is known by the app's name, too.
#[test]
fn no_signal_but_sigkill_ends_or_stops_a_guardian() {
    let mut app = App::start();
    app.starts("program").starts("lean job");
    let guardian = app.its_guardian();
    let that_cannot_be_blocked = [libc::SIGKILL, libc::SIGSTOP];
    let others = || (1..=64).filter(|number| !that_cannot_be_blocked.contains(number));
    // The C library's own two from the first step of its `main` on, all others from its birth.
    let blocked = others().fold(0_u64, |all, number| all | 1 << (number - 1));
    until("it has blocked them all", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", guardian.pid)).unwrap();
        status.contains(&format!("SigBlk:\t{blocked:016x}"))
    });
    for number in others() {
        raw::signal(guardian.pid, number);
    }
    assert!(!guardian.is_gone_within(WHILE));
    assert!(!is_stopped(guardian.pid));
    app.stop_all().dies("kill");
    assert!(guardian.is_gone_within(BOUND));
}

#[test]
fn nobody_is_left_by_a_signal_that_finds_the_guardian_just_born() {
    for _ in 0..20 {
        let mut app = App::start();
        app.tell("program");
        let guardian = loop {
            if let Some(guardian) = app.guardian() {
                break guardian;
            }
        };
        raw::signal(guardian.pid, libc::SIGTERM);
        app.lives = app.answer();
        app.process.signal(Signal::TERM).unwrap();
        app.leaves_nobody("TERM", Instant::now());
    }
}

/// Without a start, and by whichever program it was before.
#[test]
fn a_guardian_that_is_killed_is_followed_at_once() {
    raise_the_limit_of_files();
    let mut app = App::start();
    app.starts_all().starts("thousand programs");
    // It has all that the guardian has, and epoll goes by the open file.
    let copy = app.starts_aside("copy");
    let times = (0..5).map(|_| {
        let guardian = app.its_guardian();
        let start = Instant::now();
        guardian.send(Kernels::KILL);
        while guardians(app.process.pid())
            .iter()
            .all(|next| *next == guardian.pid)
        {
            assert!(start.elapsed() < BOUND, "nobody follows it");
        }
        start.elapsed()
    });
    let mut times: Vec<_> = times.collect();
    times.sort();
    println!("a guardian is killed: another is there after {:?}", times);
    let before = processor_time(app.process.pid());
    std::thread::sleep(WHILE);
    let spent = processor_time(app.process.pid()) - before;
    assert!(spent < WHILE / 4, "the app is busy: {spent:?}");
    app.dies("kill");
    assert!(!copy.is_gone_within(Duration::ZERO));
}

/// There is no main loop that could see it go.
#[test]
fn a_guardian_of_plans_alone_is_followed_at_the_next_start() {
    let mut app = App::start();
    app.starts("plan");
    let guardian = app.its_guardian();
    guardian.send(Kernels::KILL);
    assert!(guardian.is_gone_within(BOUND));
    app.starts("plan").dies("kill");
}

/// More at once than find room in the guardian's socket, before it has had the time to begin.
#[test]
fn nobody_is_left_of_a_thousand_that_were_started_at_a_stroke() {
    raise_the_limit_of_files();
    let mut app = App::start();
    app.starts("thousand programs");
    let guardian = app.its_guardian();
    let time = app.dies("kill");
    print("kill, of a thousand programs", vec![time]);
    assert!(guardian.is_gone_within(BOUND));
}

#[test]
fn a_guardian_that_was_killed_is_followed_by_one_that_knows_a_thousand_children() {
    raise_the_limit_of_files();
    let mut app = App::start();
    app.starts_all().starts("thousand programs");
    let guardian = app.its_guardian();
    guardian.send(Kernels::KILL);
    assert!(guardian.is_gone_within(BOUND));
    app.starts("program");
    let next = app.its_guardian();
    assert_ne!(next.pid, guardian.pid);
    app.dies("kill");
    assert!(next.is_gone_within(BOUND), "it has nothing left to do");
}

/// A stopped guardian takes nobody, and its socket fills.
#[test]
fn a_guardian_that_takes_nobody_any_more_goes_when_the_next_one_knows_all() {
    let folder = tempfile::tempdir().unwrap();
    let helper = folder.path().join("helper");
    std::os::unix::fs::symlink(program("worker"), &helper).unwrap();
    let mut app = App::with("app_that_dies", &[("HELPER", helper.as_os_str())]);
    app.starts("program of a helper");
    let guardian = app.its_guardian();
    guardian.stop();

    // There can be no other.
    std::fs::remove_file(&helper).unwrap();
    app.starts("programs of a helper");
    assert!(!guardian.is_gone_within(Duration::ZERO));
    assert!(is_stopped(guardian.pid));

    std::os::unix::fs::symlink(program("worker"), &helper).unwrap();
    app.starts("program of a helper");
    assert!(guardian.is_gone_within(BOUND));
    app.dies("kill");
}

#[test]
fn what_a_program_left_behind_when_it_ended_is_not_the_apps_any_more() {
    let mut app = App::start();
    let left = ["launcher", "launcher by a plan"].map(|what| app.starts_aside(what));
    // Long enough not to have died together with the app.
    std::thread::sleep(2 * WHILE);
    let guardian = app.its_guardian();
    until("the guardian watches over nobody but the app", || {
        pidfds_of(guardian.pid) == 1
    });
    app.dies("kill");
    for life in left {
        assert!(!life.is_gone_within(WHILE));
    }
}

#[test]
fn a_guardian_that_is_none_gives_way_to_a_worker_that_has_proved_itself() {
    let mut app = App::start();
    let start = Instant::now();
    app.starts("program of no guardian");
    let none = app.its_guardian();
    assert!(command_line(none.pid).contains("no_worker"));
    while !none.is_gone_within(WHILE) {
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "it is still there"
        );
        app.starts("lean job");
    }
    assert!(start.elapsed() > Duration::from_secs(9), "it had no time");
    app.stop_all().dies("kill");
}

#[test]
fn control_a_program_that_nobody_watches_over_outlives_the_app() {
    let mut app = App::of("app_without_guardian");
    app.starts("program").starts("reader");
    assert!(app.guardian().is_none());
    app.process.signal(Signal::KILL).unwrap();
    app.process.wait().unwrap();
    let [program, child, reader] = &app.lives[..] else {
        panic!("three have been started");
    };
    assert!(reader.is_gone_within(BOUND), "the end-of-file is seen");
    assert!(
        !program.is_gone_within(WHILE) && !child.is_gone_within(WHILE),
        "the control no longer fails: the program has gone with its app"
    );
}
