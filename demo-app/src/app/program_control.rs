//! What can be done to a program while it runs: answer it, pause it, resize its terminal.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
};

use gtk::glib;
use legwork::{Control, Input};

thread_local! {
    /// Columns and rows of the next program's terminal. A program starts before anybody looks at its page, so it gets
    /// the size of the last page; at first 80 by 24, which all programs expect.
    static TERMINAL_SIZE: Cell<(u16, u16)> = const { Cell::new((80, 24)) };
}

/// The columns and rows of the next program's terminal.
pub(super) fn terminal_size() -> (u16, u16) {
    TERMINAL_SIZE.get()
}

/// A running program; empty before it runs, and after.
#[derive(Clone, Default)]
pub(crate) struct ProgramControl(Rc<RefCell<Parts>>);

#[derive(Default)]
struct Parts {
    control: Option<Control>,
    /// Taken while something is written.
    input: Option<Input>,
    answers: VecDeque<Vec<u8>>,
}

impl ProgramControl {
    /// Controls this program from now on. Its input is kept until it has ended: closing a terminal kills what runs on it.
    pub(super) fn set(&self, control: Control, input: Option<Input>) {
        let mut parts = self.0.borrow_mut();
        parts.control = Some(control);
        parts.input = input;
    }

    /// Gives up the program.
    pub(super) fn clear(&self) {
        self.0.take();
    }

    /// Writes this to the program's input, after what was written before.
    pub(super) fn answer(&self, bytes: &[u8]) {
        let mut parts = self.0.borrow_mut();
        parts.answers.push_back(bytes.to_vec());
        if let Some(input) = parts.input.take() {
            glib::spawn_future_local(self.clone().write_answers(input));
        }
    }

    async fn write_answers(self, mut input: Input) {
        while let Some(answer) = self.next_answer() {
            // A program that has ended reads nothing more.
            if input.write(&answer).await.is_err() {
                return;
            }
        }
        let mut parts = self.0.borrow_mut();
        if parts.control.is_some() {
            parts.input = Some(input);
        }
    }

    fn next_answer(&self) -> Option<Vec<u8>> {
        self.0.borrow_mut().answers.pop_front()
    }

    /// Pauses or resumes the program; returns whether that was possible.
    pub(super) fn pause(&self, pause: bool) -> bool {
        let parts = self.0.borrow();
        let signalled = match &parts.control {
            Some(control) if pause => control.pause(),
            Some(control) => control.resume(),
            None => return false,
        };
        signalled.is_ok()
    }

    /// Resizes the program's terminal to this many columns and rows.
    pub(super) fn resize_terminal(&self, size: (u16, u16)) {
        // The view of a program that has ended, or has no terminal, has no line for input below it: its size says
        // nothing about the next program's terminal.
        if let Some(control) = &self.0.borrow().control
            && control.resize_terminal(size.0, size.1).is_ok()
        {
            TERMINAL_SIZE.set(size);
        }
    }
}
