//! What `session.json` says of the files beside it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Outcome;

/// A file of a recording.
pub(crate) struct Described {
    pub(crate) path: PathBuf,
    /// In seconds.
    pub(crate) duration: f64,
}

impl Described {
    /// All of a recording. Files of audio that it does not name are an error, as are those of other sizes.
    pub(crate) fn all(folder: &Path) -> Outcome<Vec<Self>> {
        let session: Value = serde_json::from_slice(&std::fs::read(folder.join("session.json"))?)?;
        let users = session["users"].as_object().into_iter().flat_map(|users| users.values());
        let lists = users.map(|user| &user["files"]).chain([&session["mix"]]);
        let mut files = Vec::new();
        for file in lists.filter_map(Value::as_array).flatten() {
            let path = folder.join(file["name"].as_str().ok_or("a file has no name")?);
            let (bytes, is) = (file["bytes"].as_u64().ok_or("a file has no size")?, std::fs::metadata(&path)?.len());
            if bytes != is {
                return Err(format!("{} has {is} bytes, session.json says {bytes}", path.display()).into());
            }
            files.push(Self { path, duration: file["duration"].as_f64().ok_or("a file has no duration")? });
        }
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let is_audio =
                path.extension().is_some_and(|ending| ending == "ogg" || ending == "wav" || ending == "flac");
            if is_audio && !files.iter().any(|file| file.path == path) {
                return Err(format!("session.json does not name {}", path.display()).into());
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }
}
