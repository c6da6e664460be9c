//! The programs that read what was written.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::Outcome;
use crate::session::Described;

/// Of the lengths that they tell, in seconds: they round to milliseconds.
const NEAR: f64 = 0.001;
/// Nobody decodes hours here.
const LONG: f64 = 60.0;
/// What players skip at the beginning of our Ogg Opus files. ffprobe counts it.
const SKIPPED: f64 = 0.08;

/// Those that are there.
pub(crate) struct Judges {
    ffprobe: Option<PathBuf>,
    opusinfo: Option<PathBuf>,
    ffmpeg: Option<PathBuf>,
}

impl Judges {
    /// `-` for one that is not there.
    pub(crate) fn new(ffprobe: &Path, opusinfo: &Path, ffmpeg: &Path) -> Self {
        let is_there = |path: &Path| (path != Path::new("-")).then(|| path.to_owned());
        Self { ffprobe: is_there(ffprobe), opusinfo: is_there(opusinfo), ffmpeg: is_there(ffmpeg) }
    }

    /// Asks all of them about every file in the folder; what is wrong is printed.
    pub(crate) fn hear(&self, folder: &Path) -> Outcome {
        let mut recordings: Vec<PathBuf> =
            std::fs::read_dir(folder)?.map(|entry| entry.map(|it| it.path())).collect::<Result<_, _>>()?;
        recordings.retain(|path| path.is_dir());
        recordings.sort();
        let (mut files, mut wrong) = (0, 0);
        for recording in recordings {
            for file in Described::all(&recording)? {
                let found = self.ask(&file)?;
                println!(
                    "{}, {:.3} s: {}",
                    file.path.display(),
                    file.duration,
                    if found.is_empty() { "ok" } else { "WRONG" }
                );
                found.iter().for_each(|what| println!("  {what}"));
                (files, wrong) = (files + 1, wrong + usize::from(!found.is_empty()));
            }
        }
        if wrong == 0 && files > 0 { Ok(()) } else { Err(format!("{wrong} of {files} files are not accepted").into()) }
    }

    /// What is wrong with a file.
    fn ask(&self, file: &Described) -> Outcome<Vec<String>> {
        let mut wrong = Vec::new();
        if let Some(ffprobe) = &self.ffprobe {
            wrong.extend(ffprobed(ffprobe, file)?);
        }
        if let Some(opusinfo) = &self.opusinfo
            && file.path.extension().is_some_and(|ending| ending == "ogg")
        {
            wrong.extend(opusinfoed(opusinfo, file)?);
        }
        if let Some(ffmpeg) = &self.ffmpeg
            && file.duration < LONG
        {
            wrong.extend(decoded(ffmpeg, file)?);
        }
        Ok(wrong)
    }
}

fn ffprobed(ffprobe: &Path, file: &Described) -> Outcome<Vec<String>> {
    let mut command = Command::new(ffprobe);
    command.args(["-v", "error", "-of", "json", "-show_format", "-show_streams"]).arg(&file.path);
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || !said.is_empty() {
        return Ok(vec![format!("ffprobe, {}: {}", output.status, said.trim())]);
    }
    let probed: Value = serde_json::from_slice(&output.stdout)?;
    let mut wrong = Vec::new();
    let wanted = file.duration + if probed["format"]["format_name"] == "ogg" { SKIPPED } else { 0.0 };
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<f64>().ok());
    for (of, value) in [("stream", &probed["streams"][0]["duration"]), ("format", &probed["format"]["duration"])] {
        if !number(value).is_some_and(|duration| (duration - wanted).abs() <= NEAR) {
            wrong.push(format!("ffprobe: {of} of {value} s, wanted {wanted}"));
        }
    }
    let stream = &probed["streams"][0];
    if stream["sample_rate"] != "48000" || stream["channels"] != 2 {
        wrong.push(format!("ffprobe: {} channels at {} Hz", stream["channels"], stream["sample_rate"]));
    }
    Ok(wrong)
}

fn opusinfoed(opusinfo: &Path, file: &Described) -> Outcome<Vec<String>> {
    let output = Command::new(opusinfo).arg(&file.path).output()?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let is_wrong = |line: &&str| ["WARNING", "ERROR", "error"].iter().any(|word| line.contains(word));
    let mut wrong: Vec<String> = said.lines().filter(is_wrong).map(|line| format!("opusinfo: {line}")).collect();
    if !output.status.success() {
        wrong.push(format!("opusinfo, {}", output.status));
    }
    let length = said.lines().find_map(|line| line.trim().strip_prefix("Playback length: "));
    if !length.and_then(seconds).is_some_and(|length| (length - file.duration).abs() <= NEAR) {
        wrong.push(format!("opusinfo: {length:?}, wanted {} s", file.duration));
    }
    Ok(wrong)
}

/// Of `0m:06.180s`.
fn seconds(text: &str) -> Option<f64> {
    let (minutes, seconds) = text.strip_suffix('s')?.split_once("m:")?;
    Some(60.0 * minutes.parse::<f64>().ok()? + seconds.parse::<f64>().ok()?)
}

/// ffmpeg decodes it without a word, to as many samples as it has.
fn decoded(ffmpeg: &Path, file: &Described) -> Outcome<Vec<String>> {
    let mut command = Command::new(ffmpeg);
    command.args(["-nostdin", "-v", "error", "-i"]).arg(&file.path);
    let output = command.args(["-ac", "2", "-f", "s16le", "-"]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || !said.is_empty() {
        return Ok(vec![format!("ffmpeg, {}: {}", output.status, said.trim())]);
    }
    let (samples, wanted) = (output.stdout.len() / 4, (file.duration * 48_000.0).round() as usize);
    if samples != wanted {
        return Ok(vec![format!("ffmpeg: {samples} samples, wanted {wanted}")]);
    }
    Ok(Vec::new())
}
