//! The thread of a recording: takes packets off their ring and writes what is due, ten times a second.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use model::{SAMPLE_RATE, UserId};
use receive::record::{Limit, Recorder as Machine, Report, WriteError};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

use super::time::now;
use crate::call::Call;
use crate::error::Closed;
use crate::event::{Event, Events};
use crate::record::{
    Command, Disk, Ended, Journal, Outcome, PacketTap, Packets, RecordError, RecordFormat, RecorderConfig,
    RecorderStats, Recording, find, packets, to_mp3, write,
};

/// How often what is due is written.
const TICK: Duration = Duration::from_millis(100);
/// How long ffmpeg may take for a file, beside the length of the recording.
const CONVERTING: Duration = Duration::from_secs(600);
const JOURNAL: &str = "events.jsonl";
const SESSION: &str = "session.json";

/// A recording that has been started.
pub(crate) struct Started {
    pub(crate) commands: Commands,
    pub(crate) outcome: watch::Receiver<Option<Outcome>>,
    pub(crate) stats: watch::Receiver<RecorderStats>,
    /// What the call is to give packets to, if the folder can be written.
    pub(crate) ready: oneshot::Receiver<Result<PacketTap, RecordError>>,
}

/// Tells the writer what to do, and when it was told.
pub(crate) struct Commands(mpsc::Sender<(Instant, Command)>);

impl Commands {
    pub(crate) fn tell(&self, command: Command) {
        // A recording that is over hears nothing.
        let _ = self.0.send((now(), command));
    }
}

struct Writer {
    config: RecorderConfig,
    start: Instant,
    start_unix_ms: u64,
    machine: Machine<Disk>,
    journal: Journal,
    packets: Packets,
    happening: Happening,
    missed: u64,
    stats: watch::Sender<RecorderStats>,
}

/// What the call says of itself.
struct Happening {
    events: Events,
    closed: watch::Receiver<Option<Closed>>,
    /// Who is there at the start.
    there: Vec<UserId>,
}

/// Starts the thread of a recording. The call is to be given the tap, once it is ready.
pub(crate) fn record(call: &Call, config: RecorderConfig, there: Vec<UserId>) -> Result<Started, RecordError> {
    let (commands, received) = mpsc::channel();
    let (tell_outcome, outcome) = watch::channel(None);
    let (tell_stats, stats) = watch::channel(RecorderStats::default());
    let (tell_ready, ready) = oneshot::channel();
    let thread = thread::Builder::new().name("voice-record".to_owned());
    let there = there.into_iter().filter(|user| *user != call.user()).collect();
    let happening = Happening { events: call.later_events(), closed: call.shared().closed(), there };
    let writing = move || {
        let (writer, tap) = match Writer::open(config, happening, tell_stats) {
            Ok(opened) => opened,
            Err(error) => return drop(tell_ready.send(Err(error))),
        };
        let _ = tell_ready.send(Ok(tap));
        let result = writer.run(&received);
        tell_outcome.send_replace(Some(result));
    };
    thread.spawn(writing).map_err(|error| RecordError::System(Arc::new(error)))?;
    Ok(Started { commands: Commands(commands), outcome, stats, ready })
}

impl Writer {
    fn open(
        config: RecorderConfig,
        happening: Happening,
        stats: watch::Sender<RecorderStats>,
    ) -> Result<(Self, PacketTap), RecordError> {
        if config.format == RecordFormat::Mp3 {
            find(&config.ffmpeg)
                .map_err(|source| RecordError::NoFfmpeg { program: config.ffmpeg.clone(), source: Arc::new(source) })?;
        }
        let folder = config.folder.clone();
        let unusable = |source| RecordError::Folder { folder: folder.clone(), source: Arc::new(source) };
        std::fs::create_dir_all(&folder).map_err(unusable)?;
        let disk = Disk::new(folder.clone(), config.overwrite);
        if !config.overwrite && folder.join(SESSION).exists() {
            return Err(RecordError::Exists(folder.join(SESSION)));
        }
        let journal = disk.journal(JOURNAL).map_err(|error| match error.kind() {
            io::ErrorKind::ResourceBusy => RecordError::Running(folder.join(JOURNAL)),
            io::ErrorKind::AlreadyExists => RecordError::Exists(folder.join(JOURNAL)),
            _ => unusable(error),
        })?;
        if config.overwrite {
            // That of the earlier recording.
            let _ = std::fs::remove_file(folder.join(SESSION));
        }
        let (start, start_unix_ms) = (now(), unix_ms());
        let mut journal = Journal::new(journal);
        let format = format!("{:?}", config.format).to_lowercase();
        journal.line(Duration::ZERO, "start", None, json!({ "unix_ms": start_unix_ms, "format": format }));
        journal.present(happening.there.iter().copied());
        journal.flush().map_err(unusable)?;
        let machine = Machine::new(disk, config.settings());
        let (tap, packets) = packets(config.buffer, start);
        Ok((Self { config, start, start_unix_ms, machine, journal, packets, happening, missed: 0, stats }, tap))
    }

    /// Writes until it is told to stop, or cannot go on.
    fn run(mut self, commands: &mpsc::Receiver<(Instant, Command)>) -> Outcome {
        let (ended, at) = loop {
            let first = match commands.recv_timeout(TICK) {
                Ok(command) => Some(command),
                Err(mpsc::RecvTimeoutError::Timeout) => None,
                Err(mpsc::RecvTimeoutError::Disconnected) => break (Ok(Ended::Stopped), self.now()),
            };
            // No packet is taken that may have come after a command that is not known yet.
            let now = self.now();
            let mut stop = None;
            for (at, command) in first.into_iter().chain(commands.try_iter()) {
                let at = self.since_start(at);
                if self.handle(at, command) {
                    stop = Some(at);
                    break;
                }
            }
            match self.write(now) {
                Ok(None) => {}
                Ok(Some(limit)) => break (Ok(Ended::Limit(limit)), now),
                Err(error) => break (Err(error), now),
            }
            if let Some(closed) = self.take_events() {
                break (Ok(Ended::CallOver(closed)), self.now());
            }
            if let Some(at) = stop {
                break (Ok(Ended::Stopped), at);
            }
        };
        self.finish(at, ended)
    }

    fn since_start(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.start)
    }

    fn now(&self) -> Duration {
        self.since_start(now())
    }

    /// Writes what is due.
    fn write(&mut self, now: Duration) -> Result<Option<Limit>, WriteError> {
        self.take_packets(now);
        let limit = self.machine.tick(now)?;
        self.take_notes(now);
        let missed = self.packets.missed();
        if missed > self.missed {
            let packets = missed - self.missed;
            self.journal.line(now, "missed", None, json!({ "packets": packets }));
            self.missed = missed;
        }
        self.journal.flush().map_err(journal_failed)?;
        let (users, bytes) = (self.machine.users(), self.machine.bytes());
        self.stats.send_replace(RecorderStats { time: now, users, bytes, missed });
        Ok(limit)
    }

    fn take_packets(&mut self, until: Duration) {
        while let Some((header, frame)) = self.packets.pop(until) {
            self.machine.push(header.at, header.user, header.ssrc, header.seq, header.time, frame);
        }
    }

    /// Writes what has happened in the call; says how it ended, if it has.
    fn take_events(&mut self) -> Option<Closed> {
        let now = self.now();
        // Looked at before the events, of which the last one tells more.
        let is_gone = self.happening.closed.has_changed().is_err();
        while let Some(event) = self.happening.events.try_next() {
            match event {
                Event::Closed(closed) => return Some(closed),
                event => self.journal.event(now, &event),
            }
        }
        is_gone.then_some(Closed::Aborted)
    }

    /// Lists the files that were made, and writes what the recording has to say.
    fn take_notes(&mut self, now: Duration) {
        for name in std::mem::take(&mut self.machine.folder_mut().made) {
            self.journal.line(now, "file", None, json!({ "name": name }));
        }
        while let Some(note) = self.machine.poll_note() {
            self.journal.note(&note);
        }
    }

    /// Does what it was told `at` this time; says whether that is to stop.
    fn handle(&mut self, at: Duration, command: Command) -> bool {
        let Self { machine, journal, .. } = self;
        match command {
            Command::Allow(user) => {
                machine.allow(at, user);
                journal.line(at, "consent", Some(user), json!({ "allowed": true }));
            }
            Command::Deny(user) => {
                machine.deny(at, user);
                journal.line(at, "consent", Some(user), json!({ "allowed": false }));
            }
            Command::Note(text) => journal.line(at, "note", None, json!({ "text": text })),
            Command::Pause => {
                machine.pause(at);
                journal.line(at, "pause", None, Value::Null);
            }
            Command::Resume => {
                machine.resume(at);
                journal.line(at, "resume", None, Value::Null);
            }
            Command::Stop => {
                // What comes later is not recorded.
                machine.pause(at);
                return true;
            }
        }
        false
    }

    fn finish(mut self, now: Duration, ended: Result<Ended, WriteError>) -> Outcome {
        if let Ok(Ended::Stopped | Ended::CallOver(_)) = ended {
            self.take_packets(now);
        }
        let (report, finished) = self.machine.finish(now);
        self.take_notes(now);
        let (ended, error) = match (ended, finished) {
            (Ok(ended), Ok(())) => (ended, None),
            (Err(error), _) | (Ok(_), Err(error)) => (Ended::Failed, Some(error)),
        };
        let more = match &error {
            Some(error) => json!({ "text": error.to_string() }),
            None => json!({ "text": ended.to_string() }),
        };
        self.journal.line(now, if error.is_some() { "error" } else { "end" }, None, more);
        let journal = self.journal.flush().map_err(journal_failed);
        let mut recording = self.recording(report, ended);
        let text = error.as_ref().map(WriteError::to_string);
        let session = write(&recording, &self.journal, text.as_deref())
            .map_err(|source| WriteError { file: SESSION.to_owned(), source });
        if let Some(WriteError { file, source }) = error.or(journal.err()).or(session.err()) {
            return Err(RecordError::Write { file, source: Arc::new(source), kept: Box::new(recording) });
        }
        if self.config.format == RecordFormat::Mp3 {
            self.convert(&mut recording)?;
        }
        Ok(recording)
    }

    fn recording(&self, report: Report, ended: Ended) -> Recording {
        let folder = self.config.folder.clone();
        let paths = |files: &[receive::record::Written]| files.iter().map(|file| folder.join(&file.name)).collect();
        let heard = report.users.iter().filter(|(_, it)| !it.files.is_empty());
        Recording {
            files: heard.map(|(user, it)| (*user, paths(&it.files))).collect(),
            mix: paths(&report.mix),
            start_unix_ms: self.start_unix_ms,
            ended,
            missed: self.missed,
            report,
            folder,
        }
    }

    /// Makes MP3 of every file that there is; the first failure is handed back, after all were tried.
    fn convert(&self, recording: &mut Recording) -> Result<(), RecordError> {
        let mut failed = None;
        let limit = CONVERTING + Duration::from_secs(recording.report.samples / u64::from(SAMPLE_RATE));
        for path in recording.files.values_mut().flatten() {
            match to_mp3(&self.config.ffmpeg, path, limit) {
                Ok(mp3) => *path = mp3,
                Err(text) => _ = failed.get_or_insert((path.clone(), text)),
            }
        }
        let Some((file, text)) = failed else { return Ok(()) };
        Err(RecordError::Convert { file, text, kept: Box::new(recording.clone()) })
    }
}

fn journal_failed(source: io::Error) -> WriteError {
    WriteError { file: JOURNAL.to_owned(), source }
}

#[expect(clippy::disallowed_methods, reason = "the driver is where clocks are read")]
fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
