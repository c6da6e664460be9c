use std::fmt;
use std::time::Duration;

use voice_model::{CHANNELS, SAMPLE_RATE};

use super::EffectError;
use super::error::check;

/// How a [`Limiter`] limits.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LimiterSettings {
    /// Loudest sample that comes out, -40 to 0 dB of full scale; -1 dB by default, as Opus may overshoot a little.
    pub ceiling_db: f32,
    /// How long before a peak it begins to get quieter, and so its delay, 0.1 to 20 ms; 5 ms by default.
    pub look_ahead: Duration,
    /// Time constant of getting louder again, 1 ms to 2 s; 100 ms by default.
    pub release: Duration,
}

impl Default for LimiterSettings {
    fn default() -> Self {
        Self { ceiling_db: -1.0, look_ahead: Duration::from_millis(5), release: Duration::from_millis(100) }
    }
}

/// Keeps sound below a ceiling without clipping it: gets quieter before each peak, by just as much as that needs.
///
/// Output is [`delay`](Self::delay) frames late; as long as nothing is above the ceiling it is bit for bit the input.
pub struct Limiter {
    ceiling: f32,
    /// Share of the way back to full gain per frame, as a fraction of [`UNITY`].
    release: u64,
    /// Interleaved input of the last `window` frames.
    held: Box<[f32]>,
    /// Gain of the last `window` frames, each as low as the lowest one asked for within a window.
    gains: Box<[u32]>,
    sum: u64,
    gain: u32,
    window: Minimum,
    at: usize,
    /// Frames of silence that came in last, as far as they matter.
    silent: usize,
}

/// Full gain. Gains are whole numbers, so that their running sum never drifts.
const UNITY: u32 = 1 << 30;

impl Limiter {
    /// A limiter that holds nothing. All memory is allocated here.
    ///
    /// # Errors
    ///
    /// A setting is out of its range.
    pub fn new(settings: LimiterSettings) -> Result<Self, EffectError> {
        let (look_ahead, release) = (settings.look_ahead.as_secs_f32(), settings.release.as_secs_f32());
        check("limiter", "ceiling_db", settings.ceiling_db, -40.0..=0.0, "from -40 to 0 dB")?;
        check("limiter", "look_ahead in seconds", look_ahead, 0.000_1..=0.02, "from 0.0001 to 0.02")?;
        check("limiter", "release in seconds", release, 0.001..=2.0, "from 0.001 to 2")?;
        let window = (look_ahead * SAMPLE_RATE as f32).round() as usize + 1;
        let share = 1.0 - (-1.0 / (f64::from(release) * f64::from(SAMPLE_RATE))).exp();
        Ok(Self {
            ceiling: 10.0_f32.powf(settings.ceiling_db / 20.0),
            release: (share * f64::from(UNITY)) as u64,
            held: vec![0.0; window * CHANNELS].into(),
            gains: vec![UNITY; window].into(),
            sum: u64::from(UNITY) * window as u64,
            gain: UNITY,
            window: Minimum::new(window),
            at: 0,
            silent: window,
        })
    }

    /// Limits interleaved stereo at 48 kHz in place. What comes out is what went in [`delay`](Self::delay) frames ago;
    /// feed silence to get the rest. NaN and infinity are taken as silence.
    pub fn process(&mut self, frames: &mut [f32]) {
        let window = self.gains.len();
        let full = u64::from(UNITY) * window as u64;
        for frame in frames.as_chunks_mut::<CHANNELS>().0 {
            let input = frame.map(|sample| if sample.is_finite() { sample } else { 0.0 });
            let peak = input[0].abs().max(input[1].abs());
            self.silent = if peak == 0.0 { (self.silent + 1).min(window) } else { 0 };
            // Rounded down, so that the product is not above the ceiling.
            let wanted = if peak > self.ceiling {
                (f64::from(self.ceiling) / f64::from(peak) * f64::from(UNITY)) as u32
            } else {
                UNITY
            };
            let lowest = self.window.push(wanted);
            self.gain = if lowest <= self.gain {
                lowest
            } else {
                let rise = (u64::from(UNITY - self.gain) * self.release) >> 30;
                // The last thousandth of a decibel in one step, or it would take for ever.
                let risen = self.gain + rise as u32 + (UNITY >> 20);
                risen.min(lowest)
            };
            let at = self.at;
            self.at = if at + 1 == window { 0 } else { at + 1 };
            self.sum = self.sum - u64::from(self.gains[at]) + u64::from(self.gain);
            self.gains[at] = self.gain;
            self.held[at * CHANNELS..][..CHANNELS].copy_from_slice(&input);
            // The oldest frame: each of the gains that are averaged is low enough for it.
            let oldest = &self.held[self.at * CHANNELS..][..CHANNELS];
            let (left, right) = (oldest[0], oldest[1]);
            *frame = if self.sum == full {
                [left, right]
            } else {
                let gain = (self.sum as f64 / full as f64) as f32;
                [left, right].map(|sample| (sample * gain).clamp(-self.ceiling, self.ceiling))
            };
        }
    }

    /// Frames by which output is late.
    pub fn delay(&self) -> usize {
        self.gains.len() - 1
    }

    /// Whether all that went in has come out: the last [`delay`](Self::delay) frames were silent.
    pub fn is_clear(&self) -> bool {
        self.silent >= self.delay()
    }

    /// Forgets what it holds.
    pub fn reset(&mut self) {
        self.held.fill(0.0);
        self.gains.fill(UNITY);
        self.sum = u64::from(UNITY) * self.gains.len() as u64;
        self.gain = UNITY;
        self.window.clear();
        self.silent = self.gains.len();
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gain = f64::from(self.gain) / f64::from(UNITY);
        f.debug_struct("Limiter").field("delay", &self.delay()).field("gain", &gain).finish_non_exhaustive()
    }
}

/// The lowest of the last values, kept as those that no later one is below: each is added and removed once.
struct Minimum {
    /// A ring of when and what. Full gain is not kept: it is what an empty ring stands for.
    ring: Box<[(u64, u32)]>,
    first: usize,
    len: usize,
    now: u64,
}

impl Minimum {
    fn new(window: usize) -> Self {
        Self { ring: vec![(0, 0); window].into(), first: 0, len: 0, now: 0 }
    }

    fn push(&mut self, value: u32) -> u32 {
        let size = self.ring.len();
        self.now += 1;
        if self.len > 0 && self.ring[self.first].0 + size as u64 <= self.now {
            self.first = (self.first + 1) % size;
            self.len -= 1;
        }
        if value < UNITY {
            while self.len > 0 && self.ring[(self.first + self.len - 1) % size].1 >= value {
                self.len -= 1;
            }
            self.ring[(self.first + self.len) % size] = (self.now, value);
            self.len += 1;
        }
        if self.len > 0 { self.ring[self.first].1 } else { UNITY }
    }

    fn clear(&mut self) {
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop};
    use proptest::{prop_assert_eq, proptest};

    use super::{Minimum, UNITY};

    proptest! {
        #[test]
        fn the_lowest_of_a_window_is_found(
            values in prop::collection::vec((any::<bool>(), 0..UNITY), 1..400), size in 1_usize..50,
        ) {
            let values: Vec<u32> = values.into_iter().map(|(quiet, value)| if quiet { UNITY } else { value }).collect();
            let mut minimum = Minimum::new(size);
            for (n, value) in values.iter().enumerate() {
                let window = &values[(n + 1).saturating_sub(size)..=n];
                prop_assert_eq!(Some(minimum.push(*value)), window.iter().copied().min());
            }
        }
    }
}
