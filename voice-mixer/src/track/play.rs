//! What a track does in a tick: says what it wants, is mixed, or passes a packet on.

use std::time::Duration;

use voice_model::CHANNELS;

use super::{Cue, TimerId, Track};
use crate::decode::Decode;
use crate::gain::Gain;
use crate::prefetch::{Kind, Loops, Mark, MarkKind, Record};
use crate::{Metadata, opus};

/// What a track has to say to this tick.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Activity {
    /// Nothing: paused, waiting, not ready yet, or an idle sink.
    Silent,
    /// It runs, at volume zero.
    Muted,
    /// It must be mixed.
    Mixed,
    /// It can pass through if nothing else sounds.
    Passing,
    /// It has ended and all of it was played.
    Over,
}

/// What has happened to a track.
#[derive(Debug)]
pub(crate) enum Happened {
    Playable,
    Started,
    Looped,
    Underrun,
    Metadata(Box<Metadata>),
    Timer(TimerId),
}

impl Track {
    /// What to do with it in this tick, of `frames`; it begins when there are `needed` of them to be mixed at once.
    pub(crate) fn activity(&mut self, frames: usize, needed: usize) -> Activity {
        if self.stopping && self.gain.is_silent() {
            return Activity::Over;
        }
        let ended = self.feed.end().is_some();
        let waits = self.is_paused() || self.cue != Cue::Now;
        if self.feed.attend(frames, !waits)
            && let Some(stretch) = &mut self.stretch
        {
            // What was flushed is in there too.
            stretch.reset();
        }
        if waits {
            return self.silent();
        }
        // Whether a repetition that is not wanted is next.
        self.until_cut(1);
        let kind = self.feed.kind();
        let held = self.held();
        let empty = (self.feed.is_empty() || self.cut) && held == 0;
        let ready = match kind {
            None => false,
            Some(Kind::Pcm) if !self.feed.is_sink() => self.feed.frames() >= needed || self.feed.is_choked(),
            Some(_) => !self.feed.is_empty(),
        };
        let faded = self.fade.is_some_and(|fade| fade.is_done() && fade.is_outward());
        if faded || ((ended || self.cut) && empty && self.tail == 0) {
            Activity::Over
        } else if (self.feed.is_sink() && empty && self.tail == 0) || !(self.started || ready || ended) {
            self.silent()
        } else if self.gain.is_silent() {
            Activity::Muted
        } else if kind == Some(Kind::Packets) && self.is_unchanged() {
            Activity::Passing
        } else {
            Activity::Mixed
        }
    }

    /// Drops at once what was flushed.
    pub(crate) fn flush(&mut self) {
        if self.feed.flush()
            && let Some(stretch) = &mut self.stretch
        {
            stretch.reset();
        }
    }

    /// It makes no sound now: nothing is left to fade out.
    fn silent(&mut self) -> Activity {
        if self.stopping {
            return Activity::Over;
        }
        if self.paused && !self.gain.is_steady() {
            self.gain = Gain::new(0.0);
            self.tell_gauge();
        }
        Activity::Silent
    }

    /// Whether what comes of its feed is what is heard of it.
    fn is_unchanged(&self) -> bool {
        self.is_plain() && self.gain.is_unity() && self.feed.gain() == 1.0
    }

    /// Whether that is so, and it runs.
    pub(crate) fn is_untouched(&self) -> bool {
        !self.stopping && !self.paused && self.cue == Cue::Now && !self.cut && self.is_unchanged()
    }

    /// Whether nothing stands between its feed and its gain.
    fn is_plain(&self) -> bool {
        let stretching = self.stretch.as_ref().is_some_and(|stretch| !stretch.settings().is_neutral());
        !stretching
            && !self.draining
            && self.tail == 0
            && self.rack.is_neutral()
            && self.fade.is_none_or(|fade| fade.is_done())
    }

    /// Whether what it plays is decoded, so that its beginning and end can be faded.
    pub(super) fn is_mixed(&self) -> bool {
        self.started && self.passed.is_empty()
    }

    /// Whether it could begin to pass through: no packet was decoded, or the last one is decoded just as far as an encoder
    /// with this `lag` has got rid of all before it.
    pub(crate) fn is_aligned(&self, lag: usize) -> bool {
        self.decode.as_ref().is_none_or(|decode| decode.is_idle() || decode.offset() == Some(lag))
    }

    /// Whether nothing of it was decoded that was not played.
    pub(crate) fn is_undecoded(&self) -> bool {
        self.decoded() == 0
    }

    /// Whether it is about to play its first packet.
    pub(crate) fn is_fresh(&self) -> bool {
        !self.started && self.taken == 0 && !self.follows
    }

    /// Decodes what an encoder with this `lag` must have heard before it can take over from packets that passed: the last
    /// of them, and the first samples of the next, which end up at the end of `out`.
    pub(crate) fn prime(&mut self, lag: usize, out: &mut [f32]) -> bool {
        if self.passed.is_empty() {
            return false;
        }
        let Self { feed, decode, passed, stats, taken, .. } = self;
        let decode = decode.get_or_insert_with(|| Box::new(Decode::new()));
        let split = out.len() - lag.min(out.len() / CHANNELS) * CHANNELS;
        let (past, ahead) = out.split_at_mut(split);
        decode.resume(passed, past);
        passed.clear();
        let decoded = decode.fill(feed, lag);
        *taken += decoded.audible;
        stats.oversized += decoded.oversized;
        stats.undecodable += decoded.undecodable;
        let first = decode.take(lag);
        ahead[..first.len()].copy_from_slice(first);
        true
    }

    /// Lets the decoded packets skip a little, unheard as far as possible, so that they can pass through again behind an
    /// encoder with this `lag`, after a frame of `frames`.
    pub(crate) fn align(&mut self, lag: usize, frames: usize) {
        let Self { feed, decode: Some(decode), taken, .. } = self else { return };
        if feed.kind() == Some(Kind::Packets) && !decode.is_idle() {
            *taken += decode.align(feed, lag, frames).audible;
        }
    }

    /// Adds up to a frame of it to `sum`, through `scratch` when there is something to be done to it; returns how many
    /// frames there were.
    pub(crate) fn mix(&mut self, sum: &mut [f32], scratch: &mut [f32]) -> usize {
        let frames = sum.len() / CHANNELS;
        let partial = self.feed.end().is_some() || self.feed.is_sink() || self.cut || self.feed.is_choked();
        self.heard = 0;
        // A track that fades into silence plays no further than the fade goes.
        let fading = self.paused || self.stopping;
        let wanted = if fading { frames.min(self.gain.left() as usize) } else { frames };
        let played =
            if self.is_plain() { self.add(wanted, partial, sum) } else { self.process(wanted, partial, sum, scratch) };
        if played > 0 {
            self.started = true;
            self.passed.clear();
            self.elapsed += played as u64;
        }
        self.until_cut(1);
        if played < wanted && !partial && !self.cut {
            self.ran_dry();
            if fading {
                // What is not there cannot fade out.
                self.gain = Gain::new(0.0);
                self.tell_gauge();
            }
        }
        played
    }

    /// Straight from the feed.
    fn add(&mut self, wanted: usize, partial: bool, sum: &mut [f32]) -> usize {
        let wanted = self.until_cut(wanted);
        let level = self.feed.gain();
        let frames = self.available(wanted, partial);
        let Self { feed, gain, decode, .. } = self;
        match (feed.kind(), decode) {
            (Some(Kind::Pcm), _) => {
                let mut rest = &mut sum[..frames * CHANNELS];
                let taken = feed.read(frames, |piece| {
                    let (head, tail) = std::mem::take(&mut rest).split_at_mut(piece.len());
                    gain.add(piece, level, head);
                    rest = tail;
                });
                self.taken += taken as u64;
            }
            (Some(Kind::Packets), Some(decode)) => gain.add(decode.take(frames), level, &mut sum[..frames * CHANNELS]),
            _ => return 0,
        }
        self.heard = frames;
        frames
    }

    /// Through speed, effects and fade.
    fn process(&mut self, wanted: usize, partial: bool, sum: &mut [f32], scratch: &mut [f32]) -> usize {
        let mut frames = self.render(partial, &mut scratch[..wanted * CHANNELS]);
        self.heard = frames;
        if frames > 0 {
            self.rack.process(&mut scratch[..frames * CHANNELS]);
            self.tail = self.rack.tail();
        }
        if frames < wanted && (partial || self.cut) {
            // Effects still sound for a while when the audio is over.
            let sounding = (self.tail as usize).min(wanted - frames);
            let rest = &mut scratch[frames * CHANNELS..(frames + sounding) * CHANNELS];
            rest.fill(0.0);
            self.rack.process(rest);
            self.tail = (self.tail - sounding as u32).min(self.rack.tail());
            frames += sounding;
        }
        let scratch = &mut scratch[..frames * CHANNELS];
        if let Some(fade) = &mut self.fade {
            fade.apply(scratch);
            if fade.is_done() && !fade.is_outward() {
                self.fade = None;
            }
        }
        self.gain.add(scratch, self.feed.gain(), &mut sum[..frames * CHANNELS]);
        frames
    }

    /// Fills `out` with what comes out of the feed, at the speed that is wanted; returns how many frames there were.
    fn render(&mut self, partial: bool, out: &mut [f32]) -> usize {
        let wanted = out.len() / CHANNELS;
        let Some(mut stretch) = self.stretch.take() else { return self.take(wanted, partial, out) };
        let mut frames = 0;
        if self.draining {
            frames = stretch.drain(out);
            if frames < wanted {
                stretch.reset();
                self.draining = false;
            }
        }
        let rest = &mut out[frames * CHANNELS..];
        if rest.is_empty() {
            // What it holds is enough for this time.
        } else if stretch.settings().is_neutral() {
            frames += self.take(wanted - frames, partial, rest);
        } else {
            // A sink may get more at any time: only one that got nothing gives the rest away.
            let ended = partial && !(self.feed.is_sink() && self.available(1, true) > 0);
            frames += stretch.render(rest, &mut |input| self.take(input.len() / CHANNELS, true, input), ended).frames;
            if ended && frames < wanted {
                stretch.reset();
            }
        }
        self.stretch = Some(stretch);
        frames
    }

    /// Copies up to `wanted` frames out of the feed.
    fn take(&mut self, wanted: usize, partial: bool, out: &mut [f32]) -> usize {
        let wanted = self.until_cut(wanted);
        let frames = self.available(wanted, partial);
        match (self.feed.kind(), &mut self.decode) {
            (Some(Kind::Pcm), _) => {
                let mut at = 0;
                self.taken += self.feed.read(frames, |piece| {
                    out[at..at + piece.len()].copy_from_slice(piece);
                    at += piece.len();
                }) as u64;
            }
            (Some(Kind::Packets), Some(decode)) => out[..frames * CHANNELS].copy_from_slice(decode.take(frames)),
            _ => return 0,
        }
        frames
    }

    /// How many of the `wanted` frames are there; none when only all will do.
    fn available(&mut self, wanted: usize, partial: bool) -> usize {
        let frames = match self.feed.kind() {
            None => 0,
            Some(Kind::Pcm) => self.feed.frames(),
            Some(Kind::Packets) => {
                let decode = self.decode.get_or_insert_with(|| Box::new(Decode::new()));
                if !self.passed.is_empty() {
                    decode.resume(&self.passed, &mut []);
                    self.passed.clear();
                }
                let decoded = decode.fill(&mut self.feed, wanted);
                self.taken += decoded.audible;
                self.stats.oversized += decoded.oversized;
                self.stats.undecodable += decoded.undecodable;
                decode.frames()
            }
        };
        if frames < wanted {
            self.feed.fell_short();
        }
        let frames = frames.min(wanted);
        if frames < wanted && !partial { 0 } else { frames }
    }

    /// At most so many frames as there are before a repetition that is not wanted any more.
    fn until_cut(&mut self, wanted: usize) -> usize {
        if self.cut {
            return 0;
        }
        let Loops::Times(repetitions) = self.loops else { return wanted };
        let Some(seam) = self.feed.seam(repetitions) else { return wanted };
        let decoded = self.decoded() as u64;
        let left = seam.saturating_sub(self.taken.saturating_sub(decoded));
        if left == 0 {
            self.cut = true;
            if let Some(decode) = &mut self.decode {
                // Nothing of what comes behind the seam was played.
                decode.forget();
                self.taken = self.taken.saturating_sub(decoded);
            }
        }
        wanted.min(usize::try_from(left).unwrap_or(usize::MAX))
    }

    /// Copies its next packet to `out`: its length and its samples. `None` when there is none.
    pub(crate) fn pass(&mut self, out: &mut [u8]) -> Option<(usize, usize)> {
        let retained = self.decode.as_mut().and_then(|decode| decode.give_back(out));
        let (len, samples) = match retained {
            Some(packet) => packet,
            None => {
                let record = self.sendable(out.len())?;
                let len = usize::from(record.len);
                self.feed.pop(record, out);
                self.taken += record.audible();
                (len, usize::from(record.samples))
            }
        };
        self.passed.push(&out[..len], samples);
        self.started = true;
        self.elapsed += samples as u64;
        Some((len, samples))
    }

    /// The next packet that fits into `room` and is heard; what does not, or is not, is dropped on the way.
    pub(crate) fn sendable(&mut self, room: usize) -> Option<Record> {
        if self.until_cut(1) == 0 {
            return None;
        }
        loop {
            let record = self.feed.peek()?;
            let fits = (1..=room).contains(&usize::from(record.len));
            if fits && !record.is_preroll() {
                return Some(record);
            }
            self.feed.skip(record);
            self.taken += record.audible();
            self.stats.oversized += u64::from(!fits);
        }
    }

    /// Counts a tick without the audio that should have been there.
    pub(crate) fn ran_dry(&mut self) {
        if self.started && !self.feed.is_sink() && self.feed.end().is_none() {
            self.stats.underruns += 1;
            self.dry = true;
        }
    }

    /// A tick is over, however many packets it had.
    pub(crate) fn pass_tick(&mut self) {
        self.feed.pass_tick();
    }

    /// Says what has happened to it since the last time, at the end of a tick.
    pub(crate) fn settle(&mut self, mut tell: impl FnMut(Happened) -> bool) {
        if !self.announced && self.feed.kind().is_some() {
            self.announced = true;
            tell(Happened::Playable);
        }
        if self.dry != self.was_dry {
            self.was_dry = self.dry;
            if self.dry {
                tell(Happened::Underrun);
            }
        }
        self.feed.has_marks();
        let is_marked = |mark: &Mark| mark.at <= self.taken.saturating_sub(self.held());
        if self.elapsed == 0 && !self.feed.next_mark().is_some_and(is_marked) {
            return;
        }
        self.dry &= self.elapsed == 0;
        if self.elapsed > 0 && !std::mem::replace(&mut self.was_started, true) {
            tell(Happened::Started);
        }
        while let Some(mark) = self.feed.next_mark() {
            let (at, seam) = (mark.at, matches!(mark.kind, MarkKind::Looped));
            if at > self.taken.saturating_sub(self.held()) || (seam && !self.loops.take()) {
                break;
            }
            match self.feed.pop_mark().map(|mark| mark.kind) {
                Some(MarkKind::Metadata(metadata)) => _ = tell(Happened::Metadata(metadata)),
                _ => {
                    let end = self.base + opus::time(at.saturating_sub(self.since));
                    self.timers.advance(0, self.told, end, |id| tell(Happened::Timer(id)));
                    (self.base, self.since, self.told) = (Duration::ZERO, at, Duration::ZERO);
                    _ = tell(Happened::Looped);
                }
            }
        }
        let place = self.place().max(self.told);
        self.timers.advance(self.elapsed, self.told, place, |id| tell(Happened::Timer(id)));
        (self.elapsed, self.told) = (0, place);
        self.tell_gauge();
    }
}
