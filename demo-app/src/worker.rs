//! The worker of the demo app: runs its jobs, and links neither GTK nor GLib.

fn main() -> ! {
    legwork_demo::JOBS.run_worker()
}
