use super::error::check;
use super::{EffectError, Stage};

/// Louder or quieter.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Volume {
    /// Factor, 0 to 5; 1 (the default) changes nothing.
    pub level: f32,
}

impl Default for Volume {
    fn default() -> Self {
        Self { level: 1.0 }
    }
}

impl Volume {
    pub(super) fn stage(&self) -> Result<Option<Box<dyn Stage>>, EffectError> {
        check("volume", "level", self.level, 0.0..=5.0, "from 0 to 5")?;
        Ok(if self.level == 1.0 { None } else { Some(Box::new(Scale(self.level))) })
    }
}

struct Scale(f32);

impl Stage for Scale {
    fn process(&mut self, frames: &mut [f32]) {
        for sample in frames {
            *sample *= self.0;
        }
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use crate::effects::{Chain, Effect, Volume};

    #[test]
    fn it_multiplies() {
        let mut chain = Chain::new(&[Effect::Volume(Volume { level: 2.5 })]).expect("a chain");
        let mut frames = [0.1, -0.2, 0.3, 1.0];
        chain.process(&mut frames);
        assert_eq!(frames, [0.25, -0.5, 0.75, 2.5]);
    }
}
