/// What counts as loud enough to be speech.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sensitivity {
    /// Nothing quieter than this is speech, in dBFS (decibels below full scale, RMS of 20 ms). Default -50.
    pub threshold: f32,
    /// How much louder than the noise in the background speech must be, in dB. Default 8.
    pub above_noise: f32,
}

impl Default for Sensitivity {
    fn default() -> Self {
        Self { threshold: -50.0, above_noise: 8.0 }
    }
}

impl Sensitivity {
    /// Sets [`threshold`](Self#structfield.threshold).
    #[must_use]
    pub fn threshold(mut self, threshold: f32) -> Self {
        self.threshold = threshold;
        self
    }

    /// Sets [`above_noise`](Self#structfield.above_noise).
    #[must_use]
    pub fn above_noise(mut self, above_noise: f32) -> Self {
        self.above_noise = above_noise;
        self
    }
}

/// Level of digital silence, and the lowest that there is.
const SILENCE: f32 = -100.0;
/// Noise is what stays when nobody speaks: its estimate follows what is quieter at once, what is louder by so many dB in
/// 20 ms.
const RISE: f32 = 0.06;
/// Once speech has begun it goes on until it is this much quieter than what it needed to begin, in dB.
const HYSTERESIS: f32 = 4.0;
/// Noise is not louder than this, whatever is heard all the time: music is not noise.
const LOUDEST_NOISE: f32 = -35.0;

/// Root mean square of samples in dBFS: 0 is a full-scale square wave, -100 digital silence. Not-a-number counts as silence.
pub fn level(pcm: &[f32]) -> f32 {
    if pcm.is_empty() {
        return SILENCE;
    }
    let power = pcm.iter().map(|sample| sample * sample).sum::<f32>() / pcm.len() as f32;
    if power > 0.0 { (10.0 * power.log10()).clamp(SILENCE, 20.0) } else { SILENCE }
}

/// Tells speech from silence by its level, above noise that it learns. One person's.
#[derive(Clone, Debug)]
pub struct Detector {
    sensitivity: Sensitivity,
    /// Estimated level of the noise, in dBFS.
    noise: f32,
    speaking: bool,
}

impl Detector {
    /// A detector that has heard nothing yet.
    pub fn new(sensitivity: Sensitivity) -> Self {
        Self { sensitivity, noise: SILENCE, speaking: false }
    }

    /// Whether 20 ms of this level are speech.
    pub fn is_speech(&mut self, level: f32) -> bool {
        let needed = self.sensitivity.threshold.max(self.noise + self.sensitivity.above_noise);
        self.speaking = level >= if self.speaking { needed - HYSTERESIS } else { needed };
        // What is heard from the start on may be speech as well as noise: the estimate comes from below.
        self.noise = level.min(self.noise + RISE).clamp(SILENCE, LOUDEST_NOISE);
        self.speaking
    }
}

#[cfg(test)]
mod tests {
    use super::{Detector, Sensitivity, level};

    #[test]
    fn levels_are_decibels_below_full_scale() {
        assert_eq!(level(&[]), -100.0);
        assert_eq!(level(&[0.0; 960]), -100.0);
        assert_eq!(level(&[f32::NAN; 4]), -100.0);
        assert_eq!(level(&[1.0, -1.0]), 0.0);
        assert!((level(&[0.1, -0.1, 0.1, -0.1]) + 20.0).abs() < 1e-4);
    }

    #[test]
    fn silence_and_faint_noise_are_no_speech_and_speech_is() {
        let mut detector = Detector::new(Sensitivity::default());
        for (levels, wanted) in [(-100.0, false), (-60.0, false), (-30.0, true), (-52.0, true), (-60.0, false)] {
            assert_eq!(detector.is_speech(levels), wanted, "{levels} dBFS");
        }
    }

    #[test]
    fn noise_is_learned_and_speech_above_it_still_heard() {
        let mut detector = Detector::new(Sensitivity::default());
        // A fan at -45 dBFS, for half a minute: speech at first.
        let heard = (0..1_500).filter(|_| detector.is_speech(-45.0)).count();
        assert!((500..1_400).contains(&heard), "{heard} frames until it is known");
        assert!(!detector.is_speech(-44.0));
        assert!(detector.is_speech(-30.0));
        // A pause in the noise is learned at once.
        detector.is_speech(-80.0);
        assert!(detector.is_speech(-45.0));
    }

    #[test]
    fn loud_music_is_not_taken_for_noise() {
        let mut detector = Detector::new(Sensitivity::default());
        assert!((0..100_000).all(|_| detector.is_speech(-15.0)));
    }
}
