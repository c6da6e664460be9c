use voice_model::CHANNELS;

use super::error::check;
use super::{EffectError, Stage};

/// Mixes the two channels into each other. All factors at 0.5 make it mono.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ChannelMix {
    /// How much of the left goes to the left, 0 to 1; 1 by default.
    pub left_to_left: f32,
    /// How much of the left goes to the right, 0 to 1; 0 by default.
    pub left_to_right: f32,
    /// How much of the right goes to the left, 0 to 1; 0 by default.
    pub right_to_left: f32,
    /// How much of the right goes to the right, 0 to 1; 1 by default.
    pub right_to_right: f32,
}

impl Default for ChannelMix {
    fn default() -> Self {
        Self { left_to_left: 1.0, left_to_right: 0.0, right_to_left: 0.0, right_to_right: 1.0 }
    }
}

impl ChannelMix {
    pub(super) fn stage(&self) -> Result<Option<Box<dyn Stage>>, EffectError> {
        for (parameter, value) in [
            ("left_to_left", self.left_to_left),
            ("left_to_right", self.left_to_right),
            ("right_to_left", self.right_to_left),
            ("right_to_right", self.right_to_right),
        ] {
            check("channel mix", parameter, value, 0.0..=1.0, "from 0 to 1")?;
        }
        Ok(if *self == Self::default() { None } else { Some(Box::new(Matrix(*self))) })
    }
}

struct Matrix(ChannelMix);

impl Stage for Matrix {
    fn process(&mut self, frames: &mut [f32]) {
        let mix = self.0;
        for [left, right] in frames.as_chunks_mut::<CHANNELS>().0 {
            (*left, *right) = (
                mix.left_to_left * *left + mix.right_to_left * *right,
                mix.left_to_right * *left + mix.right_to_right * *right,
            );
        }
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use crate::effects::{Chain, ChannelMix, Effect};

    #[test]
    fn each_channel_gets_its_share_of_both() {
        let mix = ChannelMix { left_to_left: 0.5, left_to_right: 0.25, right_to_left: 1.0, right_to_right: 0.0 };
        let mut chain = Chain::new(&[Effect::ChannelMix(mix)]).expect("a chain");
        let mut frames = [0.5, 0.125, -1.0, 0.5];
        chain.process(&mut frames);
        assert_eq!(frames, [0.375, 0.125, 0.0, -0.25]);
    }
}
