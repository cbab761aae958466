//! What the streams of programs may cost the app, and what happens to them when the kernel refuses to watch more.

use std::fs::File;
use std::pin::pin;
use std::task::{Context, Waker};

use legwork::{Stdio, glib};
use legwork_tests::context::run;
use legwork_tests::programs::command;
use legwork_tests::{program, sacrifice, scene};
use rustix::io::ioctl_fionread;
use rustix::pipe::{fcntl_getpipe_size, fcntl_setpipe_size, pipe};

#[test]
fn one_write_is_bounded_whatever_the_pipe_holds() {
    const LENGTH: usize = 6 << 20;
    run(|| async {
        let count = command("wc").arg("-c").stdin(Stdio::piped());
        let mut count = count.stdout(Stdio::piped()).spawn();
        let mut stdin = count.stdin().unwrap();
        let mut lines = count.stdout().unwrap().lines();
        count.control().pause().unwrap();
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
            count.control().resume().unwrap();
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
fn input_is_given_back_while_the_answer_comes() {
    let seen = scene::control("answers_much");
    let (piece, grown): (u64, u64) = (seen.get("piece"), seen.get("grown"));
    println!("{grown} KiB more while {piece} KiB come back");
    assert!(grown < piece / 4, "{grown} KiB");
}

/// So many bytes, no two pieces of which are the same.
fn distinct(length: usize) -> Vec<u8> {
    (0_u32..).flat_map(u32::to_le_bytes).take(length).collect()
}

/// What a pipe holds that nobody has changed.
fn plain() -> usize {
    fcntl_getpipe_size(pipe().unwrap().0).unwrap()
}

/// What the kernel lets a pipe hold that is made wider: no more than others, if the user has spent what he may.
fn wide() -> usize {
    fcntl_setpipe_size(pipe().unwrap().0, 256 << 10).unwrap_or_else(|_| plain())
}

#[test]
fn a_pipe_is_widened_once_much_has_passed_and_every_byte_arrives() {
    for (length, sizes) in [(512 << 10, plain()), (5 << 20, wide())] {
        let input = distinct(length);
        let copy = command(program("pipe_sizes")).stdin(Stdio::bytes(input.clone()));
        let output = run(|| copy.output()).unwrap();
        assert!(output.stdout == input, "{length} bytes are what they were");
        assert_eq!(output.stderr_utf8().unwrap(), format!("{sizes} {sizes}"));
    }
}

#[test]
fn a_limit_is_exact_also_when_the_pipe_is_wide() {
    let input = distinct(5 << 20);
    for limit in [(1 << 20) - 1, 1 << 20, (1 << 20) + 1, (3 << 20) + 7] {
        let copy = command(program("pipe_sizes")).stdin(Stdio::bytes(input.clone()));
        let output = run(|| copy.output_limit(limit).output()).unwrap();
        assert!(output.truncated);
        assert!(output.stdout == input[..limit], "up to {limit}");
    }
}

#[test]
fn a_pipe_that_is_read_step_by_step_is_left_as_it_is() {
    let input = distinct(3 << 20);
    run(|| async {
        let mut copy = command(program("pipe_sizes"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let (mut stdin, mut stdout) = (copy.stdin().unwrap(), copy.stdout().unwrap());
        let sent = input.clone();
        glib::spawn_future_local(async move { stdin.write(&sent).await.unwrap() });
        let mut output = Vec::new();
        while let Some(chunk) = stdout.chunk().await {
            output.extend(chunk);
        }
        assert!(output == input);
        let mut stderr = copy.stderr().unwrap().lines();
        let sizes = stderr.recv().await.unwrap().text;
        assert_eq!(sizes, format!("{0} {0}", plain()));
        copy.await.unwrap();
    });
}

#[test]
fn a_text_never_ends_in_the_middle_of_a_character() {
    // Each write is read by itself; the last character stays incomplete.
    let script = r#"for part in '\342' '\202\254 \360' '\237' '\230\200' '\377\000' '\303'; do
        printf "$part"; read line; done"#;
    let texts = run(|| async {
        let echo = command("bash").args(["-c", script]);
        let mut echo = echo.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let (mut stdin, mut stdout) = (echo.stdin().unwrap(), echo.stdout().unwrap());
        let mut texts = Vec::new();
        let reader = glib::spawn_future_local(async move {
            while let Some(text) = stdout.text().await {
                texts.push(text);
            }
            texts
        });
        for _ in 0..6 {
            glib::timeout_future(std::time::Duration::from_millis(30)).await;
            stdin.write(b"\n").await.unwrap();
        }
        echo.await.unwrap();
        reader.await.unwrap()
    });
    assert_eq!(texts.concat(), "\u{20ac} \u{1f600}\u{fffd}\u{fffd}\u{fffd}");
    assert!(texts.len() > 1, "they came one by one: {texts:?}");
}

#[test]
fn what_cannot_be_watched_is_read_and_written_all_the_same() {
    sacrifice("unwatchable");
}
