use std::collections::VecDeque;

use voice_model::{CHANNELS, FRAME_SAMPLES, MAX_PACKET_SAMPLES, RtpTime, Seq};

use crate::codec::Codec;
use crate::heard::{Kind, Mix};
use crate::step::{Source, Step};
use crate::stretch::{self, ALIKE, MAX_PERIOD};

/// Smallest stretch that libopus conceals: 2.5 ms.
const QUANTUM: usize = 120;

/// Room for a tick that is stretched, the longest packet, a period more, and concealment rounded up.
const CAPACITY: usize = FRAME_SAMPLES + 2 * MAX_PERIOD + MAX_PACKET_SAMPLES + MAX_PERIOD + QUANTUM;

/// The Opus decoder of one speaker and the audio that it is ahead of the ticks.
#[derive(Debug)]
pub(crate) struct Decoder {
    codec: Option<Codec>,
    /// Interleaved; the first `len * CHANNELS` are decoded.
    pcm: Box<[f32]>,
    /// Samples per channel.
    len: usize,
    stretches: VecDeque<Stretch>,
    /// Samples per channel.
    longest_concealment: u32,
    /// Of the last sample: less than 1 where concealment has faded.
    gain: f32,
}

/// Samples of one origin.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    time: RtpTime,
    seq: Option<Seq>,
    kind: Kind,
    samples: u32,
    /// The stream does not move while they play.
    still: bool,
}

impl Stretch {
    /// Without its first `samples`.
    fn after(self, samples: u32) -> Self {
        let time = if self.still { self.time } else { self.time + samples };
        Self { time, samples: self.samples - samples, ..self }
    }
}

/// The audio of one tick.
pub(crate) struct Frame<'a> {
    pub(crate) time: RtpTime,
    pub(crate) seq: Option<Seq>,
    pub(crate) kind: Kind,
    pub(crate) mix: Mix,
    pub(crate) pcm: &'a [f32],
}

impl Decoder {
    pub(crate) fn new(longest_concealment: u32, complexity: u8) -> Self {
        Self {
            codec: Codec::new(complexity),
            pcm: vec![0.0; CAPACITY * CHANNELS].into(),
            len: 0,
            stretches: VecDeque::with_capacity(128),
            longest_concealment: longest_concealment.max(1),
            gain: 1.0,
        }
    }

    /// Samples per channel that are decoded and not yet given out.
    pub(crate) fn ahead(&self) -> u32 {
        self.len as u32
    }

    /// Puts silence in the place of what is given out otherwise, up to `end`.
    pub(crate) fn skip(&mut self, end: RtpTime, samples: u32) {
        if samples > 0 {
            let time = RtpTime(end.0.wrapping_sub(samples));
            self.push(&Step { time, samples, moves: samples, source: Source::Silence }, &[]);
        }
    }

    /// Forgets the stream so far.
    pub(crate) fn reset(&mut self) {
        self.len = 0;
        self.gain = 1.0;
        self.stretches.clear();
        if let Some(codec) = &mut self.codec {
            codec.reset();
        }
    }

    /// Appends what `step` says, from the packet that it names. Returns where the samples come from in the end: what the
    /// decoder refuses is concealed.
    pub(crate) fn push(&mut self, step: &Step, packet: &[u8]) -> Kind {
        let samples = step.samples as usize;
        let mut kind = step.source.kind();
        if samples == 0 {
            return kind;
        }
        match step.source {
            Source::Packet { cut, .. } if self.decode(packet, samples, cut as usize, false) => {}
            Source::Redundancy { .. } if self.decode(packet, samples, 0, true) => {}
            Source::Silence => self.tail(samples).fill(0.0),
            Source::Packet { .. } | Source::Redundancy { .. } => {
                kind = Kind::Concealed;
                self.conceal(samples, 0);
            }
            Source::Dred { of, before, .. } if self.recall(of, packet, before, samples) => kind = Kind::Dred,
            Source::Concealment { run } | Source::Dred { run, .. } => self.conceal(samples, run),
        }
        if self.gain < 1.0 && !matches!(kind, Kind::Concealed | Kind::Silence) {
            self.rise(samples);
        }
        self.len += samples;
        let (seq, still) = (step.source.seq(), step.moves == 0);
        self.stretches.push_back(Stretch { time: step.time, seq, kind, samples: step.samples, still });
        kind
    }

    /// The next tick, of which at least [`FRAME_SAMPLES`] must be ahead. The caller knows whose it is and what is buffered.
    pub(crate) fn frame(&self) -> Frame<'_> {
        let mut mix = Mix::default();
        let mut kind = Kind::Silence;
        let mut left = FRAME_SAMPLES as u32;
        for stretch in &self.stretches {
            let samples = stretch.samples.min(left);
            mix.add(stretch.kind, samples);
            kind = kind.max(stretch.kind);
            left -= samples;
            if left == 0 {
                break;
            }
        }
        let first = self.stretches.front().expect("invariant: every sample belongs to a stretch");
        Frame { time: first.time, seq: first.seq, kind, mix, pcm: &self.pcm[..FRAME_SAMPLES * CHANNELS] }
    }

    /// Removes what [`frame`](Self::frame) showed.
    pub(crate) fn consume(&mut self) {
        self.pcm.copy_within(FRAME_SAMPLES * CHANNELS..self.len * CHANNELS, 0);
        self.len -= FRAME_SAMPLES;
        let mut left = FRAME_SAMPLES as u32;
        while let Some(stretch) = self.stretches.front_mut() {
            if stretch.samples > left {
                *stretch = stretch.after(left);
                break;
            }
            left -= stretch.samples;
            self.stretches.pop_front();
        }
    }

    /// Makes what comes next shorter by one period of at most `longest` samples per channel, and nothing of it audible.
    /// Returns by how much; not at all where nothing repeats, unless it is `urgent`.
    pub(crate) fn shorten(&mut self, longest: u32, urgent: bool) -> u32 {
        let Some(period) = self.period(longest, if urgent { -1.0 } else { ALIKE }) else { return 0 };
        stretch::shorten(&mut self.pcm, self.len, period);
        self.len -= period;
        let (from, to) = (self.boundary(period as u32), self.boundary(2 * period as u32));
        self.stretches.drain(from..to);
        period as u32
    }

    /// Makes what comes next longer by one period, as [`shorten`](Self::shorten) makes it shorter.
    pub(crate) fn lengthen(&mut self, longest: u32) -> u32 {
        let Some(period) = self.period(longest, ALIKE) else { return 0 };
        stretch::lengthen(&mut self.pcm, self.len, period);
        self.len += period;
        let at = self.boundary(period as u32);
        let next = self.stretches[at];
        self.stretches.insert(at, Stretch { samples: period as u32, still: true, ..next });
        period as u32
    }

    /// How far what comes next may be moved, if it was all received.
    fn period(&self, longest: u32, alike: f32) -> Option<usize> {
        let searched = self.len.min(2 * MAX_PERIOD);
        let mut left = searched as u32;
        for stretch in &self.stretches {
            if stretch.kind != Kind::Received {
                return None;
            }
            left = left.saturating_sub(stretch.samples);
            if left == 0 {
                break;
            }
        }
        stretch::period(&self.pcm[..searched * CHANNELS], alike).filter(|period| *period as u32 <= longest)
    }

    /// The stretch that begins so many samples after the first, which may be split for that.
    fn boundary(&mut self, samples: u32) -> usize {
        let mut left = samples;
        for index in 0..self.stretches.len() {
            let stretch = self.stretches[index];
            if left == 0 {
                return index;
            }
            if left < stretch.samples {
                self.stretches[index].samples = left;
                self.stretches.insert(index + 1, stretch.after(left));
                return index + 1;
            }
            left -= stretch.samples;
        }
        self.stretches.len()
    }

    /// Decodes a packet, or its redundancy, and drops the first `cut` samples per channel; false when it does not
    /// give `samples` more.
    fn decode(&mut self, packet: &[u8], samples: usize, cut: usize, redundancy: bool) -> bool {
        let Some(codec) = &mut self.codec else { return false };
        let start = self.len * CHANNELS;
        let whole = start..start + (cut + samples) * CHANNELS;
        let decoded = codec.decode(packet, &mut self.pcm[whole.clone()], redundancy);
        self.pcm.copy_within(start + cut * CHANNELS..whole.end, start);
        decoded == Some(cut + samples)
    }

    /// Brings back `samples` that began `before` the packet, from what it says about them.
    fn recall(&mut self, seq: Seq, packet: &[u8], before: u32, samples: usize) -> bool {
        let start = self.len * CHANNELS;
        let end = start + samples.next_multiple_of(QUANTUM) * CHANNELS;
        self.codec.as_mut().is_some_and(|codec| codec.recall(seq, packet, before, &mut self.pcm[start..end]))
    }

    /// Makes up `samples`, `run` after the last that were decoded, fading out over the second half of the longest
    /// concealment.
    fn conceal(&mut self, samples: usize, run: u32) {
        let start = self.len * CHANNELS;
        // libopus fills all that it is given, in whole quanta: what exceeds the gap is overwritten by what comes next.
        let end = start + samples.next_multiple_of(QUANTUM) * CHANNELS;
        let made_up = self.codec.as_mut().and_then(|codec| codec.decode(&[], &mut self.pcm[start..end], false));
        let longest = self.longest_concealment as f32;
        let gain = |past: f32| (2.0 * (1.0 - past / longest)).clamp(0.0, 1.0);
        self.gain = gain(run as f32 + samples as f32);
        let tail = self.tail(samples);
        if made_up.is_none() {
            tail.fill(0.0);
        }
        for (offset, sample) in tail.chunks_exact_mut(CHANNELS).enumerate() {
            let gain = gain(run as f32 + offset as f32);
            sample.iter_mut().for_each(|channel| *channel *= gain);
        }
    }

    /// Leads from faded concealment to what follows.
    fn rise(&mut self, samples: usize) {
        let gain = std::mem::replace(&mut self.gain, 1.0);
        let length = samples.min(QUANTUM);
        for (offset, sample) in self.tail(length).chunks_exact_mut(CHANNELS).enumerate() {
            let gain = gain + (1.0 - gain) * offset as f32 / length as f32;
            sample.iter_mut().for_each(|channel| *channel *= gain);
        }
    }

    /// Where the next `samples` per channel go.
    fn tail(&mut self, samples: usize) -> &mut [f32] {
        &mut self.pcm[self.len * CHANNELS..][..samples * CHANNELS]
    }
}
