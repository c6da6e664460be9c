use std::time::{Duration, Instant};

use voice_model::{RtpTime, SAMPLE_RATE, Seq, Ssrc};

use crate::decode::{Decoder, Frame};
use crate::heard::{Heard, Kind, Mix};
use crate::jitter::{Content, Insertion, Jitter, Packet};
use crate::packet::{self, MAX_PACKET_BYTES};
use crate::playout::{Playout, Source, Step, TICK, duration, samples};
use crate::{Config, Decode, Stats};

/// One SSRC: its buffer, its place in time and its decoder.
#[derive(Debug)]
pub(crate) struct Speaker {
    ssrc: Ssrc,
    jitter: Jitter,
    playout: Playout,
    output: Output,
    last: Option<(Instant, RtpTime)>,
    /// Interarrival jitter in samples (RFC 3550, section 6.4.1).
    spread: f64,
    stats: Stats,
}

#[derive(Debug)]
enum Output {
    /// The decoder is made at first use.
    Pcm { decoder: Option<Decoder>, longest_concealment: u32 },
    /// How many samples the packets given out are ahead of the ticks.
    Packets { ahead: u32 },
}

impl Speaker {
    pub(crate) fn new(ssrc: Ssrc, config: &Config) -> Self {
        let output = match config.decode {
            Decode::Pcm => Output::Pcm { decoder: None, longest_concealment: samples(config.max_concealment) },
            Decode::Packets => Output::Packets { ahead: 0 },
        };
        Self {
            ssrc,
            jitter: Jitter::new(config.max_packets),
            playout: Playout::new(config, config.decode == Decode::Pcm),
            output,
            last: None,
            spread: 0.0,
            stats: Stats::default(),
        }
    }

    pub(crate) fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    pub(crate) fn last_arrival(&self) -> Option<Instant> {
        self.last.map(|(arrival, _)| arrival)
    }

    /// Neither buffers nor plays anything: needs no tick.
    pub(crate) fn is_idle(&self) -> bool {
        self.playout.is_idle() && self.output.ahead() == 0
    }

    pub(crate) fn push(&mut self, now: Instant, seq: Seq, time: RtpTime, frame: &[u8]) {
        if frame.len() > MAX_PACKET_BYTES {
            self.stats.malformed += 1;
            return;
        }
        let content = match packet::samples(frame) {
            Some(samples) => Content::Audio { samples, quiet: packet::is_quiet(frame) },
            None if frame.is_empty() => Content::Empty,
            None => Content::Broken,
        };
        match self.jitter.insert(Packet { seq, time, arrival: now, content }, frame) {
            Insertion::Duplicate => {
                self.stats.duplicate += 1;
                return;
            }
            Insertion::Suspect => {
                self.stats.received += 1;
                self.stats.late += 1;
                return;
            }
            Insertion::Late { was_lost } => {
                self.stats.late += 1;
                self.stats.lost = self.stats.lost.saturating_sub(u64::from(was_lost));
            }
            Insertion::Restarted { lost } => {
                self.stats.lost += u64::from(lost);
                self.stats.resyncs += 1;
                self.output.reset();
                self.playout.restarted(now);
            }
            Insertion::Stored if matches!(content, Content::Audio { .. }) => self.playout.stored(now),
            Insertion::Stored => {}
        }
        self.stats.malformed += u64::from(content == Content::Broken);
        self.stats.received += 1;
        self.measure(now, time);
    }

    fn measure(&mut self, now: Instant, time: RtpTime) {
        if let Some((arrival, previous)) = self.last.replace((now, time)) {
            let elapsed = now.saturating_duration_since(arrival).as_secs_f64() * f64::from(SAMPLE_RATE);
            let difference = (elapsed - f64::from(time.since(previous))).abs();
            // Beyond a second it is no jitter: the sender's clock was set.
            if difference < f64::from(SAMPLE_RATE) {
                self.spread += (difference - self.spread) / 16.0;
                self.stats.jitter = Duration::from_secs_f64(self.spread / f64::from(SAMPLE_RATE));
            }
        }
    }

    pub(crate) fn tick(&mut self, now: Instant, deliver: &mut dyn FnMut(Heard<'_>)) {
        let Self { ssrc, jitter, playout, output, stats, .. } = self;
        if playout.begin(now, output.ahead(), jitter, stats) {
            match output {
                Output::Pcm { decoder, longest_concealment } => {
                    let decoder = decoder.get_or_insert_with(|| Decoder::new(*longest_concealment));
                    while decoder.ahead() < TICK {
                        let step = playout.step(now, TICK - decoder.ahead(), jitter, stats);
                        let kind = decoder.push(&step, step.source.seq().map_or(&[], |seq| jitter.bytes(seq)));
                        count(stats, &step, kind);
                    }
                    let depth = duration(jitter.samples() + decoder.ahead() - TICK);
                    stats.frames += 1;
                    let Frame { time, seq, kind, mix, pcm } = decoder.frame();
                    deliver(Heard { ssrc: *ssrc, time, seq, kind, mix, pcm, packet: &[], samples: TICK, depth });
                    decoder.consume();
                }
                Output::Packets { ahead } => {
                    while *ahead < TICK {
                        let step = playout.step(now, TICK - *ahead, jitter, stats);
                        *ahead += step.samples;
                        let kind = step.source.kind();
                        count(stats, &step, kind);
                        stats.frames += 1;
                        let seq = step.source.seq();
                        deliver(Heard {
                            ssrc: *ssrc,
                            time: step.time,
                            seq,
                            kind,
                            mix: Mix::of(kind, step.samples),
                            pcm: &[],
                            packet: seq.map_or(&[], |seq| jitter.bytes(seq)),
                            samples: step.samples,
                            depth: duration(jitter.samples()),
                        });
                    }
                    *ahead -= TICK;
                }
            }
        }
        self.stats.depth = duration(self.jitter.samples() + self.output.ahead());
    }
}

impl Output {
    /// Samples per channel that are made and not yet given out.
    fn ahead(&self) -> u32 {
        match self {
            Self::Pcm { decoder, .. } => decoder.as_ref().map_or(0, Decoder::ahead),
            Self::Packets { ahead } => *ahead,
        }
    }

    /// Forgets the stream so far.
    fn reset(&mut self) {
        match self {
            Self::Pcm { decoder: Some(decoder), .. } => decoder.reset(),
            Self::Pcm { decoder: None, .. } => {}
            Self::Packets { ahead } => *ahead = 0,
        }
    }
}

fn count(stats: &mut Stats, step: &Step, kind: Kind) {
    let samples = u64::from(step.samples);
    match kind {
        Kind::Received => {}
        Kind::Fec => {
            stats.fec += 1;
            stats.fec_samples += samples;
        }
        Kind::Concealed => {
            stats.concealed_samples += samples;
            stats.malformed += u64::from(matches!(step.source, Source::Packet { .. }));
        }
        Kind::Silence => stats.silence += samples,
    }
}
