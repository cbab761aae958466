//! Valid packets at the wrong time, and silence.

use super::*;

fn refused() -> Step {
    send(said(kind::REFUSED, &2u32))
}

fn panicked() -> Step {
    send(packet(kind::PANICKED, &[]))
}

#[test]
fn nothing_but_the_handshake_comes_first() {
    let _alone = alone();
    for lie in [
        send(message()),
        done(),
        failed(),
        panicked(),
        send(progress()),
    ] {
        seen(&[lie], "before the handshake");
    }
}

#[test]
fn a_handshake_comes_once() {
    let _alone = alone();
    seen(&[ready(), ready()], "second handshake");
    seen(&[ready(), refused()], "after the handshake");
    seen(&[refused(), ready(), done()], "after the refusal");
    seen(&[refused(), refused()], "after the refusal");
    seen(&[refused(), send(progress())], "after the refusal");
}

#[test]
fn an_answer_is_the_last_word() {
    let _alone = alone();
    for answer in [done(), failed(), panicked()] {
        for more in [
            done(),
            failed(),
            panicked(),
            send(message()),
            send(packet_about(1, kind::REFUSED, &[2])),
        ] {
            seen(&[ready(), answer.clone(), more], "after the answer");
        }
        for more in [ready(), refused()] {
            seen_somehow(&[ready(), answer.clone(), more]);
        }
        seen(&[ready(), answer, send(packet(200, &[]))], "unknown kind");
    }
}

#[test]
fn what_the_rest_of_a_program_says_after_the_answer_takes_nothing_away() {
    let _alone = alone();
    for more in [
        records(3, &["text"]),
        progress(),
        panic_report(),
        packet(kind::CRASH, &[0; 18]),
        packet(kind::CRASH_FRAMES, b"0: main"),
    ] {
        let outcome = confront(&[ready(), done(), send(more.clone())]);
        assert!(outcome.is_ok(), "{more:?}: {outcome:?}");
    }
}

#[test]
fn an_answer_that_is_half_said_is_none() {
    let _alone = alone();
    let whole = said(kind::DONE, &words());
    for cut in packet(kind::DONE, &[]).len()..whole.len() {
        let half = send(whole[..cut].to_vec());
        seen(&[ready(), half, Step::Exit(0)], "output");
    }
    let error = confront(&[ready(), Step::Exit(0)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exit);
    let error = confront(&[ready(), Step::Raise(libc::SIGKILL)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Signal);
}

#[test]
fn an_error_with_thousands_of_causes_is_refused() {
    let _alone = alone();
    let error = |chain: Vec<&str>| send(said(kind::FAILED, &(chain, false)));
    seen(&[ready(), error(vec![])], "says nothing");
    seen(&[ready(), error(vec!["again"; 65])], "causes");
    seen(&[ready(), error(vec![""; 30_000])], "causes");
    let most = confront(&[ready(), error(vec!["again"; 64])]).unwrap_err();
    assert_eq!(most.kind(), ErrorKind::Failed);
}

#[test]
fn one_that_hangs_up_and_lives_on_is_ended() {
    let _alone = alone();
    let steps = [ready(), Step::Close(3), Step::Sleep(600_000)];
    seen(&steps, "closed its control socket");
    let error = confront(&steps[1..]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Start, "{error:?}");
    let words = "closed its control socket";
    assert!(error.to_string().contains(words), "{error}");
    let answered = confront(&[ready(), done(), Step::Sleep(600_000)]);
    assert!(answered.is_ok(), "{answered:?}");
}

/// Stopped by its deadline, with a grace of which it makes no use.
fn timed_out(steps: &[Step]) -> Error {
    let job = hostile(steps)
        .deadline(Duration::from_millis(300))
        .grace(Duration::from_millis(50));
    let error = confront_as(job, |job| job.into_future()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    error
}

#[test]
fn one_that_stops_itself_is_ended_all_the_same() {
    let _alone = alone();
    // It is continued to be asked, and does not answer.
    let stops = [ready(), Step::Raise(libc::SIGSTOP)];
    let error = timed_out(&[&stops[..], &[Step::Sleep(600_000)]].concat());
    assert_eq!(error.signal().unwrap().name(), "SIGKILL");
    let job = hostile(&[Step::Raise(libc::SIGSTOP)]);
    let job = job.handshake_deadline(Duration::from_millis(200));
    let error = confront_as(job, |job| job.into_future()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Start, "{error:?}");
}

#[test]
fn one_that_leaves_its_group_is_ended_all_the_same() {
    let _alone = alone();
    timed_out(&[ready(), Step::LeaveGroup, Step::Sleep(600_000)]);
}
