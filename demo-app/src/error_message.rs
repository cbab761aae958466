//! An error's sentence for places that name the job already.

/// What `error` says, without the label of its job.
pub(crate) fn message(error: &legwork::Error) -> String {
    let text = error.to_string();
    match text.strip_prefix(&format!("{}: ", error.label())) {
        Some(message) => message.to_owned(),
        None => text,
    }
}
