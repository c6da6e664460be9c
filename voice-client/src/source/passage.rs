use std::time::Duration;

use mixer::{Chunk, Format, Info, opus, sample, time};

/// What an Opus decoder should have decoded before the first audible sample: 80 ms (RFC 7845, section 4.6).
const PREROLL: u64 = 3_840;
/// Opus counts at 48 kHz.
const OPUS_RATE: u32 = 48_000;

/// How far a source that is read from front to back has come, and where it is to be heard again: what comes before is
/// read and taken out, a chunk at a time, so that whoever reads may think better of it in between.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Passage {
    base: Duration,
    /// Audible samples since `base`, at `rate`.
    count: u64,
    rate: u32,
    target: Option<Duration>,
}

impl Passage {
    /// Of a source whose next sample sounds at `base`.
    pub(super) fn at(base: Duration) -> Self {
        Self { base, ..Self::default() }
    }

    /// When the next sample sounds that is read.
    pub(super) fn position(&self) -> Duration {
        self.base + time(self.count, self.rate)
    }

    /// When the next sample sounds that is heard.
    pub(super) fn goal(&self) -> Duration {
        self.target.map_or(self.position(), |target| target.max(self.position()))
    }

    /// Has all before `to` taken out; returns when the first sample after that sounds, in a source of this kind.
    pub(super) fn aim(&mut self, to: Duration, info: &Info) -> Duration {
        let rate = match info.format {
            Format::Pcm { rate, .. } => rate,
            Format::Opus => OPUS_RATE,
        };
        let to = time(sample(to, rate), rate);
        self.target = Some(to);
        info.duration.map_or(to, |duration| to.min(duration))
    }

    /// Counts what was read, and takes out of it what is not to be heard. Returns how long the rest is.
    pub(super) fn pass(&mut self, chunk: &mut Chunk) -> Duration {
        let samples = opus::samples(chunk.packet()).ok().filter(|_| !chunk.packet().is_empty());
        let (skip, trim) = chunk.cut();
        let (rate, channels) = chunk.layout();
        let (rate, audible) = match samples {
            Some(samples) => (OPUS_RATE, (samples as u64).saturating_sub(u64::from(skip + trim))),
            None => (rate, (chunk.samples().len() / usize::from(channels.max(1))) as u64),
        };
        if samples.is_none() && audible == 0 {
            return Duration::ZERO;
        }
        if rate != self.rate {
            (self.base, self.count, self.rate) = (self.position(), 0, rate);
        }
        let end = self.target.map_or(0, |target| sample(target.saturating_sub(self.base), rate));
        let (drop, before) = (end.saturating_sub(self.count).min(audible), self.count);
        self.count += audible;
        if self.count >= end {
            self.target = None;
        }
        match samples {
            _ if drop == 0 && before >= end => {}
            None => {
                chunk.pcm(rate, channels).drain(..drop as usize * usize::from(channels));
            }
            Some(_) if self.count + PREROLL <= end => chunk.set_packet(&[], 0, 0),
            Some(samples) => {
                let packet = chunk.packet().to_vec();
                let unheard = if drop == audible { (samples as u32, 0) } else { (skip + drop as u32, trim) };
                chunk.set_packet(&packet, unheard.0, unheard.1);
            }
        }
        time(audible - drop, rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20 ms of Opus (RFC 6716, section 3.1: configuration 31, one frame), of which only the header is looked at.
    const PACKET: [u8; 3] = [0xF8, 0xFF, 0xFE];

    #[test]
    fn samples_before_the_goal_are_taken_out_to_the_sample() {
        let info = Info::new(Format::Pcm { rate: 1_000, channels: 2 }).duration(Some(Duration::from_secs(1)));
        let mut passage = Passage::default();
        assert_eq!(passage.aim(Duration::from_micros(24_600), &info), Duration::from_millis(25));
        let mut heard = Vec::new();
        for n in 0..5 {
            let mut chunk = Chunk::new();
            let samples = (0..20).map(|it| (n * 10 + it / 2) as f32);
            chunk.pcm(1_000, 2).extend(samples);
            let left = passage.pass(&mut chunk);
            assert_eq!(left.as_millis() as usize * 2, chunk.samples().len());
            heard.extend_from_slice(chunk.samples());
        }
        assert_eq!(heard, (50..100).map(|it| (it / 2) as f32).collect::<Vec<_>>());
        assert_eq!((passage.position(), passage.goal()), (Duration::from_millis(50), Duration::from_millis(50)));
        assert_eq!(passage.aim(Duration::from_secs(9), &info), Duration::from_secs(1));
        assert_eq!(passage.goal(), Duration::from_secs(9));
    }

    #[test]
    fn packets_before_the_goal_are_left_out_but_for_what_a_decoder_must_have_seen() {
        let mut passage = Passage::default();
        let to = Duration::from_millis(205);
        assert_eq!(passage.aim(to, &Info::new(Format::Opus)), to);
        let mut heard = Vec::new();
        for n in 0..13 {
            let mut chunk = Chunk::new();
            chunk.set_packet(&PACKET, if n == 0 { 312 } else { 0 }, 0);
            passage.pass(&mut chunk);
            heard.push((chunk.packet().len(), chunk.cut().0));
        }
        // The pre-skip is no audio: packet n ends at 960 * (n + 1) - 312, and 205 ms are 9,840 samples.
        let goal = 9_840 + 312 - 960 * 10;
        let expected: Vec<_> = (0..13)
            .map(|n| match n {
                0..=5 => (0, 0),
                6..=9 => (3, 960),
                10 => (3, goal),
                _ => (3, 0),
            })
            .collect();
        assert_eq!(heard, expected);
    }
}
