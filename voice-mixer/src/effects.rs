//! Effects on interleaved stereo at 48 kHz: a [`Chain`] of them per track, group or call, in a [`Rack`] that changes
//! chains without a click; [`Stretch`] for tempo and pitch; a [`Limiter`] for what is sent.
//!
//! The first ten of [`Effect`] have Lavalink's parameters, ranges and defaults, and sound like Lavalink's for equal
//! parameters; where Lavalink clips at full scale (equalizer, channel mix), these do not: the mix has a limiter.
//! An effect whose parameters change nothing is left out of the chain.
//!
//! Nothing here allocates once it is made, and nothing that goes in makes NaN or infinity come out.

mod chain;
mod channel_mix;
mod compressor;
mod distortion;
mod equalizer;
mod error;
mod high_pass;
mod karaoke;
mod lfo;
mod limiter;
mod low_pass;
mod rack;
mod reverb;
mod rotation;
mod stretch;
mod timescale;
mod tremolo;
mod vibrato;
mod volume;

pub use chain::Chain;
pub use channel_mix::ChannelMix;
pub use compressor::Compressor;
pub use distortion::Distortion;
pub use equalizer::Equalizer;
pub use error::EffectError;
pub use high_pass::HighPass;
pub use karaoke::Karaoke;
pub use limiter::{Limiter, LimiterSettings};
pub use low_pass::LowPass;
pub use rack::Rack;
pub use reverb::Reverb;
pub use rotation::Rotation;
pub use stretch::{Rendered, Stretch};
pub use timescale::Timescale;
pub use tremolo::Tremolo;
pub use vibrato::Vibrato;
pub use volume::Volume;

/// One effect with its parameters.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Effect {
    /// Louder or quieter.
    Volume(Volume),
    /// 15 bands.
    Equalizer(Equalizer),
    /// Takes the voice out of music.
    Karaoke(Karaoke),
    /// The volume trembles.
    Tremolo(Tremolo),
    /// The pitch trembles.
    Vibrato(Vibrato),
    /// The sound walks around the listener.
    Rotation(Rotation),
    /// Bends the waveform.
    Distortion(Distortion),
    /// Mixes the two channels into each other.
    ChannelMix(ChannelMix),
    /// Dulls.
    LowPass(LowPass),
    /// Takes the bass away.
    HighPass(HighPass),
    /// Makes loud passages quieter.
    Compressor(Compressor),
    /// A room around the sound.
    Reverb(Reverb),
}

impl Effect {
    fn stage(&self) -> Result<Option<Box<dyn Stage>>, EffectError> {
        match self {
            Self::Volume(volume) => volume.stage(),
            Self::Equalizer(equalizer) => equalizer.stage(),
            Self::Karaoke(karaoke) => karaoke.stage(),
            Self::Tremolo(tremolo) => tremolo.stage(),
            Self::Vibrato(vibrato) => vibrato.stage(),
            Self::Rotation(rotation) => rotation.stage(),
            Self::Distortion(distortion) => distortion.stage(),
            Self::ChannelMix(mix) => mix.stage(),
            Self::LowPass(low_pass) => low_pass.stage(),
            Self::HighPass(high_pass) => high_pass.stage(),
            Self::Compressor(compressor) => compressor.stage(),
            Self::Reverb(reverb) => reverb.stage(),
        }
    }
}

/// An effect at work. What it is given is finite and bounded; so must be what it makes of it, and what it keeps.
trait Stage: Send {
    /// Works on interleaved stereo in place.
    fn process(&mut self, frames: &mut [f32]);

    /// Forgets all it has heard.
    fn reset(&mut self);

    /// Samples per channel that it sounds on after silence has begun, down to 90 dB below.
    fn tail(&self) -> u32 {
        0
    }
}

/// Natural logarithm of 90 dB: so many time constants does a decay take to be inaudible.
const INAUDIBLE: f32 = 10.4;

/// What a decaying state is set to zero below, 300 dB under full scale: far from numbers that make a processor slow.
const FLUSH: f32 = 1e-15;

/// `value`, or zero when it is too small to matter.
fn flushed(value: f32) -> f32 {
    if value.abs() < FLUSH { 0.0 } else { value }
}
