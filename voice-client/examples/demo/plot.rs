//! The pictures of one clip as inline SVG; their colours come from the style sheet.

use std::fmt::Write;

use super::report::{Clip, Mark};

/// All pictures are this wide, in SVG units, and scale with the page.
const WIDTH: f64 = 1_000.0;
/// Room for labels left of the time axis.
const LEFT: f64 = 92.0;
/// Room for the half of a time label that sticks out.
const RIGHT: f64 = 16.0;
const LANE: f64 = 58.0;
const PLOT: f64 = 88.0;
const ROW: f64 = 18.0;
const AXIS: f64 = 22.0;
const FRAME_SECONDS: f64 = 0.02;

/// A picture under construction, drawn from the top down.
struct Picture {
    body: String,
    seconds: f64,
    /// Where vertical lines begin.
    top: f64,
    y: f64,
}

impl Picture {
    fn new(seconds: f64, top: f64) -> Self {
        Self { body: String::new(), seconds: seconds.max(FRAME_SECONDS), top, y: 8.0 }
    }

    fn x(&self, seconds: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (seconds / self.seconds)
    }

    fn shows(&self, seconds: f64) -> bool {
        (0.0..=self.seconds).contains(&seconds)
    }

    fn draw(&mut self, element: std::fmt::Arguments<'_>) {
        self.body.write_fmt(element).expect("invariant: a String takes every character");
    }

    fn label(&mut self, y: f64, class: &str, text: &str) {
        self.draw(format_args!(r#"<text class="{class}" x="{:.1}" y="{y:.1}">{text}</text>"#, LEFT - 10.0));
    }

    /// One channel: the extremes of each column of about three samples in a thousand.
    fn lane(&mut self, class: &str, label: &str, samples: &[f32], loudest: f32) {
        let (middle, half) = (self.y + LANE / 2.0, LANE / 2.0 - 2.0);
        let columns = ((WIDTH - LEFT - RIGHT) as usize).min(samples.len());
        let extremes = |column: usize| {
            let part = &samples[column * samples.len() / columns..(column + 1) * samples.len() / columns];
            part.iter().fold((0.0_f32, 0.0_f32), |(low, high), &sample| (low.min(sample), high.max(sample)))
        };
        let y = |sample: f32| middle - half * f64::from((sample / loudest).clamp(-1.0, 1.0));
        let (mut upper, mut lower) = (String::new(), Vec::new());
        for column in 0..columns {
            let (low, high) = extremes(column);
            let x = LEFT + column as f64;
            let _ = write!(upper, "{x},{:.1} ", y(high) - 0.4);
            lower.push(format!("{x},{:.1}", y(low) + 0.4));
        }
        lower.reverse();
        let (end, y) = (WIDTH - RIGHT, self.y);
        self.draw(format_args!(r#"<rect class="bed" x="{LEFT}" y="{y}" width="{}" height="{LANE}"/>"#, end - LEFT));
        self.draw(format_args!(r#"<polygon class="{class}" points="{upper}{}"/>"#, lower.join(" ")));
        self.label(middle + 4.0, "name", label);
        self.y += LANE;
    }

    /// A vertical band over everything drawn between two heights.
    fn band(&mut self, class: &str, from: f64, to: f64, top: f64, title: &str) {
        if to < 0.0 || from > self.seconds {
            return;
        }
        let (left, right) = (self.x(from.max(0.0)), self.x(to.min(self.seconds)));
        let (width, height) = ((right - left).max(1.5), self.y - top);
        self.draw(format_args!(
            r#"<rect class="band {class}" x="{left:.1}" y="{top}" width="{width:.1}" height="{height}"><title>{title}</title></rect>"#
        ));
    }

    /// Seconds below, and faint lines through everything drawn so far.
    fn time_axis(&mut self) {
        let step = if self.seconds > 1.5 { 0.5 } else { 0.1 };
        let (top, bottom) = (self.top, self.y);
        for tick in 0..=(self.seconds / step + 1e-9) as usize {
            let (time, x) = (tick as f64 * step, self.x(tick as f64 * step));
            self.draw(format_args!(r#"<line class="grid" x1="{x:.1}" x2="{x:.1}" y1="{top}" y2="{bottom}"/>"#));
            self.draw(format_args!(r#"<text class="tick" x="{x:.1}" y="{}">{time:.1} s</text>"#, bottom + 15.0));
        }
        self.y += AXIS;
    }

    /// A line across, with its value at the left.
    fn level(&mut self, y: f64, text: &str) {
        self.draw(format_args!(r#"<line class="grid" x1="{LEFT}" x2="{}" y1="{y:.1}" y2="{y:.1}"/>"#, WIDTH - RIGHT));
        self.label(y + 4.0, "unit", text);
    }

    /// A title, and below it the ground of a plot.
    fn bed(&mut self, title: &str) {
        self.y += ROW;
        let (y, width) = (self.y, WIDTH - LEFT - RIGHT);
        self.draw(format_args!(r#"<text class="title" x="{LEFT}" y="{}">{title}</text>"#, y - 6.0));
        self.draw(format_args!(r#"<rect class="bed" x="{LEFT}" y="{y}" width="{width}" height="{PLOT}"/>"#));
    }

    fn finish(mut self, label: &str) -> String {
        let (top, bottom) = (self.top, self.y);
        self.draw(format_args!(r#"<line class="playhead" x1="0" x2="0" y1="{top}" y2="{}"/>"#, bottom - AXIS));
        let scale = (WIDTH - LEFT - RIGHT) / self.seconds;
        format!(
            r#"<svg viewBox="0 0 {WIDTH} {bottom}" role="img" aria-label="{label}" data-left="{LEFT}" data-scale="{scale:.3}">{}</svg>"#,
            self.body
        )
    }
}

/// What was sent above what was heard, on the time axis of what was sent.
pub(crate) fn waveforms(clip: &Clip) -> String {
    let (sent, heard) = (clip.sent_channels(), clip.heard_channels());
    let loudest = sent.iter().flatten().fold(1e-3_f32, |loudest, sample| loudest.max(sample.abs()));
    let mut picture = Picture::new(clip.seconds(), 8.0);
    let names = if sent.len() == 1 { ["", ""] } else { [" L", " R"] };
    for (channel, name) in sent.iter().zip(names) {
        picture.lane("sent", &format!("sent{name}"), channel, loudest);
    }
    picture.y += 8.0;
    let top = picture.y;
    for (channel, name) in heard.iter().zip(names) {
        picture.lane("heard", &format!("heard{name}"), channel, loudest);
    }
    for mark in clip.marks.iter().filter(|mark| mark.kind.replaces_audio()) {
        let at = mark.at_seconds - clip.offset_seconds();
        picture.band(mark.kind.class(), at, at + FRAME_SECONDS, top, mark.kind.name());
    }
    for gap in &clip.verdict.gaps {
        let (from, to) = (super::analysis::seconds(gap.start), super::analysis::seconds(gap.end));
        picture.band("gap", from, to, top, "missing, and no lost packet explains it");
    }
    picture.time_axis();
    picture.finish("Waveforms of what was sent and what was heard")
}

/// How packets came in, how much was buffered, and what went wrong.
pub(crate) fn timeline(clip: &Clip) -> String {
    let mut picture = Picture::new(clip.seconds(), 8.0 + ROW);
    arrivals(&mut picture, clip);
    picture.y += 8.0;
    depth(&mut picture, clip);
    let shown = |mark: &&Mark| picture.shows(mark.at_seconds - clip.offset_seconds());
    let mut marks: Vec<&Mark> = clip.marks.iter().filter(shown).collect();
    marks.sort_by_key(|mark| mark.kind);
    let (top, plots_end) = (picture.top, picture.y);
    for row in marks.chunk_by(|a, b| a.kind == b.kind) {
        let kind = row[0].kind;
        picture.y += ROW;
        let y = picture.y - 5.0;
        picture.label(y + 4.0, "name", &format!("{} {}", row.len(), kind.name()));
        for mark in row {
            let at = mark.at_seconds - clip.offset_seconds();
            let (x, class, name) = (picture.x(at), kind.class(), kind.name());
            picture.draw(format_args!(
                r#"<line class="drop {class}" x1="{x:.1}" x2="{x:.1}" y1="{top}" y2="{plots_end}"/>"#
            ));
            picture.draw(format_args!(
                r#"<circle class="mark {class}" cx="{x:.1}" cy="{y}" r="4.5"><title>{name} at {at:.2} s</title></circle>"#
            ));
        }
    }
    picture.y += 4.0;
    picture.time_axis();
    picture.finish("Arrival jitter, jitter buffer depth, and losses over time")
}

fn arrivals(picture: &mut Picture, clip: &Clip) {
    let widest = clip.arrivals.iter().fold(4.0_f64, |widest, arrival| widest.max(arrival.deviation_ms.abs())).ceil();
    picture.bed("packets: how late each came against an even stream");
    let (middle, half) = (picture.y + PLOT / 2.0, PLOT / 2.0 - 10.0);
    for (share, text) in [(1.0, format!("+{widest} ms")), (0.0, "0".into()), (-1.0, format!("−{widest} ms"))] {
        picture.level(middle - half * share, &text);
    }
    for arrival in &clip.arrivals {
        let at = arrival.at_seconds - clip.offset_seconds();
        if picture.shows(at) {
            let (x, deviation) = (picture.x(at), arrival.deviation_ms);
            let y = middle - half * (deviation / widest);
            picture.draw(format_args!(
                r#"<circle class="arrival" cx="{x:.1}" cy="{y:.1}" r="2.4"><title>{deviation:+.1} ms at {at:.2} s</title></circle>"#
            ));
        }
    }
    picture.y += PLOT;
}

fn depth(picture: &mut Picture, clip: &Clip) {
    let deepest = clip.depth.iter().fold(40.0_f64, |deepest, &(_, ms)| deepest.max(ms));
    let deepest = (deepest / 20.0).ceil() * 20.0;
    picture.bed("jitter buffer: how much audio lay ready");
    let (bottom, height) = (picture.y + PLOT - 10.0, PLOT - 20.0);
    for share in [0.0, 0.5, 1.0] {
        picture.level(bottom - height * share, &format!("{:.0} ms", deepest * share));
    }
    let mut line = String::new();
    let (mut first, mut last) = (None, LEFT);
    for &(seconds, ms) in &clip.depth {
        let at = seconds - clip.offset_seconds();
        if picture.shows(at) {
            let (x, y) = (picture.x(at), bottom - height * (ms / deepest));
            // Steps: a depth holds until the next one is known.
            let _ = match first {
                None => write!(line, "M{x:.1},{y:.1}"),
                Some(_) => write!(line, "H{x:.1}V{y:.1}"),
            };
            (first, last) = (first.or(Some(x)), x);
        }
    }
    if let Some(first) = first {
        picture.draw(format_args!(r#"<path class="area" d="{line}H{last:.1}V{bottom}H{first:.1}Z"/>"#));
        picture.draw(format_args!(r#"<path class="depth" d="{line}"/>"#));
    }
    picture.y += PLOT;
}

/// Two spectra in one picture: levels in dB at evenly spaced places of the spectrograms' axis.
pub(crate) fn spectra(before: &[f32], after: &[f32]) -> String {
    const SIZE: (f64, f64) = (520.0, 190.0);
    /// The left, right, upper and lower ends of the plot.
    const BED: [f64; 4] = [46.0, SIZE.0 - 6.0, 8.0, SIZE.1 - 22.0];
    /// Highest and lowest level shown, in dB.
    const LEVELS: [f64; 2] = [-10.0, -100.0];
    let [left, right, top, bottom] = BED;
    let x = |share: f64| left + (right - left) * share;
    let y =
        |level: f64| top + (bottom - top) * (LEVELS[0] - level.clamp(LEVELS[1], LEVELS[0])) / (LEVELS[0] - LEVELS[1]);
    let mut body =
        format!(r#"<rect class="bed" x="{left}" y="{top}" width="{}" height="{}"/>"#, right - left, bottom - top);
    for level in [-20, -40, -60, -80] {
        let y = y(f64::from(level));
        let _ = write!(body, r#"<line class="grid" x1="{left}" x2="{right}" y1="{y:.1}" y2="{y:.1}"/>"#);
        let _ = write!(body, r#"<text class="unit" x="{}" y="{:.1}">−{} dB</text>"#, left - 6.0, y + 4.0, -level);
    }
    for (hz, text) in [(100.0, "100 Hz"), (1_000.0, "1 kHz"), (10_000.0, "10 kHz")] {
        let x = x(f64::from(super::spectrum::height_of(hz)));
        let _ = write!(body, r#"<line class="grid" x1="{x:.1}" x2="{x:.1}" y1="{top}" y2="{bottom}"/>"#);
        let _ = write!(body, r#"<text class="tick" x="{x:.1}" y="{:.1}">{text}</text>"#, bottom + 15.0);
    }
    let line = |levels: &[f32]| {
        let point = |(index, &level): (usize, &f32)| {
            format!("{:.1},{:.1}", x((index as f64 + 0.5) / levels.len() as f64), y(f64::from(level)))
        };
        levels.iter().enumerate().map(point).collect::<Vec<_>>().join(" ")
    };
    let ground = format!("{right:.1},{bottom} {left:.1},{bottom}");
    let _ = write!(body, r#"<polygon class="before" points="{} {ground}"/>"#, line(before));
    let _ = write!(body, r#"<polyline class="after" points="{}"/>"#, line(after));
    format!(
        r#"<svg viewBox="0 0 {} {}" role="img" aria-label="Spectrum before and after">{body}</svg>"#,
        SIZE.0, SIZE.1
    )
}

/// A small waveform for the overview.
pub(crate) fn thumbnail(class: &str, samples: &[f32]) -> String {
    const COLUMNS: usize = 72;
    const HEIGHT: f64 = 26.0;
    let loudest = samples.iter().fold(1e-3_f32, |loudest, sample| loudest.max(sample.abs()));
    let mut bars = String::new();
    for column in 0..COLUMNS {
        let part = &samples[column * samples.len() / COLUMNS..(column + 1) * samples.len() / COLUMNS];
        let peak = part.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs())) / loudest;
        let half = (f64::from(peak) * HEIGHT / 2.0).max(0.5);
        let _ = write!(bars, "M{},{:.1}v{:.1}", column * 2 + 1, HEIGHT / 2.0 - half, 2.0 * half);
    }
    format!(r#"<svg class="thumb" viewBox="0 0 {} {HEIGHT}"><path class="{class}" d="{bars}"/></svg>"#, COLUMNS * 2)
}
