//! The lean worker of the tests.

fn main() {
    legwork_tests::jobs::JOBS.run_worker()
}
