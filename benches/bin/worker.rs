//! The lean worker: what a program costs that holds the jobs and nothing else.

fn main() {
    // What is started without Legwork, to compare the births, is this same program; it has nothing to do.
    if std::env::args().nth(1).as_deref() == Some("exit") {
        return;
    }
    legwork_benches::JOBS.run_worker()
}
