//! Writes what a call hears: one WAV file per speaker, gaps as silence.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinHandle;
use voice_client::layer::receive::record::{Place, Timeline, Wav, WavError};
use voice_client::{Audio, Call, Frame, UserId};

/// How often files are made readable, should the process be killed.
const SYNC_FRAMES: u64 = 50;

/// A recording under way. Ends when its call does, or when it is stopped.
pub(crate) struct Recorder {
    task: JoinHandle<Result<Files, WavError>>,
    stop: tokio::sync::oneshot::Sender<()>,
}

/// The files of a recording, by speaker.
pub(crate) type Files = BTreeMap<UserId, PathBuf>;

struct Track {
    path: PathBuf,
    wav: Wav<BufWriter<File>>,
    timeline: Timeline,
    frames: u64,
}

impl Recorder {
    /// Records `call` into `folder`, which is made if need be, as `<user id>.wav`.
    pub(crate) fn start(call: &Call, folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(record(call.audio(), folder.to_owned(), stopped));
        Ok(Self { task, stop })
    }

    /// Finishes the files.
    pub(crate) async fn stop(self) -> Result<Files, WavError> {
        let _ = self.stop.send(());
        self.task.await.unwrap_or_else(|error| Err(WavError::from(io::Error::other(error))))
    }
}

async fn record(
    mut audio: Audio,
    folder: PathBuf,
    mut stopped: tokio::sync::oneshot::Receiver<()>,
) -> Result<Files, WavError> {
    let mut tracks = BTreeMap::new();
    loop {
        tokio::select! {
            frame = audio.next() => match frame {
                Some(frame) => write(&mut tracks, &folder, &frame)?,
                None => break,
            },
            _ = &mut stopped => break,
        }
    }
    while let Some(frame) = audio.try_next() {
        write(&mut tracks, &folder, &frame)?;
    }
    let mut files = Files::new();
    for (user, track) in tracks {
        track.wav.finish()?;
        files.insert(user, track.path);
    }
    Ok(files)
}

fn write(tracks: &mut BTreeMap<UserId, Track>, folder: &Path, frame: &Frame) -> Result<(), WavError> {
    let track = match tracks.entry(frame.user) {
        Entry::Occupied(track) => track.into_mut(),
        Entry::Vacant(vacant) => {
            let path = folder.join(format!("{}.wav", frame.user));
            let wav = Wav::new(BufWriter::new(File::create(&path)?))?;
            vacant.insert(Track { path, wav, timeline: Timeline::new(Duration::ZERO), frames: 0 })
        }
    };
    let Place { silence, cut } = track.timeline.place(frame.at, frame.time, frame.pcm.len() / 2);
    track.wav.silence(silence)?;
    track.wav.write(&frame.pcm[2 * cut..])?;
    track.frames += 1;
    if track.frames.is_multiple_of(SYNC_FRAMES) {
        track.wav.sync()?;
    }
    Ok(())
}
