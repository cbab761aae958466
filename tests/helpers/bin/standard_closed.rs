//! Closes those of its 0, 1 and 2 that the bits of its argument name, and runs programs with all kinds of outputs.
//! Whatever it opens from then on, pipes and its main loop's own descriptors, gets these numbers.

use std::os::fd::RawFd;

use legwork::Stdio;
use legwork_tests::context::run;
use legwork_tests::programs::{reported, sh};
use legwork_tests::raw;

fn main() {
    // The destination of failure messages; 0, 1 and 2 may not exist.
    let complaints = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 50).unwrap();
    std::panic::set_hook(Box::new(move |panic| {
        let _ = rustix::io::write(&complaints, format!("{panic}\n").as_bytes());
    }));
    let bits: u8 = std::env::args().nth(1).unwrap().parse().unwrap();
    let is_closed = |number: RawFd| bits & (1 << number) != 0;
    (0..=2)
        .filter(|number| is_closed(*number))
        .for_each(raw::close);
    run(|| async {
        for case in 0..8 {
            talk(case & 1 != 0, case & 2 != 0, case & 4 != 0).await;
        }
        inherited(1, is_closed(1), "out\n");
        inherited(2, is_closed(2), "err\n");
        look(is_closed).await;
    });
}

/// Output that was requested arrives complete and alone.
async fn talk(feeds: bool, stdout: bool, stderr: bool) {
    let mut program = sh("cat; echo out; echo err >&2");
    if feeds {
        program = program.stdin(Stdio::bytes("in\n"));
    }
    if stdout {
        program = program.stdout(Stdio::piped());
    }
    if stderr {
        program = program.stderr(Stdio::piped());
    }
    let mut program = program.spawn();
    let case = format!("feeds {feeds}, stdout {stdout}, stderr {stderr}");
    for (asked, stream, words) in [
        (
            stdout,
            program.stdout(),
            if feeds { "in\nout\n" } else { "out\n" },
        ),
        (stderr, program.stderr(), "err\n"),
    ] {
        assert_eq!(asked, stream.is_some(), "{case}");
        let Some(mut stream) = stream else { continue };
        let mut said = Vec::new();
        while let Some(chunk) = stream.chunk().await {
            said.extend(chunk);
        }
        assert_eq!(String::from_utf8(said).unwrap(), words, "{case}");
    }
    program
        .await
        .unwrap_or_else(|error| panic!("{case}: {error:?}"));
}

/// The four outputs that were not requested went to the app's own, a file, unless that is closed.
fn inherited(number: RawFd, is_closed: bool, words: &str) {
    if !is_closed {
        let said = std::fs::read_to_string(format!("/proc/self/fd/{number}")).unwrap();
        assert_eq!(said.matches(words).count(), 4, "{said}");
    }
}

/// An output that is not requested is the app's own if it has one, and not what got that number since.
async fn look(is_closed: impl Fn(RawFd) -> bool) {
    let report = reported(|program| program).await.unwrap();
    assert_eq!(report.descriptors.len(), 3, "{:?}", report.descriptors);
    for number in [1, 2] {
        let link = &report.descriptors[&number];
        let is_null = link.to_str() == Some("/dev/null");
        assert_eq!(is_null, is_closed(number), "{number}: {link:?}");
    }
}
