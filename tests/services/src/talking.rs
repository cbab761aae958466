//! Programs that are told lines and say lines: each with the time at which it was read.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A running program.
#[derive(Debug)]
pub struct Talking {
    child: Child,
    stdin: Option<ChildStdin>,
    said: Arc<Mutex<Vec<(Instant, String)>>>,
}

impl Talking {
    /// Starts a program. It is killed when this is dropped.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let said = Arc::<Mutex<Vec<_>>>::default();
        let (lines, into) = (child.stdout.take().expect("piped"), said.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                into.lock().unwrap().push((Instant::now(), line));
            }
        });
        Self {
            stdin: child.stdin.take(),
            child,
            said,
        }
    }

    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it a line.
    pub fn tell(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("it listens");
        writeln!(stdin, "{line}").expect("it listens");
    }

    /// Returns all lines so far that begin with `start`, without that.
    pub fn said(&self, start: &str) -> Vec<(Instant, String)> {
        let said = self.said.lock().unwrap();
        let those = said.iter().filter_map(|(at, line)| {
            line.strip_prefix(start)
                .map(|rest| (*at, rest.trim().to_owned()))
        });
        those.collect()
    }

    /// Waits for the `number`th line that begins with `start`; from 1. Panics after a minute, with all that was said.
    #[track_caller]
    pub fn wait_for(&self, start: &str, number: usize) -> (Instant, String) {
        let begin = Instant::now();
        loop {
            if let Some(line) = self.said(start).into_iter().nth(number - 1) {
                return line;
            }
            let all = || self.said.lock().unwrap().clone();
            assert!(
                begin.elapsed() < Duration::from_secs(60),
                "no line {number} of {start:?} in {:#?}",
                all()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it, and returns when that was.
    pub fn kill(&mut self) -> Instant {
        let at = Instant::now();
        let _ = self.child.kill();
        let _ = self.child.wait();
        at
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        self.kill();
    }
}
