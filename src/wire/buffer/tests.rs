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
