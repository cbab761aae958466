use crate::{Buffer, BufferMut, BufferWriter};

const fn send_and_sync<T: Send + Sync + 'static>() {}
const _: () = {
    send_and_sync::<Buffer>();
    send_and_sync::<BufferMut>();
    send_and_sync::<BufferWriter>();
};

#[test]
fn outside_of_a_frame_a_buffer_is_refused_in_words() {
    let buffer = Buffer::copy_from_slice(b"bytes").unwrap();
    let error = serde_json::to_string(&buffer).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a Buffer can only be sent in a Legwork frame"
    );
    let error = serde_json::from_str::<Buffer>(r#"{"len":5,"descriptor":0}"#).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("a Buffer can only be received in a Legwork frame"),
        "{error}"
    );
}

/// What lies in a copy of the process where the buffer lies in this one is not the buffer's.
#[test]
#[allow(unsafe_code)]
fn a_forked_copy_that_drops_a_buffer_unmaps_nothing() {
    const LEN: usize = 1 << 20;
    let buffer = BufferMut::new(LEN).unwrap();
    let place = buffer.as_ptr().cast_mut().cast();
    // SAFETY: the copy makes system calls and frees memory, which the C library allows after a fork.
    let copy = unsafe { libc::fork() };
    if copy == 0 {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
        // SAFETY: takes a place that nothing else has, or fails.
        let other = unsafe { libc::mmap(place, LEN, access, flags, -1, 0) };
        drop(buffer);
        // SAFETY: asks about a range of addresses.
        let mapped = unsafe { libc::msync(place, LEN, libc::MS_ASYNC) } == 0;
        crate::process::leave(i32::from(other != place || !mapped));
    }
    let mut status = 0;
    // SAFETY: an integer to write to.
    unsafe { libc::waitpid(copy, &raw mut status, 0) };
    assert_eq!(status, 0);
}
