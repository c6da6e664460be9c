//! A mixer of numbers: it obeys actions, moves on by ticks of 10 ms, and reports what happened only when asked to.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use mixer::{Chunk, Format, Info, Source, SourceError, TrackId};

use crate::end::TrackEnd;
use crate::queue::{Action, Cue, Element, Entry, EntryId, How, Machine, QueueEvent, Reason, Remaining};

const TICK: u64 = 10;

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A source of so many milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tune {
    pub(super) len: u64,
    /// Whether it says how long it is.
    pub(super) told: bool,
    /// Whether it can be had only once.
    pub(super) once: bool,
    pub(super) broken: bool,
}

impl Tune {
    pub(super) fn new(len: u64) -> Self {
        Self { len, told: true, once: false, broken: false }
    }

    pub(super) fn untold(self) -> Self {
        Self { told: false, ..self }
    }

    pub(super) fn once(self) -> Self {
        Self { once: true, ..self }
    }

    pub(super) fn broken(self) -> Self {
        Self { broken: true, ..self }
    }
}

impl Source for Tune {
    fn open(&mut self) -> Result<Info, SourceError> {
        if self.broken {
            return Err(SourceError::Empty { name: Arc::from("tune") });
        }
        let info = Info::new(Format::Pcm { rate: 1_000, channels: 1 });
        Ok(info.duration(self.told.then(|| ms(self.len))))
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        chunk.pcm(1_000, 1).resize(self.len as usize, 0.0);
        Ok(false)
    }

    fn seek(&mut self, _: Duration) -> Result<Duration, SourceError> {
        Err(SourceError::Unseekable { name: Arc::from("tune") })
    }

    fn fresh(&self) -> Option<Box<dyn Source>> {
        (!self.once).then(|| Box::new(*self) as Box<dyn Source>)
    }
}

struct Voice {
    track: TrackId,
    entry: EntryId,
    len: u64,
    pos: u64,
    cue: Cue,
    sounds: bool,
    paused: bool,
    loops: bool,
    once: bool,
    started: bool,
    wake: Option<Duration>,
}

enum Notice {
    Started(TrackId),
    Info(TrackId, Info),
    Wake(TrackId, Duration),
    Ended(TrackId, TrackEnd),
}

pub(super) struct Sim {
    pub(super) machine: Machine,
    pub(super) events: Vec<QueueEvent>,
    /// Which entries were heard in each tick.
    pub(super) heard: Vec<Vec<u64>>,
    /// How far the entry that played had come when each track was made.
    pub(super) made: Vec<(u64, u64)>,
    voices: Vec<Voice>,
    notices: VecDeque<Notice>,
    played: HashMap<EntryId, u32>,
}

impl Sim {
    pub(super) fn new() -> Self {
        let mut tracks = 1_000;
        let machine = Machine::new(move || {
            tracks += 1;
            TrackId(tracks)
        });
        let (events, heard, made, voices) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { machine, events, heard, made, voices, notices: VecDeque::new(), played: HashMap::new() }
    }

    /// With these entries, of which the first is heard.
    pub(super) fn with(tunes: &[Tune]) -> Self {
        let mut sim = Self::new();
        for tune in tunes {
            sim.machine.add(Entry::new(*tune));
        }
        sim.run(TICK);
        sim
    }

    /// Runs for so many milliseconds, and reports all that happens at once.
    pub(super) fn run(&mut self, millis: u64) {
        self.obey();
        self.deliver();
        for _ in 0..millis / TICK {
            self.tick();
            self.deliver();
        }
    }

    pub(super) fn obey(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            self.act(action);
        }
        let follow = self.voices.iter().filter(|voice| matches!(voice.cue, Cue::After { .. })).count();
        assert!(follow <= 1, "one at most is made ahead");
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Play { track, entry, mut source, volume, cue, paused, loops, .. } => {
                assert_eq!(volume, 1.0);
                let once = source.fresh().is_none();
                let played = self.played.entry(entry).or_default();
                *played += 1;
                assert!(!once || *played == 1, "a source is handed out once");
                let place = self.voices.iter().find(|voice| voice.cue == Cue::Now).map_or(0, |voice| voice.pos);
                self.made.push((entry.0, place));
                match source.open() {
                    Ok(info) => {
                        let mut chunk = Chunk::new();
                        source.read(&mut chunk).expect("a tune can be read");
                        let len = chunk.samples().len() as u64;
                        self.notices.push_back(Notice::Info(track, info));
                        let (pos, started, sounds, wake) = (0, false, false, None);
                        let voice = Voice { track, entry, len, pos, cue, sounds, paused, loops, once, started, wake };
                        self.voices.push(voice);
                    }
                    Err(error) => self.notices.push_back(Notice::Ended(track, TrackEnd::Failed(error))),
                }
            }
            Action::Stop { track, .. } => self.halt(track),
            Action::Emit(event) => self.events.push(event),
            Action::Cue { track, cue } => self.voice(track, |voice| {
                voice.sounds &= cue == Cue::Now;
                voice.cue = cue;
            }),
            Action::Pause { track, paused } => self.voice(track, |voice| voice.paused = paused),
            Action::Loops { track, loops } => self.voice(track, |voice| voice.loops = loops),
            Action::Wake { track, at } => self.voice(track, |voice| voice.wake = Some(at)),
        }
    }

    fn voice(&mut self, track: TrackId, change: impl FnOnce(&mut Voice)) {
        if let Some(voice) = self.voices.iter_mut().find(|voice| voice.track == track) {
            change(voice);
        }
    }

    /// Stops a track, as its handle can too.
    pub(super) fn halt(&mut self, track: TrackId) {
        let before = self.voices.len();
        self.voices.retain(|voice| voice.track != track);
        if self.voices.len() < before {
            self.notices.push_back(Notice::Ended(track, TrackEnd::Stopped));
        }
    }

    pub(super) fn seek(&mut self, track: TrackId, to: u64) {
        self.voice(track, |voice| voice.pos = to);
        self.machine.handle_seeked(track, ms(to));
        self.obey();
    }

    /// Tells the machine what has happened.
    pub(super) fn deliver(&mut self) {
        let calm = (0..10_000).any(|_| !self.deliver_one());
        assert!(calm, "the queue spins");
    }

    pub(super) fn deliver_one(&mut self) -> bool {
        match self.notices.pop_front() {
            Some(Notice::Started(track)) => self.machine.handle_started(track),
            Some(Notice::Info(track, info)) => self.machine.handle_info(track, &info),
            Some(Notice::Wake(track, at)) => self.machine.handle_wake(track, at),
            Some(Notice::Ended(track, end)) => self.machine.handle_ended(track, &end),
            None => return false,
        }
        self.obey();
        true
    }

    /// 10 ms.
    pub(super) fn tick(&mut self) {
        let there: HashMap<TrackId, Option<u64>> = self
            .voices
            .iter()
            .map(|voice| (voice.track, (voice.sounds && !voice.loops).then(|| voice.len.saturating_sub(voice.pos))))
            .collect();
        let mut heard = Vec::new();
        self.voices.retain_mut(|voice| {
            if voice.paused {
                return true;
            }
            voice.sounds |= match voice.cue {
                Cue::Now => true,
                Cue::Held => false,
                Cue::After { track, overlap } => match there.get(&track) {
                    None => true,
                    Some(left) => left.is_some_and(|left| ms(left) <= overlap),
                },
            };
            if voice.sounds {
                voice.cue = Cue::Now;
            }
            if !voice.sounds {
                return true;
            }
            if voice.pos < voice.len {
                heard.push(voice.entry.0);
                voice.pos += TICK;
                if !std::mem::replace(&mut voice.started, true) {
                    self.notices.push_back(Notice::Started(voice.track));
                }
            }
            if let Some(at) = voice.wake.take_if(|at| ms(voice.pos) >= *at) {
                self.notices.push_back(Notice::Wake(voice.track, at));
            }
            if voice.pos >= voice.len && voice.loops && !voice.once && voice.len > 0 {
                voice.pos = 0;
            }
            let over = voice.pos >= voice.len;
            if over {
                self.notices.push_back(Notice::Ended(voice.track, TrackEnd::Finished));
            }
            !over
        });
        self.heard.push(heard);
    }

    /// Tracks that are in the mixer.
    pub(super) fn tracks(&self) -> Vec<TrackId> {
        self.voices.iter().map(|voice| voice.track).collect()
    }

    /// Tracks that would move on in the next tick.
    pub(super) fn moving(&self) -> Vec<TrackId> {
        let moves = |voice: &&Voice| voice.cue == Cue::Now && !voice.paused;
        self.voices.iter().filter(moves).map(|voice| voice.track).collect()
    }

    /// Current, upcoming and past ones: `1 | 2 3 m4 | 0`.
    pub(super) fn state(&self) -> String {
        let mut state = self.machine.current().map_or("-".to_owned(), |(item, _)| item.id.to_string());
        state.push_str(" |");
        for element in self.machine.upcoming() {
            let mark = if matches!(element, Element::Marker(..)) { "m" } else { "" };
            let _ = write!(state, " {mark}{}", element.id());
        }
        state.push_str(" |");
        for item in self.machine.history() {
            let _ = write!(state, " {}", item.id);
        }
        state
    }

    /// What was said since the last time.
    pub(super) fn said(&mut self) -> String {
        let said: Vec<String> = self.events.drain(..).map(|event| told(&event)).collect();
        said.join(", ")
    }
}

pub(super) fn told(event: &QueueEvent) -> String {
    match event {
        QueueEvent::Started { entry, .. } => format!("started {entry}"),
        QueueEvent::Ended { item, how: How::Finished } => format!("finished {}", item.id),
        QueueEvent::Ended { item, how: How::Skipped } => format!("skipped {}", item.id),
        QueueEvent::Ended { item, how: How::Stopped } => format!("stopped {}", item.id),
        QueueEvent::Ended { item, how: How::Removed } => format!("removed {}", item.id),
        QueueEvent::Failed { item, .. } => format!("failed {}", item.id),
        QueueEvent::Unrepeatable { item, reason: Reason::OnlyOnce } => format!("once {}", item.id),
        QueueEvent::Unrepeatable { item, reason: Reason::Silent } => format!("silent {}", item.id),
        QueueEvent::Marker { id, marker } => format!("marker {id} {}", marker.text()),
        QueueEvent::Low { remaining: Remaining { known, unknown } } => format!("low {}+{unknown}", known.as_millis()),
        QueueEvent::Empty => "empty".to_owned(),
        QueueEvent::Stuck => "stuck".to_owned(),
    }
}
