//! What the child logs and prints.

use std::os::fd::AsFd;
use std::sync::Arc;

use super::{Left, PRINTS_READ, Supervisor};
use crate::job::log::{Level, LogRecord, Ring};
use crate::main_loop::hub::Slice;
use crate::wire::frame::LogBatch;

impl Supervisor {
    /// The records from now on, for somebody who reads them.
    pub(in crate::job) fn ring(&self) -> Arc<Ring> {
        self.ring.get_or_init(Arc::default).clone()
    }

    pub(super) fn log(&self, record: LogRecord) {
        if self.forward_logs {
            record.to_glib(&self.label, self.pid);
        }
        if let Some(ring) = self.ring.get() {
            ring.push(record);
        }
    }

    pub(super) fn log_batch(&self, batch: LogBatch) {
        let mut dropped = batch.dropped;
        if batch.records.is_empty() && dropped > 0 {
            let mut record = LogRecord::printed(format!("{dropped} log records were dropped"));
            record.level = Level::Warn;
            record.dropped = dropped;
            return self.log(record);
        }
        for entry in batch.records {
            self.log(LogRecord::from_entry(entry, std::mem::take(&mut dropped)));
        }
    }

    /// Reads what the child has printed, at most `most` bytes; false when there is no more of it.
    pub(super) fn read_prints(&self, most: usize, slice: &Slice) -> bool {
        let mut total = 0;
        while total < most {
            let mut buffer = [0; PRINTS_READ];
            let buffer = &mut buffer[..PRINTS_READ.min(most - total)];
            let mut lines = Vec::new();
            let open = {
                let mut prints = self.prints.borrow_mut();
                let Some((fd, cutter)) = prints.as_mut() else {
                    return false;
                };
                match rustix::io::read(&*fd, &mut *buffer) {
                    Ok(0) => false,
                    Ok(length) => {
                        total += length;
                        self.count_down(|left| &mut left.prints, length);
                        cutter.feed(&buffer[..length], |line| lines.push(line));
                        true
                    }
                    Err(rustix::io::Errno::INTR) => true,
                    Err(rustix::io::Errno::AGAIN) => {
                        // Whatever was there at the end is not any more.
                        self.count_down(|left| &mut left.prints, usize::MAX);
                        return true;
                    }
                    Err(_) => false,
                }
            };
            for line in lines {
                self.log(LogRecord::printed(line));
            }
            if !open {
                return false;
            }
            if slice.is_over() {
                break;
            }
        }
        true
    }

    pub(super) fn count_down(&self, of: impl Fn(&mut Left) -> &mut usize, by: usize) {
        if let Some(mut left) = self.left.get() {
            let bytes = of(&mut left);
            *bytes = bytes.saturating_sub(by);
            self.left.set(Some(left));
        }
    }

    /// Closes the pipe, and hands out the line that has no end.
    pub(super) fn close_prints(&self) {
        let Some((fd, mut lines)) = self.prints.take() else {
            return;
        };
        self.hub.unwatch(fd.as_fd());
        let mut last = None;
        lines.finish(|line| last = Some(line));
        self.facts.borrow_mut().output_tail = lines.tail();
        if let Some(line) = last {
            self.log(LogRecord::printed(line));
        }
    }
}
