//! Large data by descriptor: what a `Buffer` can do, and what it refuses from a hostile peer.
//!
//! A hostile sender is a job whose `Serialize` puts something else in the place of a buffer; the value then passes
//! through the same encoder and decoder as between two processes.

#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use legwork::{Buffer, BufferMut, BufferWriter, Ctx, Descriptor, Job};
use legwork_tests::raw::in_a_forked_copy;
use rustix::fs::{
    FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, ftruncate, memfd_create,
};
use rustix::io::Errno;
use rustix::mm::{MapFlags, MsyncFlags, ProtFlags, mmap, mmap_anonymous, msync, munmap};
use serde::de::DeserializeOwned;
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const MIB: usize = 1 << 20;

// What works ---------------------------------------------------------------

/// What lies in a copy of the process where the buffer lies in this one is not the buffer's.
#[test]
fn a_forked_copy_that_drops_a_buffer_unmaps_nothing() {
    let buffer = BufferMut::new(MIB).unwrap();
    let place = buffer.as_ptr().cast_mut().cast();
    let code = in_a_forked_copy(|| {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::FIXED_NOREPLACE;
        // SAFETY: takes a place that nothing else has, or fails.
        let other = unsafe { mmap_anonymous(place, MIB, access, flags) };
        drop(buffer);
        // SAFETY: asks about a range of addresses.
        let mapped = unsafe { msync(place, MIB, MsyncFlags::ASYNC) };
        i32::from(other != Ok(place) || mapped.is_err())
    });
    assert_eq!(code, 0);
}

#[test]
fn what_was_filled_in_place_is_read() {
    for len in [1, 4095, 4096, 4097, 300_000, 20 * MIB + 1] {
        let mut making = BufferMut::new(len).unwrap();
        assert!(making.iter().all(|byte| *byte == 0));
        for (number, byte) in making.iter_mut().enumerate() {
            *byte = number as u8;
        }
        let buffer = making.seal().unwrap();
        assert_eq!(buffer.len(), len);
        assert!(
            buffer
                .iter()
                .enumerate()
                .all(|(number, byte)| *byte == number as u8)
        );
    }
}

#[test]
fn what_was_written_is_read() {
    let mut writer = BufWriter::new(BufferWriter::new().unwrap());
    for number in 0..10_000 {
        writeln!(writer, "line {number}").unwrap();
    }
    let mut writer = writer.into_inner().unwrap();
    writer.seek(SeekFrom::Start(0)).unwrap();
    writer.write_all(b"LINE").unwrap();
    let buffer = writer.seal().unwrap();
    assert!(buffer.starts_with(b"LINE 0\nline 1\n"));
    assert!(buffer.ends_with(b"line 9999\n"));
}

#[test]
fn an_empty_buffer_works_in_every_way() {
    let empty = [
        Buffer::default(),
        Buffer::copy_from_slice(&[]).unwrap(),
        BufferMut::new(0).unwrap().seal().unwrap(),
        BufferWriter::new().unwrap().seal().unwrap(),
    ];
    for buffer in empty {
        assert!(buffer.is_empty());
        assert_eq!(&buffer[..], b"");
        assert_eq!(buffer.to_bytes().len(), 0);
        assert_eq!(travelled(buffer).len(), 0);
    }
}

#[test]
fn more_memory_than_the_machine_has_is_an_error() {
    for len in [1 << 50, isize::MAX as usize, usize::MAX] {
        let error = BufferMut::new(len).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::OutOfMemory);
    }
}

#[test]
fn parts_that_were_never_written_are_zero() {
    let untouched = BufferMut::new(MIB + 1).unwrap().seal().unwrap();
    assert_eq!(travelled(untouched)[..], vec![0; MIB + 1]);

    let mut writer = BufferWriter::new().unwrap();
    writer.seek(SeekFrom::Start(MIB as u64)).unwrap();
    writer.write_all(&[1]).unwrap();
    let skipped = travelled(writer.seal().unwrap());
    assert_eq!(
        (skipped.len(), skipped[MIB - 1], skipped[MIB]),
        (MIB + 1, 0, 1)
    );
}

#[test]
fn a_buffer_may_stand_anywhere_in_a_value() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Album {
        cover: Option<Buffer>,
        pictures: Vec<(String, Buffer)>,
        by_name: BTreeMap<String, Vec<Option<Buffer>>>,
    }
    let one = |byte| Buffer::copy_from_slice(&[byte; 5000]).unwrap();
    let album = || Album {
        cover: Some(one(1)),
        pictures: vec![
            ("a".into(), one(2)),
            ("b".into(), one(3)),
            ("none".into(), Buffer::default()),
        ],
        by_name: BTreeMap::from([("c".into(), vec![None, Some(one(4))])]),
    };
    assert_eq!(travelled(album()), album());
}

#[test]
fn one_buffer_may_stand_in_two_places_of_a_message() {
    let buffer = Buffer::copy_from_slice(b"twice").unwrap();
    let (first, second) = travelled((buffer.clone(), buffer));
    assert_eq!(first, second);
    assert_eq!(&second[..], b"twice");
}

#[test]
fn a_received_buffer_is_the_same_memory() {
    for len in [5000, 3 * MIB] {
        let sent = Buffer::copy_from_slice(&vec![7; len]).unwrap();
        let received = travelled(sent.clone());
        assert_ne!(sent.as_ptr(), received.as_ptr());
        assert_eq!(inode_at(&sent), inode_at(&received));
    }
}

#[test]
fn a_received_buffer_can_be_sent_on() {
    for len in [5000, MIB, MIB + 1, 3 * MIB] {
        let bytes = vec![9; len];
        let received = travelled(Buffer::copy_from_slice(&bytes).unwrap());
        let again = travelled(received.clone());
        drop(received);
        assert_eq!(again[..], bytes);
    }
}

#[test]
fn a_small_received_buffer_holds_no_descriptor_and_a_large_one_does() {
    for (len, held) in [(MIB, false), (MIB + 1, true)] {
        let received = travelled(Buffer::copy_from_slice(&vec![1; len]).unwrap());
        let inode = inode_at(&received);
        assert_eq!(open_files().contains(&inode), held, "{len} bytes");
    }
}

#[test]
fn clones_on_many_threads_outlive_the_first() {
    let buffer = Buffer::copy_from_slice(&vec![3; 2 * MIB]).unwrap();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let clone = buffer.clone();
            std::thread::spawn(move || clone.iter().map(|byte| usize::from(*byte)).sum::<usize>())
        })
        .collect();
    drop(buffer);
    for thread in threads {
        assert_eq!(thread.join().unwrap(), 3 * 2 * MIB);
    }
}

#[test]
fn glib_gets_the_same_bytes_and_keeps_them() {
    let buffer = travelled(Buffer::copy_from_slice(&vec![5; 2 * MIB]).unwrap());
    let bytes = buffer.to_bytes();
    assert_eq!(bytes[..].as_ptr(), buffer.as_ptr());
    assert_eq!(bytes.len(), buffer.len());
    drop(buffer);
    assert!(bytes.iter().all(|byte| *byte == 5));
}

#[test]
fn a_dropped_buffer_leaves_no_mapping_and_no_descriptor() {
    for len in [5000, MIB, 40 * MIB + 1] {
        let sent = Buffer::copy_from_slice(&vec![1; len]).unwrap();
        let received = travelled(sent.clone());
        let inode = inode_at(&sent);
        assert_eq!(inode, inode_at(&received));
        assert!(mappings().iter().any(|mapping| mapping.inode == inode));
        drop(received.clone());
        assert!(received.iter().all(|byte| *byte == 1));
        drop((sent, received));
        eventually(|| !mappings().iter().any(|mapping| mapping.inode == inode));
        eventually(|| !open_files().contains(&inode));
    }
}

#[test]
fn what_exceeds_the_limit_for_files_is_an_error() {
    legwork_tests::sacrifice("limit_of_file_size");
}

#[test]
fn what_is_dropped_unsealed_leaves_no_mapping() {
    let making = BufferMut::new(64 * MIB).unwrap();
    let inode = inode_at(&making);
    drop(making);
    eventually(|| !mappings().iter().any(|mapping| mapping.inode == inode));
    eventually(|| !open_files().contains(&inode));
}

#[test]
fn many_large_buffers_dropped_at_once_are_all_given_back() {
    let buffers: Vec<_> = (0..40)
        .map(|_| travelled(Buffer::copy_from_slice(&vec![1; MIB / 2]).unwrap()))
        .collect();
    let inodes: Vec<_> = buffers.iter().map(|buffer| inode_at(buffer)).collect();
    drop(buffers);
    eventually(|| {
        !mappings()
            .iter()
            .any(|mapping| inodes.contains(&mapping.inode))
    });
}

#[test]
fn what_somebody_else_has_mapped_is_copied_when_it_is_sealed() {
    let mut making = BufferMut::new(3 * MIB).unwrap();
    making.fill(1);
    let inode = inode_at(&making);
    let again = File::options()
        .read(true)
        .write(true)
        .open(link_to(inode))
        .unwrap();
    // SAFETY: a new mapping, at a place of the kernel's choice.
    let start = unsafe {
        mmap(
            null_mut(),
            3 * MIB,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED,
            &again,
            0,
        )
    };
    let start = start.unwrap().cast::<u8>();

    let buffer = making.seal().unwrap();
    assert_ne!(inode_at(&buffer), inode);
    // SAFETY: mapped just now, as long as this.
    unsafe { start.write_bytes(2, 3 * MIB) };
    assert!(buffer.iter().all(|byte| *byte == 1));
    // SAFETY: mapped above, and used no more.
    unsafe { munmap(start.cast(), 3 * MIB) }.unwrap();
}

#[test]
fn a_process_forked_by_somebody_else_drops_its_copies_itself() {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = StopsAtTheEnd(&stop);
        // Keeps the thread that releases, and the lock of its queue, as busy as can be.
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                let buffer = BufferMut::new(MIB).unwrap().seal().unwrap();
                assert_eq!(buffer[0], 0);
            }
        });
        for _ in 0..50 {
            let buffer = travelled(BufferMut::new(2 * MIB).unwrap().seal().unwrap());
            let inode = inode_at(&buffer);
            // SAFETY: the child drops a buffer, reads a file and ends.
            match unsafe { libc::fork() } {
                0 => {
                    drop(buffer);
                    let left = mappings().iter().any(|mapping| mapping.inode == inode);
                    // SAFETY: ends this process, and runs nothing of the one that it was forked from.
                    unsafe { libc::_exit(i32::from(left)) }
                }
                child => {
                    let mut status = -1;
                    let start = Instant::now();
                    // SAFETY: `child` is a child of ours that nobody else waits for.
                    while unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } != child {
                        if start.elapsed() > Duration::from_secs(20) {
                            // SAFETY: as above: it still is that child.
                            unsafe { libc::kill(child, libc::SIGKILL) };
                        }
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    assert_eq!(status, 0, "the child kept a mapping, or died");
                }
            }
        }
    });
}

struct StopsAtTheEnd<'a>(&'a AtomicBool);

impl Drop for StopsAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

// What cannot be done to one -----------------------------------------------

#[test]
fn a_sealed_buffer_cannot_be_written_to_by_any_way() {
    let buffer = Buffer::copy_from_slice(&vec![1; 2 * MIB]).unwrap();
    let inode = inode_at(&buffer);
    let mut again = File::options()
        .read(true)
        .write(true)
        .open(link_to(inode))
        .unwrap();
    assert_eq!(
        again.write(&[2]).unwrap_err().kind(),
        std::io::ErrorKind::PermissionDenied
    );
    assert_eq!(ftruncate(&again, 0), Err(Errno::PERM));
    assert_eq!(ftruncate(&again, 4 * MIB as u64), Err(Errno::PERM));
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    assert_eq!(fallocate(&again, hole, 0, 4096), Err(Errno::PERM));
    assert_eq!(
        fcntl_add_seals(&again, SealFlags::FUTURE_WRITE),
        Err(Errno::PERM)
    );
    assert!(buffer.iter().all(|byte| *byte == 1));
}

#[test]
fn whoever_trusts_unsealed_memory_dies_of_it_and_a_buffer_refuses_it() {
    // The control: another process maps without looking, and its memory is cut.
    let output = Command::new(env!("CARGO_BIN_EXE_reads_cut_memory"))
        .output()
        .unwrap();
    assert_eq!(
        output.status.signal(),
        Some(7),
        "not killed by SIGBUS: {output:?}"
    );

    refused(
        memory(2 * MIB, SealFlags::empty()),
        2 * MIB as u64,
        "it can still be written to",
    );
}

#[test]
fn seals_that_leave_something_open_are_refused() {
    for seals in [
        SealFlags::GROW,
        SealFlags::SEAL,
        SealFlags::SHRINK,
        SealFlags::SHRINK | SealFlags::GROW,
        SealFlags::WRITE | SealFlags::GROW,
        SealFlags::WRITE | SealFlags::SHRINK,
        SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE,
    ] {
        refused(memory(5000, seals), 5000, "it can still be written to");
    }
    // The control: with the seals that are missing above, the same memory is fine.
    accepted(memory(5000, SEALS), 5000);
}

#[test]
fn what_is_no_memory_is_refused() {
    let file = File::open("/proc/self/exe").unwrap();
    let size = file.metadata().unwrap().len();
    refused(file.into(), size, "it is not memory that can be sealed");
    refused(
        std::io::pipe().unwrap().0.into(),
        5000,
        "it is not memory that can be sealed",
    );
    refused(
        File::open("/dev/zero").unwrap().into(),
        5000,
        "it is not memory that can be sealed",
    );
    refused(
        File::open("/proc").unwrap().into(),
        5000,
        "it is not memory that can be sealed",
    );
}

#[test]
fn a_file_on_a_tmpfs_is_refused() {
    // It has seals, the one that forbids all others, and its maker can do anything to it.
    let Ok(file) = std::fs::File::create_new(format!("/dev/shm/legwork-{}", std::process::id()))
    else {
        return;
    };
    std::fs::remove_file(format!("/dev/shm/legwork-{}", std::process::id())).unwrap();
    file.set_len(5000).unwrap();
    refused(file.into(), 5000, "it ");
}

#[test]
fn a_length_that_is_not_the_files_is_refused() {
    let sealed = || memory(5000, SEALS);
    for announced in [1, 4999, 5001, 8192, 1 << 40, i64::MAX as u64, u64::MAX] {
        refused(
            sealed(),
            announced,
            &format!("it has 5000 bytes, and {announced} were announced"),
        );
    }
    accepted(sealed(), 5000);
}

#[test]
fn memory_that_is_not_there_is_refused() {
    let huge = memfd_create(c"holes", MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&huge, 1 << 40).unwrap();
    fcntl_add_seals(&huge, SEALS).unwrap();
    refused(huge, 1 << 40, "parts of it have no memory");

    // One page is missing in the middle, and one is hidden behind the end to make up for it.
    let len = 16 * 4096;
    let tricky = memory(len, SealFlags::empty());
    fallocate(&tricky, FallocateFlags::KEEP_SIZE, len as u64, 4096).unwrap();
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    fallocate(&tricky, hole, 5 * 4096, 4096).unwrap();
    fcntl_add_seals(&tricky, SEALS).unwrap();
    refused(tricky, len as u64, "parts of it have no memory");
}

#[test]
fn memory_that_cannot_be_mapped_is_refused() {
    let len = 5000;
    let sealed = memory(len, SEALS);
    let path = format!("/proc/self/fd/{}", sealed.as_raw_fd());
    let reader = File::open(&path).unwrap();
    refused(
        reader.into(),
        len as u64,
        "it is not open for reading and writing",
    );
    let writer = File::options().write(true).open(&path).unwrap();
    refused(
        writer.into(),
        len as u64,
        "it is not open for reading and writing",
    );
}

#[test]
fn huge_pages_are_refused() {
    let flags = MemfdFlags::ALLOW_SEALING | MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB;
    let Ok(huge) = memfd_create(c"huge", flags) else {
        eprintln!("not run: this kernel has no huge pages");
        return;
    };
    ftruncate(&huge, 2 * MIB as u64).unwrap();
    fcntl_add_seals(&huge, SEALS).unwrap();
    refused(huge, 2 * MIB as u64, "it is made of huge pages");
}

#[test]
fn what_is_refused_is_closed() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    refused(writer.into(), 5000, "it is not memory");
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
}

#[test]
fn an_index_used_twice_is_refused() {
    let claims = vec![
        Claim::of(memory(5000, SEALS), 5000),
        Claim {
            len: 5000,
            named: Some(Named::Index(0)),
        },
    ];
    let error = sent_as::<(Buffer, Buffer)>(claims).unwrap_err();
    assert_eq!(error, "the data names descriptor 0 twice");
}

#[test]
fn an_index_without_a_descriptor_is_refused() {
    let error = sent_as::<Buffer>(vec![Claim {
        len: 5000,
        named: Some(Named::Index(7)),
    }])
    .unwrap_err();
    assert_eq!(
        error,
        "the data names descriptor 7, but only 0 descriptors arrived with it"
    );
}

#[test]
fn a_length_without_a_descriptor_and_a_descriptor_without_a_length_are_refused() {
    let error = sent_as::<Buffer>(vec![Claim {
        len: 5000,
        named: None,
    }])
    .unwrap_err();
    assert!(error.contains("one of its fields refused"), "{error}");
    let error = sent_as::<Buffer>(vec![Claim::of(memory(5000, SEALS), 0)]).unwrap_err();
    assert_eq!(
        error,
        "1 descriptors arrived with the data, which names only 0"
    );
}

// What the tests share -----------------------------------------------------

/// A job that does nothing but travel to where it is run.
#[derive(Serialize, Deserialize)]
struct Travel<T>(T);

impl<T: Serialize + DeserializeOwned + 'static> Job for Travel<T> {
    type Message = ();
    type Output = T;
    type Error = Box<dyn Error + Send + Sync>;

    fn run(self, _: &Ctx<Self>) -> Result<T, Self::Error> {
        Ok(self.0)
    }
}

/// The value as it arrives on the other side.
fn travelled<T: Serialize + DeserializeOwned + 'static>(value: T) -> T {
    Travel(value).run_here(|()| ()).unwrap()
}

/// The seals of an honest buffer.
const SEALS: SealFlags = SealFlags::SHRINK
    .union(SealFlags::GROW)
    .union(SealFlags::WRITE);

/// Memory with `len` bytes and these seals.
fn memory(len: usize, seals: SealFlags) -> OwnedFd {
    let memory = memfd_create(c"suspect", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    File::from(memory.try_clone().unwrap())
        .write_all(&vec![1; len])
        .unwrap();
    fcntl_add_seals(&memory, seals).unwrap();
    memory
}

/// What a sender says a buffer is.
#[derive(Serialize)]
struct Claim {
    len: u64,
    named: Option<Named>,
}

/// A descriptor that goes along, or just a number.
enum Named {
    Sent(Descriptor),
    Index(u32),
}

impl Claim {
    fn of(memory: OwnedFd, len: u64) -> Self {
        Self {
            len,
            named: Some(Named::Sent(memory.into())),
        }
    }
}

impl Serialize for Named {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Sent(descriptor) => descriptor.serialize(serializer),
            Self::Index(index) => index.serialize(serializer),
        }
    }
}

/// A job that sends claims and is received as a `T`.
enum Suspect<T> {
    Sent(Vec<Claim>),
    Received(T),
}

impl<T> Serialize for Suspect<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self::Sent(claims) = self else {
            return Err(serde::ser::Error::custom("sent once"));
        };
        let mut tuple = serializer.serialize_tuple(claims.len())?;
        claims
            .iter()
            .try_for_each(|claim| tuple.serialize_element(claim))?;
        tuple.end()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Suspect<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::Received)
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Job for Suspect<T> {
    type Message = ();
    type Output = T;
    type Error = Box<dyn Error + Send + Sync>;

    fn run(self, _: &Ctx<Self>) -> Result<T, Self::Error> {
        match self {
            Self::Received(value) => Ok(value),
            Self::Sent(_) => Err("not received".into()),
        }
    }
}

fn sent_as<T: Serialize + DeserializeOwned + 'static>(claims: Vec<Claim>) -> Result<T, String> {
    Suspect::<T>::Sent(claims)
        .run_here(|()| ())
        .map_err(|error| error.to_string())
}

fn refused(memory: OwnedFd, len: u64, why: &str) {
    let error = sent_as::<Buffer>(vec![Claim::of(memory, len)]).unwrap_err();
    let start = format!("a Buffer arrived that is not safe to map: {why}");
    assert!(error.starts_with(&start), "{error}, not: {start}");
}

fn accepted(memory: OwnedFd, len: u64) {
    let buffer = sent_as::<Buffer>(vec![Claim::of(memory, len)]).unwrap();
    assert!(buffer.iter().all(|byte| *byte == 1));
}

/// A line of `/proc/self/maps`.
struct Mapped {
    start: usize,
    end: usize,
    inode: u64,
}

fn mappings() -> Vec<Mapped> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mapped = |line: &str| {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        Some(Mapped {
            start: usize::from_str_radix(start, 16).ok()?,
            end: usize::from_str_radix(end, 16).ok()?,
            inode: fields.nth(3)?.parse().ok()?,
        })
    };
    maps.lines().map(|line| mapped(line).unwrap()).collect()
}

/// Which file these bytes are a mapping of.
fn inode_at(bytes: &[u8]) -> u64 {
    let address = bytes.as_ptr().addr();
    let mappings = mappings();
    let here = mappings
        .iter()
        .find(|mapping| (mapping.start..mapping.end).contains(&address));
    let inode = here.unwrap().inode;
    assert_ne!(inode, 0, "no file is mapped here");
    inode
}

/// The files that this process has open, by inode.
fn open_files() -> Vec<u64> {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    entries
        .filter_map(|entry| Some(std::fs::metadata(entry.path()).ok()?.ino()))
        .collect()
}

/// Where a file that this process has open can be opened again.
fn link_to(inode: u64) -> PathBuf {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let mut links = entries.map(|entry| entry.path());
    links
        .find(|link| std::fs::metadata(link).is_ok_and(|file| file.ino() == inode))
        .unwrap()
}

fn eventually(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "not in 20 s");
        std::thread::sleep(Duration::from_millis(5));
    }
}
