//! An app that dies, and that begins as one without jobs. With the variable `HAS_JOBS`, it has some after all.

fn main() {
    legwork::init();
    if std::env::var_os("HAS_JOBS").is_some() {
        legwork_tests::jobs::JOBS.run_if_worker();
    }
    legwork_tests::death::app();
}
