//! Every sentence of Legwork for people can be translated: the template for gettext has all of them, and the app's
//! translator is called for each.
//!
//! `LEGWORK_RENEW_TEMPLATE=1 cargo test -p legwork-tests --test translation` renews the template.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::str::Chars;

use legwork::spawn::{Plan, Program};

const RENEW: &str = "LEGWORK_RENEW_TEMPLATE";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// One `text!("…{name}…", name = value)` of the sources.
#[derive(Debug, PartialEq)]
struct Template {
    words: String,
    /// The names of its values.
    values: BTreeSet<String>,
}

/// What of Rust's grammar tells a macro call from a comment, a string or a character.
struct Source<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Source<'_> {
    /// Every call of `text!` with a literal, in the order of the file.
    fn templates(text: &str) -> Vec<Template> {
        // Sentences of unit tests are for nobody.
        let shown = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
        let mut source = Source {
            rest: shown.chars().peekable(),
        };
        let (mut templates, mut word) = (Vec::new(), String::new());
        while let Some(next) = source.token() {
            match next {
                Token::Word(name) => word = name,
                Token::Mark('!') if word == "text" => {
                    word.clear();
                    templates.extend(source.call());
                }
                _ => word.clear(),
            }
        }
        templates
    }

    /// The rest of a call of `text!`, which may have further ones among its values.
    fn call(&mut self) -> Vec<Template> {
        let Some(Token::Mark('(')) = self.token() else {
            return Vec::new();
        };
        let Some(Token::Literal(words)) = self.token() else {
            // The macro's own definition.
            return Vec::new();
        };
        let (mut values, mut inner) = (BTreeSet::new(), Vec::new());
        let (mut depth, mut word) = (1, String::new());
        // `, name =` at the depth of the call itself.
        let mut after_comma = false;
        while depth > 0 {
            match self.token().expect("the end of the call") {
                Token::Word(name) => {
                    word = name;
                    continue;
                }
                Token::Mark('=') if depth == 1 && after_comma => {
                    values.insert(std::mem::take(&mut word));
                    after_comma = false;
                }
                Token::Mark('!') if word == "text" => inner.extend(self.call()),
                Token::Mark('(' | '[' | '{') => depth += 1,
                Token::Mark(')' | ']' | '}') => depth -= 1,
                Token::Mark(',') => after_comma = true,
                _ => (),
            }
            word.clear();
        }
        inner.insert(0, Template { words, values });
        inner
    }

    fn token(&mut self) -> Option<Token> {
        loop {
            let next = self.rest.next()?;
            match next {
                '/' if self.rest.peek() == Some(&'/') => {
                    self.rest.by_ref().find(|next| *next == '\n');
                }
                '"' => return Some(Token::Literal(self.literal())),
                '\'' => self.character(),
                _ if next.is_whitespace() => (),
                _ if next.is_alphanumeric() || next == '_' => {
                    let mut word = String::from(next);
                    while let Some(next) = self.rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
                        word.push(next);
                    }
                    return Some(Token::Word(word));
                }
                _ => return Some(Token::Mark(next)),
            }
        }
    }

    /// The rest of a string.
    fn literal(&mut self) -> String {
        let mut words = String::new();
        loop {
            match self.rest.next().expect("the end of a string") {
                '"' => return words,
                '\\' => match self.rest.next().expect("what is escaped") {
                    '\n' => while self.rest.next_if(|next| next.is_whitespace()).is_some() {},
                    'n' => words.push('\n'),
                    // Others are not used in sentences.
                    escaped => words.push(escaped),
                },
                next => words.push(next),
            }
        }
    }

    /// The rest of a character, or of a lifetime, which has no end of its own.
    fn character(&mut self) {
        match self.rest.next() {
            Some('\\') => {
                self.rest.next();
                self.rest.by_ref().find(|next| *next == '\'');
            }
            _ => {
                self.rest.next_if_eq(&'\'');
            }
        }
    }
}

enum Token {
    Word(String),
    Literal(String),
    Mark(char),
}

/// The names in a template's braces.
fn names(template: &str) -> BTreeSet<String> {
    let parts = template.split('{').skip(1);
    let names = parts.map(|part| part.split_once('}').expect("a closing brace").0);
    names.map(str::to_owned).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// All templates, with the files in which each stands.
fn all() -> BTreeMap<String, BTreeSet<String>> {
    let (mut files, mut all) = (Vec::new(), BTreeMap::<_, BTreeSet<_>>::new());
    sources(&root().join("src"), &mut files);
    for file in files {
        let shown = file.strip_prefix(root()).unwrap().display().to_string();
        for template in Source::templates(&fs::read_to_string(&file).unwrap()) {
            let names = names(&template.words);
            assert_eq!(names, template.values, "{shown}: {:?}", template.words);
            all.entry(template.words).or_default().insert(shown.clone());
        }
    }
    all
}

fn pot() -> String {
    let mut pot = String::from(
        "# All sentences of Legwork. Made by the test `translation`, which says how to renew it.\n\
         msgid \"\"\n\
         msgstr \"\"\n\
         \"Project-Id-Version: legwork\\n\"\n\
         \"Content-Type: text/plain; charset=UTF-8\\n\"\n\
         \"Content-Transfer-Encoding: 8bit\\n\"\n",
    );
    for (words, files) in all() {
        pot.push('\n');
        for file in files {
            writeln!(pot, "#: {file}").unwrap();
        }
        // The check of names in braces that msgfmt(1) has.
        if words.contains('{') {
            pot.push_str("#, python-brace-format\n");
        }
        let words = words.replace('\\', "\\\\").replace('"', "\\\"");
        let words = words.replace('\n', "\\n");
        writeln!(pot, "msgid \"{words}\"\nmsgstr \"\"").unwrap();
    }
    pot
}

#[test]
fn the_template_has_every_sentence_and_every_name_in_braces_has_its_value() {
    let (file, now) = (root().join("po/legwork.pot"), pot());
    if std::env::var_os(RENEW).is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, &now).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    let lines = |text: &str| -> BTreeSet<String> { text.lines().map(str::to_owned).collect() };
    let (before, after) = (lines(&kept), lines(&now));
    assert!(
        kept == now,
        "po/legwork.pot is not up to date; run this test with {RENEW}=1 to renew it.\n\
         only in the file: {:#?}\nonly in the sources: {:#?}",
        before.difference(&after).collect::<Vec<_>>(),
        after.difference(&before).collect::<Vec<_>>(),
    );
}

#[test]
fn calls_are_found_wherever_they_stand() {
    let found = Source::templates(
        r#"
        //! text!("no comment")
        fn f<'a>(c: char) -> &'a str {
            let quote = ('"', '\'', "text!(\"no string\")");
            text!("one {a}, \
                   two {b}", b = x(1, 2), a = text!("in{c}ner", c = if y == 1 { 2 } else { 3 }),);
            other!("no text");
            text!(
                "say \"it\""
            )
        }
        "#,
    );
    let template = |words: &str, values: &[&str]| Template {
        words: words.to_owned(),
        values: values.iter().map(|name| (*name).to_owned()).collect(),
    };
    assert_eq!(
        found,
        [
            template("one {a}, two {b}", &["a", "b"]),
            template("in{c}ner", &["c"]),
            template("say \"it\"", &[]),
        ]
    );
}

/// The one test of this program that sets the translator, for the whole process and for good.
#[test]
fn a_translator_changes_what_an_error_says_and_not_its_values() {
    let error = Plan::new(Program::path("/nonexistent/tool")).spawn();
    let error = error.unwrap_err();
    let in_english = "the program \"/nonexistent/tool\" does not exist";
    assert_eq!(error.to_string(), in_english);
    let german = |template: &'static str| match template {
        "the program {file} does not exist" => Cow::Borrowed("{file} gibt es nicht"),
        other => Cow::Borrowed(other),
    };
    assert!(legwork::translate_with(german));
    // Also of an error that was there before.
    assert_eq!(error.to_string(), "\"/nonexistent/tool\" gibt es nicht");
    assert!(!legwork::translate_with(|_| Cow::Borrowed("never")));
    assert_eq!(error.to_string(), "\"/nonexistent/tool\" gibt es nicht");
}
