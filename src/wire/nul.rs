//! Text that a child has sent holds no NUL: GLib's strings end at it, and its bindings panic.

use serde::{Deserialize, Deserializer};

/// `text` with U+FFFD in place of each NUL.
pub(crate) fn without_nul(text: String) -> String {
    if text.contains('\0') {
        text.replace('\0', "\u{FFFD}")
    } else {
        text
    }
}

/// Bytes as text, with U+FFFD in place of what is not UTF-8 and of each NUL.
pub(crate) fn lossy(bytes: &[u8]) -> String {
    without_nul(String::from_utf8_lossy(bytes).into_owned())
}

/// The texts in a field of a frame.
pub(crate) trait Texts {
    fn without_nul(self) -> Self;
}

impl Texts for String {
    fn without_nul(self) -> Self {
        without_nul(self)
    }
}

impl Texts for Option<String> {
    fn without_nul(self) -> Self {
        self.map(without_nul)
    }
}

impl Texts for Vec<String> {
    fn without_nul(self) -> Self {
        self.into_iter().map(without_nul).collect()
    }
}

/// For `#[serde(deserialize_with)]` of such a field.
pub(super) fn received<'de, T: Texts + Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    T::deserialize(deserializer).map(Texts::without_nul)
}
