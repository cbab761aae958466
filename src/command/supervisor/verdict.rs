//! The one outcome, from all that is known at the end.

use super::{Life, NotStarted, Reason, Supervisor};
use crate::child::{Error, ErrorKind};
use crate::command::handle::Output;
use crate::command::lane::Lane;
use crate::process::{Exit, ExitStatus};

impl Supervisor {
    pub(super) fn decide(&self) -> Result<Output, Error> {
        // Asks the app's code: with nothing borrowed.
        let said = [Lane::Output, Lane::Errors].map(|lane| self.last_words(lane));
        let exit = match self.life.borrow().end {
            Some(Ok(exit)) => Some(exit),
            _ => None,
        };
        let judged = {
            let life = self.life.borrow();
            !life.context_gone && life.stop.is_none() && life.not_started.is_none()
        };
        let success = judged && exit.is_some_and(|exit| (self.rules.success)(exit.status));
        let life = self.life.borrow();
        let mut collected = [Vec::new(), Vec::new()];
        let mut tails = [String::new(), String::new()];
        let mut truncated = false;
        for (index, road) in self.roads.iter().enumerate() {
            if let Some(road) = &mut *road.borrow_mut() {
                tails[index] = road.tail();
                truncated |= road.collects() && road.dropped;
                collected[index] = road.collected();
            }
        }
        let [stdout_tail, stderr_tail] = tails;
        let [said_out, said_err] = said;
        let (tail, said) = if stderr_tail.is_empty() {
            (stdout_tail, said_out)
        } else {
            (stderr_tail, said_err)
        };
        let label = &self.rules.label;
        let new = |kind, text: &str| Error::new(kind, label, text);
        let mut error = match (&life.stop, &life.not_started, life.end) {
            _ if life.context_gone => new(
                ErrorKind::Cancelled,
                "its main context went away, and it was stopped",
            ),
            (None, Some(NotStarted::Step(why)), _) => Error::start(label, why.clone()),
            (None, Some(NotStarted::Helper(why)), _) => {
                new(ErrorKind::Start, &format!("it could not be started: {why}"))
            }
            (Some(stop), _, _) => match stop.reason {
                Reason::Asked => new(ErrorKind::Cancelled, "stopped on request"),
                Reason::Deadline(after) => new(
                    ErrorKind::Timeout,
                    &format!("not finished within its deadline of {after:?}"),
                ),
                Reason::Stalled(after) => new(
                    ErrorKind::Timeout,
                    &format!("it wrote nothing for {after:?}, and was stopped"),
                ),
            },
            (None, None, Some(Ok(exit))) if success => {
                return Ok(self.output(exit, &life, collected, truncated));
            }
            (None, None, Some(Ok(exit))) => {
                let (kind, how) = match exit.status {
                    ExitStatus::Code(code) => {
                        (ErrorKind::Exit, format!("it ended with exit code {code}"))
                    }
                    ExitStatus::Signal { signal, .. } => {
                        (ErrorKind::Signal, format!("it was ended by {signal}"))
                    }
                };
                match said {
                    Some(said) => new(kind, &format!("{how}: {said}")),
                    None => new(kind, &how),
                }
            }
            (None, None, Some(Err(error))) => {
                new(ErrorKind::Exit, "it ended, and how cannot be known").because(error)
            }
            (None, None, None) => {
                let error = std::io::Error::from_raw_os_error(life.unwatched.unwrap_or_default());
                let text = format!("it could not be watched, and was stopped: {error}");
                new(ErrorKind::Start, &text).because(error)
            }
        };
        let inner = error.inner_mut();
        inner.ran = life.not_started.is_none();
        inner.output_tail = tail;
        inner.progress = (self.status.done(), self.status.total());
        if let Some(Ok(exit)) = life.end {
            inner.status = Some(exit.status);
            inner.usage = Some(exit.usage);
        }
        Err(error)
    }

    /// The last thing that was said, for an error's words.
    fn last_words(&self, lane: Lane) -> Option<String> {
        let (tail, parser) = {
            let mut road = self.road(lane);
            let road = road.as_mut()?;
            (road.tail(), road.take_parser())
        };
        let lines = tail.lines().rev().map(str::trim);
        let mut words = lines
            .filter(|line| !line.is_empty())
            .filter_map(|line| match &parser {
                Some(parser) => parser.words(line),
                None => Some(line.to_owned()),
            });
        words.next().map(|mut words| {
            words.truncate(words.floor_char_boundary(300));
            words
        })
    }

    pub(super) fn output(
        &self,
        exit: Exit,
        life: &Life,
        [stdout, stderr]: [Vec<u8>; 2],
        truncated: bool,
    ) -> Output {
        Output {
            status: exit.status,
            usage: exit.usage,
            stdout,
            stderr,
            incomplete: life.incomplete,
            truncated,
        }
    }
}
