//! One line of the table.

use serde_json::{Value, json};

/// What was measured of us.
#[derive(Clone, Copy)]
pub enum Figure {
    /// Nanoseconds.
    Time(f64),
    /// A part of 1.
    Share(f64),
    /// Bytes.
    Memory(f64),
}

/// A bar.
#[derive(Clone, Copy)]
pub enum Wanted {
    /// Ours at most this many times the limit.
    OfLimit(f64),
    /// Ours at most this many nanoseconds above the limit.
    AboveLimit(f64),
    /// Ours at most this many times the peer.
    OfPeer(f64),
    /// Ours at most this much, in the unit of the figure.
    AtMost(f64),
}

/// One measurement beside what it is measured against.
#[derive(Clone)]
pub struct Row {
    pub name: String,
    pub ours: Figure,
    /// Who does the same work, and its nanoseconds.
    pub peer: Option<(&'static str, f64)>,
    /// Nanoseconds of what cannot be avoided.
    pub limit: Option<f64>,
    pub wanted: Option<Wanted>,
}

impl Row {
    pub fn new(name: impl Into<String>, ours: Figure) -> Self {
        Self { name: name.into(), ours, peer: None, limit: None, wanted: None }
    }

    pub fn peer(mut self, name: &'static str, time: f64) -> Self {
        self.peer = Some((name, time));
        self
    }

    pub fn limit(mut self, time: f64) -> Self {
        self.limit = Some(time);
        self
    }

    pub fn wanted(mut self, wanted: Wanted) -> Self {
        self.wanted = Some(wanted);
        self
    }

    fn time(&self) -> Option<f64> {
        match self.ours {
            Figure::Time(time) => Some(time),
            Figure::Share(_) | Figure::Memory(_) => None,
        }
    }

    /// Ours by what the bar is about; by the limit when there is no bar, or by the peer.
    fn ratio(&self) -> Option<f64> {
        let limit = self.limit;
        let peer = self.peer.map(|(_, time)| time);
        let base = if matches!(self.wanted, Some(Wanted::OfPeer(_))) { peer } else { limit.or(peer) };
        Some(self.time()? / base?)
    }

    /// Whether the bar, if there is one, is kept.
    fn is_ok(&self) -> bool {
        match self.wanted {
            None => true,
            Some(Wanted::OfLimit(most) | Wanted::OfPeer(most)) => self.ratio().is_some_and(|ratio| ratio <= most),
            Some(Wanted::AboveLimit(most)) => self.limit.is_some_and(|limit| self.ours.value() <= limit + most),
            Some(Wanted::AtMost(most)) => self.ours.value() <= most,
        }
    }

    fn wanted_text(&self) -> Option<String> {
        Some(match self.wanted? {
            Wanted::OfLimit(most) => format!("<= {most:.2} x limit"),
            Wanted::AboveLimit(most) => format!("<= limit + {}", Figure::Time(most).text()),
            Wanted::OfPeer(most) => format!("<= {most:.2} x peer"),
            Wanted::AtMost(most) => format!("<= {}", self.ours.with(most).text()),
        })
    }

    fn json(&self) -> Value {
        let mut row = json!({
            "name": self.name,
            "ours_ns": self.time(),
            "peer": self.peer.map(|(name, _)| name),
            "peer_ns": self.peer.map(|(_, time)| time),
            "limit_ns": self.limit,
            "ratio": self.ratio(),
            "wanted": self.wanted_text(),
            "ok": self.is_ok(),
        });
        match self.ours {
            Figure::Time(_) => {}
            Figure::Share(share) => row["share"] = share.into(),
            Figure::Memory(bytes) => row["bytes"] = bytes.into(),
        }
        row
    }

    fn cells(&self) -> [String; 7] {
        let time = |time: Option<f64>| time.map_or_else(|| "-".into(), |time| Figure::Time(time).text());
        [
            self.name.clone(),
            self.ours.text(),
            self.peer.map_or_else(|| "-".into(), |(name, peer)| format!("{} {name}", Figure::Time(peer).text())),
            time(self.limit),
            self.ratio().map_or_else(|| "-".into(), |ratio| format!("{ratio:.2}")),
            self.wanted_text().unwrap_or_else(|| "-".into()),
            match (self.wanted, self.is_ok()) {
                (None, _) => "",
                (Some(_), true) => "yes",
                (Some(_), false) => "NO",
            }
            .into(),
        ]
    }
}

impl Figure {
    fn value(self) -> f64 {
        match self {
            Figure::Time(value) | Figure::Share(value) | Figure::Memory(value) => value,
        }
    }

    /// Another value of the same unit.
    fn with(self, value: f64) -> Self {
        match self {
            Figure::Time(_) => Figure::Time(value),
            Figure::Share(_) => Figure::Share(value),
            Figure::Memory(_) => Figure::Memory(value),
        }
    }

    fn text(self) -> String {
        match self {
            Figure::Time(ns) if ns < 1_000.0 => format!("{ns:.0} ns"),
            Figure::Time(ns) if ns < 1_000_000.0 => format!("{:.2} us", ns / 1e3),
            Figure::Time(ns) => format!("{:.2} ms", ns / 1e6),
            Figure::Share(share) => format!("{:.3} %", share * 100.0),
            Figure::Memory(bytes) => format!("{:.1} KiB", bytes / 1_024.0),
        }
    }
}

/// The rows as a JSON list. Times are nanoseconds; rows that are no time have `share` or `bytes` instead.
pub fn json(rows: &[Row]) -> String {
    let rows: Vec<Value> = rows.iter().map(Row::json).collect();
    format!("{:#}\n", Value::from(rows))
}

/// Prints the table.
pub fn print(rows: &[Row]) {
    let head = ["name", "ours", "peer", "limit", "ratio", "wanted", "ok"].map(str::to_owned);
    let lines: Vec<[String; 7]> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    println!();
    for line in lines {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}
