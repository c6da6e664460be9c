use std::fmt;

use voice_model::{CHANNELS, FRAME_SAMPLES};

use super::{Effect, EffectError, Stage};

/// Effects in a row.
///
/// What comes in is made harmless first: NaN and infinity become zero, what is more than 60 dB above full scale is clipped.
pub struct Chain(Box<Inner>);

struct Inner {
    stages: Vec<Box<dyn Stage>>,
    /// A frame to work on beside the one that is given: [`Rack`](super::Rack) needs it for crossfades.
    scratch: Box<[f32]>,
    /// Samples per channel for which it sounds on.
    left: u32,
}

/// Loudest sample that goes into an effect.
const LIMIT: f32 = 1_000.0;

/// Quietest sample that is not taken as silence, 120 dB under full scale.
const SILENCE: f32 = 1e-6;

/// Samples smaller than this become zero: numbers near the smallest ones make a processor slow.
const TINY: f32 = 1e-20;

impl Chain {
    /// Makes a chain that applies `effects` in this order. All memory is allocated here.
    ///
    /// # Errors
    ///
    /// A parameter is out of its range.
    pub fn new(effects: &[Effect]) -> Result<Self, EffectError> {
        let stages = effects.iter().filter_map(|effect| effect.stage().transpose()).collect::<Result<_, _>>()?;
        Ok(Self(Box::new(Inner { stages, scratch: vec![0.0; FRAME_SAMPLES * CHANNELS].into(), left: 0 })))
    }

    /// Applies the effects to interleaved stereo at 48 kHz, in place. How the sound is cut into calls makes no difference.
    pub fn process(&mut self, frames: &mut [f32]) {
        let samples = frames.len() as u32 / CHANNELS as u32;
        let inner = &mut *self.0;
        if sanitise(frames) > SILENCE {
            inner.left = inner.stages.iter().fold(0, |sum: u32, stage| sum.saturating_add(stage.tail()));
        } else {
            inner.left = inner.left.saturating_sub(samples);
        }
        for stage in &mut inner.stages {
            stage.process(frames);
            sanitise(frames);
        }
    }

    /// Whether it changes nothing: it has no effects, or only ones whose parameters change nothing.
    pub fn is_empty(&self) -> bool {
        self.0.stages.is_empty()
    }

    /// Samples per channel that it sounds on, down to 90 dB below, from now on if only silence comes. Zero when it has
    /// heard nothing yet, and when that time is over.
    pub fn tail(&self) -> u32 {
        self.0.left
    }

    /// Forgets all it has heard, as a seek needs it.
    pub fn reset(&mut self) {
        self.0.stages.iter_mut().for_each(|stage| stage.reset());
        self.0.left = 0;
    }

    /// Lends a frame's worth of samples; to be given back with [`restore`](Self::restore).
    pub(super) fn lend(&mut self) -> Box<[f32]> {
        std::mem::take(&mut self.0.scratch)
    }

    pub(super) fn restore(&mut self, scratch: Box<[f32]>) {
        self.0.scratch = scratch;
    }
}

/// Makes samples finite and bounded; returns their peak.
fn sanitise(frames: &mut [f32]) -> f32 {
    let mut peaks = [0.0_f32; 8];
    let mut clean = |samples: &mut [f32]| {
        for (sample, peak) in samples.iter_mut().zip(&mut peaks) {
            let size = sample.abs();
            let harmless = if (TINY..f32::INFINITY).contains(&size) { *sample } else { 0.0 };
            *sample = harmless.clamp(-LIMIT, LIMIT);
            *peak = peak.max(sample.abs());
        }
    };
    let (blocks, rest) = frames.as_chunks_mut::<8>();
    blocks.iter_mut().for_each(|block| clean(block));
    clean(rest);
    peaks.into_iter().fold(0.0, f32::max)
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("effects", &self.0.stages.len()).field("tail", &self.tail()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Chain, sanitise};
    use crate::effects::{Distortion, Effect, Karaoke, Reverb, Tremolo, Volume};

    #[test]
    fn samples_are_made_harmless() {
        let mut frames = [f32::NAN, f32::INFINITY, -f32::INFINITY, 1e-40, -1e9, 0.5, -0.25, 1.0, 2.0, -1e-30];
        assert_eq!(sanitise(&mut frames), 1_000.0);
        assert_eq!(frames, [0.0, 0.0, 0.0, 0.0, -1_000.0, 0.5, -0.25, 1.0, 2.0, 0.0]);
    }

    #[test]
    fn effects_that_change_nothing_are_left_out() {
        let tremolo = Tremolo { depth: 0.0, ..Tremolo::default() };
        let karaoke = Karaoke { level: 0.0, ..Karaoke::default() };
        let (volume, distortion) = (Volume::default(), Distortion::default());
        let effects = [
            Effect::Volume(volume),
            Effect::Tremolo(tremolo),
            Effect::Karaoke(karaoke),
            Effect::Distortion(distortion),
        ];
        assert!(Chain::new(&effects).expect("a chain").is_empty());
    }

    #[test]
    fn the_tail_runs_out_and_a_reset_ends_it() {
        let mut chain = Chain::new(&[Effect::Reverb(Reverb::default())]).expect("a chain");
        assert_eq!(chain.tail(), 0);
        let mut frames = [0.5; 200];
        chain.process(&mut frames);
        let tail = chain.tail();
        assert!(tail > 60_000, "{tail}");
        chain.process(&mut [0.0; 200]);
        assert_eq!(chain.tail(), tail - 100);
        chain.reset();
        assert_eq!(chain.tail(), 0);
        let mut frames = [0.0; 1_920];
        chain.process(&mut frames);
        assert!(frames.iter().all(|sample| *sample == 0.0));
    }
}
