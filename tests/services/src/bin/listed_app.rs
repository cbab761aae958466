//! An app whose jobs are listed on the session bus: it does what it is told line by line, and says what happens.
//!
//! `listed_app [ID [FLAG]]` with `non-unique` or `silent`, without a callback that shows a job. Without an id there is
//! no application.

use std::cell::RefCell;
use std::io::{BufRead, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use legwork::desktop::JobList;
use legwork::gio::prelude::*;
use legwork::prelude::*;
use legwork::{Command, Ctx, gio, glib};
use serde::{Deserialize, Serialize};

legwork::jobs! { static JOBS = [Report, Fail]; }

/// Reports progress so many times a second, for some seconds or until it is stopped.
#[derive(Serialize, Deserialize)]
struct Report {
    per_second: u32,
    seconds: u64,
    /// Bytes of text with each.
    width: usize,
}

impl legwork::Job for Report {
    type Message = ();
    type Output = ();
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn run(self, cx: &Ctx<Self>) -> Result<(), Self::Error> {
        let begin = Instant::now();
        let total = u64::from(self.per_second) * self.seconds;
        cx.set_total(total);
        for step in 0..total {
            let due = Duration::from_secs(1) * step as u32 / self.per_second;
            while begin.elapsed() < due {
                std::thread::sleep(Duration::from_micros(50));
            }
            cx.check()?;
            cx.advance(1);
            cx.set_text(format!("{step:0>width$}", width = self.width));
        }
        Ok(())
    }
}

/// Fails.
#[derive(Serialize, Deserialize)]
struct Fail;

impl legwork::Job for Fail {
    type Message = ();
    type Output = ();
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn run(self, _: &Ctx<Self>) -> Result<(), Self::Error> {
        std::thread::sleep(Duration::from_millis(300));
        Err("there is no more room".into())
    }
}

fn say(line: impl std::fmt::Display) {
    let mut out = std::io::stdout();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .expect("the test reads");
}

fn main() {
    JOBS.run_if_worker();
    let mut arguments = std::env::args().skip(1);
    let (id, flag) = (arguments.next(), arguments.next().unwrap_or_default());
    let app = id.filter(|id| !id.is_empty()).map(|id| {
        let flags = match flag.as_str() {
            "non-unique" => gio::ApplicationFlags::NON_UNIQUE,
            _ => gio::ApplicationFlags::default(),
        };
        let app = gio::Application::new(Some(&id), flags);
        if let Err(error) = app.register(gio::Cancellable::NONE) {
            say(format_args!("not registered: {error}"));
        }
        if let Some(bus) = app.dbus_connection() {
            bus.set_exit_on_close(false);
        }
        app.set_default();
        app
    });
    let list = JobList::new();
    if flag != "silent" {
        list.on_show(|status, token| say(format_args!("show {} {token}", status.label())));
    }
    let is_remote = app.as_ref().is_some_and(|app| app.is_remote());
    say(format_args!("ready {is_remote}"));
    glib::MainContext::default().block_on(obey(list));
}

async fn obey(list: JobList) {
    let notified = Rc::new(RefCell::new(0u32));
    loop {
        let line = gio::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin()
                .lock()
                .read_line(&mut line)
                .map(|_| line)
                .unwrap_or_default()
        });
        let line = line.await.expect("a line");
        let mut words = line.split_whitespace();
        let Some(word) = words.next() else { return };
        let number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(1);
        match word {
            "unlisted" => {
                ends("Reports", report(number).spawn());
            }
            "report" => {
                let job = report(number)
                    .builder()
                    .label("Reports")
                    .show_in(&list)
                    .spawn();
                let count = notified.clone();
                job.status()
                    .connect_done_notify(move |_| *count.borrow_mut() += 1);
                ends("Reports", job);
            }
            "fail" => ends(
                "Fails",
                Fail.builder().label("Fails").show_in(&list).spawn(),
            ),
            "sleep" => {
                let sleep = Command::new("sleep").arg("1000").label("Sleeps");
                ends("Sleeps", sleep.show_in(&list).spawn());
            }
            "missing" => {
                let missing = Command::new("/no/such/program").label("Missing");
                ends("Missing", missing.show_in(&list).spawn());
            }
            "availability" => say(format_args!("availability {:?}", list.availability())),
            "notified" => say(format_args!("notified {}", notified.borrow())),
            "cpu" => say(format_args!("cpu {}", cpu_microseconds())),
            other => say(format_args!("unknown {other}")),
        }
    }
}

fn report(mut number: impl FnMut() -> u32) -> Report {
    Report {
        per_second: number(),
        seconds: number().into(),
        width: number() as usize,
    }
}

/// Says how it has ended.
fn ends<T>(label: &'static str, job: impl IntoFuture<Output = Result<T, legwork::Error>> + 'static)
where
    T: 'static,
{
    let job = job.into_future();
    glib::MainContext::default().spawn_local(async move {
        match Box::pin(job).await {
            Ok(_) => say(format_args!("ended {label} well")),
            Err(error) if error.is_cancelled() => say(format_args!("ended {label} cancelled")),
            Err(error) => say(format_args!("ended {label} {error}")),
        }
    });
}

fn cpu_microseconds() -> u128 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("a time").as_micros()
}
