//! Makes audio shorter or longer by one period of what sounds, so that nobody hears it: WSOLA (Verhelst and Roelands,
//! 1993), as jitter buffers use it.

use voice_model::CHANNELS;

/// Longest period, 15 ms, in samples per channel. Twice as much is needed to find it.
pub(crate) const MAX_PERIOD: usize = 720;

/// Shortest period: 2.5 ms.
const MIN_PERIOD: usize = 120;

/// The search begins at 8 kHz.
const DECIMATION: usize = 6;

/// Shortest stretch that is compared, at 8 kHz: 7.5 ms.
const MIN_WINDOW: usize = 60;

/// Mean square below which anything may go: -66 dB.
const INAUDIBLE: f32 = 2.5e-7;

/// How alike two neighbours must be for nobody to hear it, of 1.
pub(crate) const ALIKE: f32 = 0.85;

/// The period with which the beginning of interleaved `pcm` repeats best, in samples per channel; `None` where it
/// repeats less well than `wanted`.
pub(crate) fn period(pcm: &[f32], wanted: f32) -> Option<usize> {
    let mut coarse = [0.0_f32; 2 * MAX_PERIOD / DECIMATION];
    let count = (pcm.len() / (CHANNELS * DECIMATION)).min(coarse.len());
    for (sum, samples) in coarse.iter_mut().zip(pcm.chunks_exact(CHANNELS * DECIMATION)) {
        *sum = samples.iter().sum();
    }
    let coarse = &coarse[..count];
    let longest = count / 2;
    if longest < MIN_PERIOD / DECIMATION {
        return None;
    }
    let power: f32 = coarse.iter().map(|sample| sample * sample).sum::<f32>() / (count * 144) as f32;
    if power < INAUDIBLE {
        return Some(longest * DECIMATION);
    }
    let (rough, _) = best(MIN_PERIOD / DECIMATION..=longest, |lag| {
        let window = lag.max(MIN_WINDOW).min(count - lag);
        likeness(&coarse[..window], &coarse[lag..lag + window])
    })?;
    let room = pcm.len() / (2 * CHANNELS);
    let near = (rough * DECIMATION).saturating_sub(DECIMATION).max(MIN_PERIOD)
        ..=(rough * DECIMATION + DECIMATION).min(room).min(MAX_PERIOD);
    let (period, alike) = best(near, |lag| {
        let window = CHANNELS * lag;
        likeness(&pcm[..window], &pcm[window..2 * window])
    })?;
    (alike >= wanted).then_some(period)
}

fn best(lags: std::ops::RangeInclusive<usize>, likeness: impl Fn(usize) -> f32) -> Option<(usize, f32)> {
    lags.map(|lag| (lag, likeness(lag))).max_by(|(_, one), (_, other)| one.total_cmp(other))
}

/// Correlation, normalized to -1 to 1.
fn likeness(one: &[f32], other: &[f32]) -> f32 {
    let (mut product, mut first, mut second) = ([0.0_f32; 8], [0.0_f32; 8], [0.0_f32; 8]);
    // In lanes, which the compiler turns into vectors.
    for (one, other) in one.chunks_exact(8).zip(other.chunks_exact(8)) {
        for lane in 0..8 {
            product[lane] += one[lane] * other[lane];
            first[lane] += one[lane] * one[lane];
            second[lane] += other[lane] * other[lane];
        }
    }
    let [product, first, second] = [product, first, second].map(|lanes| lanes.iter().sum::<f32>());
    if first * second > 0.0 { product / (first * second).sqrt() } else { 0.0 }
}

/// Takes the second of two periods out of the first `len` samples per channel: they fade into each other. What follows
/// moves up.
pub(crate) fn shorten(pcm: &mut [f32], len: usize, period: usize) {
    let step = CHANNELS * period;
    let (first, second) = pcm[..2 * step].split_at_mut(step);
    fade(first, second);
    pcm.copy_within(2 * step..CHANNELS * len, step);
}

/// Puts a period between the first two of `len` samples per channel, which leads from the end of the first to its
/// beginning; there must be room after them.
pub(crate) fn lengthen(pcm: &mut [f32], len: usize, period: usize) {
    let step = CHANNELS * period;
    pcm.copy_within(step..CHANNELS * len, 2 * step);
    let (first, between) = pcm[..2 * step].split_at_mut(step);
    fade(between, first);
}

/// Fades from the first to the second, in the place of the first.
fn fade(from: &mut [f32], to: &[f32]) {
    let length = (from.len() / CHANNELS) as f32;
    for (number, (from, to)) in from.chunks_exact_mut(CHANNELS).zip(to.chunks_exact(CHANNELS)).enumerate() {
        let share = (number as f32 + 0.5) / length;
        for (from, to) in from.iter_mut().zip(to) {
            *from += (to - *from) * share;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use voice_model::CHANNELS;

    use super::{ALIKE, MAX_PERIOD, lengthen, period, shorten};

    fn tone(hertz: f32, samples: usize) -> Vec<f32> {
        (0..samples).flat_map(|at| [0.4 * (TAU * hertz * at as f32 / 48_000.0).sin(); CHANNELS]).collect()
    }

    #[test]
    fn the_period_of_a_tone_is_a_whole_number_of_its_waves() {
        for hertz in [70.0, 80.0, 110.0, 220.0, 440.0, 997.0, 3000.0] {
            let found = period(&tone(hertz, 2 * MAX_PERIOD), ALIKE).expect("a tone repeats");
            let waves = found as f32 * hertz / 48_000.0;
            assert!((waves - waves.round()).abs() < 0.6 * hertz / 48_000.0 + 0.02, "{hertz}: {found}");
        }
    }

    #[test]
    fn noise_has_no_period_and_silence_any() {
        let mut seed = 1_u32;
        let noise: Vec<f32> = (0..2 * MAX_PERIOD * CHANNELS)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                seed as f32 / u32::MAX as f32 - 0.5
            })
            .collect();
        assert_eq!(period(&noise, ALIKE), None);
        assert!(period(&noise, -1.0).is_some());
        assert_eq!(period(&[0.0; 2 * MAX_PERIOD * CHANNELS], ALIKE), Some(MAX_PERIOD));
        assert_eq!(period(&[0.0; 2 * 119 * CHANNELS], ALIKE), None);
    }

    #[test]
    fn a_tone_stays_a_tone() {
        for hertz in [80.0, 440.0, 997.0] {
            let wave = tone(hertz, 2400);
            let found = period(&wave[..2 * MAX_PERIOD * CHANNELS], ALIKE).expect("a tone repeats");
            let mut pcm = wave.clone();
            shorten(&mut pcm, 2400, found);
            let mut longer = [wave.clone(), vec![0.0; found * CHANNELS]].concat();
            lengthen(&mut longer, 2400, found);
            let limit = 2.0 * 0.4 * TAU * hertz / 48_000.0;
            for (pcm, len) in [(&pcm, 2400 - found), (&longer, 2400 + found)] {
                let steepest = pcm[..len * CHANNELS].chunks(CHANNELS).map(|sample| sample[0]).collect::<Vec<_>>();
                let steepest = steepest.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
                assert!(steepest < limit, "{hertz}: {steepest}");
                assert!(pcm[..10].iter().zip(&wave).all(|(after, before)| (after - before).abs() < 2e-3));
                assert_eq!(pcm[len * CHANNELS - 10..len * CHANNELS], wave[wave.len() - 10..]);
            }
        }
    }
}
