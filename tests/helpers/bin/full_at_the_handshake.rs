//! Starts jobs, and has no descriptor left at their handshake.

use std::os::fd::OwnedFd;

use legwork::{Worker, glib::MainContext, prelude::*};
use legwork_tests::{jobs::Count, program};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn main() {
    let limits = Rlimit {
        current: Some(200),
        ..getrlimit(Resource::Nofile)
    };
    setrlimit(Resource::Nofile, limits).unwrap();
    let context = MainContext::new();
    context
        .with_thread_default(|| {
            let worker = Worker::program(program("worker"));
            let start = || Count { to: 500 }.builder().worker(&worker).spawn();
            // Everything that exists only once, such as the guardian.
            assert_eq!(context.block_on(start().into_future()).unwrap(), 500);
            let jobs: Vec<_> = std::iter::repeat_with(start).take(5).collect();
            let open = || std::io::pipe().map(|(reader, _)| OwnedFd::from(reader));
            let others: Vec<_> = std::iter::repeat_with(open).map_while(Result::ok).collect();
            let last: Vec<_> = std::iter::repeat_with(|| others[0].try_clone())
                .map_while(Result::ok)
                .collect();
            for job in jobs {
                assert_eq!(context.block_on(job.into_future()).unwrap(), 500);
            }
            drop((others, last));
        })
        .unwrap();
}
