//! Records a call: a track for each user on one time line, a mix, and a page about it, `report.html`, with every
//! waveform and what happened when.
//!
//! ```text
//! record [FOLDER]
//! ```
//!
//! The call is one on this machine, over a link that loses packets; a call of yours is recorded by the same three lines.
//! Fails when one of the speakers is not recorded, or a packet was missed.
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "support/company.rs"]
mod company;
#[path = "support/tracks.rs"]
mod tracks;

use std::fmt::Write;
use std::path::Path;

use company::{Company, Result};
use serde_json::Value;
use tracks::Track;
use voice_client::{MixFormat, Recorder, RecorderConfig};

/// Of the page's drawings, in pixels.
const WIDTH: usize = 1_000;
const HEIGHT: usize = 90;

#[tokio::main]
async fn main() -> Result<()> {
    let (folder, is_given) = company::folder("record")?;
    let company = Company::meet().await?;

    // What is in a folder of yours is left alone: a recording in it is an error.
    let config = RecorderConfig::new(&folder).mix(Some(MixFormat::Wav)).overwrite(!is_given);
    let recorder = Recorder::start(&company.listener, config).await?;
    recorder.note("the company begins to talk");
    company.talk().await;
    recorder.note("that was it");
    let recording = recorder.stop().await?;

    company.part().await;
    let page = folder.join("report.html");
    std::fs::write(&page, report(&folder)?)?;
    for path in recording.files.values().flatten().chain(&recording.mix).chain([&page]) {
        println!("{}", path.display());
    }
    for (user, it) in &recording.report.users {
        let error = it.track.worst_error as f64 / 48.0;
        println!("{user}: {} packets, {} lost, off by {error:.1} ms at most", it.track.packets, it.track.lost);
    }
    let heard = recording.report.users.values().filter(|user| user.track.packets > 50).count();
    if heard == 2 && recording.missed == 0 {
        Ok(())
    } else {
        Err(format!("{heard} of 2 speakers were recorded").into())
    }
}

/// The page.
fn report(folder: &Path) -> Result<String> {
    let session = tracks::session(folder)?;
    let seconds = session["duration"].as_f64().unwrap_or(0.0).max(0.001);
    let text = std::fs::read_to_string(folder.join("events.jsonl"))?;
    let events: Vec<Value> = text.lines().map(serde_json::from_str).collect::<std::result::Result<_, _>>()?;
    let mut page = String::from(HEAD);
    write!(page, "<h1>A recorded call</h1><p>{seconds:.1} s, {}</p>", escaped(&session["ended"]))?;
    for (user, mut track) in tracks::tracks(folder, &session)? {
        let figures = &session["users"][&user];
        write!(page, "<h2>{user}</h2><p>")?;
        for (name, unit) in [
            ("packets", ""),
            ("lost", ""),
            ("late", ""),
            ("duplicate", ""),
            ("silence_ms", " ms"),
            ("drift_ppm", " ppm"),
            ("worst_error_ms", " ms"),
        ] {
            write!(page, "{} {}{unit} &middot; ", name.trim_end_matches("_ms").replace('_', " "), figures[name])?;
        }
        write!(page, "</p><svg viewBox='0 0 {WIDTH} {HEIGHT}'><path class='wave' d='")?;
        for (x, peak) in peaks(&mut track, seconds)?.into_iter().enumerate() {
            let half = peak.min(1.0) * HEIGHT as f32 / 2.0;
            let middle = HEIGHT as f32 / 2.0;
            write!(page, "M{x} {:.1}V{:.1}", middle - half - 0.3, middle + half + 0.3)?;
        }
        page.push_str("'/>");
        for event in events.iter().filter(|event| event["user"] == user.as_str()) {
            mark(&mut page, event, seconds)?;
        }
        page.push_str("</svg>");
    }
    page.push_str("<h2>What happened</h2><table>");
    for event in &events {
        let time = event["t"].as_f64().unwrap_or(0.0);
        let name = escaped(&event["event"]);
        write!(page, "<tr class='{name}'><td>{time:.3} s</td><td>{name}</td><td>{}</td><td>", escaped(&event["user"]))?;
        let more = event.as_object().into_iter().flatten();
        for (key, value) in more.filter(|(key, _)| !["t", "event", "user"].contains(&key.as_str())) {
            write!(page, "{key} {} ", escaped(value))?;
        }
        page.push_str("</td></tr>");
    }
    page.push_str("</table></body></html>\n");
    Ok(page)
}

/// The loudest sample of each pixel.
fn peaks(track: &mut Track, seconds: f64) -> Result<Vec<f32>> {
    let mut peaks = vec![0.0_f32; WIDTH];
    let per_pixel = 48_000.0 * seconds / WIDTH as f64;
    while let Some((at, pcm)) = track.read()? {
        for (sample, pair) in pcm.chunks(2).enumerate() {
            let pixel = ((at + sample as u64) as f64 / per_pixel) as usize;
            if let Some(peak) = peaks.get_mut(pixel) {
                *peak = pair.iter().fold(*peak, |peak, value| peak.max(value.abs()));
            }
        }
    }
    Ok(peaks)
}

/// A stroke where speech begins or ends, or something is missing.
fn mark(page: &mut String, event: &Value, seconds: f64) -> Result<()> {
    let name = match (event["event"].as_str(), event["on"].as_bool()) {
        (Some("speaking"), Some(true)) => "begins",
        (Some("speaking"), _) => "ends",
        (Some("loss"), _) => "loss",
        (Some("epoch"), _) => "epoch",
        _ => return Ok(()),
    };
    let time = event["t"].as_f64().unwrap_or(0.0);
    let x = time / seconds * WIDTH as f64;
    write!(page, "<path class='{name}' d='M{x:.1} 0V{HEIGHT}'><title>{name} at {time:.2} s</title></path>")?;
    Ok(())
}

fn escaped(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    text.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&#39;")
}

const HEAD: &str = "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>A recorded call</title><style>
body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#222}
svg{width:100%;background:#f4f6f8}path{fill:none;stroke-width:1}.wave{stroke:#2a6fb0}
.begins{stroke:#2a9d4a}.ends{stroke:#999}.loss{stroke:#d33}.epoch{stroke:#a4a}
table{border-collapse:collapse}td{padding:0 1em 0 0;vertical-align:top}tr.loss,tr.error{color:#b22}tr.note{font-weight:bold}
</style></head><body>";
