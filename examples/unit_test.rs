//! How to test a job: in the test's own process, without a child and without a main loop.
//!
//! ```sh
//! cargo test --example unit_test
//! ```
//!
//! Besides legwork it needs serde.
//!
//! A test program cannot be its own worker, because its `main` is the test harness's and would run every test again. So
//! tests of the app's side, which need a real child, name a worker program: in an integration test (a file in
//! `tests/`) that is `Worker::program(env!("CARGO_BIN_EXE_my-worker"))`, and its `main` is `JOBS.run_worker()`.

use std::error::Error;

use legwork::prelude::*;
use legwork::{Ctx, glib};
use serde::{Deserialize, Serialize};

/// Finds the longest word of a text. Each word that is longer than all before it is a message.
#[derive(Serialize, Deserialize)]
struct LongestWord {
    text: String,
}

impl legwork::Job for LongestWord {
    type Message = String;
    type Output = String;
    type Error = Box<dyn Error + Send + Sync>;

    fn run(self, cx: &Ctx<Self>) -> Result<String, Self::Error> {
        let mut longest = "";
        for word in self.text.split_whitespace() {
            if word.chars().count() > longest.chars().count() {
                longest = word;
                cx.send(word.to_owned())?;
            }
        }
        if longest.is_empty() {
            return Err("there is no word in this text".into());
        }
        Ok(longest.to_owned())
    }
}

legwork::jobs! {
    static JOBS = [LongestWord];
}

fn main() -> Result<(), Box<dyn Error>> {
    JOBS.run_if_worker();
    let text = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    let text = if text.is_empty() {
        "a main loop sleeps".to_owned()
    } else {
        text
    };
    let job = LongestWord { text }.spawn();
    let longest = glib::MainContext::default().block_on(job.into_future())?;
    println!("{longest}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> (Result<String, String>, Vec<String>) {
        let mut records = Vec::new();
        let job = LongestWord {
            text: text.to_owned(),
        };
        let outcome = job.run_here(|record| records.push(record));
        (outcome.map_err(|error| error.to_string()), records)
    }

    #[test]
    fn every_record_is_told_and_the_last_is_the_answer() {
        let (outcome, records) = run("to be or rather not");
        assert_eq!(outcome, Ok("rather".to_owned()));
        assert_eq!(records, ["to", "rather"]);
    }

    #[test]
    fn a_text_without_words_is_an_error() {
        let (outcome, records) = run("  \n");
        assert_eq!(outcome, Err("there is no word in this text".to_owned()));
        assert!(records.is_empty());
    }
}
