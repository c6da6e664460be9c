use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use voice_model::{CHANNELS, FRAME_SAMPLES};

use crate::effects::{Chain, Limiter, Rack, Stretch, Timescale};
use crate::encode::{Encode, MAX_SAMPLES};
use crate::gain::Gain;
use crate::prefetch::{Feed, Loops};
use crate::track::{Track, TrackStats};
use crate::{Cue, EncoderConfig, GroupId, SourceError, TimerId, TrackId, When};

mod ceiling;
mod cruise;
mod event;
mod group;
mod rest;
mod stats;
mod tick;

use ceiling::Ceiling;
use event::Happenings;
pub use event::{Spent, TrackEvent};
pub use group::Ducking;
use group::Group;
use rest::turn;
pub use stats::Stats;

/// Plays tracks: one frame per [`tick`](Mixer::tick), mixed and encoded, or a lone Opus track's own packets.
///
/// Tracks are mixed into groups, which have a volume and effects and can duck under each other, and groups into the whole,
/// which has them too. As soon as a single Opus track sounds and nothing changes it, its packets pass unmixed.
///
/// Never blocks; allocates when tracks, groups and timers are added and when the encoder or a decoder is first needed, and
/// not again.
pub struct Mixer {
    tracks: Vec<(TrackId, Box<Track>)>,
    groups: Vec<Group>,
    happenings: Happenings,
    ended: VecDeque<(TrackId, Ended, Box<Track>)>,
    spent: VecDeque<Spent>,
    gain: Gain,
    rack: Rack,
    ceiling: Ceiling,
    buffers: Option<Box<Buffers>>,
    encode: Encode,
    /// Samples sent beyond the beginning of the coming tick, or of this one while `more`.
    ahead: usize,
    /// They were mixed, so that all tracks have played them; a packet that passes is one track's.
    mixed_ahead: bool,
    /// Nothing was sent for them: the encoder had nothing to say.
    unsent: bool,
    more: bool,
    /// Whose packet was sent unmixed last.
    passing: Option<TrackId>,
    /// The only track that was mixed last.
    solo: Option<TrackId>,
    /// Samples that the encoder and effects still hold of what was played.
    tail: u32,
    /// Some rack fades from one chain to another.
    fading: bool,
    /// The last tick passed a packet of the only track, and nothing was changed since.
    cruising: bool,
    stats: Stats,
}

/// Made when something is mixed for the first time: passing needs none.
struct Buffers {
    sum: [f32; FRAME_SAMPLES * CHANNELS],
    scratch: [f32; FRAME_SAMPLES * CHANNELS],
    /// What is encoded together: up to 60 ms.
    frame: [f32; MAX_SAMPLES * CHANNELS],
}

/// What a tick came to. RTP time moves on by what each variant says; so it keeps pace with the ticks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tick {
    /// Nothing to send, because no track has anything, or because a source that passes through is late. RTP time moves on
    /// by the [samples of the tick](Mixer::period).
    Idle,
    /// Nothing to send, because a packet longer than the tick is still playing. RTP time has moved on with that packet.
    Hold,
    /// The first `len` bytes of the buffer are an Opus packet to be sent now.
    Frame {
        /// Bytes in the packet.
        len: usize,
        /// How far RTP time moves on with it: its samples, and those that are missing behind it.
        samples: u32,
        /// The packet is shorter than the tick: call [`Mixer::next_frame`] for the next one, to be sent now too.
        more: bool,
    },
}

/// How a track ended.
#[derive(Clone, Debug)]
pub enum Ended {
    /// All of it was played.
    Finished,
    /// It was stopped.
    Stopped,
    /// Its source failed; what had arrived until then was played.
    Failed(SourceError),
}

impl Mixer {
    /// A mixer without tracks.
    pub fn new(config: EncoderConfig) -> Self {
        Self {
            tracks: Vec::new(),
            groups: Vec::new(),
            happenings: Happenings::new(),
            ended: VecDeque::new(),
            spent: VecDeque::new(),
            gain: Gain::new(1.0),
            rack: Rack::new(),
            ceiling: Ceiling::new(),
            buffers: None,
            encode: Encode::new(config),
            ahead: 0,
            mixed_ahead: false,
            unsent: false,
            more: false,
            passing: None,
            solo: None,
            tail: 0,
            fading: false,
            cruising: false,
            stats: Stats::default(),
        }
    }

    /// Adds a track; returns the one that had this id until now.
    pub fn add(&mut self, id: TrackId, track: impl Into<Box<Track>>) -> Option<Box<Track>> {
        let before = self.remove(id);
        self.cruising = false;
        // Most calls have a track or two: no room for more before it is needed.
        self.tracks.reserve_exact(1);
        self.tracks.push((id, track.into()));
        // Ending a track, or saying what happens to it, must not allocate.
        self.ended.reserve_exact(self.tracks.len());
        self.happenings.reserve(self.tracks.len());
        self.spent.reserve_exact(self.tracks.len() + self.groups.len() + 2);
        before
    }

    /// Takes a track out, in the middle of a sound if need be: [`stop`](Self::stop) ends it without a click.
    pub fn remove(&mut self, id: TrackId) -> Option<Box<Track>> {
        let index = self.index(id)?;
        self.cruising = false;
        let (_, track) = self.tracks.remove(index);
        self.keep_counts(track.stats);
        Some(track)
    }

    /// Ends a track: fades it out over `ramp`, or within a frame, and then says so by [`pop_ended`](Self::pop_ended).
    pub fn stop(&mut self, id: TrackId, ramp: Duration) {
        self.cruising = false;
        let period = self.period();
        if let Some(index) = self.index(id)
            && let Some((_, track)) = self.tracks.get_mut(index)
            && !track.stop(ramp, period)
        {
            self.retire(index, Some(Ended::Stopped));
        }
    }

    /// Moves a track's volume to `volume` (1.0 is as loud as its source) in a straight line over `ramp`, at least 5 ms.
    pub fn set_volume(&mut self, id: TrackId, volume: f32, ramp: Duration) {
        if let Some(track) = self.track(id) {
            track.set_volume(volume, ramp);
        }
    }

    /// Pauses a track, or lets it go on from where it was.
    pub fn set_paused(&mut self, id: TrackId, paused: bool) {
        let period = self.period();
        if self.track(id).is_some_and(|track| track.set_paused(paused, period)) {
            self.happenings.push(id, if paused { TrackEvent::Paused } else { TrackEvent::Resumed });
        }
    }

    /// How often a track begins again from now on. Its [reader](crate::prefetch::Reader::set_loops) must be told too, and is
    /// a little ahead: what it has read of a repetition that is not wanted any more is not played.
    pub fn set_loops(&mut self, id: TrackId, loops: Loops) {
        if let Some(track) = self.track(id) {
            track.set_loops(loops);
        }
    }

    /// Changes when a track begins. One that sounds already and is to begin later stops where it is, and goes on from there.
    pub fn set_cue(&mut self, id: TrackId, cue: Cue) {
        if let Some(track) = self.track(id) {
            track.set_cue(cue);
        }
    }

    /// Puts a track into another group.
    pub fn set_group(&mut self, id: TrackId, group: GroupId) {
        if let Some(track) = self.track(id) {
            track.set_group(group);
        }
    }

    /// Changes the effects of a track, without a click; returns what can be dropped already. More follows by
    /// [`pop_spent`](Self::pop_spent).
    pub fn set_effects(&mut self, id: TrackId, chain: Option<Chain>) -> Option<Chain> {
        match self.index(id).and_then(|index| self.tracks.get_mut(index)) {
            Some((_, track)) => {
                (self.fading, self.cruising) = (true, false);
                track.rack().replace(chain)
            }
            None => chain,
        }
    }

    /// Changes speed and pitch of a track; `fresh` was made with this timescale, and comes back when the track has a stretch
    /// already.
    pub fn set_timescale(
        &mut self,
        id: TrackId,
        timescale: Timescale,
        fresh: Option<Box<Stretch>>,
    ) -> Option<Box<Stretch>> {
        match self.track(id) {
            Some(track) => track.set_timescale(timescale, fresh),
            None => fresh,
        }
    }

    /// Drops at once, without a fade, what a track's [`PcmPusher`](crate::prefetch::PcmPusher) has flushed: for who does not
    /// tick now. Otherwise the next tick does it, fading out over 5 ms. Does nothing when nothing was flushed.
    pub fn flush(&mut self, id: TrackId) {
        if let Some(track) = self.track(id) {
            track.flush();
        }
    }

    /// Adds a timed event to a track, in place of one of the same name.
    pub fn add_timer(&mut self, id: TrackId, timer: TimerId, when: When) {
        if let Some(track) = self.track(id) {
            track.timers().add(timer, when);
        }
    }

    /// Takes a timed event back.
    pub fn cancel_timer(&mut self, id: TrackId, timer: TimerId) {
        if let Some(track) = self.track(id) {
            track.timers().cancel(timer);
        }
    }

    /// Lets a track go on with another feed, which begins at `position`: the second half of a seek.
    ///
    /// # Errors
    ///
    /// There is no such track (any more). Either way the feed that is not needed comes back, to be dropped elsewhere.
    #[expect(clippy::result_large_err, reason = "the error is the feed itself, which must not be dropped here")]
    pub fn replace(&mut self, id: TrackId, feed: Feed, position: Duration) -> Result<Feed, Feed> {
        let Some(track) = self.track(id) else { return Err(feed) };
        let before = track.replace(feed, position);
        self.happenings.push(id, TrackEvent::Seeked { position });
        Ok(before)
    }

    /// Moves the volume of a group to `volume` in a straight line over `ramp`, at least 5 ms.
    pub fn set_group_volume(&mut self, id: GroupId, volume: f32, ramp: Duration) {
        let idle = self.is_still();
        turn(&mut self.group(id).gain, idle, volume, ramp);
    }

    /// Changes the effects of a group; returns what can be dropped already.
    pub fn set_group_effects(&mut self, id: GroupId, chain: Option<Chain>) -> Option<Chain> {
        self.fading = true;
        self.group(id).rack.replace(chain)
    }

    /// Makes a group quieter while another one sounds, or not any more.
    pub fn set_ducking(&mut self, id: GroupId, ducking: Option<Ducking>) {
        self.group(id).set_ducking(ducking);
        if let Some(Ducking { by, .. }) = ducking {
            self.group(by);
        }
        for index in 0..self.groups.len() {
            let id = self.groups[index].id;
            self.groups[index].is_trigger = self.groups.iter().any(|group| group.ducks_under() == Some(id));
        }
    }

    /// Moves the volume of everything to `volume` in a straight line over `ramp`, at least 5 ms.
    pub fn set_master_volume(&mut self, volume: f32, ramp: Duration) {
        self.cruising = false;
        let idle = self.is_still();
        turn(&mut self.gain, idle, volume, ramp);
    }

    /// Changes the effects of everything; returns what can be dropped already.
    pub fn set_master_effects(&mut self, chain: Option<Chain>) -> Option<Chain> {
        (self.fading, self.cruising) = (true, false);
        self.rack.replace(chain)
    }

    /// Limits the sum with this; without one it is clipped softly. Returns what is not needed.
    pub fn set_limiter(&mut self, limiter: Option<Box<Limiter>>) -> Option<Box<Limiter>> {
        self.cruising = false;
        self.ceiling.set_limiter(limiter)
    }

    /// The place in its source that a track is at.
    pub fn position(&self, id: TrackId) -> Option<Duration> {
        self.tracks.iter().find(|(other, _)| *other == id).map(|(_, track)| track.place())
    }

    /// Counters of one track.
    pub fn track_stats(&self, id: TrackId) -> Option<TrackStats> {
        self.tracks.iter().find(|(other, _)| *other == id).map(|(_, track)| track.stats)
    }

    /// The ids of the tracks that it has, in the order they came.
    pub fn tracks(&self) -> impl Iterator<Item = TrackId> {
        self.tracks.iter().map(|(id, _)| *id)
    }

    /// Counters of all tracks.
    pub fn stats(&self) -> Stats {
        let tracks = self.tracks.iter().map(|(_, track)| track.stats);
        tracks.fold(Stats { missed_events: self.happenings.missed, ..self.stats }, Stats::with)
    }

    /// Changes the encoder's settings, from the next frame on.
    pub fn configure(&mut self, config: EncoderConfig) {
        self.cruising = false;
        self.encode.configure(config);
    }

    /// Settings of the encoder.
    pub fn encoder(&self) -> EncoderConfig {
        self.encode.config()
    }

    /// Samples from one tick to the next: 960, or 480 when frames of 10 ms are wanted.
    pub fn period(&self) -> usize {
        self.encode.frame().min(FRAME_SAMPLES)
    }

    /// Whether packets are pushed into a track, by somebody who keeps time with it.
    pub fn is_pushed(&self) -> bool {
        self.tracks.iter().any(|(_, track)| track.is_pushed())
    }

    /// The next track that has ended: call until `None` after each tick, and drop the tracks off the audio thread.
    pub fn pop_ended(&mut self) -> Option<(TrackId, Ended, Box<Track>)> {
        self.ended.pop_front()
    }

    /// The next thing that has happened to a track: call until `None` after each tick.
    pub fn pop_event(&mut self) -> Option<(TrackId, TrackEvent)> {
        self.happenings.pop()
    }

    /// The next thing that is to be dropped off the audio thread: call until `None` after each tick.
    pub fn pop_spent(&mut self) -> Option<Spent> {
        if self.fading {
            let racks = self.tracks.iter_mut().map(|(_, track)| track.rack());
            let racks = racks.chain(self.groups.iter_mut().map(|group| &mut group.rack)).chain([&mut self.rack]);
            let mut fading = false;
            for rack in racks {
                if let Some(chain) = rack.take_spent() {
                    return Some(Spent::Effects(chain));
                }
                fading |= rack.is_fading();
            }
            self.fading = fading;
        }
        self.spent.pop_front()
    }

    fn retire(&mut self, index: usize, how: Option<Ended>) {
        self.cruising = false;
        let (id, mut track) = self.tracks.remove(index);
        track.settle(|happened| self.happenings.push(id, TrackEvent::from(happened)));
        self.keep_counts(track.stats);
        let was_cut = track.is_cut();
        let ended = how.unwrap_or_else(|| match track.feed().end() {
            Some(Err(error)) if !was_cut => Ended::Failed(error.clone()),
            _ => Ended::Finished,
        });
        for (_, next) in &mut self.tracks {
            if next.waits_for().is_some_and(|(before, _)| before == id) {
                next.begin(0);
            }
        }
        track.finish();
        self.ended.push_back((id, ended, track));
    }

    fn keep_counts(&mut self, stats: TrackStats) {
        self.stats = self.stats.with(stats);
    }

    fn index(&self, id: TrackId) -> Option<usize> {
        self.tracks.iter().position(|(other, _)| *other == id)
    }

    fn track(&mut self, id: TrackId) -> Option<&mut Track> {
        self.cruising = false;
        self.tracks.iter_mut().find(|(other, _)| *other == id).map(|(_, track)| &mut **track)
    }

    /// This group, which is made when it is first needed.
    fn group(&mut self, id: GroupId) -> &mut Group {
        self.cruising = false;
        let index = self.groups.iter().position(|group| group.id == id).unwrap_or_else(|| {
            self.groups.push(Group::new(id));
            self.groups.len() - 1
        });
        &mut self.groups[index]
    }
}

impl fmt::Debug for Mixer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mixer").field("tracks", &self.tracks).field("stats", &self.stats).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
