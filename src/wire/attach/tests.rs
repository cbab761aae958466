use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    DESCRIPTORS_MAX, DecodeError, Descriptor, EncodeError, Encoded, decode, encode, encode_into,
};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Plain {
    number: u64,
    text: String,
    list: Vec<Option<i16>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Files {
    first: Descriptor,
    rest: Vec<Option<Descriptor>>,
    named: BTreeMap<String, Descriptor>,
}

/// What a message looks like that was written by somebody else.
fn received<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).unwrap()
}

fn duplicates((bytes, descriptors): Encoded) -> (Vec<u8>, Vec<OwnedFd>) {
    (
        bytes,
        descriptors
            .iter()
            .map(|descriptor| descriptor.try_clone().unwrap())
            .collect(),
    )
}

fn round_trip<T: Serialize + DeserializeOwned>(value: &T) -> T {
    let (bytes, descriptors) = duplicates(encode(value).unwrap());
    decode(&bytes, descriptors).unwrap()
}

fn null() -> OwnedFd {
    File::open("/dev/null").unwrap().into()
}

fn pipe() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = std::io::pipe().unwrap();
    (reader.into(), writer.into())
}

/// The other end of a pipe tells whether all copies of this end were closed, whatever else the tests
/// beside this one open.
fn reads_to_its_end(reader: OwnedFd) {
    let mut bytes = Vec::new();
    File::from(reader).read_to_end(&mut bytes).unwrap();
    assert!(bytes.is_empty());
}

#[test]
fn a_plain_value_comes_back() {
    let value = Plain {
        number: 7,
        text: "sieben".into(),
        list: vec![Some(-1), None],
    };
    assert_eq!(round_trip(&value), value);
    assert!(encode(&value).unwrap().1.is_empty());
}

#[test]
fn bytes_that_were_there_stay_in_front() {
    let (bytes, _) = encode_into(&5u8, vec![1, 2]).unwrap();
    assert_eq!(bytes, [1, 2, 5]);
}

#[test]
fn descriptors_come_back_in_their_places() {
    let pipes: Vec<_> = (0..4).map(|_| pipe()).collect();
    let mut writers = pipes
        .iter()
        .map(|(_, writer)| Descriptor::from(writer.try_clone().unwrap()));
    let files = Files {
        first: writers.next().unwrap(),
        rest: vec![writers.next(), None, writers.next()],
        named: BTreeMap::from([("last".into(), writers.next().unwrap())]),
    };

    let mut back = round_trip(&files);
    let last = back.named.remove("last");
    let places = [
        Some(back.first),
        back.rest.remove(0),
        back.rest.remove(1),
        last,
    ];
    for (number, place) in places.into_iter().enumerate() {
        File::from(OwnedFd::from(place.unwrap()))
            .write_all(&[number as u8])
            .unwrap();
    }
    for (number, (reader, _)) in pipes.into_iter().enumerate() {
        let mut byte = [0];
        File::from(reader).read_exact(&mut byte).unwrap();
        assert_eq!(byte, [number as u8]);
    }
}

#[test]
fn a_descriptor_that_was_sent_is_close_on_exec_and_the_senders_own_stays_open() {
    let descriptor = Descriptor::from(null());
    let (_, descriptors) = encode(&descriptor).unwrap();
    let flags = rustix::io::fcntl_getfd(descriptors[0].as_fd()).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    drop(descriptors);
    rustix::io::fcntl_getfd(descriptor.as_fd()).unwrap();
}

#[test]
fn outside_of_a_frame_a_descriptor_is_refused_in_words() {
    let error = serde_json::to_string(&Descriptor::from(null())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a Descriptor can only be sent in a Legwork frame"
    );
    let error = serde_json::from_str::<Descriptor>("0").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("a Descriptor can only be received in a Legwork frame"),
        "{error}"
    );
}

#[test]
fn an_index_out_of_range_is_refused() {
    let (reader, writer) = pipe();
    let error = decode::<Descriptor>(&received(&1u32), vec![writer]).unwrap_err();
    assert!(
        matches!(error, DecodeError::NoSuchDescriptor { index: 1, count: 1 }),
        "{error:?}"
    );
    reads_to_its_end(reader);

    let error = decode::<Descriptor>(&received(&u32::MAX), vec![]).unwrap_err();
    assert!(
        matches!(
            error,
            DecodeError::NoSuchDescriptor {
                index: u32::MAX,
                count: 0
            }
        ),
        "{error:?}"
    );
}

#[test]
fn an_index_taken_twice_is_refused_and_what_was_taken_is_closed() {
    let (reader, writer) = pipe();
    let error =
        decode::<(Descriptor, Descriptor)>(&received(&(0u32, 0u32)), vec![writer]).unwrap_err();
    assert!(
        matches!(error, DecodeError::TakenTwice { index: 0 }),
        "{error:?}"
    );
    reads_to_its_end(reader);
}

#[test]
fn surplus_descriptors_are_refused_and_closed() {
    let (reader, writer) = pipe();
    let error = decode::<Descriptor>(&received(&0u32), vec![null(), writer, null()]).unwrap_err();
    assert!(
        matches!(error, DecodeError::SurplusDescriptors { count: 2, of: 3 }),
        "{error:?}"
    );
    reads_to_its_end(reader);

    let (reader, writer) = pipe();
    let error = decode::<u8>(&received(&0u8), vec![writer]).unwrap_err();
    assert!(
        matches!(error, DecodeError::SurplusDescriptors { count: 1, of: 1 }),
        "{error:?}"
    );
    reads_to_its_end(reader);
}

#[test]
fn trailing_bytes_are_refused() {
    let error = decode::<u8>(&[1, 2, 3], vec![]).unwrap_err();
    assert!(
        matches!(error, DecodeError::TrailingBytes { count: 2 }),
        "{error:?}"
    );
}

#[test]
fn every_cut_of_a_message_is_refused() {
    let value = Plain {
        number: 1 << 40,
        text: "a text".into(),
        list: vec![Some(300), None],
    };
    let (bytes, _) = encode(&value).unwrap();
    for end in 0..bytes.len() {
        let error = decode::<Plain>(&bytes[..end], vec![]).unwrap_err();
        assert!(matches!(error, DecodeError::Value { .. }), "{error:?}");
    }
}

#[test]
fn an_error_names_the_type_and_the_place() {
    let error = decode::<Plain>(&[1, 200], vec![]).unwrap_err().to_string();
    assert!(
        error.contains("Plain: it ends too early (at byte 2)"),
        "{error}"
    );
}

#[test]
fn a_length_takes_no_memory() {
    let huge = received(&(1u64 << 60));
    for error in [
        decode::<Vec<u64>>(&huge, vec![]).unwrap_err(),
        decode::<Vec<[u8; 32]>>(&huge, vec![]).unwrap_err(),
        decode::<String>(&huge, vec![]).unwrap_err(),
        decode::<BTreeMap<u64, u64>>(&huge, vec![]).unwrap_err(),
        decode::<std::collections::HashMap<u64, u64>>(&huge, vec![]).unwrap_err(),
    ] {
        assert!(matches!(error, DecodeError::Value { .. }), "{error:?}");
    }
    // A process that had tried to take 2^63 bytes would have been stopped by the allocator; less would show here.
    let peak = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = peak
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 1 << 20, "{kib} KiB at the peak");
}

#[derive(Debug, Serialize, Deserialize)]
struct Nested(Option<Box<Nested>>);

#[test]
fn lists_within_lists_take_no_memory_for_what_each_claims() {
    /// How many elements the vector of a list is made for.
    struct Reserved(usize);
    impl<'de> Deserialize<'de> for Reserved {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Look;
            impl<'de> serde::de::Visitor<'de> for Look {
                type Value = Reserved;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a list")
                }
                fn visit_seq<A: serde::de::SeqAccess<'de>>(
                    self,
                    mut list: A,
                ) -> Result<Reserved, A::Error> {
                    let reserved = list.size_hint().unwrap_or_default();
                    while list.next_element::<u8>()?.is_some() {}
                    Ok(Reserved(reserved))
                }
            }
            deserializer.deserialize_seq(Look)
        }
    }
    for (length, most) in [(3, 3), (100_000, 64)] {
        let bytes = received(&vec![0_u8; length]);
        let Reserved(reserved) = decode(&bytes, Vec::new()).unwrap();
        assert!(reserved <= most, "{reserved} of {length}");
    }
}

#[test]
fn a_value_nested_without_end_is_refused() {
    // One "there is one more" a byte. Without the check this test dies of a stack overflow.
    let bytes = vec![1; 4 << 20];
    let error = decode::<Nested>(&bytes, vec![]).unwrap_err();
    assert!(matches!(error, DecodeError::TooDeep { .. }), "{error:?}");
}

#[test]
fn a_value_nested_a_hundred_deep_is_fine() {
    let mut value = Nested(None);
    for _ in 0..100 {
        value = Nested(Some(Box::new(value)));
    }
    round_trip(&value);
}

/// Encodes or decodes a value of its own while it is itself encoded or decoded.
struct Inside(Descriptor);

impl Serialize for Inside {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (inner, descriptors) =
            encode(&(Descriptor::from(null()), 1u8)).map_err(serde::ser::Error::custom)?;
        assert_eq!(descriptors.len(), 1);
        (inner, &self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Inside {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (inner, outer) = <(Vec<u8>, Descriptor)>::deserialize(deserializer)?;
        decode::<(Descriptor, u8)>(&inner, vec![null()]).map_err(serde::de::Error::custom)?;
        Ok(Self(outer))
    }
}

#[test]
fn frames_nest() {
    let value = (
        Descriptor::from(null()),
        Inside(Descriptor::from(null())),
        Descriptor::from(null()),
    );
    let (bytes, descriptors) = duplicates(encode(&value).unwrap());
    assert_eq!(descriptors.len(), 3);
    decode::<(Descriptor, Inside, Descriptor)>(&bytes, descriptors).unwrap();
}

struct Panics;

impl Serialize for Panics {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("on purpose")
    }
}

#[test]
fn after_a_panic_the_table_is_the_one_before() {
    std::panic::catch_unwind(|| encode(&(Descriptor::from(null()), Panics))).unwrap_err();
    let error = serde_json::to_string(&Descriptor::from(null())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a Descriptor can only be sent in a Legwork frame"
    );
}

#[test]
fn one_message_carries_as_many_descriptors_as_a_frame() {
    let one = null();
    let many = |count| {
        (0..count)
            .map(|_| Descriptor::from(one.try_clone().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        encode(&many(DESCRIPTORS_MAX)).unwrap().1.len(),
        DESCRIPTORS_MAX
    );
    let error = encode(&many(DESCRIPTORS_MAX + 1)).unwrap_err();
    assert!(
        matches!(error, EncodeError::TooManyDescriptors),
        "{error:?}"
    );
}

#[test]
fn the_table_shares_what_was_attached() {
    let shared = Arc::new(null());
    struct Shares<'a>(&'a Arc<OwnedFd>);
    impl Serialize for Shares<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            super::attach::<S::Error>("test", self.0)?.serialize(serializer)
        }
    }
    let (_, descriptors) = encode(&Shares(&shared)).unwrap();
    assert_eq!(descriptors[0].as_raw_fd(), shared.as_raw_fd());
}

#[test]
fn a_value_that_encodes_and_does_not_decode_is_named() {
    #[derive(Debug, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(u8),
    }
    let (bytes, _) = encode(&Untagged::Number(1)).unwrap();
    let error = decode::<Untagged>(&bytes, vec![]).unwrap_err().to_string();
    assert!(
        error.contains("Untagged: its type needs a self-describing format"),
        "{error}"
    );
}

#[test]
fn a_value_that_cannot_be_encoded_says_which_field_and_why() {
    #[derive(Serialize)]
    struct Outer {
        files: Vec<Inner>,
        #[serde(skip)]
        _unused: (),
    }
    #[derive(Serialize)]
    enum Inner {
        Plain(u8),
        Named {
            descriptor: Descriptor,
            path: PathBuf,
        },
    }
    let path = PathBuf::from(OsString::from_vec(vec![0xff]));
    let named = Inner::Named {
        descriptor: null().into(),
        path,
    };
    let value = Outer {
        files: vec![Inner::Plain(1), named],
        _unused: (),
    };
    let error = encode(&value).unwrap_err().to_string();
    assert!(
        error.contains("Outer cannot be sent: `files.Named.path`: path contains invalid UTF-8"),
        "{error}"
    );

    #[derive(Serialize)]
    struct Flat {
        before: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
    }
    let error = encode(&Flat {
        before: 1,
        rest: BTreeMap::new(),
    })
    .unwrap_err()
    .to_string();
    assert!(
        error.contains("Flat cannot be sent: the number of its elements"),
        "{error}"
    );

    struct Unspeakable;
    impl std::fmt::Display for Unspeakable {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            Err(std::fmt::Error)
        }
    }
    impl Serialize for Unspeakable {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }
    let error = encode(&(1u8, Unspeakable)).unwrap_err().to_string();
    assert!(
        error.ends_with("cannot be sent: it cannot be formatted"),
        "{error}"
    );
}

#[test]
fn a_path_of_any_bytes_comes_back() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Paths {
        #[serde(with = "crate::path")]
        folder: PathBuf,
        #[serde(with = "crate::path")]
        name: OsString,
        #[serde(with = "crate::path")]
        some: Option<PathBuf>,
        #[serde(with = "crate::path")]
        none: Option<OsString>,
        #[serde(with = "crate::path")]
        list: Vec<PathBuf>,
    }
    let odd = OsString::from_vec((1..=255).collect());
    let paths = Paths {
        folder: PathBuf::from(odd.clone()),
        name: odd.clone(),
        some: Some(PathBuf::from(&odd)),
        none: None,
        list: vec![PathBuf::from(&odd), PathBuf::new()],
    };
    assert_eq!(round_trip(&paths), paths);
    let json = serde_json::to_string(&paths).unwrap();
    assert_eq!(serde_json::from_str::<Paths>(&json).unwrap(), paths);

    // The control: what serde itself does with such a path.
    let error = encode(&PathBuf::from(odd)).unwrap_err().to_string();
    assert!(error.contains("legwork::path"), "{error}");
}

/// The start of a list of this many elements, and zeros.
fn list_of_zeros(elements: u64, zeros: usize) -> Vec<u8> {
    let mut bytes = received(&elements);
    bytes.resize(bytes.len() + zeros, 0);
    bytes
}

#[test]
fn a_value_that_takes_too_much_memory_is_not_decoded() {
    #[derive(Debug, Deserialize)]
    enum Large {
        Small,
        #[allow(dead_code)]
        Big(u64, u64, u64, u64, u64, u64, u64, u64),
    }
    fn refused<T: DeserializeOwned>(elements: u64, zeros: usize) {
        let refused = decode::<Vec<T>>(&list_of_zeros(elements, zeros), vec![]).err();
        let too_large = matches!(refused, Some(DecodeError::TooLarge { .. }));
        assert!(too_large, "{}: {refused:?}", std::any::type_name::<T>());
    }
    refused::<String>(16 << 20, 16 << 20);
    refused::<Large>(4 << 20, 4 << 20);
    refused::<Box<Large>>(4 << 20, 4 << 20);
    refused::<()>(u64::MAX, 0);
    // As many elements that take little.
    let small = list_of_zeros(2 << 20, 2 << 20);
    assert_eq!(decode::<Vec<u8>>(&small, vec![]).unwrap().len(), 2 << 20);
    let few = decode::<Vec<Large>>(&list_of_zeros(1000, 1000), vec![]).unwrap();
    assert!(matches!(few[..], [Large::Small, .., Large::Small]));
}
