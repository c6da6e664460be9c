use voice_model::{CHANNELS, FRAME_SAMPLES};

/// Longest ramp down to a peak: 2.5 ms.
const ATTACK: f32 = 1.0 / 120.0;
/// Samples per channel for which a reduction is kept after the last peak that needed it: below 50 Hz a wave is longer.
const HOLD: u32 = FRAME_SAMPLES as u32;
/// Way up per sample: from nothing to unity in 200 ms.
const RELEASE: f32 = 1.0 / 9_600.0;
/// Peaks that need almost as much of a reduction keep it.
const NEAR: f32 = 1.05;

/// Everybody in one: sums 20 ms of each speaker, sample by sample, and keeps the sum within full scale.
///
/// As long as the sum is within full scale, nothing is changed: one speaker comes out bit by bit as they went in. Beyond, a
/// limiter turns the whole down, ahead of the peak as far as it lies within the frame, and slowly up again; it holds nothing
/// back, so that frames come out when they went in. For files, where audio is added at its place on a time line and a limiter
/// may look further ahead, there is [`record::Mixdown`](crate::record::Mixdown).
#[derive(Debug)]
pub struct Mixdown {
    sum: Box<[f32]>,
    /// Gain of every sample of the frame that is limited.
    curve: Box<[f32]>,
    /// Streams in `sum`.
    streams: usize,
    gain: f32,
    /// Samples before it goes up again.
    hold: u32,
}

impl Default for Mixdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Mixdown {
    /// An empty mix at unity gain.
    pub fn new() -> Self {
        Self {
            sum: vec![0.0; FRAME_SAMPLES * CHANNELS].into(),
            curve: vec![1.0; FRAME_SAMPLES].into(),
            streams: 0,
            gain: 1.0,
            hold: 0,
        }
    }

    /// Adds 20 ms of a speaker: 960 samples per channel at 48 kHz, interleaved; a missing rest is silence.
    pub fn add(&mut self, pcm: &[f32]) {
        if self.streams == 0 {
            let len = pcm.len().min(self.sum.len());
            self.sum[..len].copy_from_slice(&pcm[..len]);
            self.sum[len..].fill(0.0);
        } else {
            self.sum.iter_mut().zip(pcm).for_each(|(sum, sample)| *sum += sample);
        }
        self.streams += 1;
    }

    /// The sum of what was added since the last time, silence when nothing was: 960 samples per channel, interleaved, none of
    /// them beyond 1.0.
    pub fn finish(&mut self) -> &[f32] {
        if std::mem::take(&mut self.streams) == 0 {
            self.sum.fill(0.0);
        }
        self.limit();
        &self.sum
    }

    fn limit(&mut self) {
        let peak = self.sum.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        if peak <= 1.0 && self.gain >= 1.0 {
            return;
        }
        for (frame, gain) in self.sum.chunks_exact(CHANNELS).zip(&mut self.curve) {
            let peak = frame.iter().fold(1.0_f32, |peak, sample| peak.max(sample.abs()));
            let allowed = 1.0 / peak;
            if allowed < 1.0 && allowed < self.gain * NEAR {
                self.hold = HOLD;
            } else if self.hold > 0 {
                self.hold -= 1;
            } else {
                self.gain = (self.gain + RELEASE).min(1.0);
            }
            self.gain = self.gain.min(allowed);
            *gain = self.gain;
        }
        let mut next = self.gain;
        for (frame, gain) in self.sum.chunks_exact_mut(CHANNELS).zip(&self.curve).rev() {
            next = gain.min(next + ATTACK);
            // What rounding leaves above full scale is cut off.
            frame.iter_mut().for_each(|sample| *sample = (*sample * next).clamp(-1.0, 1.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    fn tone(number: usize, hertz: f64, level: f64) -> Vec<f32> {
        (0..FRAME_SAMPLES)
            .flat_map(|at| {
                let time = (number * FRAME_SAMPLES + at) as f64 / 48_000.0;
                [((hertz * TAU * time).sin() * level) as f32; CHANNELS]
            })
            .collect()
    }

    #[test]
    fn one_speaker_comes_out_bit_by_bit() {
        let mut mix = Mixdown::new();
        for number in 0..50 {
            let pcm = tone(number, 440.0, 1.0);
            mix.add(&pcm);
            assert_eq!(mix.finish(), &pcm[..]);
        }
    }

    #[test]
    fn two_speakers_are_summed_sample_by_sample_and_nobody_is_silence() {
        let mut mix = Mixdown::new();
        for number in 0..10 {
            let (one, other) = (tone(number, 440.0, 0.5), tone(number, 1_000.0, 0.25));
            mix.add(&one);
            mix.add(&other);
            let expected: Vec<f32> = one.iter().zip(&other).map(|(one, other)| one + other).collect();
            assert_eq!(mix.finish(), &expected[..]);
        }
        assert!(mix.finish().iter().all(|sample| *sample == 0.0));
    }

    #[test]
    fn a_short_frame_ends_in_silence() {
        let mut mix = Mixdown::new();
        mix.add(&[0.5; 2 * FRAME_SAMPLES]);
        mix.finish();
        mix.add(&[0.25; 100]);
        assert_eq!(mix.finish().iter().filter(|sample| **sample != 0.0).count(), 100);
    }

    #[test]
    fn many_speakers_stay_within_full_scale_without_distortion() {
        let mut mix = Mixdown::new();
        let mut out = Vec::new();
        for number in 0..100 {
            for _ in 0..10 {
                mix.add(&tone(number, 300.0, 0.9));
            }
            let frame = mix.finish();
            assert!(frame.iter().all(|sample| sample.abs() <= 1.0));
            out.extend(frame.iter().step_by(2).copied());
        }
        // Whole periods of 160 samples, after the onset.
        let settled = &out[9_600..];
        let angle = |at: usize| 300.0 * TAU * at as f64 / 48_000.0;
        let level = settled.iter().enumerate().map(|(at, x)| f64::from(*x) * angle(at).sin()).sum::<f64>() * 2.0
            / settled.len() as f64;
        let rest: f64 =
            settled.iter().enumerate().map(|(at, x)| (f64::from(*x) - level * angle(at).sin()).powi(2)).sum();
        let rest = (rest * 2.0 / settled.len() as f64).sqrt();
        assert!((0.98..=1.0).contains(&level), "{level}");
        assert!(rest < 0.003 * level, "distortion of {rest}");
    }

    #[test]
    fn the_gain_goes_down_ahead_of_a_peak_and_back_to_unity_after_it() {
        let mut mix = Mixdown::new();
        let mut pcm = vec![0.5; 2 * FRAME_SAMPLES];
        (pcm[1_000], pcm[1_001]) = (2.0, 2.0);
        mix.add(&pcm);
        let left: Vec<f32> = mix.finish().iter().step_by(2).copied().collect();
        assert_eq!(left[500], 1.0);
        assert!(left[..430].iter().all(|sample| *sample == 0.5), "nothing changes long before");
        let without: Vec<f32> = left.iter().enumerate().filter(|(at, _)| *at != 500).map(|(_, x)| *x).collect();
        let step = without.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0_f32, f32::max);
        assert!(step <= 0.5 * 2.1 * ATTACK, "a jump of {step}");
        let quiet = tone(0, 440.0, 0.5);
        let frames = (0..20).take_while(|_| {
            mix.add(&quiet);
            mix.finish() != &quiet[..]
        });
        assert!((1..=8).contains(&frames.count()), "held 20 ms, up in 100");
    }
}
