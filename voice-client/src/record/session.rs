use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use model::UserId;
use receive::record::{UserReport, Written};
use serde_json::{Map, Value, json};

use super::journal::Journal;
use super::recorder::Recording;

const NAME: &str = "session.json";

/// Writes `session.json`: what the recording is, and how good.
pub(crate) fn write(recording: &Recording, journal: &Journal, error: Option<&str>) -> io::Result<()> {
    let report = &recording.report;
    let users: Map<String, Value> = report
        .users
        .iter()
        .map(|(id, user)| (id.to_string(), describe(user, journal.joins().get(id).copied().unwrap_or(0))))
        .collect();
    let session = json!({
        "start_unix_ms": recording.start_unix_ms,
        "duration": seconds(report.samples),
        "ended": recording.ended.to_string(),
        "limit": report.limit.map(|limit| format!("{limit:?}").to_lowercase()),
        "users": users,
        "mix": files(&report.mix),
        "refused": report.refused.iter().map(UserId::to_string).collect::<Vec<_>>(),
        "missed": recording.missed,
        "notes_lost": report.notes_lost,
        "error": error,
        "repaired": false,
    });
    put(&recording.folder, &session)
}

/// Puts it into a folder, whole or not at all.
pub(crate) fn put(folder: &Path, session: &Value) -> io::Result<()> {
    let part = folder.join(format!("{NAME}.part"));
    let mut file = File::create(&part)?;
    serde_json::to_writer_pretty(&mut file, session)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(part, folder.join(NAME))
}

fn describe(user: &UserReport, joins: u32) -> Value {
    let track = &user.track;
    let ms = |samples: f64| (samples / 4.8).round() / 10.0;
    json!({
        "packets": track.packets,
        "lost": track.lost,
        "late": track.late,
        "duplicate": track.duplicate,
        "malformed": track.malformed,
        "dropped": track.dropped,
        "concealed_ms": ms(user.concealed as f64),
        "silence_ms": ms(track.silence as f64),
        // Not -0.
        "drift_ppm": (track.drift_ppm * 10.0).round() / 10.0 + 0.0,
        "corrections": track.corrections,
        "worst_error_ms": ms(track.worst_error as f64),
        "last_error_ms": ms(track.last_error as f64),
        "epochs": track.restarts,
        "ssrcs": user.ssrcs.iter().map(|ssrc| ssrc.0).collect::<Vec<_>>(),
        "joins": joins,
        "files": files(&user.files),
    })
}

fn files(files: &[Written]) -> Value {
    let describe = |file: &Written| json!({ "name": file.name, "start": seconds(file.start), "duration": seconds(file.samples), "bytes": file.bytes });
    files.iter().map(describe).collect()
}

fn seconds(samples: u64) -> f64 {
    samples as f64 / 48_000.0
}
