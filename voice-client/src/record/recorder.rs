use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use model::UserId;
use receive::record::{Limit, Report};
use tokio::sync::watch;

use super::config::RecorderConfig;
use super::error::RecordError;
use crate::call::Call;
use crate::driver::{Commands, Request, Tapped, record};
use crate::error::Closed;

/// Records a call: a track for each user, all on one time line, into files that survive.
///
/// Whatever a user does (rejoin, change the SSRC, drift), whatever the call does (reconnect, move), the track goes on and
/// sample so and so of every file is the same moment. Packets are written by a thread of their own; what the disk is too
/// slow for is counted as missed. Dropping the handle finishes the files, in the background.
///
/// Beside the audio lie `events.jsonl` (who joined, spoke, was lost, one JSON object a line, `t` in seconds) and, at the
/// end, `session.json` (figures of each user and file). Who was there before is `present` at its start: the members of the
/// encrypted group; without one those who were heard. Whether somebody is muted is not told: the voice server does not say.
///
/// ```no_run
/// # async fn record(call: voice_client::Call, user: voice_client::UserId) -> Result<(), Box<dyn std::error::Error>> {
/// use voice_client::{MixFormat, Recorder, RecorderConfig};
///
/// let recorder = Recorder::start(&call, RecorderConfig::new("meeting").mix(Some(MixFormat::Flac))).await?;
/// recorder.note("the vote");
/// let recording = recorder.stop().await?;
/// println!("{:?}", recording.files);
/// # Ok(())
/// # }
/// ```
pub struct Recorder {
    commands: Commands,
    outcome: watch::Receiver<Option<Outcome>>,
    stats: watch::Receiver<RecorderStats>,
}

/// How a recording went.
pub(crate) type Outcome = Result<Recording, RecordError>;

/// What the writer is told.
pub(crate) enum Command {
    Allow(UserId),
    Deny(UserId),
    Note(String),
    Pause,
    Resume,
    Stop,
}

/// Why a recording is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// It was stopped, or its handle dropped.
    Stopped,
    /// The call is over.
    CallOver(Closed),
    /// A limit of its configuration was reached.
    Limit(Limit),
    /// A file could not be written: the error says more.
    Failed,
}

/// A recording that is over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recording {
    /// Where its files are.
    pub folder: PathBuf,
    /// The files of each user, in order; MP3 when that was asked for.
    pub files: BTreeMap<UserId, Vec<PathBuf>>,
    /// The files of the mix.
    pub mix: Vec<PathBuf>,
    /// When it began: milliseconds since 1970.
    pub start_unix_ms: u64,
    /// Why it is over.
    pub ended: Ended,
    /// Packets that the disk was too slow for.
    pub missed: u64,
    /// Figures of each user and file.
    pub report: Report,
}

/// A recording under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecorderStats {
    /// How long it has been recording, pauses included.
    pub time: Duration,
    /// Users who are recorded.
    pub users: usize,
    /// Bytes of audio written.
    pub bytes: u64,
    /// Packets that the disk was too slow for.
    pub missed: u64,
}

impl Recorder {
    /// Begins to record, into a folder that is made if need be.
    ///
    /// # Errors
    ///
    /// [`RecordError`]: the folder cannot be written or holds a recording, the call is over, ffmpeg is not there.
    pub async fn start(call: &Call, config: RecorderConfig) -> Result<Self, RecordError> {
        if let Some(closed) = call.is_closed() {
            return Err(RecordError::CallOver(closed));
        }
        let mut there: Vec<UserId> = call.encryption().members.into_keys().collect();
        if there.is_empty() {
            there.extend(call.stats().await.into_iter().flat_map(|stats| stats.heard.into_keys()));
        }
        let started = record(call, config, there)?;
        let tap = started.ready.await.unwrap_or(Err(RecordError::Aborted))?;
        call.tell(Request::Tap(Tapped::Packets(tap)));
        Ok(Self { commands: started.commands, outcome: started.outcome, stats: started.stats })
    }

    /// Records this user from now on, where [not everybody](super::Consent::Allowed) is, or after a denial.
    ///
    /// This and what follows counts from the moment of the call: a packet is recorded or not by when it arrived, however
    /// late the disk or a key is.
    pub fn allow(&self, user: UserId) {
        self.tell(Command::Allow(user));
    }

    /// Does not record this user from now on. What was recorded stays.
    pub fn deny(&self, user: UserId) {
        self.tell(Command::Deny(user));
    }

    /// Writes a line into `events.jsonl`, with the time that it is now.
    pub fn note(&self, text: impl Into<String>) {
        self.tell(Command::Note(text.into()));
    }

    /// Records nobody until it is [resumed](Self::resume). The time goes on: a pause is a gap.
    pub fn pause(&self) {
        self.tell(Command::Pause);
    }

    /// Goes on recording.
    pub fn resume(&self) {
        self.tell(Command::Resume);
    }

    /// Finishes the files.
    ///
    /// # Errors
    ///
    /// [`RecordError`], if the recording has not gone well up to the end: what there is, it holds.
    pub async fn stop(self) -> Result<Recording, RecordError> {
        self.tell(Command::Stop);
        self.finished().await
    }

    /// Resolves when the recording is over and its files are finished, at once if it is: [`Recording::ended`] says why.
    ///
    /// # Errors
    ///
    /// Those of [`stop`](Self::stop).
    pub async fn finished(&self) -> Result<Recording, RecordError> {
        let mut outcome = self.outcome.clone();
        match outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Err(RecordError::Aborted)),
            Err(_) => Err(RecordError::Aborted),
        }
    }

    /// Figures of a tenth of a second ago.
    pub fn stats(&self) -> RecorderStats {
        *self.stats.borrow()
    }

    fn tell(&self, command: Command) {
        self.commands.tell(command);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.tell(Command::Stop);
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Stopped => f.write_str("stopped"),
            Ended::CallOver(closed) => write!(f, "the call is over: {closed}"),
            Ended::Limit(Limit::Duration) => f.write_str("as long as it may be"),
            Ended::Limit(Limit::Bytes) => f.write_str("as large as it may be"),
            Ended::Limit(_) => f.write_str("a limit is reached"),
            Ended::Failed => f.write_str("a file could not be written"),
        }
    }
}
