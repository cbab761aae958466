//! Sentences as data, and the one place where they become words.
//!
//! An error is decided on as a kind with numbers and names. The sentence is made when it is shown: from a
//! template in English, which an app may have [translated](translate_with), and values for its braces.
//!
//! Every template is written as `text!("…{name}…", name = value)`, where its fault is noticed.
//! `po/legwork.pot` lists them all, and a test keeps it up to date. This room depends on no other.

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

static TRANSLATOR: OnceLock<Translator> = OnceLock::new();

type Translator = fn(&'static str) -> Cow<'static, str>;

/// Sets a function that translates the sentences of errors, and whatever else Legwork says to people.
///
/// `translator` gets a template in English and returns it in another language, or returns the template itself. The names in
/// braces (`{path}`) are replaced afterwards by paths, numbers and names, which are the same in every language. Call this
/// once, before the first error is shown: later calls change nothing and return false. May be called from any thread.
///
/// The project's `po/legwork.pot` has all templates, for gettext's tools. What a job, a program or the system says is not
/// translated.
///
/// ```
/// use std::borrow::Cow;
///
/// // In an app, this would be `|template| glib::dgettext(Some("legwork"), template).to_string().into()`.
/// legwork::translate_with(|template| match template {
///     "stopped on request" => Cow::Borrowed("auf Wunsch beendet"),
///     other => Cow::Borrowed(other),
/// });
/// ```
pub fn translate_with(translator: fn(&'static str) -> Cow<'static, str>) -> bool {
    TRANSLATOR.set(translator).is_ok()
}

/// A sentence, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// A template and what goes into its braces, by name.
    Template(&'static str, Vec<(&'static str, Text)>),
    /// What is the same in every language, or was said by somebody else.
    Verbatim(String),
}

/// Makes a [`Text`] of a template and values that are displayed, or are texts themselves.
macro_rules! text {
    ($template:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::text::Text::Template(
            $template,
            vec![$((stringify!($name), $crate::text::Text::from($value))),*],
        )
    };
}
pub(crate) use text;

impl Text {
    /// What somebody else has said, or a value, displayed.
    pub(crate) fn of(value: impl fmt::Display) -> Text {
        Text::Verbatim(value.to_string())
    }

    /// A value as it looks in code: a path or a name, quoted and escaped.
    pub(crate) fn quoted(value: impl fmt::Debug) -> Text {
        Text::Verbatim(format!("{value:?}"))
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (template, values) = match self {
            Text::Verbatim(words) => return f.write_str(words),
            Text::Template(template, values) => (*template, values),
        };
        let translated = match TRANSLATOR.get() {
            Some(translator) => translator(template),
            None => Cow::Borrowed(template),
        };
        let mut rest = &*translated;
        while let Some((before, after)) = rest.split_once('{') {
            f.write_str(before)?;
            let value = after
                .split_once('}')
                .and_then(|(name, after)| Some((find(values, name)?, after)));
            rest = match value {
                Some((value, after)) => {
                    value.fmt(f)?;
                    after
                }
                // A translation with a name that there is not.
                None => {
                    f.write_str("{")?;
                    after
                }
            };
        }
        f.write_str(rest)
    }
}

fn find<'a>(values: &'a [(&'static str, Text)], name: &str) -> Option<&'a Text> {
    let found = values.iter().find(|(other, _)| *other == name);
    found.map(|(_, value)| value)
}

impl From<&str> for Text {
    fn from(words: &str) -> Text {
        Text::Verbatim(words.to_owned())
    }
}

macro_rules! displayed {
    ($($type:ty),*) => {
        $(impl From<$type> for Text {
            fn from(value: $type) -> Text {
                Text::of(value)
            }
        })*
    };
}
displayed!(String, i32, u32, u64, usize);

impl From<std::time::Duration> for Text {
    fn from(time: std::time::Duration) -> Text {
        Text::quoted(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_where_their_names_are() {
        let why = text!(
            "{path} is {kind}",
            path = Text::quoted("/a b"),
            kind = "full"
        );
        let whole = text!("{count} times: {why}", why = why, count = 3);
        assert_eq!(whole.to_string(), r#"3 times: "/a b" is full"#);
    }

    #[test]
    fn what_is_not_a_name_stays_as_it_is() {
        let odd = Text::Template("{} {other} {open", vec![("open", Text::of(1))]);
        assert_eq!(odd.to_string(), "{} {other} {open");
        // A value is not read as a template.
        let value = text!("said {words}", words = "{words}");
        assert_eq!(value.to_string(), "said {words}");
    }
}
