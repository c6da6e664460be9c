use std::time::{Duration, Instant};

use voice_model::{FRAME_SAMPLES, MAX_PACKET_SAMPLES, RtpTime, SAMPLE_RATE};

use crate::delay::Delay;
use crate::drift::Drift;
use crate::jitter::{Head, Jitter};
use crate::step::{Source, Step};
use crate::{Config, Stats, packet};

/// Decides what one speaker plays next. A spurt of talk goes
///
/// ```text
/// Idle -- first packet --> Filling -- target delay reached --> Playing -- nothing left --> Idle
/// ```
///
/// While playing, the cursor runs through the timestamps: packets are played at theirs, what is missing between them is
/// recovered, concealed or silent for exactly as long. While the next packet may still come, the cursor waits.
///
/// The lead of a packet is how much later than the fastest could have come it is played: its delay in the network, and
/// what it waited. It is to be the target; that it is up to a tick more is due to the grid of ticks.
#[derive(Debug)]
pub(crate) struct Playout {
    limits: Limits,
    state: State,
    /// Timestamp of the next sample.
    cursor: RtpTime,
    /// Samples per channel made up or silent since the end of the last packet played.
    run: u32,
    /// By so much the cursor has moved since then.
    gap: u32,
    /// So much was made up since then while the cursor waited.
    waited: u32,
    /// The last packet played was quiet: what follows it is no loss.
    quiet: bool,
    /// Lead of the last packet played.
    lead: u32,
    /// The oldest packets went because there was no room.
    overrun: bool,
    drift: Drift,
}

/// Durations of [`Config`] in samples per channel.
#[derive(Debug)]
struct Limits {
    max_depth: u32,
    max_concealment: u32,
    idle_after: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Idle,
    Filling,
    Playing,
}

/// Whether what is decoded should be played as it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    Even,
    /// The delay is too long.
    Faster,
    /// The delay is far too short.
    Slower,
}

/// What a tick knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Instant,
    /// Lost packets are to be looked for in the packets after them.
    pub(crate) recover: bool,
    /// And in the deep redundancy of those.
    pub(crate) recall: bool,
    /// Only packets are wanted: what cannot be stretched is left out.
    pub(crate) thin: bool,
}

/// A gap that would make the delay longer than the target by more than this did not take place: the arrivals contradict
/// it.
const CONTRADICTION: u32 = 3 * TICK;

/// What is longer in the timestamps is no gap, but a clock that was set: a minute.
const LONGEST_GAP: i32 = 60 * SAMPLE_RATE as i32;

/// How much longer than the target the delay must be, beyond a tick, before speech is made faster.
pub(crate) const TOLERANCE: u32 = SAMPLE_RATE / 200;

impl Playout {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            limits: Limits {
                max_depth: samples(config.max_depth),
                max_concealment: samples(config.max_concealment),
                idle_after: samples(config.idle_after),
            },
            state: State::Idle,
            cursor: RtpTime(0),
            run: 0,
            gap: 0,
            waited: 0,
            quiet: true,
            lead: 0,
            overrun: false,
            drift: Drift::default(),
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    /// Whether a spurt of talk ended as it should: the next one is not to be compared with it.
    pub(crate) fn is_over(&self) -> bool {
        self.is_idle() && self.quiet
    }

    /// Timestamp of the next sample.
    pub(crate) fn cursor(&self) -> RtpTime {
        self.cursor
    }

    /// The buffer was emptied.
    pub(crate) fn stop(&mut self) {
        self.state = State::Idle;
        self.quiet = true;
        self.overrun = false;
    }

    /// The buffer went on without its oldest packets.
    pub(crate) fn overrun(&mut self) {
        self.overrun = self.state == State::Playing;
    }

    /// A packet with audio was stored.
    pub(crate) fn stored(&mut self) {
        if self.is_idle() {
            self.state = State::Filling;
        }
    }

    /// The buffer began anew with a packet from elsewhere.
    pub(crate) fn restarted(&mut self) {
        self.state = State::Filling;
        self.overrun = false;
    }

    /// Whether this tick gives out audio; `ahead` samples of it are left from the one before.
    pub(crate) fn begin(
        &mut self,
        now: Instant,
        ahead: u32,
        delay: &Delay,
        jitter: &mut Jitter,
        stats: &mut Stats,
    ) -> bool {
        match self.state {
            State::Idle => return ahead > 0,
            State::Filling => {
                let Some(head) = jitter.head() else {
                    self.state = State::Idle;
                    return ahead > 0;
                };
                let room = jitter.samples() <= self.limits.max_depth && !jitter.is_crowded();
                if room && delay.lead(now, &head.packet) < delay.target() {
                    return ahead > 0;
                }
                if head.missing > 0 && !self.quiet {
                    let gap = head.packet.time.since(self.cursor).clamp(0, LONGEST_GAP);
                    stats.longest_gap = stats.longest_gap.max(duration(gap as u32 + self.gap));
                }
                self.state = State::Playing;
                self.cursor = head.packet.time;
                self.follow(true);
                self.drift = Drift::default();
            }
            State::Playing
                if jitter.packets() == 0 && ahead == 0 && (self.quiet || self.run >= self.limits.idle_after) =>
            {
                self.state = State::Idle;
                return false;
            }
            State::Playing => {}
        }
        self.shed(delay.target(), ahead, jitter, stats);
        true
    }

    /// Beyond the hard limit the oldest packets go, all at once.
    fn shed(&mut self, target: u32, ahead: u32, jitter: &mut Jitter, stats: &mut Stats) {
        let least = target.max(TICK);
        if jitter.samples() + ahead <= self.limits.max_depth || jitter.samples() <= least {
            if std::mem::take(&mut self.overrun) {
                self.resume(jitter, stats);
            }
            return;
        }
        self.overrun = false;
        while let Some(head) = jitter.head().filter(|_| jitter.packets() > 1 && jitter.samples() > least) {
            self.drop(&head, jitter, stats);
        }
        self.resume(jitter, stats);
    }

    /// Goes on with what is there, after packets that were not played.
    fn resume(&mut self, jitter: &Jitter, stats: &mut Stats) {
        if let Some(head) = jitter.head() {
            self.cursor = head.packet.time;
            self.follow(true);
        }
        stats.resyncs += 1;
    }

    /// Passes over a packet that is not played.
    fn drop(&mut self, head: &Head, jitter: &mut Jitter, stats: &mut Stats) {
        stats.lost += u64::from(jitter.take(head));
        stats.skipped_samples += u64::from(head.samples);
        self.cursor = head.packet.time + head.samples;
        self.follow(head.quiet);
    }

    /// The cursor is at the end of a packet.
    fn follow(&mut self, quiet: bool) {
        (self.run, self.gap, self.waited) = (0, 0, 0);
        self.quiet = quiet;
    }

    /// The next stretch: `need` samples per channel are wanted, 1 at least.
    pub(crate) fn step(
        &mut self,
        moment: Moment,
        need: u32,
        delay: &mut Delay,
        jitter: &mut Jitter,
        stats: &mut Stats,
    ) -> Step {
        loop {
            let Some(head) = jitter.head().filter(|_| self.state == State::Playing) else {
                return self.wait(need);
            };
            let remaining = head.packet.time.since(self.cursor);
            if remaining > 0 {
                match self.bridge(moment, need, &head, remaining as u32, delay, jitter, stats) {
                    Some(step) => return step,
                    None => continue,
                }
            }
            let behind = remaining.unsigned_abs();
            if behind > self.gap {
                // Before the end of what was already played: no delay explains that, the sender's clock was set back.
                self.cursor = head.packet.time;
                self.follow(self.quiet);
                stats.resyncs += 1;
                continue;
            }
            if behind >= head.samples {
                stats.lost += u64::from(jitter.take(&head));
                stats.late += 1;
                continue;
            }
            let lead = delay.lead(moment.now, &head.packet);
            if head.quiet && jitter.packets() > 1 && lead >= delay.target().saturating_add(head.samples.max(TICK)) {
                self.drop(&head, jitter, stats);
                continue;
            }
            self.drift.watch(lead, delay.target(), head.samples, if moment.thin { head.samples } else { 0 });
            if moment.thin && self.drift.is_longer() && jitter.packets() > 1 {
                self.drift.corrected();
                self.drop(&head, jitter, stats);
                continue;
            }
            stats.lost += u64::from(jitter.take(&head));
            stats.delay.add(moment.now.saturating_duration_since(head.packet.arrival));
            if self.run > 0 && !self.quiet {
                stats.longest_gap = stats.longest_gap.max(duration(self.run));
            }
            self.follow(head.quiet);
            self.lead = lead;
            let (time, samples) = (self.cursor, head.samples - behind);
            self.cursor += samples;
            let source = Source::Packet { seq: head.packet.seq, cut: behind, quiet: head.quiet };
            return Step { time, samples, moves: samples, source };
        }
    }

    /// Nothing is there: what comes next may still be on its way, so the cursor stays.
    fn wait(&mut self, need: u32) -> Step {
        let run = self.run;
        let left = self.limits.max_concealment.saturating_sub(run);
        let (samples, source) = if self.quiet || left == 0 {
            (need, Source::Silence)
        } else {
            (need.min(left), Source::Concealment { run })
        };
        self.run = run.saturating_add(samples);
        self.waited = self.waited.saturating_add(samples);
        Step { time: self.cursor, samples, moves: 0, source }
    }

    /// A stretch of the gap before `head`, whose samples come after `remaining` others; `None` when the cursor has moved.
    #[expect(clippy::too_many_arguments, reason = "one step of `step`")]
    fn bridge(
        &mut self,
        moment: Moment,
        need: u32,
        head: &Head,
        remaining: u32,
        delay: &mut Delay,
        jitter: &Jitter,
        stats: &mut Stats,
    ) -> Option<Step> {
        let loss = self.is_loss(head);
        let redundant = match loss && moment.recover {
            true => packet::redundancy(jitter.bytes(head.packet.seq)),
            false => 0,
        };
        if redundant > 0 && redundant <= remaining {
            delay.await_redundancy(moment.now, redundant);
        }
        // What the lead will be when the gap has been played in full.
        let lead = delay.lead(moment.now, &head.packet).saturating_add(remaining);
        let excess = lead.saturating_sub(delay.target());
        let contradicted = excess > CONTRADICTION && (!loss || remaining > self.limits.max_concealment);
        let cut = match self.waited {
            waited if loss && !contradicted && waited < TICK => excess.min(waited),
            // Back to about what the lead was before the wait, unless the lost audio is there to be played.
            waited if loss && !contradicted => {
                let about = if redundant > 0 { 0 } else { TICK / 2 };
                in_ticks(excess + about).min(in_ticks(waited))
            }
            _ => in_ticks(excess),
        };
        let cut = cut.min(remaining);
        if cut > 0 {
            let (time, run) = (self.cursor, self.run);
            self.cursor += cut;
            self.gap = self.gap.saturating_add(cut);
            if contradicted {
                stats.resyncs += 1;
            }
            if loss && !contradicted {
                self.waited -= cut;
                return Some(Step { time, samples: 0, moves: cut, source: Source::Concealment { run } });
            }
            stats.shortened_samples += u64::from(cut);
            return None;
        }
        if !loss {
            // A pause that is too short for the target is made longer.
            return Some(if lead < delay.target() { self.hold(need) } else { self.silence(need.min(remaining)) });
        }
        if redundant == remaining {
            return Some(self.advance(redundant, Source::Redundancy { of: head.packet.seq }));
        }
        let before = if redundant < remaining { remaining - redundant } else { remaining };
        if moment.recall {
            let source = Source::Dred { of: head.packet.seq, before: remaining, run: self.run };
            return Some(self.advance(need.min(before), source));
        }
        Some(self.conceal(need.min(before)))
    }

    fn is_loss(&self, head: &Head) -> bool {
        head.missing > 0 && !self.quiet && self.gap < head.missing.saturating_mul(MAX_PACKET_SAMPLES as u32)
    }

    fn conceal(&mut self, need: u32) -> Step {
        let run = self.run;
        let Some(left @ 1..) = self.limits.max_concealment.checked_sub(run) else { return self.silence(need) };
        self.advance(need.min(left), Source::Concealment { run })
    }

    fn silence(&mut self, samples: u32) -> Step {
        self.advance(samples, Source::Silence)
    }

    /// Silence while the cursor stays.
    fn hold(&mut self, samples: u32) -> Step {
        self.run = self.run.saturating_add(samples);
        Step { time: self.cursor, samples, moves: 0, source: Source::Silence }
    }

    fn advance(&mut self, samples: u32, source: Source) -> Step {
        let time = self.cursor;
        self.cursor += samples;
        self.gap = self.gap.saturating_add(samples);
        self.run = self.run.saturating_add(samples);
        Step { time, samples, moves: samples, source }
    }

    /// What should happen to speech, given what is buffered behind it; unless it is `patient`, at once.
    pub(crate) fn pace(&self, now: Instant, patient: bool, delay: &Delay, jitter: &Jitter) -> Pace {
        if self.state != State::Playing || self.quiet || self.run > 0 {
            return Pace::Even;
        }
        let follows = |head: &Head| head.missing == 0 && head.packet.time == self.cursor;
        // Faster means that the next packet is needed a tick earlier.
        if (!patient || self.drift.is_longer())
            && jitter
                .head()
                .is_some_and(|head| follows(&head) && delay.lead(now, &head.packet) >= delay.target() + TOLERANCE)
        {
            return Pace::Faster;
        }
        let slower = if patient { self.drift.is_shorter() } else { self.lead < delay.target() / 2 };
        if slower { Pace::Slower } else { Pace::Even }
    }

    pub(crate) fn drift(&mut self) -> &mut Drift {
        &mut self.drift
    }
}

/// Whole ticks, so that packets and ticks stay in step.
fn in_ticks(samples: u32) -> u32 {
    samples - samples % TICK
}

/// Samples per channel in `duration`.
pub(crate) fn samples(duration: Duration) -> u32 {
    let samples = duration.as_micros() * u128::from(SAMPLE_RATE) / 1_000_000;
    u32::try_from(samples).unwrap_or(u32::MAX)
}

/// How long `samples` per channel last.
pub(crate) fn duration(samples: u32) -> Duration {
    Duration::from_nanos(u64::from(samples) * 1_000_000_000 / u64::from(SAMPLE_RATE))
}

/// Samples per channel in a tick.
pub(crate) const TICK: u32 = FRAME_SAMPLES as u32;
