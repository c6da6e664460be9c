use ::opus::{Channels, SoftClip};
use voice_model::CHANNELS;

use crate::effects::Limiter;

/// Keeps the sum within full scale.
pub(super) struct Ceiling {
    clip: SoftClip,
    clipping: bool,
    limiter: Option<Box<Limiter>>,
    /// It has heard something since it was last reset.
    used: bool,
    /// The way that was left in this tick: faded from.
    left: Option<Option<Box<Limiter>>>,
}

impl Ceiling {
    pub(super) fn new() -> Self {
        Self { clip: SoftClip::new(Channels::Stereo), clipping: false, limiter: None, used: false, left: None }
    }

    /// Limits with this from now on, or clips softly without one; returns a limiter that is not needed.
    pub(super) fn set_limiter(&mut self, limiter: Option<Box<Limiter>>) -> Option<Box<Limiter>> {
        let before = std::mem::replace(&mut self.limiter, limiter);
        match &self.left {
            // Two changes within a tick: the first one was not heard.
            Some(_) => before,
            None => {
                self.left = Some(before);
                None
            }
        }
    }

    /// Samples by which what comes out is later than what went in.
    pub(super) fn delay(&self) -> usize {
        self.limiter.as_ref().map_or(0, |limiter| limiter.delay())
    }

    /// Forgets what it has heard, when something else than what comes out of it is on the wire.
    pub(super) fn reset(&mut self) {
        if std::mem::take(&mut self.used) {
            (self.clip, self.clipping) = (SoftClip::new(Channels::Stereo), false);
            if let Some(limiter) = &mut self.limiter {
                limiter.reset();
            }
            if let Some(Some(left)) = &mut self.left {
                left.reset();
            }
        }
    }

    /// Brings `sum` into full scale; `scratch` is as long. Returns a limiter that is not needed any more.
    pub(super) fn apply(&mut self, sum: &mut [f32], scratch: &mut [f32]) -> Option<Box<Limiter>> {
        self.used = true;
        let mut left = self.left.take();
        if let Some(left) = &mut left {
            scratch.copy_from_slice(sum);
            match left {
                Some(limiter) => limiter.process(scratch),
                None => self.soft_clip(scratch),
            }
        }
        match &mut self.limiter {
            Some(limiter) => limiter.process(sum),
            None => self.soft_clip(sum),
        }
        let left = left?;
        let frames = (sum.len() / CHANNELS) as f32;
        for (index, (sum, before)) in sum.iter_mut().zip(&*scratch).enumerate() {
            let part = (index / CHANNELS + 1) as f32 / frames;
            *sum = before + (*sum - before) * part;
        }
        left
    }

    /// Looking for a peak first is an order of magnitude cheaper than libopus' clipper, which must also see the frame after
    /// a clipped one, to end its curve where the signal crosses zero.
    fn soft_clip(&mut self, sum: &mut [f32]) {
        let peak = sum.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        if peak > 1.0 || self.clipping {
            self.clip.apply(sum);
        }
        self.clipping = peak > 1.0;
    }
}
