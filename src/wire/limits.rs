//! Texts are cut before they are sent.

/// The longest text of one log record, in bytes.
pub(crate) const RECORD_MAX: usize = 8 * 1024;

/// The longest text of a job's progress, in bytes. Two of them fit in the shared page.
pub(crate) const PROGRESS_MAX: usize = 1024;

/// The longest target, and the longest file name, of a log record, in bytes.
pub(crate) const TARGET_MAX: usize = 512;

/// Cuts `text` to at most `max` bytes between two characters, and marks the cut with `…`.
pub(crate) fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
        text.push('…');
        // Gives back the memory of what was cut off.
        text.shrink_to_fit();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(cut("ääää".to_owned(), 5), "ää…");
        assert_eq!(cut("ääää".to_owned(), 8), "ääää");
    }
}
