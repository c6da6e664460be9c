use voice_model::{CHANNELS, SAMPLE_RATE};

use super::error::check;
use super::{EffectError, Stage, flushed};

/// A room around the sound: a network of eight delays that feed each other.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Reverb {
    /// Size, 0 to 1; 0.5 by default. Low tones decay by 60 dB within `0.2 * 40^room` seconds: 0.2 to 8 s, 1.26 s by
    /// default.
    pub room: f32,
    /// How much faster high tones decay than low ones, 0 to 1; 0.5 by default.
    pub damping: f32,
    /// How different its channels are, 0 (mono) to 1 (the default).
    pub width: f32,
    /// Volume of the room, 0 to 1; 0.33 by default. At 1 it is about as loud as a steady sound in it.
    pub wet: f32,
    /// Volume of the sound itself, 0 to 1; 1 by default.
    pub dry: f32,
}

impl Default for Reverb {
    fn default() -> Self {
        Self { room: 0.5, damping: 0.5, width: 1.0, wet: 0.33, dry: 1.0 }
    }
}

impl Reverb {
    pub(super) fn stage(&self) -> Result<Option<Box<dyn Stage>>, EffectError> {
        for (parameter, value) in [
            ("room", self.room),
            ("damping", self.damping),
            ("width", self.width),
            ("wet", self.wet),
            ("dry", self.dry),
        ] {
            check("reverb", parameter, value, 0.0..=1.0, "from 0 to 1")?;
        }
        if self.wet == 0.0 && self.dry == 1.0 {
            return Ok(None);
        }
        let decay = 0.2 * 40.0_f32.powf(self.room) * SAMPLE_RATE as f32;
        let gain = DELAYS.map(|delay| 10.0_f32.powf(-3.0 * delay as f32 / decay));
        // Steady sound piles up, the more the delays keep of its power.
        let kept = gain.iter().map(|gain| gain * gain).sum::<f32>() / LINES as f32;
        let wet = self.wet * ((1.0 - kept) / kept).sqrt();
        Ok(Some(Box::new(Network {
            lines: DELAYS.map(|delay| vec![0.0; delay].into()),
            at: [0; LINES],
            dull: [0.0; LINES],
            gain,
            bright: 1.0 - 0.6 * self.damping,
            dry: self.dry,
            near: wet * (1.0 + self.width) / 2.0,
            far: wet * (1.0 - self.width) / 2.0,
            // 90 dB instead of 60, and once through all.
            tail: (decay * 1.5) as u32 + DELAYS[LINES - 1] as u32,
        })))
    }
}

const LINES: usize = 8;

/// Frames in each delay, 23 to 61 ms: primes, so that their echoes seldom meet.
const DELAYS: [usize; LINES] = [1_103, 1_361, 1_583, 1_811, 2_053, 2_351, 2_647, 2_927];

struct Network {
    lines: [Box<[f32]>; LINES],
    at: [usize; LINES],
    /// What the high tones are taken away from, per delay.
    dull: [f32; LINES],
    gain: [f32; LINES],
    bright: f32,
    dry: f32,
    /// Factors of the network's own channel and of the other one.
    near: f32,
    far: f32,
    tail: u32,
}

impl Stage for Network {
    fn process(&mut self, frames: &mut [f32]) {
        for [left, right] in frames.as_chunks_mut::<CHANNELS>().0 {
            let mut out = [0.0; LINES];
            for ((out, line), at) in out.iter_mut().zip(&self.lines).zip(self.at) {
                *out = line[at];
            }
            for (out, (dull, gain)) in out.iter_mut().zip(self.dull.iter_mut().zip(self.gain)) {
                *dull += (*out * gain - *dull) * self.bright;
                *out = *dull;
            }
            let room_left = (out[0] - out[2]) + (out[4] - out[6]);
            let room_right = (out[1] - out[3]) + (out[5] - out[7]);
            let mut fed = spread(out);
            for (line, fed) in fed.iter_mut().enumerate() {
                *fed += if line % 2 == 0 { *left } else { *right };
            }
            for ((line, at), fed) in self.lines.iter_mut().zip(&mut self.at).zip(fed) {
                line[*at] = flushed(fed);
                *at = if *at + 1 == line.len() { 0 } else { *at + 1 };
            }
            // Four delays end in each channel: twice the amplitude of one.
            *left = *left * self.dry + 0.5 * (room_left * self.near + room_right * self.far);
            *right = *right * self.dry + 0.5 * (room_right * self.near + room_left * self.far);
        }
        self.dull = self.dull.map(flushed);
    }

    fn reset(&mut self) {
        self.lines.iter_mut().for_each(|line| line.fill(0.0));
        self.dull = [0.0; LINES];
    }

    fn tail(&self) -> u32 {
        self.tail
    }
}

/// Each of the eight goes to all, with signs such that no power is lost (a Hadamard matrix).
fn spread(mut lines: [f32; LINES]) -> [f32; LINES] {
    for distance in [4, 2, 1] {
        let mut next = [0.0; LINES];
        for (index, next) in next.iter_mut().enumerate() {
            let other = lines[index ^ distance];
            *next = if index & distance == 0 { lines[index] + other } else { other - lines[index] };
        }
        lines = next;
    }
    lines.map(|line| line * std::f32::consts::FRAC_1_SQRT_2 * 0.5)
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn spreading_keeps_the_power() {
        let lines = [0.3, -1.0, 0.5, 0.25, 0.0, 0.75, -0.5, 0.125];
        let power = |lines: [f32; 8]| lines.iter().map(|line| line * line).sum::<f32>();
        assert!((power(spread(lines)) - power(lines)).abs() < 1e-6);
    }
}
