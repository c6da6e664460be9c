use std::fmt;
use std::time::Duration;

use voice_model::SAMPLE_RATE;

use crate::decode::Decode;
use crate::effects::{Chain, Rack, Stretch, Timescale};
use crate::gain::Gain;
use crate::history::History;
use crate::opus;
use crate::prefetch::{Feed, Kind, Loops};
use crate::source::sample;

mod cruise;
mod fade;
mod gauge;
mod play;
mod timer;
mod turn;

use fade::Fade;
pub use gauge::{Gauge, Phase};
pub(crate) use play::{Activity, Happened};
use timer::Timers;
pub use timer::{TimerId, When};

/// Loudest a track can be made: 40 dB above what it is.
const MAX_VOLUME: f32 = 100.0;

/// The name of a track in a [`Mixer`](crate::Mixer), given by whoever adds it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TrackId(pub u64);

/// The name of a group of tracks, which have a volume and effects together, and can duck under another group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct GroupId(pub u8);

impl GroupId {
    /// Where tracks are that nobody put elsewhere.
    pub const MUSIC: Self = Self(0);
    /// Speech.
    pub const SPEECH: Self = Self(1);
    /// Sound effects.
    pub const EFFECTS: Self = Self(2);
}

/// When a track begins to sound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Cue {
    /// As soon as it is ready.
    #[default]
    Now,
    /// Not before another cue; it is read ahead meanwhile.
    Held,
    /// With the sample after the last one of another track, or `crossfade` before its end, while that one fades out. At once
    /// when there is no such track.
    After {
        /// The other track.
        track: TrackId,
        /// How long the two fade into each other.
        crossfade: Duration,
    },
}

/// A feed with its settings and its place, as a [`Mixer`](crate::Mixer) plays it.
pub struct Track {
    feed: Feed,
    volume: f32,
    paused: bool,
    gain: Gain,
    group: GroupId,
    rack: Rack,
    stretch: Option<Box<Stretch>>,
    /// Speed and pitch were the source's own: what the stretch holds is played before anything else is.
    draining: bool,
    /// On the way to or from another track.
    fade: Option<Fade>,
    cue: Cue,
    loops: Loops,
    /// Where in the source the counting of `taken` began, and at which count.
    base: Duration,
    since: u64,
    /// Samples of the audio that left the feed; some of them may still be in `decode` or `stretch`.
    taken: u64,
    /// Of feeds before this one: samples that were played.
    earlier: u64,
    started: bool,
    /// What its owner has been told: that it can play, that it does, where it is, that audio is missing.
    announced: bool,
    was_started: bool,
    told: Duration,
    was_dry: bool,
    /// Samples played since then.
    elapsed: u64,
    /// It ends here: repetitions that were read ahead are not wanted any more.
    cut: bool,
    /// It is to be mixed in this period from this frame on, behind the one that it waited for.
    joined: Option<usize>,
    /// It goes on where another one ended, so that its first packet is not put where it could pass later.
    follows: bool,
    /// Frames that it played in this period, without what effects sounded on.
    heard: usize,
    /// It fades out, to be removed when that is done.
    stopping: bool,
    dry: bool,
    /// Samples that effects still sound for after the audio.
    tail: u32,
    decode: Option<Box<Decode>>,
    /// The packets that were sent last, unmixed: since then nothing was decoded.
    passed: History,
    timers: Timers,
    gauge: Told,
    pub(crate) stats: TrackStats,
}

/// What one track has gone through.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct TrackStats {
    /// Ticks in which audio was missing that the source had not delivered in time.
    pub underruns: u64,
    /// Packets dropped because they were longer than the buffer they had to go to.
    pub oversized: u64,
    /// Packets that libopus refused to decode, played as silence.
    pub undecodable: u64,
}

impl Track {
    /// A track that plays `feed` from its beginning, at full volume, among the [music](GroupId::MUSIC).
    pub fn new(feed: Feed) -> Self {
        Self {
            feed,
            volume: 1.0,
            paused: false,
            gain: Gain::new(1.0),
            group: GroupId::MUSIC,
            rack: Rack::new(),
            stretch: None,
            draining: false,
            fade: None,
            cue: Cue::Now,
            loops: Loops::default(),
            base: Duration::ZERO,
            since: 0,
            taken: 0,
            earlier: 0,
            started: false,
            announced: false,
            was_started: false,
            told: Duration::ZERO,
            was_dry: false,
            elapsed: 0,
            cut: false,
            joined: None,
            follows: false,
            heard: 0,
            stopping: false,
            dry: false,
            tail: 0,
            decode: None,
            passed: History::default(),
            timers: Timers::default(),
            gauge: Told(Gauge::default()),
            stats: TrackStats::default(),
        }
    }

    /// At this volume: 1.0 is as loud as the source, 0.0 silent.
    #[must_use]
    pub fn volume(mut self, volume: f32) -> Self {
        self.volume = limited(volume);
        self.gain = Gain::new(self.level());
        self
    }

    /// Paused or not.
    #[must_use]
    pub fn paused(mut self, paused: bool) -> Self {
        self.paused = paused;
        self.gain = Gain::new(self.level());
        self.tell_gauge();
        self
    }

    /// Beginning silent, and as loud as it should be after `ramp`.
    #[must_use]
    pub fn fade_in(mut self, ramp: Duration) -> Self {
        let level = self.level();
        self.gain = Gain::new(0.0);
        self.gain.ramp(level, sample(ramp, SAMPLE_RATE));
        self
    }

    /// In this group.
    #[must_use]
    pub fn group(mut self, group: GroupId) -> Self {
        self.group = group;
        self
    }

    /// With these effects.
    #[must_use]
    pub fn effects(mut self, chain: Chain) -> Self {
        self.rack.replace(Some(chain));
        self
    }

    /// With another speed or pitch.
    #[must_use]
    pub fn stretch(mut self, stretch: Option<Box<Stretch>>) -> Self {
        self.stretch = stretch;
        self
    }

    /// Beginning at this cue.
    #[must_use]
    pub fn cue(mut self, cue: Cue) -> Self {
        self.cue = cue;
        self
    }

    /// Whose feed repeats so often ([`prefetch::Config::loops`](crate::prefetch::Config)).
    #[must_use]
    pub fn loops(mut self, loops: Loops) -> Self {
        self.loops = loops;
        self
    }

    /// With a feed that begins at this position of the source.
    #[must_use]
    pub fn position(mut self, position: Duration) -> Self {
        (self.base, self.told) = (position, position);
        self.tell_gauge();
        self
    }

    /// Where it is, for any thread to read at any time.
    pub fn gauge(&self) -> Gauge {
        self.gauge.0.clone()
    }

    /// Its feed, for instance to drop it where that may take a while.
    pub fn into_feed(self) -> Feed {
        self.feed
    }

    pub(crate) fn set_volume(&mut self, volume: f32, ramp: Duration) {
        self.volume = limited(volume);
        if self.paused || self.stopping {
            return;
        }
        if self.started || !self.gain.is_steady() || !ramp.is_zero() {
            self.gain.ramp(self.volume, sample(ramp, SAMPLE_RATE));
        } else {
            // Nothing was heard yet that could click.
            self.gain = Gain::new(self.volume);
        }
    }

    /// What is mixed fades in and out within `frames`; packets on their way unmixed stop and go.
    pub(crate) fn set_paused(&mut self, paused: bool, frames: usize) -> bool {
        if self.paused == paused || self.stopping {
            return false;
        }
        self.paused = paused;
        let level = self.level();
        match self.feed.kind() {
            Some(Kind::Pcm) if self.started => self.gain.ramp(level, 0),
            // Whole frames, so that packets stay where they are among frames.
            Some(Kind::Packets) if self.is_mixed() => self.gain.ramp_within(level, frames as u64),
            _ => self.gain = Gain::new(level),
        }
        self.tell_gauge();
        true
    }

    /// Begins its end: fades out over `ramp`, at least what a click needs. `false` when it makes no sound: remove it at once.
    pub(crate) fn stop(&mut self, ramp: Duration, frames: usize) -> bool {
        let sounds = self.is_mixed() || (!ramp.is_zero() && self.started);
        if self.is_resting() || !sounds {
            return false;
        }
        self.stopping = true;
        self.gain.ramp_within(0.0, sample(ramp, SAMPLE_RATE).max(frames as u64));
        true
    }

    /// How often it begins again from now on; what its reader has read ahead beyond that is not played.
    pub(crate) fn set_loops(&mut self, loops: Loops) {
        self.loops = loops;
    }

    pub(crate) fn set_group(&mut self, group: GroupId) {
        self.group = group;
    }

    pub(crate) fn rack(&mut self) -> &mut Rack {
        &mut self.rack
    }

    /// Changes speed and pitch, by `fresh` when there is no stretch yet; returns what is not needed.
    pub(crate) fn set_timescale(&mut self, timescale: Timescale, fresh: Option<Box<Stretch>>) -> Option<Box<Stretch>> {
        let Some(stretch) = &mut self.stretch else {
            self.stretch = fresh;
            return None;
        };
        // The fresh one has the same settings: they were checked when it was made.
        let _ = stretch.set(timescale);
        self.draining |= timescale.is_neutral() && stretch.held() > 0;
        fresh
    }

    pub(crate) fn timers(&mut self) -> &mut Timers {
        &mut self.timers
    }

    /// Goes on with another feed; returns the one before.
    pub(crate) fn replace(&mut self, feed: Feed, position: Duration) -> Feed {
        self.earlier = self.played();
        (self.base, self.since, self.taken, self.started) = (position, 0, 0, false);
        (self.cut, self.dry, self.tail, self.told, self.elapsed) = (false, false, 0, position, 0);
        self.passed.clear();
        if let Some(decode) = &mut self.decode {
            decode.resume(&self.passed, &mut []);
        }
        if let Some(stretch) = &mut self.stretch {
            stretch.reset();
        }
        self.draining = false;
        if self.paused {
            self.gain = Gain::new(0.0);
        }
        self.tell_gauge();
        std::mem::replace(&mut self.feed, feed)
    }

    /// The place in the source that is heard next.
    pub(crate) fn place(&self) -> Duration {
        self.base + opus::time((self.taken - self.since).saturating_sub(self.held()))
    }

    /// Samples of the source that were played.
    fn played(&self) -> u64 {
        self.earlier + self.taken.saturating_sub(self.held())
    }

    /// Samples that left the feed and were not played yet.
    fn held(&self) -> u64 {
        self.decoded() as u64 + self.stretch.as_ref().map_or(0, |stretch| stretch.held())
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused && self.gain.is_steady()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether a repetition that was not wanted was cut off.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Paused, waiting for another one, or a sink that nobody has pushed anything into.
    pub(crate) fn is_resting(&self) -> bool {
        self.is_paused() || self.cue != Cue::Now || (self.feed.is_idle_sink() && self.held() == 0 && self.tail == 0)
    }

    /// A sink that is not paused, and has nothing.
    pub(crate) fn waits_for_more(&self) -> bool {
        self.feed.is_idle_sink() && !self.is_paused() && self.cue == Cue::Now
    }

    /// A sink that is not paused, and has packets.
    pub(crate) fn is_pushed(&self) -> bool {
        self.feed.is_packet_sink() && !self.is_resting()
    }

    pub(crate) fn feed(&mut self) -> &mut Feed {
        &mut self.feed
    }

    pub(crate) fn in_group(&self) -> GroupId {
        self.group
    }

    /// Decoded frames that were not played yet.
    fn decoded(&self) -> usize {
        self.decode.as_ref().map_or(0, |decode| decode.frames())
    }

    /// What its gain should come to.
    fn level(&self) -> f32 {
        if self.paused { 0.0 } else { self.volume }
    }

    fn tell_gauge(&self) {
        let phase = match () {
            () if self.is_paused() => Phase::Paused,
            () if self.started && self.cue == Cue::Now => Phase::Playing,
            () => Phase::Waiting,
        };
        self.gauge.0.set(phase, self.place(), self.played());
    }
}

/// A gauge that is told when its track is no more.
struct Told(Gauge);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.set_phase(Phase::Ended);
    }
}

impl fmt::Debug for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Track")
            .field("feed", &self.feed)
            .field("place", &self.place())
            .field("volume", &self.volume)
            .field("paused", &self.paused)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

pub(crate) fn limited(volume: f32) -> f32 {
    if volume.is_nan() { 0.0 } else { volume.clamp(0.0, MAX_VOLUME) }
}
