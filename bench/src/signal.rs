//! What is played. Both programs compile this file.

use std::f32::consts::{PI, TAU};
use std::thread;
use std::time::{Duration, Instant};

/// 20 ms of interleaved stereo at 48 kHz, in floats.
pub const FRAME_FLOATS: usize = 1_920;

/// Frames after which the tune begins again: half a second.
pub const TUNE_FRAMES: usize = 25;

/// A chord with a little noise: neither the easiest nor the hardest for an encoder.
pub fn tune() -> Vec<f32> {
    let mut noise = 1_u32;
    let sample = |index: usize| {
        let (time, side) = ((index / 2) as f32 / 48_000.0, (index % 2) as f32);
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let chord = [220.0, 278.0, 330.0, 440.0, 1_760.0].map(|hertz| (time * hertz * TAU + side).sin());
        0.1 * chord.iter().sum::<f32>() + 0.01 * (noise as f32 / u32::MAX as f32 - 0.5)
    };
    (0..TUNE_FRAMES * FRAME_FLOATS).map(sample).collect()
}

/// The `make_sine` of songbird's benchmarks: 20 frames of the same on both sides.
#[allow(dead_code, reason = "songbird's program has the original")]
pub fn sine() -> Vec<f32> {
    (0..10 * FRAME_FLOATS).flat_map(|index| [(index as f32 * 50.0 / PI).sin(); 2]).collect()
}

/// Samples as they are in memory and in files: little-endian.
pub fn bytes(samples: &[f32]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

/// FNV-1a.
pub fn hash(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
}

/// Pieces of work that are timed in a row: ticks that what is read ahead lasts for.
const STRETCH: u64 = 11;
/// About as long as reading ahead takes.
const REST: Duration = Duration::from_micros(200);

/// Time of so much work, in stretches with rests between them. Ours rests while it is read ahead, and on a busy machine who has
/// rested is interrupted less: everybody rests.
pub fn in_stretches(times: u64, mut work: impl FnMut()) -> Duration {
    let mut time = Duration::ZERO;
    let mut left = times;
    while left > 0 {
        thread::sleep(REST);
        let stretch = left.min(STRETCH);
        let start = Instant::now();
        (0..stretch).for_each(|_| work());
        time += start.elapsed();
        left -= stretch;
    }
    time
}
