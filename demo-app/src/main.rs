//! The demo app: a window with jobs in it, or the same jobs without one.

mod app;
mod headless;
mod programs;
mod worker_program;

use std::process::ExitCode;

fn main() -> ExitCode {
    // In a worker this never returns. In the app it comes before GTK, which a worker must not start.
    legwork_demo::JOBS.run_if_worker();

    let mut args: Vec<_> = std::env::args_os().skip(1).collect();
    // What follows `--` is a program's, or a file's name.
    let mut options = args.iter().take_while(|arg| *arg != "--");
    if let Some(position) = options.position(|arg| arg == "--headless") {
        args.remove(position);
        return headless::run(args.into_iter());
    }
    app::run().into()
}
