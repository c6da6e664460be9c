use std::f32::consts::FRAC_PI_2;

use voice_model::CHANNELS;

/// Frames over which the curve is taken as straight.
const PIECE: usize = 240;

/// The way from one track to the next: both together stay about as loud as each alone (constant power).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fade {
    inward: bool,
    done: u64,
    length: u64,
}

impl Fade {
    pub(crate) fn inward(length: u64) -> Self {
        Self { inward: true, done: 0, length }
    }

    pub(crate) fn outward(length: u64) -> Self {
        Self { inward: false, done: 0, length }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done >= self.length
    }

    /// Whether it leads to silence.
    pub(crate) fn is_outward(&self) -> bool {
        !self.inward
    }

    /// Multiplies interleaved stereo with the next piece of the curve, and what is behind its end with where it ends. Within
    /// a piece, at most 5 ms long, the line is straight.
    pub(crate) fn apply(&mut self, frames: &mut [f32]) {
        let mut rest = frames;
        while !rest.is_empty() {
            let left = usize::try_from(self.length - self.done).unwrap_or(usize::MAX);
            let count = (rest.len() / CHANNELS).min(if left == 0 { usize::MAX } else { left.min(PIECE) });
            let (piece, after) = std::mem::take(&mut rest).split_at_mut(count * CHANNELS);
            let from = self.level();
            self.done = (self.done + count as u64).min(self.length);
            let step = (self.level() - from) / count as f32;
            for (index, frame) in piece.chunks_exact_mut(CHANNELS).enumerate() {
                let level = from + step * (index + 1) as f32;
                frame.iter_mut().for_each(|sample| *sample *= level);
            }
            rest = after;
        }
    }

    fn level(&self) -> f32 {
        let part = self.done as f32 / self.length.max(1) as f32;
        let angle = if self.inward { part } else { 1.0 - part } * FRAC_PI_2;
        if self.is_done() { f32::from(u8::from(self.inward)) } else { angle.sin() }
    }
}

#[cfg(test)]
mod tests {
    use super::Fade;

    #[test]
    fn the_power_of_both_stays_one() {
        let (mut inward, mut outward) = (Fade::inward(4_800), Fade::outward(4_800));
        for piece in [960, 480, 7, 960, 960, 960, 960] {
            let (mut up, mut down) = (vec![1.0; piece * 2], vec![1.0; piece * 2]);
            inward.apply(&mut up);
            outward.apply(&mut down);
            for (up, down) in up.iter().zip(&down) {
                assert!((up * up + down * down - 1.0).abs() < 0.01, "{up} and {down}");
            }
        }
        assert!(inward.is_done() && outward.is_done());
        let mut after = [0.5; 4];
        inward.apply(&mut after);
        assert_eq!(after, [0.5; 4]);
        outward.apply(&mut after);
        assert_eq!(after, [0.0; 4]);
    }
}
