//! Jobs that are programs: started, read, answered, paused, and told of at their end.

use std::{
    cell::Cell,
    collections::VecDeque,
    time::{Duration, Instant},
};

use gtk::{gio, glib, glib::clone, subclass::prelude::*};
use legwork::{Command, CommandHandle, Ended, Input, OutputStream};

use super::{
    failure,
    job::Job,
    program_words::{self as words, End},
    words::{Look, Told, duration},
};
use crate::{
    programs::{self, Convert, Program, Unfinished},
    workplace,
};

thread_local! {
    /// Columns and rows of the terminal that the next program gets: as much as was last seen of one, for it starts
    /// before anybody looks; at first what all programs expect.
    static TERMINAL: Cell<(u16, u16)> = const { Cell::new((80, 24)) };
}

/// What a job keeps of a program while it runs.
#[derive(Default)]
pub(super) struct Running {
    handle: Option<CommandHandle>,
    since: Option<Instant>,
    /// Away while something is written to it.
    input: Option<Input>,
    answers: VecDeque<Vec<u8>>,
}

impl Job {
    /// Runs a program on a terminal of its own, so that it talks as it does to a person.
    pub(super) fn run_program(&self, program: Program) {
        let start = Instant::now();
        glib::spawn_future_local(clone!(
            #[strong(rename_to = job)]
            self,
            async move {
                let command = program.command().await;
                let (columns, rows) = TERMINAL.get();
                let mut handle = job
                    .set_up(command)
                    .terminal(columns, rows)
                    .env("TERM", "xterm-256color")
                    // A pager would wait for keys that nobody can press here.
                    .env("PAGER", "cat")
                    .env("GIT_PAGER", "cat")
                    .spawn();
                let input = handle.stdin();
                job.set_listens(input.is_some());
                job.imp().running_program.borrow_mut().input = input;
                let output = handle.stdout();
                let ended = job.follow_program(handle, output).await;
                let last = job.output().last_line();
                match ended {
                    Ok(_) => job.end(words::finished(start.elapsed()), ""),
                    Err(error) => {
                        let told = words::failed(&program.name(), &End::new(&error, &last));
                        job.end_failed(told, &error);
                    }
                }
            }
        ));
    }

    /// Makes a file of another kind.
    pub(super) fn run_conversion(&self, convert: Convert) {
        let start = Instant::now();
        glib::spawn_future_local(clone!(
            #[strong(rename_to = job)]
            self,
            async move { job.convert(convert, start).await }
        ));
    }

    async fn convert(&self, mut convert: Convert, start: Instant) {
        let length = programs::length(&convert.input).await;
        let begun = aside(move || {
            // What is there stays.
            convert.output = programs::free_name(&convert.output);
            convert.begin().map(|unfinished| (convert, unfinished))
        });
        let (convert, unfinished) = match begun.await {
            Ok(begun) => begun,
            Err(error) => return self.end(words::not_written(&error), ""),
        };
        let mut handle = self.set_up(convert.command(&unfinished, length)).spawn();
        let status = handle.status().clone();
        let output = handle.stderr();
        let ended = self.follow_program(handle, output).await;
        let done = Duration::from_millis(status.done());
        match ended {
            Ok(_) => match self.finish(unfinished, &convert).await {
                Ok(size) => {
                    self.end(words::converted(&convert.output, size, start.elapsed()), "");
                }
                Err(error) => self.end(words::not_written(&error), ""),
            },
            // It ended by itself when it was asked to, and its file is whole as far as it goes.
            Err(error) if error.is_cancelled() => {
                let whole = error.exit_code() == Some(0) && !done.is_zero();
                let kept = whole && self.finish(unfinished, &convert).await.is_ok();
                self.end(words::conversion_stopped(kept.then_some(done)), "");
            }
            Err(error) => {
                let last = self.output().last_line();
                let told = words::not_converted(&convert.input, &End::new(&error, &last));
                self.end_failed(told, &error);
            }
        }
    }

    async fn finish(&self, unfinished: Unfinished, convert: &Convert) -> std::io::Result<u64> {
        let name = convert.output.clone();
        let size = aside(move || unfinished.finish(&name)).await?;
        self.set_made(Some(gio::File::for_path(&convert.output)));
        Ok(size)
    }

    fn set_up(&self, command: Command) -> Command {
        command
            .label(self.title())
            .helper(&workplace::worker())
            .cancellable(&self.imp().cancellable)
    }

    async fn follow_program(&self, handle: CommandHandle, output: Option<OutputStream>) -> Ended {
        let status = handle.status().clone();
        self.follow(&status);
        {
            let mut running = self.imp().running_program.borrow_mut();
            running.since = Some(Instant::now());
            running.handle = Some(handle);
        }
        self.set_can_pause(true);
        // It may be silent for long; then the time is what moves.
        glib::timeout_add_seconds_local(
            1,
            clone!(
                #[weak(rename_to = job)]
                self,
                #[weak]
                status,
                #[upgrade_or]
                glib::ControlFlow::Break,
                move || {
                    job.progress(&status);
                    if job.running() {
                        glib::ControlFlow::Continue
                    } else {
                        glib::ControlFlow::Break
                    }
                }
            ),
        );
        if let Some(mut output) = output {
            while let Some(bytes) = output.chunk().await {
                self.output().write(&bytes);
                self.progress(&status);
            }
        }
        self.output().finish();
        self.set_can_pause(false);
        let Running { handle, input, .. } = self.imp().running_program.take();
        let ended = handle.expect("set above, and taken here alone").await;
        drop(input);
        ended
    }

    fn end_failed(&self, told: Told, error: &legwork::Error) {
        let details = match told.look {
            Look::Stopped => String::new(),
            _ => failure::details(error),
        };
        self.end(told, &details);
    }

    /// Says what the program wrote last, or for how long it has been silent.
    pub(super) fn tell_output(&self) {
        if !self.running() || self.stopping() || self.paused() {
            return;
        }
        let last = self.output().last_line();
        self.set_line(if last.is_empty() {
            let since = self.imp().running_program.borrow().since;
            match since.map(|since| since.elapsed().as_secs()) {
                None | Some(0) => "Running".into(),
                Some(seconds) => format!("Running for {}", duration(Duration::from_secs(seconds))),
            }
        } else {
            last
        });
    }

    /// Makes its terminal as large as what is seen of it: so many columns and rows.
    pub(super) fn fit_terminal(&self, size: (u16, u16)) {
        // What has none, or has ended, does not say what the next one will have: there is no line for answers.
        if let Some(handle) = &self.imp().running_program.borrow().handle
            && handle.resize_terminal(size.0, size.1).is_ok()
        {
            TERMINAL.set(size);
        }
    }

    /// Lets the program read this, behind what was said before.
    pub(super) fn answer(&self, bytes: &[u8]) {
        let mut running = self.imp().running_program.borrow_mut();
        running.answers.push_back(bytes.to_vec());
        let Some(mut input) = running.input.take() else {
            return;
        };
        drop(running);
        glib::spawn_future_local(clone!(
            #[weak(rename_to = job)]
            self,
            async move {
                loop {
                    let next = {
                        let mut running = job.imp().running_program.borrow_mut();
                        let next = running.answers.pop_front();
                        if next.is_none() && running.handle.is_some() {
                            running.input = Some(input);
                            return;
                        }
                        next
                    };
                    // A program that has ended reads nothing more.
                    let Some(next) = next else { return };
                    if input.write(&next).await.is_err() {
                        return;
                    }
                }
            }
        ));
    }

    /// Stops the program in its tracks, or lets it go on.
    pub(super) fn pause(&self, pause: bool) {
        let signalled = match &self.imp().running_program.borrow().handle {
            Some(handle) if pause => handle.pause(),
            Some(handle) => handle.resume(),
            None => return,
        };
        if signalled.is_ok() && !self.stopping() {
            self.set_paused(pause);
            if pause {
                self.set_line("Paused");
            } else {
                self.tell_output();
            }
        }
    }
}

/// What waits for the file system does so beside the main loop.
async fn aside<T: Send + 'static>(
    act: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    gio::spawn_blocking(act)
        .await
        .unwrap_or_else(|_| Err(std::io::Error::other("a thread failed")))
}
