use std::time::{Duration, Instant};

use voice_model::{FRAME_SAMPLES, MAX_PACKET_SAMPLES, RtpTime, SAMPLE_RATE, Seq};

use crate::heard::Kind;
use crate::jitter::{Head, Jitter};
use crate::{Config, Stats, packet};

/// Decides what one speaker plays next. A spurt of talk goes
///
/// ```text
/// Idle -- first packet --> Filling -- depth buffered, or depth waited --> Playing -- nothing left --> Idle
/// ```
///
/// While playing, the cursor runs through the timestamps: packets are played at theirs, what is missing between them is
/// recovered, concealed or silent for exactly as long.
#[derive(Debug)]
pub(crate) struct Playout {
    limits: Limits,
    state: State,
    /// Timestamp of the next sample.
    cursor: RtpTime,
    /// Samples per channel since the end of the last packet played.
    run: u32,
    /// The last packet played was quiet: what follows it is no loss.
    quiet: bool,
    /// Packets dropped as late since the last one played.
    late_run: u32,
}

/// Durations of [`Config`] in samples per channel.
#[derive(Debug)]
struct Limits {
    depth: u32,
    slack: u32,
    max_depth: u32,
    max_concealment: u32,
    idle_after: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Idle,
    Filling { since: Instant },
    Playing,
}

/// A stretch of the stream, of at least one sample; longer than asked for only when it comes from a packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Step {
    /// Timestamp of the first sample.
    pub(crate) time: RtpTime,
    /// Per channel.
    pub(crate) samples: u32,
    pub(crate) source: Source,
}

/// Where the samples of a step come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Source {
    /// This packet, without its first `cut` samples, which are past.
    Packet {
        seq: Seq,
        cut: u32,
        quiet: bool,
    },
    /// The copy that this packet carries of the audio before it.
    Redundancy {
        of: Seq,
    },
    /// What came before, `run` samples ago.
    Concealment {
        run: u32,
    },
    Silence,
}

impl Source {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Packet { quiet: false, .. } => Kind::Received,
            Self::Redundancy { .. } => Kind::Fec,
            Self::Concealment { .. } => Kind::Concealed,
            Self::Packet { quiet: true, .. } | Self::Silence => Kind::Silence,
        }
    }

    /// The packet that it needs.
    pub(crate) fn seq(&self) -> Option<Seq> {
        match *self {
            Self::Packet { seq, .. } | Self::Redundancy { of: seq } => Some(seq),
            Self::Concealment { .. } | Self::Silence => None,
        }
    }
}

impl Playout {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            limits: Limits {
                depth: samples(config.depth),
                slack: samples(config.slack),
                max_depth: samples(config.max_depth),
                max_concealment: samples(config.max_concealment),
                idle_after: samples(config.idle_after),
            },
            state: State::Idle,
            cursor: RtpTime(0),
            run: 0,
            quiet: true,
            late_run: 0,
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    /// Timestamp of the next sample.
    pub(crate) fn cursor(&self) -> RtpTime {
        self.cursor
    }

    /// The buffer was emptied.
    pub(crate) fn stop(&mut self) {
        self.state = State::Idle;
    }

    /// A packet with audio was stored.
    pub(crate) fn stored(&mut self, now: Instant) {
        if self.is_idle() {
            self.state = State::Filling { since: now };
        }
    }

    /// The buffer began anew with a packet from elsewhere.
    pub(crate) fn restarted(&mut self, now: Instant) {
        self.state = State::Filling { since: now };
    }

    /// Whether this tick gives out audio; `ahead` samples of it are left from the one before.
    pub(crate) fn begin(&mut self, now: Instant, ahead: u32, jitter: &mut Jitter, stats: &mut Stats) -> bool {
        match self.state {
            State::Idle => return ahead > 0,
            State::Filling { since } => {
                let waited = samples(now.saturating_duration_since(since));
                if jitter.samples() < self.limits.depth && waited < self.limits.depth {
                    return ahead > 0;
                }
                let Some(head) = jitter.head() else {
                    self.state = State::Idle;
                    return ahead > 0;
                };
                self.state = State::Playing;
                self.cursor = head.packet.time;
                self.run = 0;
                self.quiet = true;
                self.late_run = 0;
            }
            State::Playing
                if jitter.packets() == 0 && ahead == 0 && (self.quiet || self.run >= self.limits.idle_after) =>
            {
                self.state = State::Idle;
                return false;
            }
            State::Playing => {}
        }
        self.shed(jitter, stats);
        true
    }

    /// Brings the delay down: by silence frames that need not be played, or all at once beyond the hard limit.
    fn shed(&mut self, jitter: &mut Jitter, stats: &mut Stats) {
        let comfortable = self.limits.depth + self.limits.slack;
        let overflow = jitter.samples() > self.limits.max_depth;
        let mut skipped = 0;
        while let Some(head) = jitter.head()
            && (if overflow {
                jitter.samples() > self.limits.depth
            } else {
                head.quiet && jitter.samples() > comfortable
            })
            && jitter.packets() > 1
        {
            stats.lost += u64::from(jitter.take(&head));
            skipped += head.samples;
            self.cursor = head.packet.time + head.samples;
            self.run = 0;
            self.quiet = head.quiet;
        }
        if skipped > 0 {
            stats.skipped_samples += u64::from(skipped);
            stats.resyncs += 1;
            self.cursor = jitter.head().map_or(self.cursor, |head| head.packet.time);
        }
    }

    /// The next stretch: `need` samples per channel are wanted, 1 at least. To `recover` is to look for lost packets in
    /// those after them.
    pub(crate) fn step(
        &mut self,
        now: Instant,
        need: u32,
        recover: bool,
        jitter: &mut Jitter,
        stats: &mut Stats,
    ) -> Step {
        loop {
            let Some(head) = jitter.head().filter(|_| self.state == State::Playing) else {
                return if self.quiet { self.silence(need) } else { self.conceal(need) };
            };
            let remaining = head.packet.time.since(self.cursor);
            if remaining > 0 {
                let remaining = remaining as u32;
                if self.skip(now, &head, remaining) {
                    stats.resyncs += 1;
                    continue;
                }
                return self.bridge(need.min(remaining), &head, remaining, recover, jitter);
            }
            let behind = remaining.unsigned_abs();
            if behind > self.run {
                // Before the end of what was already played: no delay explains that, the sender's clock was set back.
                self.cursor = head.packet.time;
                self.run = 0;
                stats.resyncs += 1;
                continue;
            }
            if behind >= head.samples {
                if self.late_run >= 2 && jitter.packets() == 1 {
                    // Packet after packet comes late: the path has become slower. Fill up again, with this one first.
                    self.state = State::Filling { since: head.packet.arrival };
                    stats.resyncs += 1;
                    return self.silence(need);
                }
                stats.lost += u64::from(jitter.take(&head));
                stats.late += 1;
                self.late_run += 1;
                continue;
            }
            stats.lost += u64::from(jitter.take(&head));
            self.run = 0;
            self.quiet = head.quiet;
            self.late_run = 0;
            let (time, samples) = (self.cursor, head.samples - behind);
            self.cursor += samples;
            return Step {
                time,
                samples,
                source: Source::Packet { seq: head.packet.seq, cut: behind, quiet: head.quiet },
            };
        }
    }

    /// Moves the cursor towards a packet that is further ahead in time than its arrival allows; a loss that can be
    /// concealed is left to that. Keeps only as much of the pause as restores the depth.
    fn skip(&mut self, now: Instant, head: &Head, remaining: u32) -> bool {
        if self.is_loss(head) && remaining <= self.limits.max_concealment {
            return false;
        }
        let waited = samples(now.saturating_duration_since(head.packet.arrival));
        if waited.saturating_add(remaining) <= self.limits.depth + self.limits.slack {
            return false;
        }
        let kept = self.limits.depth.saturating_sub(waited).min(remaining);
        self.cursor += remaining - kept;
        kept < remaining
    }

    /// A stretch of the gap before `head`, whose samples come after `remaining` others.
    fn bridge(&mut self, need: u32, head: &Head, remaining: u32, recover: bool, jitter: &Jitter) -> Step {
        if !self.is_loss(head) {
            return self.silence(need);
        }
        let redundant = if recover { packet::redundancy(jitter.bytes(head.packet.seq)) } else { 0 };
        if redundant == remaining {
            return self.advance(redundant, Source::Redundancy { of: head.packet.seq });
        }
        let before = if redundant < remaining { remaining - redundant } else { remaining };
        self.conceal(need.min(before))
    }

    fn is_loss(&self, head: &Head) -> bool {
        head.missing > 0 && !self.quiet && self.run < head.missing.saturating_mul(MAX_PACKET_SAMPLES as u32)
    }

    fn conceal(&mut self, need: u32) -> Step {
        let run = self.run;
        let Some(left @ 1..) = self.limits.max_concealment.checked_sub(run) else { return self.silence(need) };
        self.advance(need.min(left), Source::Concealment { run })
    }

    fn silence(&mut self, samples: u32) -> Step {
        self.advance(samples, Source::Silence)
    }

    fn advance(&mut self, samples: u32, source: Source) -> Step {
        let time = self.cursor;
        self.cursor += samples;
        self.run = self.run.saturating_add(samples);
        Step { time, samples, source }
    }
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
