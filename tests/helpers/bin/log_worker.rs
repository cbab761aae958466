//! The lean worker of the tests for logs.

fn main() {
    legwork_tests::log_jobs::LOGGERS.run_worker()
}
