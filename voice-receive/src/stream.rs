use std::time::{Duration, Instant};

use voice_model::{RtpTime, SAMPLE_RATE, Seq, Ssrc};

use crate::account::{Account, Entry};
use crate::decode::{Decoder, Frame};
use crate::delay::{Delay, Place};
use crate::heard::{Heard, Kind, Mix};
use crate::jitter::{Content, Insertion, Jitter, Packet, Passed};
use crate::packet::{self, MAX_PACKET_BYTES};
use crate::playout::{Moment, Pace, Playout, TICK, duration, samples};
use crate::step::{Source, Step};
use crate::stretch::MAX_PERIOD;
use crate::{Config, Decode, Stats};

/// What there is of one SSRC.
#[derive(Debug)]
pub(crate) struct Stream {
    ssrc: Ssrc,
    decode: Decode,
    jitter: Jitter,
    playout: Playout,
    delay: Delay,
    /// Made at first use.
    decoder: Option<Decoder>,
    /// Samples per channel by which the packets given out are ahead of the ticks, where there is no decoder.
    ahead: u32,
    /// In samples per channel.
    longest_concealment: u32,
    /// Of the decoder; above 0 it conceals deeply.
    complexity: u8,
    /// By so many samples per channel may play-out be made faster or slower now.
    allowance: u32,
    /// Only for clocks that drift apart.
    patient: bool,
    last: Option<(Instant, RtpTime)>,
    /// Interarrival jitter in samples (RFC 3550, section 6.4.1).
    spread: f64,
    /// Of packets that nobody wants.
    account: Account,
    stats: Stats,
}

impl Stream {
    pub(crate) fn new(ssrc: Ssrc, config: &Config) -> Self {
        Self {
            ssrc,
            decode: config.decode,
            jitter: Jitter::new(config.max_packets),
            playout: Playout::new(config),
            delay: Delay::new(config),
            decoder: None,
            ahead: 0,
            longest_concealment: samples(config.max_concealment),
            complexity: config.complexity(),
            allowance: 0,
            patient: !config.stretch,
            last: None,
            spread: 0.0,
            account: Account::default(),
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
        self.playout.is_idle() && self.ahead() == 0
    }

    /// Samples per channel that are made and not yet given out.
    fn ahead(&self) -> u32 {
        self.ahead + self.decoder.as_ref().map_or(0, Decoder::ahead)
    }

    pub(crate) fn set_decode(&mut self, decode: Decode) {
        self.decode = decode;
        if !decode.pcm() {
            self.ahead = self.ahead();
            self.decoder = None;
        }
        if decode == Decode::Off {
            self.account = Account::default();
            self.ahead = 0;
            self.jitter.clear();
            self.playout.stop();
            self.stats.depth = Duration::ZERO;
        }
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
        let packet = Packet { seq, time, arrival: now, place: Place::default(), content };
        let is_new = if self.decode == Decode::Off { self.count(seq) } else { self.store(packet, frame) };
        if !is_new {
            return;
        }
        self.stats.malformed += u64::from(content == Content::Broken);
        self.stats.received += 1;
        self.measure(now, time);
    }

    /// Counts a packet that nobody wants; whether it is one of the stream's, and there for the first time.
    fn count(&mut self, seq: Seq) -> bool {
        let entry = self.account.enter(seq);
        match entry {
            Entry::New { missing } => self.stats.lost += u64::from(missing),
            Entry::Found => self.stats.lost = self.stats.lost.saturating_sub(1),
            Entry::Duplicate => self.stats.duplicate += 1,
            Entry::Suspect => {
                self.stats.received += 1;
                self.stats.late += 1;
            }
        }
        matches!(entry, Entry::New { .. } | Entry::Found)
    }

    /// Whether it is one of the stream's packets, and there for the first time.
    fn store(&mut self, packet: Packet, frame: &[u8]) -> bool {
        let Packet { seq, time, arrival, .. } = packet;
        let insertion = self.jitter.insert(packet, frame);
        match insertion {
            Insertion::Duplicate => {
                self.stats.duplicate += 1;
                return false;
            }
            Insertion::Suspect => {
                self.stats.received += 1;
                self.stats.late += 1;
                return false;
            }
            Insertion::Late { was_lost } => {
                self.stats.late += 1;
                self.stats.lost = self.stats.lost.saturating_sub(u64::from(was_lost));
            }
            Insertion::Overrun(passed) => {
                self.pass(passed);
                self.playout.overrun();
            }
            Insertion::Restarted(passed) => {
                self.pass(passed);
                self.stats.resyncs += 1;
                self.ahead = 0;
                if let Some(decoder) = &mut self.decoder {
                    decoder.reset();
                }
                self.playout.restarted();
                self.delay.restart();
            }
            Insertion::Stored => {}
        }
        if let Content::Audio { samples, .. } = packet.content {
            if self.playout.is_over() {
                self.delay.restart();
            }
            let place = self.delay.observe(arrival, time, samples);
            if !matches!(insertion, Insertion::Late { .. }) {
                self.jitter.set_place(seq, place);
                self.playout.stored();
            }
        }
        true
    }

    /// Counts what the buffer went on without.
    fn pass(&mut self, passed: Passed) {
        self.stats.lost += u64::from(passed.lost);
        self.stats.skipped_samples += u64::from(passed.samples);
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
        if self.playout.begin(now, self.ahead(), &self.delay, &mut self.jitter, &mut self.stats) {
            if self.decode.pcm() && self.decoder.is_none() {
                let mut decoder = Decoder::new(self.longest_concealment, self.complexity);
                // What was given out as packets is not heard again.
                decoder.skip(self.playout.cursor(), std::mem::take(&mut self.ahead));
                self.decoder = Some(decoder);
            }
            while self.ahead() < TICK {
                self.step(now, TICK - self.ahead(), deliver);
            }
            self.stretch(now, deliver);
            self.give_pcm(deliver);
        }
        self.stats.target = duration(self.delay.target());
        self.stats.depth = duration(self.jitter.samples() + self.ahead());
    }

    /// Makes the next stretch, of which `need` samples per channel are wanted.
    fn step(&mut self, now: Instant, need: u32, deliver: &mut dyn FnMut(Heard<'_>)) {
        let pcm = self.decode.pcm();
        let moment = Moment { now, recover: pcm, recall: pcm && self.complexity > 0, thin: !pcm };
        let step = self.playout.step(moment, need, &mut self.delay, &mut self.jitter, &mut self.stats);
        self.give_packet(&step, deliver);
        let packet = step.source.seq().map_or(&[][..], |seq| self.jitter.bytes(seq));
        match &mut self.decoder {
            Some(decoder) => {
                let kind = decoder.push(&step, packet);
                count(&mut self.stats, &step, kind, step.samples);
            }
            None => {
                self.ahead += step.samples;
                count(&mut self.stats, &step, step.source.kind(), step.moves);
            }
        }
    }

    /// Makes speech faster or slower where the delay is wrong, by 10 % at most.
    fn stretch(&mut self, now: Instant, deliver: &mut dyn FnMut(Heard<'_>)) {
        let Some(decoder) = &mut self.decoder else { return };
        self.allowance = (self.allowance + TICK / 10).min(MAX_PERIOD as u32);
        let allowed = self.allowance;
        match self.playout.pace(now, self.patient, &self.delay, &self.jitter) {
            // The longest period has to be allowed for.
            _ if allowed < MAX_PERIOD as u32 => {}
            Pace::Even => {}
            Pace::Slower => {
                let longer = decoder.lengthen(allowed);
                self.changed(longer);
                self.stats.expanded_samples += u64::from(longer);
            }
            Pace::Faster => {
                if decoder.ahead() < TICK + MAX_PERIOD as u32 {
                    self.step(now, TICK, deliver);
                }
                let Some(decoder) = self.decoder.as_mut() else { return };
                let shorter = decoder.shorten(decoder.ahead() - TICK, self.playout.drift().is_urgent());
                self.changed(shorter);
                self.stats.accelerated_samples += u64::from(shorter);
            }
        }
    }

    /// Speech was made so much longer or shorter.
    fn changed(&mut self, samples: u32) {
        self.allowance -= samples;
        if samples > 0 {
            self.playout.drift().corrected();
        }
    }

    /// Gives out the packet of a step, or the place of one that is missing, where packets are wanted.
    fn give_packet(&mut self, step: &Step, deliver: &mut dyn FnMut(Heard<'_>)) {
        // While the stream stands still there is nothing to tell.
        if !self.decode.packets() || step.moves == 0 {
            return;
        }
        let (seq, packet, kind) = match step.source {
            Source::Packet { seq, .. } => (Some(seq), self.jitter.bytes(seq), step.source.kind()),
            Source::Redundancy { .. } | Source::Dred { .. } | Source::Concealment { .. } => {
                (None, &[][..], Kind::Concealed)
            }
            Source::Silence => (None, &[][..], Kind::Silence),
        };
        self.stats.frames += u64::from(!self.decode.pcm());
        deliver(Heard {
            ssrc: self.ssrc,
            time: step.time,
            seq,
            kind,
            mix: Mix::of(kind, step.moves),
            pcm: &[],
            packet,
            samples: step.moves,
            depth: duration(self.jitter.samples()),
        });
    }

    /// Gives out the samples of a tick, where they are wanted.
    fn give_pcm(&mut self, deliver: &mut dyn FnMut(Heard<'_>)) {
        let Some(decoder) = &mut self.decoder else {
            self.ahead -= TICK;
            return;
        };
        self.stats.frames += 1;
        let depth = duration(self.jitter.samples() + decoder.ahead() - TICK);
        let Frame { time, seq, kind, mix, pcm } = decoder.frame();
        deliver(Heard { ssrc: self.ssrc, time, seq, kind, mix, pcm, packet: &[], samples: TICK, depth });
        decoder.consume();
    }
}

/// Counts what a step gave: so many samples per channel of this kind.
fn count(stats: &mut Stats, step: &Step, kind: Kind, samples: u32) {
    let samples = u64::from(samples);
    match kind {
        Kind::Received => {}
        Kind::Fec => {
            stats.fec += 1;
            stats.fec_samples += samples;
        }
        Kind::Dred => stats.dred_samples += samples,
        Kind::Concealed => {
            stats.concealed_samples += samples;
            stats.held_samples += if step.moves == 0 { samples } else { 0 };
            stats.malformed += u64::from(matches!(step.source, Source::Packet { .. }));
        }
        Kind::Silence => stats.silence += samples,
    }
}
