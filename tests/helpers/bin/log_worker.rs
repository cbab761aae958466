//! The lean worker of the tests of logs.

fn main() {
    legwork_tests::log_jobs::LOGGERS.run_worker()
}
