//! The worker of the tests.

fn main() {
    legwork_service_tests::jobs::JOBS.run_worker();
}
