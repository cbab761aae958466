//! A value of many types, with descriptors: what can be read can be written, and reads the same.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::wire::attach;
use crate::{Buffer, Descriptor};

#[derive(Debug, Serialize, Deserialize)]
enum Value {
    Nothing,
    Bool(bool),
    Numbers(i8, u16, i32, u64, i128, f32),
    Letter(char),
    Text(String),
    Bytes(Vec<u8>),
    Path(#[serde(with = "crate::path")] PathBuf),
    Paths(#[serde(with = "crate::path")] Vec<PathBuf>),
    Inside(Option<Box<Value>>),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
    Without(Vec<()>),
    Large([u64; 32]),
    Descriptor(Descriptor),
    Buffer { before: u8, buffer: Buffer },
    Result(Result<Box<Value>, Box<Value>>),
}

pub fn decode(bytes: &[u8]) {
    let Some((&count, bytes)) = bytes.split_first() else {
        return;
    };
    let memory = Buffer::copy_from_slice(&[1; 64]).expect("memory");
    let (_, sealed) = attach::encode(&memory).expect("a buffer");
    let brought = (0..count % 4).map(|_| duplicate(&sealed[0])).collect();
    let Ok(value) = attach::decode::<Value>(bytes, brought) else {
        return;
    };
    let (written, descriptors) = attach::encode(&value).expect("what was read can be written");
    let descriptors = descriptors.iter().map(duplicate).collect();
    let again: Value = attach::decode(&written, descriptors).expect("what was written can be read");
    let (twice, _) = attach::encode(&again).expect("what was read can be written");
    assert_eq!(written, twice);
}

fn duplicate(descriptor: impl AsFd) -> OwnedFd {
    descriptor
        .as_fd()
        .try_clone_to_owned()
        .expect("a duplicate")
}
