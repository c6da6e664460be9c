//! The report: one HTML file that needs nothing but a browser. Times go in on the time line of what
//! was heard, and are drawn on that of what was sent. The program that shows it declares `analysis`, `plot`, `report` and
//! `spectrum` side by side.

use std::fmt::Write;

use super::analysis::{Verdict, mono, seconds, shifted};
use super::{plot, spectrum};

/// Pixels of a spectrogram.
const SPECTROGRAM: (usize, usize) = (560, 190);

/// Everything that the page shows.
pub(crate) struct Report {
    /// The headline.
    pub(crate) title: String,
    /// One sentence below it: what was done.
    pub(crate) summary: String,
    /// The figures of the whole run, as label and value; about eight look good.
    pub(crate) numbers: Vec<(String, String)>,
    /// What went wrong apart from the clips; each fails the report.
    pub(crate) failures: Vec<String>,
    /// In the order played.
    pub(crate) clips: Vec<Clip>,
    /// The page about effects, relative to the report.
    pub(crate) effects: Option<String>,
}

impl Report {
    /// Whether everything that was heard is what was sent.
    pub(crate) fn ok(&self) -> bool {
        self.failures.is_empty() && self.clips.iter().all(|clip| clip.verdict.ok())
    }
}

/// One file that was played.
pub(crate) struct Clip {
    /// File name.
    pub(crate) name: String,
    /// For people, such as `FLAC, 48 kHz, stereo`.
    pub(crate) format: String,
    /// What was sent, 48 kHz interleaved stereo.
    pub(crate) sent: Vec<f32>,
    /// What the other side heard, likewise; it may begin earlier and end later.
    pub(crate) heard: Vec<f32>,
    /// How they compare.
    pub(crate) verdict: Verdict,
    /// Audio file with exactly the samples of `sent`, relative to the report.
    pub(crate) sent_file: Option<String>,
    /// Audio file with exactly the samples of `heard`, relative to the report.
    pub(crate) heard_file: Option<String>,
    /// Every packet that came.
    pub(crate) arrivals: Vec<Arrival>,
    /// Jitter buffer: seconds, and milliseconds buffered then.
    pub(crate) depth: Vec<(f64, f64)>,
    /// What the network did to the packets, and the receiver about it.
    pub(crate) marks: Vec<Mark>,
    /// Further figures of this clip, as label and value.
    pub(crate) numbers: Vec<(String, String)>,
}

/// One packet's arrival.
pub(crate) struct Arrival {
    /// Where its first sample lies in `heard`.
    pub(crate) at_seconds: f64,
    /// How much later than an even stream it came; negative is early.
    pub(crate) deviation_ms: f64,
}

/// Something that happened to one packet.
pub(crate) struct Mark {
    /// Where its first sample lies in `heard`.
    pub(crate) at_seconds: f64,
    /// What happened.
    pub(crate) kind: MarkKind,
}

/// What can happen to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MarkKind {
    /// It never came.
    Lost,
    /// The decoder made something up in its place.
    Concealed,
    /// The next packet's redundancy restored it.
    Fec,
    /// It came after its turn.
    Late,
    /// It came twice.
    Duplicate,
}

impl MarkKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Concealed => "concealed",
            Self::Fec => "restored",
            Self::Late => "late",
            Self::Duplicate => "twice",
        }
    }

    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Concealed => "concealed",
            Self::Fec => "fec",
            Self::Late => "late",
            Self::Duplicate => "duplicate",
        }
    }

    pub(crate) fn replaces_audio(self) -> bool {
        matches!(self, Self::Concealed | Self::Fec)
    }
}

impl Clip {
    /// Where what was sent begins in what was heard.
    pub(crate) fn offset_seconds(&self) -> f64 {
        let samples = seconds(self.verdict.offset_samples.unsigned_abs() as usize);
        if self.verdict.offset_samples < 0 { -samples } else { samples }
    }

    /// Duration of what was sent.
    pub(crate) fn seconds(&self) -> f64 {
        seconds(self.sent.len() / 2)
    }

    /// Left and right of what was sent, or one of them when they are the same.
    pub(crate) fn sent_channels(&self) -> Vec<Vec<f32>> {
        let sides = sides(&self.sent);
        if self.is_mono() { sides.into_iter().take(1).collect() } else { sides }
    }

    /// As many channels as [`Clip::sent_channels`], moved to where what was sent begins and cut where it ends.
    pub(crate) fn heard_channels(&self) -> Vec<Vec<f32>> {
        let sides = if self.is_mono() { vec![mono(&self.heard)] } else { sides(&self.heard) };
        sides.iter().map(|side| shifted(side, self.verdict.offset_samples, self.sent.len() / 2)).collect()
    }

    fn is_mono(&self) -> bool {
        self.sent.chunks_exact(2).all(|frame| frame[0] == frame[1])
    }

    fn count(&self, kind: MarkKind) -> usize {
        self.marks.iter().filter(|mark| mark.kind == kind).count()
    }
}

fn sides(stereo: &[f32]) -> Vec<Vec<f32>> {
    [0, 1].map(|side| stereo.iter().skip(side).step_by(2).copied().collect()).into()
}

/// The whole page.
pub(crate) fn html(report: &Report) -> String {
    let passed = report.clips.iter().filter(|clip| clip.verdict.ok()).count();
    let (state, word) = if report.ok() { ("pass", "passed") } else { ("fail", "failed") };
    let verdict = format!("{passed} of {} clips were heard as they were sent", report.clips.len());
    let title = escape(&report.title);
    let mut page = format!(
        concat!(
            r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>"#,
            r#"<meta name="viewport" content="width=device-width"><style>{css}</style></head><body>"#,
            r#"<header><div><h1>{title}</h1><p>{summary}</p>{more}</div>"#,
            r#"<div class="verdict {state}"><b>{word}</b><span>{verdict}</span></div></header><main>"#
        ),
        title = title,
        css = include_str!("report.css"),
        summary = escape(&report.summary),
        more = report.effects.as_deref().map_or(String::new(), |page| {
            format!(r#"<p><a href="{}">Effects, before and after</a></p>"#, escape(page))
        }),
        state = state,
        word = word,
        verdict = verdict,
    );
    page += &reasons(&report.failures);
    page += &tiles(&report.numbers);
    page += &overview(&report.clips);
    for (index, clip) in report.clips.iter().enumerate() {
        page += &section(index, clip);
    }
    page += concat!(
        r#"<footer>Bands over what was heard: <b class="concealed">orange</b> was made up by the decoder in place of a "#,
        r#"packet that never came, <b class="fec">green</b> was restored from the packet after it, <b class="gap">red</b> "#,
        r#"is missing without a reason. All times are those of what was sent.</footer>"#
    );
    let _ = write!(page, "</main><script>{}</script></body></html>", include_str!("report.js"));
    page
}

fn reasons(reasons: &[String]) -> String {
    let items: String = reasons.iter().map(|reason| format!("<li>{}</li>", escape(reason))).collect();
    if items.is_empty() { items } else { format!(r#"<ul class="reasons">{items}</ul>"#) }
}

fn tiles(numbers: &[(String, String)]) -> String {
    let tile =
        |(label, value): &(String, String)| format!("<div><dt>{}</dt><dd>{}</dd></div>", escape(label), escape(value));
    let tiles: String = numbers.iter().map(tile).collect();
    if tiles.is_empty() { tiles } else { format!(r#"<dl class="tiles">{tiles}</dl>"#) }
}

fn overview(clips: &[Clip]) -> String {
    let row = |(index, clip): (usize, &Clip)| {
        let heard = shifted(&mono(&clip.heard), clip.verdict.offset_samples, clip.sent.len() / 2);
        format!(
            r##"<tr><td><a href="#clip-{index}">{}</a></td><td>{}</td><td>{}</td><td>{}</td><td>{:.3}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>"##,
            escape(&clip.name),
            escape(&clip.format),
            plot::thumbnail("sent", &mono(&clip.sent)),
            plot::thumbnail("heard", &heard),
            clip.verdict.correlation,
            decibels(clip.verdict.level_difference_db),
            clip.count(MarkKind::Lost),
            clip.count(MarkKind::Concealed) + clip.count(MarkKind::Fec),
            badge(&clip.verdict),
        )
    };
    let rows: String = clips.iter().enumerate().map(row).collect();
    format!(
        concat!(
            r#"<div class="card"><table><thead><tr><th>clip</th><th>format</th><th>sent</th><th>heard</th>"#,
            r#"<th>correlation</th><th>level</th><th>lost</th><th>replaced</th><th></th></tr></thead>"#,
            r#"<tbody>{}</tbody></table></div>"#
        ),
        rows
    )
}

fn badge(verdict: &Verdict) -> &'static str {
    if verdict.ok() {
        r#"<span class="badge pass">as sent</span>"#
    } else {
        r#"<span class="badge fail">differs</span>"#
    }
}

fn section(index: usize, clip: &Clip) -> String {
    let mut numbers = vec![
        ("duration".to_owned(), format!("{:.2} s", clip.seconds())),
        ("correlation".to_owned(), format!("{:.4}", clip.verdict.correlation)),
        ("level difference".to_owned(), decibels(clip.verdict.level_difference_db)),
        ("lost".to_owned(), clip.count(MarkKind::Lost).to_string()),
    ];
    numbers.extend(clip.numbers.iter().cloned());
    let heard = shifted(&mono(&clip.heard), clip.verdict.offset_samples, clip.sent.len() / 2);
    format!(
        concat!(
            r#"<section class="card" id="clip-{index}"><div class="head"><h2>{name}</h2><span class="format">{format}</span>{badge}</div>"#,
            r#"{reasons}{tiles}{waveforms}<div class="pair">{sent}{heard}</div>{timeline}</section>"#
        ),
        index = index,
        name = escape(&clip.name),
        format = escape(&clip.format),
        badge = badge(&clip.verdict),
        reasons = reasons(&clip.verdict.reasons),
        tiles = tiles(&numbers),
        waveforms = plot::waveforms(clip),
        sent = side("sent", &mono(&clip.sent), clip.sent_file.as_deref(), 0.0),
        heard = side("heard", &heard, clip.heard_file.as_deref(), clip.offset_seconds()),
        timeline = plot::timeline(clip),
    )
}

/// A spectrogram with its player below. `starts` is where in the file the picture begins.
fn side(name: &str, mono: &[f32], file: Option<&str>, starts: f64) -> String {
    let (width, height) = SPECTROGRAM;
    let label =
        |(hz, text): (f32, &str)| format!(r#"<i style="bottom:{:.1}%">{text}</i>"#, 100.0 * spectrum::height_of(hz));
    let labels: String = [(100.0, "100 Hz"), (1_000.0, "1 kHz"), (10_000.0, "10 kHz")].into_iter().map(label).collect();
    let player = file.map_or(String::new(), |file| {
        format!(r#"<audio controls preload="none" src="{}" data-starts="{starts:.4}"></audio>"#, escape(file))
    });
    format!(
        r#"<figure class="{name}"><figcaption>{name}</figcaption><div class="spectrogram"><img src="{}" alt="Spectrogram of what was {name}">{labels}</div>{player}</figure>"#,
        spectrum::data_url(mono, width, height)
    )
}

/// Signed, but without a sign before 0.00.
pub(crate) fn decibels(difference: f64) -> String {
    let text = format!("{difference:+.2} dB");
    if text == "-0.00 dB" { "+0.00 dB".to_owned() } else { text }
}

/// Text as HTML.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::{Arrival, Clip, Mark, MarkKind, Report, html};
    use crate::analysis::compare;

    fn clip(level: f32) -> Clip {
        let sent: Vec<f32> = (0..9_600).map(|index| (index as f32 * 0.05).sin() * 0.3).collect();
        let heard: Vec<f32> = sent.iter().map(|sample| sample * level).collect();
        Clip {
            name: "<tone & co>.wav".into(),
            format: "WAV".into(),
            verdict: compare(&sent, &heard, &[]),
            sent,
            heard,
            sent_file: Some("sent/tone.wav".into()),
            heard_file: None,
            arrivals: vec![Arrival { at_seconds: 0.02, deviation_ms: -3.5 }],
            depth: vec![(0.0, 60.0), (0.02, 40.0)],
            marks: vec![Mark { at_seconds: 0.04, kind: MarkKind::Late }],
            numbers: vec![("jitter".into(), "2.1 ms".into())],
        }
    }

    fn report(clips: Vec<Clip>) -> Report {
        Report {
            title: "Demo".into(),
            summary: String::new(),
            numbers: Vec::new(),
            failures: Vec::new(),
            clips,
            effects: None,
        }
    }

    #[test]
    fn names_are_escaped_and_nothing_is_fetched() {
        let page = html(&report(vec![clip(1.0)]));
        assert!(page.contains("&lt;tone &amp; co&gt;.wav"));
        assert!(!page.contains("<tone"));
        assert!(!page.contains("http"));
        assert!(page.contains(r#"src="sent/tone.wav""#));
    }

    #[test]
    fn the_verdict_is_said() {
        let passing = report(vec![clip(1.0), clip(1.0)]);
        assert!(passing.ok());
        assert!(html(&passing).contains("2 of 2 clips"));
        let failing = report(vec![clip(1.0), clip(0.5)]);
        assert!(!failing.ok());
        assert!(html(&failing).contains("1 of 2 clips"));
        assert!(html(&failing).contains("level is off by"));
        let broken = Report { failures: vec!["nobody came".into()], ..report(vec![clip(1.0)]) };
        assert!(!broken.ok());
        assert!(html(&broken).contains("<li>nobody came</li>"));
    }

    #[test]
    fn an_empty_clip_is_drawn() {
        let empty = Clip { sent: Vec::new(), heard: Vec::new(), verdict: compare(&[], &[], &[]), ..clip(1.0) };
        assert!(html(&report(vec![empty])).contains("0 of 1 clips"));
        assert!(html(&report(Vec::new())).contains("0 of 0 clips"));
    }
}
