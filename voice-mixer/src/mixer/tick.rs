//! One tick: pass a lone track's packet on, or mix everything, frame by frame, and encode it.

use voice_model::{CHANNELS, FRAME_SAMPLES};

use super::{Buffers, Mixer, Spent, Tick, TrackEvent};
use crate::TrackId;
use crate::encode::{LOOKAHEAD, MAX_SAMPLES};
use crate::track::{Activity, Track};

/// What the tracks want in a tick.
struct Plan {
    sounding: usize,
    muted: bool,
    /// The one that could pass.
    lone: Option<usize>,
}

impl Mixer {
    /// Makes the frame of the next [`period`](Self::period) in `out`, which should have room for 1,276 bytes, three times as
    /// much for frames of 40 or 60 ms.
    pub fn tick(&mut self, out: &mut [u8]) -> Tick {
        self.stats.ticks += 1;
        if std::mem::take(&mut self.more) {
            // The last tick was not played to its end: let its time have passed.
            self.ahead = 0;
        }
        let cruised = if std::mem::take(&mut self.cruising) { self.cruise(out) } else { None };
        let tick = cruised.unwrap_or_else(|| self.run(out));
        self.settle();
        for (_, track) in &mut self.tracks {
            track.pass_tick();
        }
        self.cruising = self.cruising || self.can_cruise(tick);
        tick
    }

    fn settle(&mut self) {
        for (id, track) in &mut self.tracks {
            track.settle(|happened| self.happenings.push(*id, TrackEvent::from(happened)));
        }
    }

    /// Makes the next frame of this tick, after one with `more`; [`Tick::Hold`] at any other time.
    pub fn next_frame(&mut self, out: &mut [u8]) -> Tick {
        if !std::mem::take(&mut self.more) {
            return Tick::Hold;
        }
        let (period, frame) = (self.period(), self.encode.frame());
        let passing = self
            .tracks
            .iter_mut()
            .position(|(id, track)| Some(*id) == self.passing && track.activity(period, frame) == Activity::Passing);
        // Unless somebody has changed the track between the two, its packet is there.
        let tick = passing.map_or(Tick::Idle, |index| self.pass(index, out));
        self.settle();
        tick
    }

    fn run(&mut self, out: &mut [u8]) -> Tick {
        let period = self.period();
        let holding = self.ahead >= period;
        if holding && self.mixed_ahead {
            self.ahead -= period;
            return if self.unsent { Tick::Idle } else { Tick::Hold };
        }
        let plan = self.plan(period);
        let passing = plan.lone.filter(|_| plan.sounding == 1).filter(|index| self.can_pass(*index));
        if plan.muted && (holding || passing.is_some() || (plan.sounding == 0 && self.tail == 0)) {
            self.run_muted(period);
        }
        if !holding && passing.is_none() && (plan.sounding > 0 || self.tail > 0) {
            return self.mix(plan.lone.filter(|_| plan.sounding == 1), out);
        }
        self.groups.iter_mut().for_each(|group| group.pass_time(period));
        if holding {
            self.ahead -= period;
            return Tick::Hold;
        }
        match passing {
            Some(index) => self.pass(index, out),
            None => {
                self.passing = None;
                self.rest();
                Tick::Idle
            }
        }
    }

    /// Lets those go that are over, those begin whose turn has come, and asks all what they want.
    fn plan(&mut self, period: usize) -> Plan {
        if self.tracks.iter().any(|(_, track)| track.waits_for().is_some()) {
            self.ask(period);
            self.begin_crossfades();
        }
        self.ask(period)
    }

    fn ask(&mut self, period: usize) -> Plan {
        let frame = self.encode.frame();
        let mut plan = Plan { sounding: 0, muted: false, lone: None };
        let mut index = 0;
        while let Some((_, track)) = self.tracks.get_mut(index) {
            match track.activity(period, frame) {
                Activity::Over => {
                    let stopped = track.is_stopping().then_some(super::Ended::Stopped);
                    self.retire(index, stopped);
                    continue;
                }
                Activity::Silent => {}
                Activity::Muted => plan.muted = true,
                Activity::Mixed => plan.sounding += 1,
                Activity::Passing => {
                    plan.sounding += 1;
                    plan.lone = Some(index);
                }
            }
            index += 1;
        }
        plan
    }

    /// Lets tracks begin that wait for others which are about to end, or are not there.
    fn begin_crossfades(&mut self) {
        let frame = self.encode.frame();
        for index in 0..self.tracks.len() {
            let Some((before, crossfade)) = self.tracks[index].1.waits_for() else { continue };
            let Some(other) = self.index(before).filter(|other| *other != index) else {
                self.tracks[index].1.begin(0);
                continue;
            };
            if self.tracks[other].1.is_played_out() {
                self.tracks[index].1.begin(0);
                continue;
            }
            if crossfade == 0 || !self.tracks[index].1.is_ready(frame) || !self.tracks[other].1.is_under_way() {
                continue;
            }
            // Neither fades over more than half of it.
            let halves =
                [self.tracks[other].1.whole(), self.tracks[index].1.remaining()].map(|whole| whole.map(|it| it / 2));
            let crossfade = halves.into_iter().flatten().fold(crossfade, u64::min);
            let Some(left) = self.tracks[other].1.remaining().filter(|left| *left <= crossfade) else { continue };
            self.tracks[other].1.give_way(left.max(1));
            self.tracks[index].1.begin(left.max(1));
        }
    }

    /// Whether this track, the only one that sounds, can pass from here on without a gap or a click: nothing is to be done to
    /// it, nobody else's sound is left in the encoder, and its packets are in step.
    pub(super) fn can_pass(&self, index: usize) -> bool {
        let Some((id, track)) = self.tracks.get(index) else { return false };
        let in_step = self.solo == Some(*id) && track.is_aligned(self.lag());
        self.is_neutral(track) && (in_step || (self.tail == 0 && track.is_undecoded()))
    }

    /// Whether neither its group nor the whole change anything about this track.
    fn is_neutral(&self, track: &Track) -> bool {
        let groups = || self.groups.iter();
        self.gain.is_unity()
            && self.rack.is_neutral()
            && groups().filter(|group| group.id == track.in_group()).all(|group| group.is_neutral())
            && groups().all(|group| group.tail() == 0)
    }

    /// Samples by which what is heard of our packets comes later than what was mixed.
    fn lag(&self) -> usize {
        LOOKAHEAD + self.ceiling.delay()
    }

    /// Sends the next packet of a track unmixed.
    fn pass(&mut self, index: usize, out: &mut [u8]) -> Tick {
        let period = self.period();
        let Some((id, track)) = self.tracks.get_mut(index) else { return Tick::Idle };
        let Some((len, mut samples)) = track.pass(out) else {
            track.ran_dry();
            return Tick::Idle;
        };
        self.ahead += samples;
        self.mixed_ahead = false;
        let more = self.ahead < period && track.sendable(out.len()).is_some();
        if !more {
            if let Some(missing) = period.checked_sub(self.ahead).filter(|missing| *missing > 0) {
                track.ran_dry();
                samples += missing;
                self.ahead += missing;
            }
            self.ahead -= period;
        }
        (self.more, self.passing, self.solo, self.tail) = (more, Some(*id), None, 0);
        self.stats.passthrough_frames += 1;
        self.encode.pause();
        self.ceiling.reset();
        if track.feed().end().is_some() {
            self.retire_over(index);
        }
        Tick::Frame { len, samples: samples as u32, more }
    }

    /// Lets a track go whose last packet has passed, if it has.
    pub(super) fn retire_over(&mut self, index: usize) {
        let period = self.period();
        if let Some((_, track)) = self.tracks.get_mut(index)
            && track.activity(period, period) == Activity::Over
        {
            self.retire(index, None);
        }
    }

    /// Mixes all tracks into one packet. `lone` is the one that could pass, if it were not for what is around it.
    fn mix(&mut self, lone: Option<usize>, out: &mut [u8]) -> Tick {
        let (period, frame, lag) = (self.period(), self.encode.frame(), self.lag());
        let mut buffers = self.buffers.take().unwrap_or_else(Buffers::new);
        self.prime(lag, &mut buffers, out);
        let neutral = lone.and_then(|index| self.tracks.get(index)).is_some_and(|(_, track)| self.is_neutral(track));
        if let Some((id, track)) = lone.and_then(|index| self.tracks.get_mut(index))
            && neutral
            && self.solo == Some(*id)
        {
            track.align(lag, frame);
        }
        let mut heard = Heard::Nobody;
        for piece in 0..frame / period {
            heard = heard.and(self.render(period, &mut buffers));
            let at = piece * period * CHANNELS;
            buffers.frame[at..at + period * CHANNELS].copy_from_slice(&buffers.sum[..period * CHANNELS]);
        }
        let len = self.encode.encode(&buffers.frame[..frame * CHANNELS], out);
        self.buffers = Some(buffers);
        (self.passing, self.solo) = (None, if let Heard::One(id) = heard { Some(id) } else { None });
        let tail = self.groups.iter().map(|group| group.tail()).max().unwrap_or(0) + self.rack.tail() + lag as u32;
        self.tail = match heard {
            Heard::Nobody => self.tail.saturating_sub(frame as u32).min(tail),
            _ => tail,
        };
        (self.ahead, self.mixed_ahead, self.unsent) = (self.ahead + frame - period, true, len.is_none());
        match len {
            Some(len) => {
                self.stats.encoded_frames += 1;
                Tick::Frame { len, samples: frame as u32, more: false }
            }
            None => Tick::Idle,
        }
    }

    /// Before the first mixed frame after packets that passed: lets the encoder hear their last 60 ms and its own look-ahead,
    /// so that its first frame goes on where they ended. (Less leaves its filters unlike those of the encoder before.)
    fn prime(&mut self, lag: usize, buffers: &mut Buffers, out: &mut [u8]) {
        let period = self.period();
        let track = self.passing.and_then(|id| self.index(id)).and_then(|index| self.tracks.get_mut(index));
        let Some((_, track)) = track else { return };
        // One that was paused just now is not to be heard in what follows.
        let goes_on = matches!(track.activity(period, period), Activity::Mixed | Activity::Passing);
        if goes_on && track.prime(lag, &mut buffers.frame) {
            for piece in buffers.frame.chunks_mut(FRAME_SAMPLES * CHANNELS) {
                self.spent.extend(self.ceiling.apply(piece, &mut buffers.scratch).map(Spent::Limiter));
                self.encode.encode(piece, out);
            }
        }
    }

    /// Mixes one period of all tracks into the sum.
    fn render(&mut self, period: usize, buffers: &mut Buffers) -> Heard {
        let (sum, scratch) = (&mut buffers.sum[..period * CHANNELS], &mut buffers.scratch);
        sum.fill(0.0);
        self.groups.iter_mut().for_each(|group| group.begin(period));
        let mut heard = Heard::Nobody;
        let mut turn = 0;
        loop {
            // Those whose turn was over when the one that they wait for ended in this period; then the next in the row.
            let late = self.tracks[..turn].iter().position(|(_, track)| track.has_joined());
            let index = late.unwrap_or(turn);
            turn += usize::from(late.is_none());
            let Some((_, track)) = self.tracks.get_mut(index) else { break };
            let from = track.take_join();
            let played = self.render_track(index, from, sum, scratch, &mut heard);
            let Some((id, track)) = self.tracks.get_mut(index) else { break };
            let over = track.activity(period, period) == Activity::Over;
            if !over && !track.is_played_out() {
                continue;
            }
            // Effects may sound on; the next one begins where the audio ended.
            let end = (from + if over { played } else { track.heard() }).min(period);
            let (id, stopped) = (*id, track.is_stopping().then_some(super::Ended::Stopped));
            for (_, next) in &mut self.tracks {
                if next.waits_for().is_some_and(|(before, _)| before == id) {
                    next.begin(0);
                    next.join(end);
                }
            }
            if over {
                self.retire(index, stopped);
                turn -= 1;
            }
        }
        for index in 0..self.groups.len() {
            let sounds = self.groups[index].process(period);
            self.groups[index].sounds = sounds;
        }
        for index in 0..self.groups.len() {
            let trigger = self.groups[index].ducks_under();
            let peak = trigger.and_then(|id| self.groups.iter().find(|group| group.id == id)).map(|group| group.peak());
            let group = &mut self.groups[index];
            group.hear(peak);
            if group.sounds {
                group.add_to(sum);
            }
            group.pass_time(period);
        }
        self.rack.process(sum);
        self.gain.apply(sum);
        let spent = self.ceiling.apply(sum, &mut scratch[..period * CHANNELS]);
        self.spent.extend(spent.map(Spent::Limiter));
        heard
    }

    /// Mixes one track from a frame of the period on; returns how many frames it played.
    fn render_track(
        &mut self,
        index: usize,
        from: usize,
        sum: &mut [f32],
        scratch: &mut [f32],
        heard: &mut Heard,
    ) -> usize {
        let (period, lag) = (sum.len() / CHANNELS, self.lag());
        let Some((id, track)) = self.tracks.get_mut(index) else { return 0 };
        let activity = track.activity(period, self.encode.frame());
        if matches!(activity, Activity::Silent | Activity::Over) {
            return 0;
        }
        // Packets begin so that later, behind the encoder, they end where frames end: only then can they pass.
        let from = match activity {
            Activity::Passing if from == 0 && track.is_fresh() => (period - lag % period) % period,
            _ => from,
        };
        let target = match self.groups.iter_mut().find(|group| group.id == track.in_group() && !group.is_plain()) {
            Some(group) => group.bus(period),
            None => &mut *sum,
        };
        let played = track.mix(&mut target[from * CHANNELS..], scratch);
        if activity != Activity::Muted {
            *heard = heard.and(Heard::One(*id));
        }
        played
    }

    /// Lets tracks at volume zero run on while nothing is mixed.
    fn run_muted(&mut self, period: usize) {
        let mut buffers = self.buffers.take().unwrap_or_else(Buffers::new);
        let Buffers { sum, scratch, .. } = &mut *buffers;
        for (_, track) in &mut self.tracks {
            if track.activity(period, period) == Activity::Muted {
                track.mix(&mut sum[..period * CHANNELS], scratch);
            }
        }
        self.buffers = Some(buffers);
    }
}

/// Who was mixed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    Nobody,
    One(TrackId),
    Several,
}

impl Heard {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Heard::Nobody, heard) | (heard, Heard::Nobody) => heard,
            (Heard::One(a), Heard::One(b)) if a == b => self,
            _ => Heard::Several,
        }
    }
}

impl Buffers {
    fn new() -> Box<Self> {
        Box::new(Self {
            sum: [0.0; FRAME_SAMPLES * CHANNELS],
            scratch: [0.0; FRAME_SAMPLES * CHANNELS],
            frame: [0.0; MAX_SAMPLES * CHANNELS],
        })
    }
}
