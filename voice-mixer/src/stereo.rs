use std::f32::consts::FRAC_1_SQRT_2 as HALF_POWER;

/// Most channels a source can have.
pub(crate) const MAX_CHANNELS: u16 = 8;

/// How loud each channel is at the left; WAVE order. The right is the mirror image.
///
/// Centre and surrounds come 3 dB lower (ITU-R BS.775-3, table 2), LFE not at all; each row is then scaled so that the sum
/// cannot clip.
const LEFT: [&[f32]; 6] = [
    &[1.0, 0.0, HALF_POWER],                                        // L R C
    &[1.0, 0.0, HALF_POWER, 0.0],                                   // L R Ls Rs
    &[1.0, 0.0, HALF_POWER, HALF_POWER, 0.0],                       // L R C Ls Rs
    &[1.0, 0.0, HALF_POWER, 0.0, HALF_POWER, 0.0],                  // L R C LFE Ls Rs
    &[1.0, 0.0, HALF_POWER, 0.0, 0.5, HALF_POWER, 0.0],             // L R C LFE Cs Ls Rs
    &[1.0, 0.0, HALF_POWER, 0.0, HALF_POWER, 0.0, HALF_POWER, 0.0], // L R C LFE Lb Rb Ls Rs
];
const RIGHT: [&[f32]; 6] = [
    &[0.0, 1.0, HALF_POWER],
    &[0.0, 1.0, 0.0, HALF_POWER],
    &[0.0, 1.0, HALF_POWER, 0.0, HALF_POWER],
    &[0.0, 1.0, HALF_POWER, 0.0, 0.0, HALF_POWER],
    &[0.0, 1.0, HALF_POWER, 0.0, 0.5, 0.0, HALF_POWER],
    &[0.0, 1.0, HALF_POWER, 0.0, 0.0, HALF_POWER, 0.0, HALF_POWER],
];

/// Appends `samples` of `channels` interleaved channels to `out` as stereo. What is not a number becomes silence, and what
/// is beyond any sane level is limited, so that one bad sample cannot spoil the resampler or the encoder for ever.
///
/// `channels` is 1 to [`MAX_CHANNELS`].
pub(crate) fn to_stereo(samples: &[f32], channels: u16, out: &mut Vec<f32>) {
    match channels {
        1 => out.extend(samples.iter().flat_map(|&sample| [sane(sample); 2])),
        2 => out.extend(samples.iter().copied().map(sane)),
        _ => {
            let row = usize::from(channels.clamp(3, MAX_CHANNELS)) - 3;
            let (left, right) = (LEFT[row], RIGHT[row]);
            let scale = 1.0 / left.iter().sum::<f32>();
            out.extend(samples.chunks_exact(usize::from(channels)).flat_map(|frame| {
                let side = |gains: &[f32]| frame.iter().zip(gains).map(|(&s, g)| sane(s) * g).sum::<f32>() * scale;
                [side(left), side(right)]
            }));
        }
    }
}

/// Far above full scale, and far from where squares overflow.
const LOUDEST: f32 = 64.0;

fn sane(sample: f32) -> f32 {
    if sample.is_nan() { 0.0 } else { sample.clamp(-LOUDEST, LOUDEST) }
}
