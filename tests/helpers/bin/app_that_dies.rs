//! An app that dies, and that is its own worker.

fn main() {
    legwork_tests::jobs::JOBS.run_if_worker();
    legwork_tests::death::app();
}
