//! `--explain`: the text of a scene, from `docs/gotchas.md`: its row in the table of scenes, and the section that
//! describes it.

use crate::paper::wrap;

// A symbolic link, so that the package of this command contains the file.
const GOTCHAS: &str = include_str!("../../gotchas.md");

/// The number of scenes.
pub(super) const SCENES: u8 = 13;

/// Returns the text of a scene, in lines of at most `width` columns.
pub(super) fn explain(scene: u8, width: usize) -> String {
    let start = format!("| {scene} | ");
    let row = GOTCHAS.lines().find_map(|line| line.strip_prefix(&start));
    let mut cells = row.unwrap_or_default().split(" | ");
    let title = cells.next().unwrap_or_default();
    let heading = without_markup(cells.next().unwrap_or_default());
    let mut text = format!("S{scene} {title}\n");
    for paragraph in section(&heading).split("\n\n") {
        let paragraph = without_tests(paragraph.trim()).replace("\n- ", "\0- ");
        for item in paragraph.split('\0').filter(|item| !item.is_empty()) {
            let words = item.split_whitespace().collect::<Vec<_>>().join(" ");
            let lines = wrap(&without_markup(&words), Some(width));
            text.push_str(&format!("\n{}\n", lines.join("\n")));
        }
    }
    text
}

/// Returns the text below a heading of any level.
fn section(heading: &str) -> &str {
    let after = |marks: &str| Some(GOTCHAS.split_once(&format!("\n{marks} {heading}\n"))?.1);
    let text = after("###").or_else(|| after("##")).unwrap_or_default();
    let end = text.find("\n#").unwrap_or(text.len());
    &text[..end]
}

/// Removes the names of tests, which are for readers of the source.
fn without_tests(paragraph: &str) -> &str {
    let words = paragraph.split_inclusive(char::is_whitespace);
    let is_of_tests = |word: &str| matches!(word.trim(), "Test:" | "Tests:" | "Scene" | "Scenes");
    let kept = words.take_while(|word| !is_of_tests(word));
    paragraph[..kept.map(str::len).sum()].trim_end()
}

/// Removes emphasis and the targets of links.
fn without_markup(markdown: &str) -> String {
    let (mut text, mut is_code, mut is_target) = (String::new(), false, false);
    let mut before = ' ';
    for c in markdown.chars() {
        is_code ^= c == '`';
        is_target |= c == '(' && before == ']';
        if !is_target && (is_code || !matches!(c, '*' | '[' | ']')) {
            text.push(c);
        }
        is_target &= c != ')';
        before = c;
    }
    text
}
