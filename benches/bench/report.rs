//! The report of a run: for people as a table, for programs as JSON.
//!
//! The report says whether each bar is met; nothing is asserted, because a busy machine proves nothing.

use serde::{Deserialize, Serialize};

use crate::samples::{Figure, Unit};

/// The limit for a figure.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bar {
    /// The ratio of measured to peer is at most this.
    Ratio(f64),
    /// The peer takes at least this many times as much.
    TimesLess(f64),
    /// The measured figure itself is at most this, in its own unit.
    AtMost(f64),
}

/// One line of the report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The circumstances.
    pub(crate) case: String,
    pub(crate) measured: Figure,
    pub(crate) peer: Option<Figure>,
    /// The ratio of the medians, measured to peer.
    pub(crate) ratio: Option<f64>,
    pub(crate) bar: Option<Bar>,
    /// Whether the bar is met, if there is one.
    pub(crate) meets: Option<bool>,
}

impl Entry {
    /// Creates an entry with a peer, without a bar.
    pub(crate) fn beside(case: &str, measured: Figure, peer: Figure) -> Self {
        let ratio = measured.median / peer.median;
        Entry {
            peer: Some(peer),
            ratio: Some(ratio),
            ..Entry::alone(case, measured)
        }
    }

    /// Creates an entry without a peer or a bar.
    pub(crate) fn alone(case: &str, measured: Figure) -> Self {
        Entry {
            case: case.into(),
            measured,
            peer: None,
            ratio: None,
            bar: None,
            meets: None,
        }
    }

    /// Sets the bar of the entry. A bar on a ratio needs a peer.
    pub(crate) fn bar(self, bar: Bar) -> Self {
        let meets = match bar {
            Bar::Ratio(most) => self.ratio.map(|ratio| ratio <= most),
            Bar::TimesLess(least) => self.ratio.map(|ratio| ratio <= least.recip()),
            Bar::AtMost(most) => Some(self.measured.median <= most),
        };
        Entry {
            bar: Some(bar),
            meets,
            ..self
        }
    }
}

/// One row of the benchmark, as its own process returns it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) entries: Vec<Entry>,
    /// What a reader must know besides the figures.
    pub(crate) notes: Vec<String>,
    /// Why there are no figures, or not all of them.
    pub(crate) failure: Option<String>,
}

impl Row {
    pub(crate) fn add(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

/// Prints a row as a table.
pub(crate) fn print(row: &Row) {
    println!("\n{}: {}", row.name, row.title);
    let mut lines = vec![["", "measured", "", "peer", "", "ratio", "bar", ""].map(String::from)];
    lines.extend(row.entries.iter().map(line));
    let widths: Vec<usize> = (0..8)
        .map(|column| {
            lines
                .iter()
                .map(|line| line[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    for line in &lines {
        let mut text = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            text.push_str("  ");
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width - cell.chars().count()));
        }
        println!("{}", text.trim_end());
    }
    for note in &row.notes {
        println!("  - {note}");
    }
    if let Some(failure) = &row.failure {
        println!("  ! {failure}");
    }
}

fn line(entry: &Entry) -> [String; 8] {
    let peer = entry.peer.as_ref();
    [
        entry.case.clone(),
        entry.measured.name.clone(),
        figure(&entry.measured),
        peer.map(|peer| peer.name.clone()).unwrap_or_default(),
        peer.map(figure).unwrap_or_default(),
        entry.ratio.map(ratio).unwrap_or_default(),
        entry
            .bar
            .map(|bar| self::bar(bar, entry.measured.unit))
            .unwrap_or_default(),
        match entry.meets {
            Some(true) => "meets".into(),
            Some(false) => "FALLS SHORT".into(),
            None => String::new(),
        },
    ]
}

fn ratio(ratio: f64) -> String {
    if ratio < 0.1 {
        format!("1/{:.0}", ratio.recip())
    } else {
        format!("{ratio:.2}")
    }
}

fn bar(bar: Bar, unit: Unit) -> String {
    match bar {
        Bar::Ratio(most) => format!("<= {most}x"),
        Bar::TimesLess(least) => format!("1/{least} or less"),
        Bar::AtMost(most) => format!("<= {}", quantity(most, unit)),
    }
}

fn figure(figure: &Figure) -> String {
    let median = quantity(figure.median, figure.unit);
    if figure.samples == 1 {
        return median;
    }
    format!(
        "{median} ({} .. {})",
        quantity(figure.low, figure.unit),
        quantity(figure.high, figure.unit)
    )
}

/// Formats a number with its unit, to about three digits.
fn quantity(value: f64, unit: Unit) -> String {
    let (value, unit) = match unit {
        Unit::Nanoseconds if value >= 1e9 => (value / 1e9, " s"),
        Unit::Nanoseconds if value >= 1e6 => (value / 1e6, " ms"),
        Unit::Nanoseconds if value >= 1e3 => (value / 1e3, " us"),
        Unit::Nanoseconds => (value, " ns"),
        Unit::Bytes => (value / 1024.0 / 1024.0, " MiB"),
        Unit::Count => (value, ""),
        Unit::PerSecond if value >= 1e6 => (value / 1e6, " M/s"),
        Unit::PerSecond if value >= 1e3 => (value / 1e3, " k/s"),
        Unit::PerSecond => (value, " /s"),
    };
    if value.fract() == 0.0 || value >= 100.0 {
        format!("{value:.0}{unit}")
    } else if value >= 10.0 {
        format!("{value:.1}{unit}")
    } else {
        format!("{value:.2}{unit}")
    }
}
