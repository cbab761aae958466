//! The names of scopes.
//!
//! `app-<launcher>-<application id>-<random>.scope`, as the desktop environments' specification for systemd has it
//! (<https://systemd.io/DESKTOP_ENVIRONMENTS>): task managers and portals find the app by it.

use std::fmt::Write;

/// The longest name of a unit, in bytes; see systemd.unit(5).
const NAME_MAX: usize = 255;

/// The name of a new unit for a child of the app with this id.
pub(super) fn unit(id: &str, random: &str) -> String {
    let (before, after) = ("app-legwork-", format!("-{random}.scope"));
    let escaped = escape(id, NAME_MAX - before.len() - after.len());
    format!("{before}{escaped}{after}")
}

/// As `systemd-escape` does it, with every hyphen escaped: those of the name separate its parts. What does not fit is cut
/// off, and never in the middle of an escape.
fn escape(id: &str, most: usize) -> String {
    let mut escaped = String::new();
    for (at, byte) in id.bytes().enumerate() {
        let before = escaped.len();
        match byte {
            b'.' if at == 0 => escaped.push_str(r"\x2e"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b':' | b'.' => {
                escaped.push(char::from(byte));
            }
            // Writing to a string cannot fail.
            other => drop(write!(escaped, r"\x{other:02x}")),
        }
        if escaped.len() > most {
            escaped.truncate(before);
            break;
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_escaped_as_systemd_escapes_it() {
        let unit = |id| unit(id, "1f");
        assert_eq!(
            unit("org.gnome.Maps"),
            "app-legwork-org.gnome.Maps-1f.scope"
        );
        assert_eq!(unit("a-b/c d"), r"app-legwork-a\x2db\x2fc\x20d-1f.scope");
        assert_eq!(unit(".ü"), r"app-legwork-\x2e\xc3\xbc-1f.scope");
        assert_eq!(unit(""), "app-legwork--1f.scope");
    }

    #[test]
    fn a_name_that_is_too_long_is_cut_between_two_characters() {
        for length in 256..300 {
            for id in ["x".repeat(length), "-".repeat(length), "ü".repeat(length)] {
                let unit = unit(&id, "0123456789abcdef");
                assert!(
                    unit.len() <= NAME_MAX && unit.len() > NAME_MAX - 4,
                    "{unit}"
                );
                assert!(unit.ends_with("-0123456789abcdef.scope"));
                let escapes = unit.matches('\\').count();
                assert_eq!(escapes, unit.matches(r"\x").count());
            }
        }
    }
}
