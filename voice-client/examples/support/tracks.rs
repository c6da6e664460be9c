//! The tracks of a finished recording, read piece by piece.

use std::collections::VecDeque;
use std::error::Error;
use std::path::{Path, PathBuf};

use serde_json::Value;
use voice_client::layer::mixer::{Chunk, Format, Source};
use voice_client::source::file::File;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Samples per channel of the longest Opus packet, 120 ms.
const LONGEST: usize = 5_760;

/// One user's audio.
pub(crate) struct Track {
    /// Files and where they begin, in samples.
    files: VecDeque<(PathBuf, u64)>,
    open: Option<Open>,
    /// Where the next piece begins, in samples.
    pub(crate) position: u64,
}

struct Open {
    file: File,
    format: Format,
    opus: opus::Decoder,
    chunk: Chunk,
}

/// What `session.json` says.
pub(crate) fn session(folder: &Path) -> Result<Value> {
    let path = folder.join("session.json");
    let text = std::fs::read(&path).map_err(|error| {
        format!("{}: {error}; was the program killed? then `cargo run --example repair` comes first", path.display())
    })?;
    Ok(serde_json::from_slice(&text)?)
}

/// All tracks of the recording in this folder, with whose they are.
pub(crate) fn tracks(folder: &Path, session: &Value) -> Result<Vec<(String, Track)>> {
    let users = session["users"].as_object().ok_or("session.json names no users")?;
    let mut tracks = Vec::new();
    for (user, described) in users {
        let mut files = VecDeque::new();
        for file in described["files"].as_array().ok_or("session.json names no files")? {
            let name = file["name"].as_str().ok_or("a file has no name")?;
            let start = file["start"].as_f64().ok_or("a file has no start")?;
            files.push_back((folder.join(name), (48_000.0 * start).round() as u64));
        }
        let position = files.front().map_or(u64::MAX, |(_, start)| *start);
        tracks.push((user.clone(), Track { files, open: None, position }));
    }
    Ok(tracks)
}

impl Track {
    /// The next piece, interleaved, and where it begins; `None` at the end.
    pub(crate) fn read(&mut self) -> Result<Option<(u64, Vec<f32>)>> {
        loop {
            let Some(open) = &mut self.open else {
                let Some((path, start)) = self.files.pop_front() else {
                    self.position = u64::MAX;
                    return Ok(None);
                };
                let mut file = File::new(&path);
                let format = file.open().map_err(|error| format!("{}: {error}", path.display()))?.format;
                if !matches!(format, Format::Opus | Format::Pcm { rate: 48_000, channels: 2 }) {
                    return Err(format!("{} was not written by a recorder", path.display()).into());
                }
                let opus = opus::Decoder::new(48_000, opus::Channels::Stereo)?;
                self.open = Some(Open { file, format, opus, chunk: Chunk::new() });
                self.position = start;
                continue;
            };
            open.chunk.clear();
            if !open.file.read(&mut open.chunk)? {
                self.open = None;
                continue;
            }
            let pcm = match open.format {
                Format::Pcm { .. } => open.chunk.samples().to_vec(),
                Format::Opus => {
                    let mut pcm = vec![0.0; 2 * LONGEST];
                    let samples = open.opus.decode_float(open.chunk.packet(), &mut pcm, false)?;
                    pcm.truncate(2 * samples);
                    // What players leave out at the beginning.
                    let (skip, _) = open.chunk.cut();
                    pcm.split_off(pcm.len().min(2 * skip as usize))
                }
            };
            let position = self.position;
            self.position += pcm.len() as u64 / 2;
            return Ok(Some((position, pcm)));
        }
    }
}
