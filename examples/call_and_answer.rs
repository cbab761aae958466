//! A job that answers requests for as long as the app likes: here a spelling dictionary, which is loaded once in a
//! child and looked up many times.
//!
//! ```sh
//! cargo run --example call_and_answer
//! ```
//!
//! Besides legwork it needs serde.

use std::collections::HashSet;
use std::error::Error;

use legwork::prelude::*;
use legwork::{Ctx, glib};
use serde::{Deserialize, Serialize};

/// The job. This value is what it starts with.
#[derive(Serialize, Deserialize)]
struct Spelling {
    words: Vec<String>,
}

/// A request from the app.
#[derive(Serialize, Deserialize)]
enum Question {
    IsKnown(String),
    Learn(String),
}

/// A message from the job: one for each question, in order.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Known,
    Unknown,
    Learned { words: usize },
}

impl legwork::Job for Spelling {
    type Message = Answer;
    type Output = usize;
    type Error = Box<dyn Error + Send + Sync>;

    fn run(self, cx: &Ctx<Self>) -> Result<usize, Self::Error> {
        let mut words: HashSet<String> = self.words.into_iter().collect();
        let mut questions = 0;
        // `None` once the app has no more questions; an error once it has asked the job to stop.
        while let Some(question) = cx.recv()? {
            questions += 1;
            cx.send(match question {
                Question::IsKnown(word) if words.contains(&word) => Answer::Known,
                Question::IsKnown(_) => Answer::Unknown,
                Question::Learn(word) => {
                    words.insert(word);
                    Answer::Learned { words: words.len() }
                }
            })?;
        }
        Ok(questions)
    }
}

/// This lets the job receive requests.
impl legwork::Receive for Spelling {
    type Request = Question;
}

legwork::jobs! {
    static JOBS = [Spelling];
}

fn main() -> Result<(), Box<dyn Error>> {
    JOBS.run_if_worker();
    glib::MainContext::default().block_on(app())
}

async fn app() -> Result<(), Box<dyn Error>> {
    let words = ["frame", "loop", "spawn"].map(String::from).to_vec();
    let mut job = Spelling { words }.spawn();
    let sender = job.sender(); // it can be cloned into as many callbacks as you like

    for word in ["spawn", "pidfd"] {
        sender.send(Question::IsKnown(word.to_owned())).await?;
        println!("{word}: {:?}", job.message().await);
    }
    sender.send(Question::Learn("pidfd".to_owned())).await?;
    println!("pidfd: {:?}", job.message().await);
    sender.send(Question::IsKnown("pidfd".to_owned())).await?;
    println!("pidfd: {:?}", job.message().await);

    drop(sender); // no more questions: awaiting the job closes the last sender, and `recv` returns `None`
    println!("{} questions", job.await?);
    Ok(())
}
