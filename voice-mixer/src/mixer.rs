use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use ::opus::{Channels, SoftClip};
use voice_model::{CHANNELS, FRAME_SAMPLES};

use crate::encode::Encode;
use crate::prefetch::Feed;
use crate::track::{Activity, Track, TrackStats};
use crate::{EncoderConfig, SourceError, TrackId};

/// Plays tracks: one frame of 20 ms per [`tick`](Mixer::tick), mixed and encoded, or a lone Opus track's own packets.
///
/// Never blocks; allocates when tracks are added and when the encoder or a decoder is first needed, and not again.
pub struct Mixer {
    tracks: Vec<(TrackId, Track)>,
    ended: VecDeque<(TrackId, Ended, Track)>,
    sum: Box<[f32]>,
    clip: SoftClip,
    clipping: bool,
    encode: Encode,
    /// Samples sent beyond the beginning of the coming tick, or of this one while `more`.
    ahead: usize,
    more: bool,
    /// Whose packet was sent unmixed last.
    passing: Option<TrackId>,
    /// The encoder still holds the last few milliseconds (its look-ahead) of what was played.
    tail: bool,
    stats: Stats,
}

/// What a tick came to. RTP time moves on by what each variant says; so it keeps pace with the ticks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tick {
    /// Nothing to send, because no track has anything, or because a source that passes through is late. RTP time moves on
    /// by the 960 samples of the tick.
    Idle,
    /// Nothing to send, because a packet longer than 20 ms is still playing. RTP time has moved on with that packet.
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
    /// Its source failed; what had arrived until then was played.
    Failed(SourceError),
}

/// Counters since the mixer was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Ticks.
    pub ticks: u64,
    /// Packets that were sent unmixed.
    pub passthrough_frames: u64,
    /// Frames that were mixed and encoded.
    pub encoded_frames: u64,
    /// Of all tracks, those removed too: ticks in which audio came too late.
    pub underruns: u64,
    /// Of all tracks, those removed too: packets dropped because they were too long.
    pub oversized: u64,
    /// Of all tracks, those removed too: packets that could not be decoded.
    pub undecodable: u64,
}

impl Mixer {
    /// A mixer without tracks.
    pub fn new(config: EncoderConfig) -> Self {
        Self {
            tracks: Vec::new(),
            ended: VecDeque::new(),
            sum: vec![0.0; FRAME_SAMPLES * CHANNELS].into(),
            clip: SoftClip::new(Channels::Stereo),
            clipping: false,
            encode: Encode::new(config),
            ahead: 0,
            more: false,
            passing: None,
            tail: false,
            stats: Stats::default(),
        }
    }

    /// Adds a track; returns the one that had this id until now.
    pub fn add(&mut self, id: TrackId, track: Track) -> Option<Track> {
        let before = self.remove(id);
        self.tracks.push((id, track));
        // Ending a track must not allocate.
        self.ended.reserve(self.tracks.len());
        before
    }

    /// Takes a track out, in the middle of a sound if need be: fade it out before to avoid a click.
    pub fn remove(&mut self, id: TrackId) -> Option<Track> {
        let index = self.tracks.iter().position(|(other, _)| *other == id)?;
        let (_, track) = self.tracks.remove(index);
        self.keep_counts(track.stats);
        Some(track)
    }

    /// Moves a track's volume to `volume` (1.0 is as loud as its source) in a straight line over `ramp`, at least 5 ms.
    pub fn set_volume(&mut self, id: TrackId, volume: f32, ramp: Duration) {
        if let Some(track) = self.track(id) {
            track.set_volume(volume, ramp);
        }
    }

    /// Pauses a track, or lets it go on from where it was.
    pub fn set_paused(&mut self, id: TrackId, paused: bool) {
        if let Some(track) = self.track(id) {
            track.set_paused(paused);
        }
    }

    /// Lets a track go on with another feed, which begins at `position`: the second half of a seek.
    ///
    /// # Errors
    ///
    /// There is no such track (any more). Either way the feed that is not needed comes back, to be dropped elsewhere.
    pub fn replace(&mut self, id: TrackId, feed: Feed, position: Duration) -> Result<Feed, Feed> {
        match self.track(id) {
            Some(track) => Ok(track.replace(feed, position)),
            None => Err(feed),
        }
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
        tracks.fold(self.stats, Stats::with)
    }

    /// Changes the encoder's settings, from the next frame on.
    pub fn configure(&mut self, config: EncoderConfig) {
        self.encode.configure(config);
    }

    /// Whether ticks come to nothing until a track is added, goes on after a pause, or gets a packet pushed into its sink.
    pub fn is_idle(&self) -> bool {
        let resting = |(_, track): &(TrackId, Track)| track.is_resting();
        self.ahead < FRAME_SAMPLES && !self.tail && self.ended.is_empty() && self.tracks.iter().all(resting)
    }

    /// Whether packets are pushed into a track, by somebody who keeps time with it.
    pub fn is_pushed(&self) -> bool {
        self.tracks.iter().any(|(_, track)| track.is_pushed())
    }

    /// The next track that has ended: call until `None` after each tick, and drop the tracks off the audio thread.
    pub fn pop_ended(&mut self) -> Option<(TrackId, Ended, Track)> {
        self.ended.pop_front()
    }

    /// Makes the frame of the next 20 ms in `out`, which should have room for 1,276 bytes.
    pub fn tick(&mut self, out: &mut [u8]) -> Tick {
        self.stats.ticks += 1;
        if std::mem::take(&mut self.more) {
            // The last tick was not played to its end: let its time have passed.
            self.ahead = 0;
        }
        let mut lone = None;
        let mut sounding = 0;
        let mut muted = false;
        let mut index = 0;
        while let Some((_, track)) = self.tracks.get_mut(index) {
            match track.activity() {
                Activity::Over => {
                    self.retire(index);
                    continue;
                }
                Activity::Silent => {}
                Activity::Muted => muted = true,
                Activity::Mixed => sounding += 1,
                Activity::Passing => {
                    sounding += 1;
                    lone = Some(index);
                }
            }
            index += 1;
        }
        let holding = self.ahead >= FRAME_SAMPLES;
        let passing = lone.filter(|_| sounding == 1);
        if muted && (holding || passing.is_some() || sounding == 0) {
            self.run_muted();
        }
        if holding {
            self.ahead -= FRAME_SAMPLES;
            return Tick::Hold;
        }
        match passing {
            Some(index) => self.pass(index, out),
            None if sounding > 0 => self.mix(out),
            None => self.flush(out),
        }
    }

    /// Makes the next frame of this tick, after one with `more`; [`Tick::Hold`] at any other time.
    pub fn next_frame(&mut self, out: &mut [u8]) -> Tick {
        if !std::mem::take(&mut self.more) {
            return Tick::Hold;
        }
        let passing = self
            .tracks
            .iter_mut()
            .position(|(id, track)| Some(*id) == self.passing && track.activity() == Activity::Passing);
        // Unless somebody has changed the track between the two, its packet is there.
        passing.map_or(Tick::Idle, |index| self.pass(index, out))
    }

    /// Sends the next packet of a track unmixed.
    fn pass(&mut self, index: usize, out: &mut [u8]) -> Tick {
        let Some((id, track)) = self.tracks.get_mut(index) else { return Tick::Idle };
        let Some((len, mut samples)) = track.pass(out) else {
            track.ran_dry();
            return Tick::Idle;
        };
        self.ahead += samples;
        let more = self.ahead < FRAME_SAMPLES && track.sendable(out.len()).is_some();
        if !more {
            if let Some(missing) = FRAME_SAMPLES.checked_sub(self.ahead).filter(|missing| *missing > 0) {
                track.ran_dry();
                samples += missing;
                self.ahead += missing;
            }
            self.ahead -= FRAME_SAMPLES;
        }
        (self.more, self.passing) = (more, Some(*id));
        self.stats.passthrough_frames += 1;
        self.encode.pause();
        self.tail = false;
        if track.activity() == Activity::Over {
            self.retire(index);
        }
        Tick::Frame { len, samples: samples as u32, more }
    }

    /// Mixes all tracks into one frame.
    fn mix(&mut self, out: &mut [u8]) -> Tick {
        self.sum.fill(0.0);
        let mut index = 0;
        while let Some((_, track)) = self.tracks.get_mut(index) {
            if track.activity() != Activity::Silent {
                track.mix(&mut self.sum);
            }
            if track.activity() == Activity::Over {
                self.retire(index);
            } else {
                index += 1;
            }
        }
        self.soft_clip();
        self.tail = true;
        self.encode(out)
    }

    /// Sends what the encoder still holds, once, when nothing sounds any more.
    fn flush(&mut self, out: &mut [u8]) -> Tick {
        if !std::mem::take(&mut self.tail) {
            return Tick::Idle;
        }
        self.sum.fill(0.0);
        self.encode(out)
    }

    fn encode(&mut self, out: &mut [u8]) -> Tick {
        match self.encode.encode(&self.sum, out) {
            Some(len) => {
                self.stats.encoded_frames += 1;
                Tick::Frame { len, samples: FRAME_SAMPLES as u32, more: false }
            }
            None => Tick::Idle,
        }
    }

    /// Lets tracks at volume zero run on while nothing is mixed.
    fn run_muted(&mut self) {
        for (_, track) in &mut self.tracks {
            if track.activity() == Activity::Muted {
                track.mix(&mut self.sum);
            }
        }
    }

    /// Brings the sum into full scale. Looking for a peak first is an order of magnitude cheaper than libopus' clipper,
    /// which must also see the frame after a clipped one, to end its curve where the signal crosses zero.
    fn soft_clip(&mut self) {
        let peak = self.sum.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        if peak > 1.0 || self.clipping {
            self.clip.apply(&mut self.sum);
        }
        self.clipping = peak > 1.0;
    }

    fn retire(&mut self, index: usize) {
        let (id, mut track) = self.tracks.remove(index);
        self.keep_counts(track.stats);
        let ended = match track.feed().end() {
            Some(Err(error)) => Ended::Failed(error.clone()),
            _ => Ended::Finished,
        };
        self.ended.push_back((id, ended, track));
    }

    fn keep_counts(&mut self, stats: TrackStats) {
        self.stats = self.stats.with(stats);
    }

    fn track(&mut self, id: TrackId) -> Option<&mut Track> {
        self.tracks.iter_mut().find(|(other, _)| *other == id).map(|(_, track)| track)
    }
}

impl Stats {
    fn with(mut self, track: TrackStats) -> Self {
        self.underruns += track.underruns;
        self.oversized += track.oversized;
        self.undecodable += track.undecodable;
        self
    }
}

impl fmt::Debug for Mixer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mixer").field("tracks", &self.tracks).field("stats", &self.stats).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
