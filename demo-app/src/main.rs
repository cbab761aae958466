//! The demo app: a window with jobs in it, or the same jobs without one.

mod app;
mod headless;
mod programs;
mod workplace;

use std::process::ExitCode;

fn main() -> ExitCode {
    // In a worker this never returns. In the app it comes before GTK, which a worker must not start.
    legwork_demo::JOBS.run_if_worker();

    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == "--headless") {
        return headless::run(args);
    }
    app::run().into()
}
