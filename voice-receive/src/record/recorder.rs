use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use voice_model::{RtpTime, SAMPLE_RATE, Seq, Ssrc, UserId};

use super::mix::Mixdown;
use super::report::{Note, Report, UserReport, What};
use super::settings::{Format, Settings};
use super::strip::{Folder, Parts, Strip, WriteError};
use super::switch::Switch;
use super::track::{Correction, Placed, Track, TrackNote, samples};
use super::voice::Voice;

/// How often what was written is made readable: at every tick, unless they are closer.
const SYNC: u64 = SAMPLE_RATE as u64 / 20;
/// How much later than the window the mix is written: packets may be held up for half a second, and wait for a tick.
/// Those that were held up for longer are missing in it.
const HELD_UP: u64 = SAMPLE_RATE as u64 * 6 / 10;
/// The same for what ends a part.
const SETTLED: u64 = SAMPLE_RATE as u64;
/// Most notes that wait to be polled.
const MAX_NOTES: usize = 4_096;
/// Most SSRCs of one user, and most refused users, that a report names.
const MAX_NAMED: usize = 1_024;

/// Why a recording should end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`Settings::max_duration`] is reached.
    Duration,
    /// [`Settings::max_bytes`] is reached.
    Bytes,
}

/// Records a call: one track per user on one time line, a mix if wanted, into files of a [`Folder`].
///
/// Told packets and the time since the recording began, it writes what is due in [`tick`](Self::tick): some ten times a
/// second. Memory is bounded by the number of users, files are never read again.
#[derive(Debug)]
pub struct Recorder<F: Folder> {
    shared: Shared<F>,
    users: BTreeMap<UserId, Tape<F::File>>,
    /// Who was allowed or denied, and when; all others are what the settings say.
    consent: BTreeMap<UserId, Switch>,
    refused: BTreeSet<UserId>,
    /// On where it was not paused.
    running: Switch,
    /// Of a packet that was taken: the next tick hands it back.
    failed: Option<WriteError>,
    synced: u64,
    bytes: u64,
    limit: Option<Limit>,
    /// Its length, when it is finished.
    ended: Option<u64>,
}

/// What all tracks write to.
#[derive(Debug)]
struct Shared<F: Folder> {
    folder: F,
    settings: Settings,
    parts: Parts,
    mix: Option<(Mixdown, Strip<F::File>)>,
    notes: VecDeque<Note>,
    notes_lost: u64,
}

/// One user.
#[derive(Debug)]
struct Tape<W> {
    track: Track,
    /// That of the latest packet.
    stretch: Option<(u64, u64)>,
    reel: Reel<W>,
}

#[derive(Debug)]
struct Reel<W> {
    user: UserId,
    strip: Strip<W>,
    voice: Option<Voice>,
    concealed: u64,
    ssrcs: Vec<Ssrc>,
}

impl<F: Folder> Recorder<F> {
    /// An empty recording, that begins now.
    pub fn new(folder: F, settings: Settings) -> Self {
        let mix = settings.mix.map(|format| {
            let strip = Strip::new("mix".to_owned(), format.into(), settings.gaps, 0);
            (Mixdown::new(), strip)
        });
        let parts = Parts::new(settings.rotate);
        let shared = Shared { folder, settings, parts, mix, notes: VecDeque::new(), notes_lost: 0 };
        Self {
            shared,
            users: BTreeMap::new(),
            consent: BTreeMap::new(),
            refused: BTreeSet::new(),
            running: Switch::new(true),
            failed: None,
            synced: 0,
            bytes: 0,
            limit: None,
            ended: None,
        }
    }

    /// Records this user from `at` on, if not everybody is.
    ///
    /// Packets are judged by when they arrived, whenever they are pushed: tell of changes before you push what came after.
    pub fn allow(&mut self, at: Duration, user: UserId) {
        self.consent(user).set(at, true);
    }

    /// Does not record what arrives of this user from `at` on. What came before stays.
    pub fn deny(&mut self, at: Duration, user: UserId) {
        self.consent(user).set(at, false);
    }

    fn consent(&mut self, user: UserId) -> &mut Switch {
        let everyone = self.shared.settings.everyone;
        self.consent.entry(user).or_insert_with(|| Switch::new(everyone))
    }

    /// Records nothing that arrives from `at` on until it is [resumed](Self::resume); the time goes on.
    pub fn pause(&mut self, at: Duration) {
        self.running.set(at, false);
    }

    /// Records what arrives from `at` on.
    pub fn resume(&mut self, at: Duration) {
        self.running.set(at, true);
    }

    /// Which stretch of consent, and of time without a pause, this moment is in; `None` when it is not to be recorded.
    fn stretch(&self, at: Duration, user: UserId) -> Option<(u64, u64)> {
        let everyone = self.shared.settings.everyone;
        let consent = self.consent.get(&user).map_or(everyone.then_some(0), |switch| switch.stretch(at));
        self.running.stretch(at).zip(consent)
    }

    /// Takes an opened packet that arrived `at` after the recording began. Packets come in the order of arrival.
    pub fn push(&mut self, at: Duration, user: UserId, ssrc: Ssrc, seq: Seq, time: RtpTime, frame: &[u8]) {
        if self.ended.is_some() {
            return;
        }
        let Some(stretch) = self.stretch(at, user) else { return };
        if !self.users.contains_key(&user) {
            if self.users.len() >= self.shared.settings.max_users {
                if self.refused.len() < MAX_NAMED && self.refused.insert(user) {
                    self.shared.note(Note { at: samples(at), user: Some(user), what: What::TooMany });
                }
                return;
            }
            self.users.insert(user, Tape::new(user, &self.shared.settings));
        }
        if let Some(tape) = self.users.get_mut(&user) {
            // What was not recorded in between is not missed.
            if tape.stretch.is_some_and(|before| before != stretch)
                && let Err(error) = tape.interrupt(&mut self.shared)
            {
                self.failed.get_or_insert(error);
            }
            tape.stretch = Some(stretch);
            tape.track.push(at, ssrc, seq, time, frame);
        }
    }

    /// Writes what is due. Says when a limit is reached: nothing more than it is written.
    ///
    /// # Errors
    ///
    /// [`WriteError`]: the recording is over, [`finish`](Self::finish) keeps what there is.
    pub fn tick(&mut self, now: Duration) -> Result<Option<Limit>, WriteError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if self.ended.is_some() {
            return Ok(self.limit);
        }
        let (shared, at) = (&mut self.shared, samples(now));
        shared.announce(at);
        for tape in self.users.values_mut() {
            tape.release(now, shared)?;
        }
        let waited = at.saturating_sub(samples(shared.settings.window));
        shared.mix_to(waited.saturating_sub(HELD_UP))?;
        let strips = || self.users.values().map(|tape| &tape.reel.strip);
        let mix = shared.mix.as_ref().map(|(_, strip)| strip);
        let (all, largest) = strips()
            .chain(mix)
            .map(|strip| strip.bytes(at))
            .fold((0, 0_u64), |(all, largest), (whole, current)| (all + whole, largest.max(current)));
        self.bytes = all;
        shared.parts.weigh(at, largest);
        shared.announce(at);
        self.turn(waited.saturating_sub(SETTLED))?;
        if at >= self.synced + SYNC {
            self.synced = at;
            self.sync()?;
        }
        let settings = &self.shared.settings;
        let is_long = settings.max_duration.is_some_and(|longest| now >= longest);
        let is_large = settings.max_bytes.is_some_and(|most| all >= most);
        let limit = if is_long { Some(Limit::Duration) } else { is_large.then_some(Limit::Bytes) };
        self.limit = self.limit.or(limit);
        Ok(self.limit)
    }

    /// Finishes the files of parts that are over at `watermark`, all of them; hands back the first failure.
    fn turn(&mut self, watermark: u64) -> Result<(), WriteError> {
        let mut result = Ok(());
        while self.shared.parts.turn(watermark) {
            let part = self.shared.parts.current;
            for tape in self.users.values_mut() {
                keep(&mut result, tape.reel.strip.turn(part));
            }
            if let Some((_, strip)) = &mut self.shared.mix {
                keep(&mut result, strip.turn(part));
            }
        }
        result
    }

    fn sync(&mut self) -> Result<(), WriteError> {
        for tape in self.users.values_mut() {
            tape.reel.strip.sync()?;
        }
        self.shared.mix.as_mut().map_or(Ok(()), |(_, strip)| strip.sync())
    }

    /// The next thing that is worth noting, in no strict order of time.
    pub fn poll_note(&mut self) -> Option<Note> {
        self.shared.notes.pop_front()
    }

    /// Where the files are made.
    pub fn folder_mut(&mut self) -> &mut F {
        &mut self.shared.folder
    }

    /// Bytes of all files, as if they had been finished at the last [`tick`](Self::tick).
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many users are recorded.
    pub fn users(&self) -> usize {
        self.users.len()
    }

    /// Figures so far.
    pub fn report(&self) -> Report {
        let users = self.users.iter().map(|(user, tape)| (*user, tape.report())).collect();
        let mix = self.shared.mix.as_ref().map(|(_, strip)| strip.written().to_vec()).unwrap_or_default();
        let mix_missed = self.shared.mix.as_ref().map_or(0, |(mix, _)| mix.missed());
        let refused = self.refused.iter().copied().collect();
        Report {
            samples: self.ended.unwrap_or_else(|| self.end()),
            users,
            mix,
            mix_missed,
            refused,
            limit: self.limit,
            notes_lost: self.shared.notes_lost,
        }
    }

    fn end(&self) -> u64 {
        self.users.values().map(|tape| tape.track.end()).max().unwrap_or(0)
    }

    /// Writes everything and finishes the files, all of them as long as the recording.
    ///
    /// A file that cannot be written does not keep others from being finished: the first failure is handed back.
    /// What is pushed or ticked afterwards does nothing, and finishing again reports the same.
    pub fn finish(&mut self, now: Duration) -> (Report, Result<(), WriteError>) {
        if self.ended.is_some() {
            return (self.report(), Ok(()));
        }
        let longest = self.shared.settings.max_duration.unwrap_or(Duration::MAX);
        let mut result = self.failed.take().map_or(Ok(()), Err);
        for tape in self.users.values_mut() {
            keep(&mut result, tape.interrupt(&mut self.shared));
        }
        // Whole frames, so that files of packets end where the others do.
        let end = samples(now.min(longest)).max(self.end()).next_multiple_of(960);
        keep(&mut result, self.shared.mix_to(end));
        self.shared.announce(end);
        keep(&mut result, self.turn(end));
        for tape in self.users.values_mut() {
            keep(&mut result, tape.reel.strip.finish(end));
        }
        if let Some((_, strip)) = &mut self.shared.mix {
            keep(&mut result, strip.finish(end));
        }
        self.ended = Some(end);
        (self.report(), result)
    }
}

fn keep(first: &mut Result<(), WriteError>, then: Result<(), WriteError>) {
    if first.is_ok() {
        *first = then;
    }
}

impl<F: Folder> Shared<F> {
    fn note(&mut self, note: Note) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push_back(note);
        } else {
            self.notes_lost += 1;
        }
    }

    /// Notes the parts that have begun.
    fn announce(&mut self, now: u64) {
        while let Some(part) = self.parts.announce(now) {
            self.note(Note { at: part.start, user: None, what: What::Part(part.number.saturating_add(1)) });
        }
    }

    fn mix_to(&mut self, position: u64) -> Result<(), WriteError> {
        let Self { folder, parts, mix, .. } = self;
        let Some((mix, strip)) = mix else { return Ok(()) };
        mix.release(position, &mut |at, pcm| strip.pcm(folder, parts, at, pcm))
    }
}

impl<W: std::io::Write + std::io::Seek> Tape<W> {
    fn new(user: UserId, settings: &Settings) -> Self {
        let correction = if settings.format == Format::OggOpus { Correction::Packets } else { Correction::Samples };
        let strip = Strip::new(user.to_string(), settings.format, settings.gaps, user.get() as u32);
        let voice = (strip.is_pcm() || settings.mix.is_some()).then(Voice::new);
        let reel = Reel { user, strip, voice, concealed: 0, ssrcs: Vec::new() };
        Self { track: Track::new(settings.window, correction), stretch: None, reel }
    }

    fn release<F: Folder<File = W>>(&mut self, now: Duration, shared: &mut Shared<F>) -> Result<(), WriteError> {
        let Self { track, reel, .. } = self;
        let mut notes = Vec::new();
        let result =
            track.release(now, &mut |placed| reel.write(&placed, shared), &mut |at, note| notes.push((at, note)));
        notes.into_iter().for_each(|(at, note)| reel.note(at, note, shared));
        result
    }

    /// Writes what waits, and forgets where the stream was.
    fn interrupt<F: Folder<File = W>>(&mut self, shared: &mut Shared<F>) -> Result<(), WriteError> {
        let Self { track, reel, .. } = self;
        let mut notes = Vec::new();
        let result = track.interrupt(&mut |placed| reel.write(&placed, shared), &mut |at, note| notes.push((at, note)));
        notes.into_iter().for_each(|(at, note)| reel.note(at, note, shared));
        result
    }

    fn report(&self) -> UserReport {
        let Reel { strip, concealed, ssrcs, .. } = &self.reel;
        let (ssrcs, files) = (ssrcs.clone(), strip.written().to_vec());
        UserReport { track: self.track.report(), concealed: *concealed, ssrcs, files }
    }
}

impl<W: std::io::Write + std::io::Seek> Reel<W> {
    fn write<F: Folder<File = W>>(&mut self, placed: &Placed<'_>, shared: &mut Shared<F>) -> Result<(), WriteError> {
        let Shared { folder, parts, mix, .. } = shared;
        let strip = &mut self.strip;
        let Some(voice) = &mut self.voice else {
            return strip.packet(folder, parts, placed.position, placed.samples, placed.frame);
        };
        if !strip.is_pcm() {
            strip.packet(folder, parts, placed.position, placed.samples, placed.frame)?;
        }
        let concealed = voice.render(placed, &mut |at, pcm| {
            if let Some((mix, _)) = mix {
                mix.add(at, pcm);
            }
            if strip.is_pcm() { strip.pcm(folder, parts, at, pcm) } else { Ok(()) }
        })?;
        self.concealed += concealed;
        if concealed > 0 {
            shared.note(Note { at: placed.end, user: Some(self.user), what: What::Concealed(concealed) });
        }
        Ok(())
    }

    fn note<F: Folder<File = W>>(&mut self, at: u64, note: TrackNote, shared: &mut Shared<F>) {
        let what = match note {
            TrackNote::Speaking(is_speaking) => What::Speaking(is_speaking),
            TrackNote::Lost(packets) => What::Lost(packets),
            TrackNote::Restart { ssrc, why } => {
                if !self.ssrcs.contains(&ssrc) && self.ssrcs.len() < MAX_NAMED {
                    self.ssrcs.push(ssrc);
                }
                What::Epoch { ssrc, why }
            }
        };
        shared.note(Note { at, user: Some(self.user), what });
    }
}
