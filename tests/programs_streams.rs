//! What the streams of programs may cost the app, and what becomes of them when the kernel watches no more of them.

use std::fs::File;
use std::pin::pin;
use std::task::{Context, Waker};

use legwork::Stdio;
use legwork_tests::context::run;
use legwork_tests::programs::command;
use legwork_tests::{sacrifice, scene};
use rustix::io::ioctl_fionread;
use rustix::pipe::fcntl_setpipe_size;

#[test]
fn one_write_is_bounded_whatever_the_pipe_holds() {
    const LENGTH: usize = 6 << 20;
    run(|| async {
        let count = command("wc").arg("-c").stdin(Stdio::piped());
        let mut count = count.stdout(Stdio::piped()).spawn();
        let mut stdin = count.stdin().unwrap();
        let mut lines = count.stdout().unwrap().lines();
        count.pause().unwrap();
        let pid = count.pid().unwrap();
        legwork_tests::until("it is paused", || legwork_tests::context::is_stopped(pid));
        let pipe = File::open(format!("/proc/{pid}/fd/0")).unwrap();
        // Without privileges no pipe holds more than 1 MiB, and the kernel itself sets the bound.
        let holds =
            fcntl_setpipe_size(&pipe, 4 << 20).or_else(|_| fcntl_setpipe_size(&pipe, 1 << 20));
        println!("a pipe of {holds:?} bytes");
        let bytes = vec![0; LENGTH];
        {
            let mut write = pin!(stdin.write(&bytes));
            let mut once = Context::from_waker(Waker::noop());
            assert!(write.as_mut().poll(&mut once).is_pending());
            // One write, and the loop has not run since.
            assert_eq!(ioctl_fionread(&pipe).unwrap(), 1 << 20);
            drop(pipe);
            count.resume().unwrap();
            write.await.unwrap();
        }
        drop(stdin);
        assert_eq!(lines.recv().await.unwrap().text, LENGTH.to_string());
        count.await.unwrap();
    });
}

#[test]
fn a_piece_of_any_length_is_copied_once_while_it_is_written() {
    let seen = scene::control("writes_much");
    let (piece, grown): (u64, u64) = (seen.get("piece"), seen.get("grown"));
    println!("{grown} KiB more for pieces of {piece} KiB");
    assert!(grown < piece + piece / 4, "{grown} KiB");
}

#[test]
fn what_cannot_be_watched_is_read_and_written_all_the_same() {
    sacrifice("unwatchable");
}
