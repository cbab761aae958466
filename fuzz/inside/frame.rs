//! The frames: what can be read can be written, and reads the same.

use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};

use crate::wire::frame::{
    CRASH_FRAMES, CrashReport, ExecOrder, ExecRefusal, Failure, Hello, LogBatch, PanicReport,
    Progress, Refusal, Start,
};

pub fn frame(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else {
        return;
    };
    match which % 10 {
        0 => {
            if let Some(hello) = Hello::decode(bytes) {
                assert_eq!(Hello::decode(&hello.encode()), Some(hello));
            }
        }
        1 => {
            if let Some(start) = Start::decode(bytes) {
                // All of it is of use, and nothing else: the bytes are the same again.
                let input = start.encode();
                assert_eq!(input, bytes);
            }
        }
        2 => {
            if let Some(report) = CrashReport::decode(bytes) {
                assert!(report.frames.len() <= CRASH_FRAMES);
            }
        }
        3 => same::<Refusal>(bytes),
        4 => same::<ExecOrder>(bytes),
        5 => same::<ExecRefusal>(bytes),
        6 => same::<Progress>(bytes),
        7 => same::<LogBatch>(bytes),
        8 => same::<PanicReport>(bytes),
        _ => same::<Failure>(bytes),
    }
}

fn same<T: Serialize + DeserializeOwned + Debug>(bytes: &[u8]) {
    let Ok((value, _)) = postcard::take_from_bytes::<T>(bytes) else {
        return;
    };
    let written = postcard::to_allocvec(&value).expect("what was read can be written");
    let again: T = postcard::from_bytes(&written).expect("what was written can be read");
    assert_eq!(format!("{value:?}"), format!("{again:?}"));
    // Texts that came in a frame hold no NUL.
    assert!(!is_with_nul(&value), "{value:?}");
}

/// `Debug` shows a NUL in a text as `\0`, and a backslash as two.
fn is_with_nul(value: &impl Debug) -> bool {
    let shown = format!("{value:?}").replace("\\\\", "");
    shown.contains("\\0")
}
