use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek};
use std::path::{Path, PathBuf};

use receive::record::repair::{RepairError, Repaired, flac, lines, ogg, wav};
use serde_json::{Map, Value, json};

use super::disk::lock;
use super::listing::listed;
use super::session::put;

const JOURNAL: &str = "events.jsonl";
const SESSION: &str = "session.json";

/// A file of a recording that was repaired, or could not be.
#[derive(Debug)]
#[non_exhaustive]
pub struct RepairedFile {
    /// Which one.
    pub path: PathBuf,
    /// How it is now.
    pub result: Result<Repaired, RepairError>,
}

/// Finishes the files of a recording whose program was killed, and writes its `session.json` from what they hold; that
/// says `"repaired": true` then. A recording that was finished is left as it is: nothing is returned. Blocks.
///
/// Repairs the files that `events.jsonl` lists; every file of audio in the folder, if it lists none.
///
/// # Errors
///
/// When the folder or a file in it cannot be read or written, or it holds no recording;
/// [`io::ErrorKind::ResourceBusy`] when it is still being recorded.
pub fn repair_recording(folder: impl AsRef<Path>) -> io::Result<Vec<RepairedFile>> {
    let folder = folder.as_ref();
    if folder.join(SESSION).exists() {
        return Ok(Vec::new());
    }
    let journal = OpenOptions::new().read(true).write(true).open(folder.join(JOURNAL)).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("{} cannot be opened, is this a recording? {error}", folder.join(JOURNAL).display()),
        )
    })?;
    lock(&journal).map_err(|error| {
        io::Error::new(error.kind(), format!("{} is still being recorded: end that first", folder.display()))
    })?;
    journal.set_len(lines(&mut &journal)?)?;
    let known = Known::read(&journal)?;
    (&journal).rewind()?;
    let mut paths: Vec<PathBuf> = listed(&journal)?.into_iter().map(|name| folder.join(name)).collect();
    if paths.is_empty() {
        paths = std::fs::read_dir(folder)?.map(|entry| entry.map(|it| it.path())).collect::<io::Result<_>>()?;
    }
    paths.sort();
    let repaired: Vec<RepairedFile> =
        paths.into_iter().filter_map(|path| Some(repair(&path)?).map(|result| RepairedFile { path, result })).collect();
    let session = known.session(&repaired);
    put(folder, &session)?;
    Ok(repaired)
}

/// Repairs a file of audio; `None` for any other.
fn repair(path: &Path) -> Option<Result<Repaired, RepairError>> {
    let finish: fn(&mut File) -> Result<Repaired, RepairError> = match path.extension()?.to_str()? {
        "ogg" => ogg,
        "wav" => wav,
        "flac" => flac,
        _ => return None,
    };
    let repaired = || {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let repaired = finish(&mut file)?;
        file.set_len(repaired.bytes)?;
        file.sync_all()?;
        Ok(repaired)
    };
    Some(repaired())
}

/// What the events tell of the recording.
#[derive(Default)]
struct Known {
    start: Value,
    lost: BTreeMap<String, u64>,
    joins: BTreeMap<String, u64>,
    epochs: BTreeMap<String, u64>,
    /// Where each part begins, in seconds.
    parts: BTreeMap<u64, f64>,
}

impl Known {
    fn read(mut journal: &File) -> io::Result<Self> {
        journal.rewind()?;
        let mut known = Self::default();
        for line in BufReader::new(journal).lines() {
            // A line that is no JSON was not written by a recorder.
            let Ok(line) = serde_json::from_str::<Value>(&line?) else { continue };
            let user = || line["user"].as_str().unwrap_or_default().to_owned();
            match line["event"].as_str().unwrap_or_default() {
                "start" => known.start = line["unix_ms"].clone(),
                "loss" => *known.lost.entry(user()).or_default() += line["packets"].as_u64().unwrap_or(0),
                "join" => *known.joins.entry(user()).or_default() += 1,
                "epoch" => *known.epochs.entry(user()).or_default() += 1,
                "part" => {
                    let part = line["part"].as_u64().zip(line["t"].as_f64());
                    known.parts.extend(part);
                }
                _ => {}
            }
        }
        Ok(known)
    }

    fn session(&self, files: &[RepairedFile]) -> Value {
        let mut users: Map<String, Value> = Map::new();
        let (mut mix, mut longest, mut broken) = (Vec::new(), 0.0_f64, Vec::new());
        for RepairedFile { path, result } in files {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let repaired = match result {
                Ok(repaired) => repaired,
                Err(error) => {
                    broken.push(format!("{name}: {error}"));
                    continue;
                }
            };
            // `stem.ogg`, or `stem.002.ogg`.
            let mut words = name.split('.');
            let stem = words.next().unwrap_or_default();
            let part = words.next().and_then(|part| part.parse().ok()).unwrap_or(1);
            // The first part begins with the recording; where another one does is not known without its event.
            let start = if part == 1 { Some(0.0) } else { self.parts.get(&part).copied() };
            let duration = repaired.samples as f64 / 48_000.0;
            longest = longest.max(start.unwrap_or(0.0) + duration);
            let file = json!({ "name": name, "start": start, "duration": duration, "bytes": repaired.bytes });
            if stem == "mix" {
                mix.push(file);
                continue;
            }
            let count = |counts: &BTreeMap<String, u64>| counts.get(stem).copied().unwrap_or(0);
            let user = users.entry(stem).or_insert_with(|| {
                let (lost, joins, epochs) = (count(&self.lost), count(&self.joins), count(&self.epochs));
                json!({ "lost": lost, "joins": joins, "epochs": epochs, "files": [] })
            });
            if let Some(files) = user["files"].as_array_mut() {
                files.push(file);
            }
        }
        json!({
            "start_unix_ms": self.start,
            "duration": longest,
            "ended": "killed",
            "users": users,
            "mix": mix,
            "error": (!broken.is_empty()).then(|| broken.join("; ")),
            "repaired": true,
        })
    }
}
