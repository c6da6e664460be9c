//! Is what was heard what was sent? Everything here takes samples at 48 kHz and reads no clock.

use std::ops::Range;

use realfft::RealFftPlanner;

/// Samples per second and channel of everything that is compared.
pub(crate) const RATE: usize = 48_000;

const CHANNELS: usize = 2;
/// Gaps are looked for in windows of 5 ms, a quarter of a frame.
const WINDOW: usize = RATE / 200;
/// One window may fall between two notes; two in a row are a hole.
const SHORTEST_GAP: usize = 2 * WINDOW;
/// A window this loud was meant to be heard.
const AUDIBLE_DB: f64 = -45.0;
/// A window this far below what was sent is missing, whatever a codec does to it.
const MISSING_DB: f64 = 30.0;
/// Around a lost packet the decoder needs this long to find its way back (RFC 6716, section 4.5: it adapts over frames).
const RECOVERY: usize = RATE / 25;
const LEVEL_TOLERANCE_DB: f64 = 0.5;
const LEAST_CORRELATION: f64 = 0.8;
/// Stretches that must each be like what was sent: what is wrong for a tenth of a second hides in a clip of three.
const STRETCH: usize = RATE / 10;
/// How like: a codec changes the waveform of soft passages more than that of loud ones.
const LEAST_IN_STRETCH: f64 = 0.5;
/// After the end of what was sent a codec and a fade may ring for so long.
const RINGING: usize = RATE / 10;

/// Where one signal lies in another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Alignment {
    /// The index in the heard signal of the sent signal's first sample; negative when its beginning is missing.
    pub(crate) offset_samples: i64,
    /// How alike the two are there, from -1 to 1; 0 when one of them is silent.
    pub(crate) correlation: f64,
}

/// What the comparison of one clip found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    /// As in [`Alignment`].
    pub(crate) offset_samples: i64,
    /// Over what no loss touched; of two channels the lesser.
    pub(crate) correlation: f64,
    /// Heard minus sent over what no loss touched; of two channels the greater.
    pub(crate) level_difference_db: f64,
    /// Stretches of the sent signal, in samples per channel, that are missing without a loss to explain it.
    pub(crate) gaps: Vec<Range<usize>>,
    /// Why it failed; empty when it passed.
    pub(crate) reasons: Vec<String>,
}

impl Verdict {
    /// Whether what was heard is what was sent.
    pub(crate) fn ok(&self) -> bool {
        self.reasons.is_empty()
    }
}

/// Both channels of interleaved stereo in one.
pub(crate) fn mono(stereo: &[f32]) -> Vec<f32> {
    stereo.chunks_exact(CHANNELS).map(|frame| (frame[0] + frame[1]) / 2.0).collect()
}

/// RMS level in dBFS; digital silence and nothing at all are -120.
pub(crate) fn level_db(samples: &[f32]) -> f64 {
    let energy: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    (10.0 * (energy / samples.len().max(1) as f64).log10()).max(-120.0)
}

/// Finds a mono signal in another by the peak of their cross-correlation.
pub(crate) fn align(sent: &[f32], heard: &[f32]) -> Alignment {
    let size = (sent.len() + heard.len()).next_power_of_two().max(2);
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    let spectrum = |signal: &[f32]| {
        let mut input = forward.make_input_vec();
        input[..signal.len()].copy_from_slice(signal);
        let mut output = forward.make_output_vec();
        forward.process(&mut input, &mut output).expect("invariant: the planner made both buffers");
        output
    };
    let mut product: Vec<_> = spectrum(sent).iter().zip(spectrum(heard)).map(|(s, h)| s.conj() * h).collect();
    // Both ends of a real signal's spectrum are real; rounding may have left a trace.
    for end in [0, size / 2] {
        product[end].im = 0.0;
    }
    let mut lags = inverse.make_output_vec();
    inverse.process(&mut product, &mut lags).expect("invariant: the planner made both buffers");

    let peak = (0..size).max_by(|&a, &b| lags[a].total_cmp(&lags[b])).unwrap_or(0);
    // Lags wrap around: the upper part of the transform holds the negative ones.
    let offset_samples = if peak < heard.len().max(1) { peak as i64 } else { peak as i64 - size as i64 };
    let correlation = correlation(sent, &shifted(heard, offset_samples, sent.len()));
    Alignment { offset_samples, correlation }
}

/// Compares interleaved stereo, side by side. `concealed` are the stretches of `heard`, in samples per channel, that stand
/// in for packets that never came.
pub(crate) fn compare(sent: &[f32], heard: &[f32], concealed: &[Range<usize>]) -> Verdict {
    let offset_samples = align(&mono(sent), &mono(heard)).offset_samples;
    let excused: Vec<Range<i64>> =
        concealed.iter().map(|span| (span.start.saturating_sub(WINDOW)) as i64..(span.end + RECOVERY) as i64).collect();
    let is_excused = |at: usize| excused.iter().any(|span| span.contains(&(at as i64 + offset_samples)));

    let mut verdict = Verdict { offset_samples, ..Verdict::default() };
    let mut correlations = Vec::new();
    let mut strange = Vec::new();
    for side in 0..CHANNELS {
        let (sent, heard) = (channel(sent, side), channel(heard, side));
        let (start, end) = (offset_samples.max(0) as usize, (sent.len() as i64 + offset_samples).max(0) as usize);
        let around =
            [&heard[..start.saturating_sub(RINGING).min(heard.len())], heard.get(end + RINGING..).unwrap_or(&[])];
        if around.iter().any(|around| level_db(around) > AUDIBLE_DB) {
            verdict.reasons.push("something is heard before or after it".to_owned());
        }
        let heard = shifted(&heard, offset_samples, sent.len());
        let clean = |range: &Range<usize>| !is_excused(range.start) && !is_excused(range.end - 1);
        let (total, clean) = (sent.len(), &clean);
        let windows = |length: usize| {
            let count = total.div_ceil(length);
            (0..count).map(move |index| index * length..((index + 1) * length).min(total)).filter(clean)
        };
        let (mut clean_sent, mut clean_heard) = (Vec::new(), Vec::new());
        let mut gaps: Vec<Range<usize>> = Vec::new();
        for window in windows(WINDOW) {
            let (s, h) = (&sent[window.clone()], &heard[window.clone()]);
            clean_sent.extend_from_slice(s);
            clean_heard.extend_from_slice(h);
            if level_db(s) > AUDIBLE_DB && level_db(h) < level_db(s) - MISSING_DB {
                match gaps.last_mut() {
                    Some(gap) if gap.end == window.start => gap.end = window.end,
                    _ => gaps.push(window),
                }
            }
        }
        gaps.retain(|gap| gap.len() >= SHORTEST_GAP && !verdict.gaps.contains(gap));
        verdict.gaps.extend(gaps);
        let is_strange = |range: &Range<usize>| {
            let (s, h) = (&sent[range.clone()], &heard[range.clone()]);
            level_db(s) > AUDIBLE_DB && correlation(s, h) < LEAST_IN_STRETCH
        };
        strange.extend(windows(STRETCH).filter(is_strange));
        if level_db(&clean_sent) > AUDIBLE_DB || level_db(&clean_heard) > AUDIBLE_DB {
            correlations.push(correlation(&clean_sent, &clean_heard));
            let difference = level_db(&clean_heard) - level_db(&clean_sent);
            if difference.abs() > verdict.level_difference_db.abs() {
                verdict.level_difference_db = difference;
            }
        }
    }
    verdict.correlation = correlations.into_iter().min_by(f64::total_cmp).unwrap_or(0.0);
    verdict.reasons.extend(reasons(&verdict, &strange));
    verdict
}

fn reasons(verdict: &Verdict, strange: &[Range<usize>]) -> Vec<String> {
    let mut reasons = Vec::new();
    if verdict.correlation < LEAST_CORRELATION {
        reasons.push(format!("correlation {:.3}, wanted at least {LEAST_CORRELATION}", verdict.correlation));
    }
    if verdict.level_difference_db.abs() > LEVEL_TOLERANCE_DB {
        let difference = verdict.level_difference_db;
        reasons.push(format!("level is off by {difference:+.2} dB, allowed are {LEVEL_TOLERANCE_DB}"));
    }
    for gap in &verdict.gaps {
        let (at, length) = (seconds(gap.start), 1_000.0 * seconds(gap.len()));
        reasons.push(format!("{length:.0} ms are missing at {at:.3} s and no lost packet explains it"));
    }
    for stretch in strange {
        reasons.push(format!("what is heard at {:.1} s is not what was sent", seconds(stretch.start)));
    }
    reasons
}

/// One side of interleaved stereo.
fn channel(stereo: &[f32], side: usize) -> Vec<f32> {
    stereo.iter().skip(side).step_by(CHANNELS).copied().collect()
}

/// Samples per channel as seconds.
pub(crate) fn seconds(samples: usize) -> f64 {
    samples as f64 / RATE as f64
}

/// What is heard from `offset` on, for as long as was sent; silence where nothing was heard.
pub(crate) fn shifted(heard: &[f32], offset: i64, length: usize) -> Vec<f32> {
    let at = |index: usize| usize::try_from(index as i64 + offset).ok().and_then(|index| heard.get(index));
    (0..length).map(|index| at(index).copied().unwrap_or(0.0)).collect()
}

/// Normalised: 1 for two signals that differ in loudness alone.
fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let sum = |f: fn(f64, f64) -> f64| a.iter().zip(b).map(|(&a, &b)| f(f64::from(a), f64::from(b))).sum::<f64>();
    let energy = (sum(|a, _| a * a) * sum(|_, b| b * b)).sqrt();
    if energy > 0.0 { sum(|a, b| a * b) / energy } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::{RATE, align, compare, level_db, mono};

    /// Bursts of a chirp at uneven distances, stereo.
    fn music(seconds: f64) -> Vec<f32> {
        let sample = |index: usize| {
            let time = index as f64 / RATE as f64;
            let beat = time * 4.0 + (time * 1.7).sin();
            ((time * 1_500.0 + 900.0 * time * time).sin() * 0.4 * (-4.0 * beat.fract()).exp()) as f32
        };
        let right = |index: usize| 0.5 * sample(index) + 0.2 * (index as f32 * 0.031).sin();
        (0..(seconds * RATE as f64) as usize).flat_map(|index| [sample(index), right(index)]).collect()
    }

    fn delayed(samples: &[f32], by: usize) -> Vec<f32> {
        let mut heard = vec![0.0; 2 * by];
        heard.extend_from_slice(samples);
        heard
    }

    #[test]
    fn a_delay_is_found_to_the_sample() {
        let sent = music(1.0);
        for by in [0, 1, 959, 30_001] {
            let alignment = align(&mono(&sent), &mono(&delayed(&sent, by)));
            assert_eq!(alignment.offset_samples, by as i64);
            assert!(alignment.correlation > 0.999);
        }
    }

    #[test]
    fn a_missing_beginning_is_a_negative_offset() {
        let sent = mono(&music(1.0));
        assert_eq!(align(&sent, &sent[700..]).offset_samples, -700);
    }

    #[test]
    fn a_missing_beginning_or_end_is_a_gap() {
        let sent = music(1.0);
        let late = compare(&sent, &sent[2 * 2_400..], &[]);
        assert_eq!(late.gaps.first().map(|gap| gap.start), Some(0));
        assert!(!late.ok());
        // The sound at the very end has died away, so the cut is made where there is some.
        let loud = (0..sent.len()).rev().find(|&index| sent[index].abs() > 0.1).expect("music is loud somewhere") / 2;
        let cut = compare(&sent[..2 * loud], &sent[..2 * (loud - 1_200)], &[]);
        assert_eq!(cut.gaps.last().map(|gap| gap.end), Some(loud));
        assert!(!cut.ok());
    }

    #[test]
    fn nothing_and_silence_correlate_with_nothing() {
        assert_eq!(align(&[], &[]).correlation, 0.0);
        assert_eq!(align(&mono(&music(0.1)), &[]).correlation, 0.0);
        assert_eq!(align(&mono(&music(0.1)), &[0.0; 999]).correlation, 0.0);
        assert!(!compare(&music(0.1), &[], &[]).ok());
        assert!(!compare(&[], &music(0.1), &[]).ok());
    }

    #[test]
    fn levels_are_rms() {
        assert!((level_db(&[0.5, -0.5]) + 6.0206).abs() < 1e-3);
        assert_eq!(level_db(&[]), -120.0);
        assert_eq!(level_db(&[0.0; 8]), -120.0);
    }

    #[test]
    fn the_same_sound_later_passes() {
        let sent = music(1.0);
        let verdict = compare(&sent, &delayed(&sent, 4_000), &[]);
        assert!(verdict.ok(), "{:?}", verdict.reasons);
        assert_eq!(verdict.offset_samples, 4_000);
    }

    #[test]
    fn sides_that_are_swapped_or_mixed_fail() {
        let sent = music(1.0);
        let swapped: Vec<f32> = sent.chunks_exact(2).flat_map(|frame| [frame[1], frame[0]]).collect();
        let mixed: Vec<f32> = mono(&sent).iter().flat_map(|sample| [*sample, *sample]).collect();
        assert!(!compare(&sent, &swapped, &[]).ok());
        assert!(!compare(&sent, &mixed, &[]).ok());
    }

    #[test]
    fn a_tenth_of_a_second_of_something_else_fails() {
        let sent = music(3.0);
        let mut heard = sent.clone();
        heard.copy_within(2 * 60_000..2 * 64_800, 2 * 96_000);
        assert!(!compare(&sent, &heard, &[]).ok());
    }

    #[test]
    fn more_than_was_sent_fails() {
        let sent = music(1.0);
        assert!(!compare(&sent, &[sent.clone(), sent.clone()].concat(), &[]).ok());
    }

    #[test]
    fn a_wrong_level_fails() {
        let sent = music(1.0);
        let quiet: Vec<f32> = sent.iter().map(|sample| sample * 0.93).collect();
        let verdict = compare(&sent, &quiet, &[]);
        assert_eq!(verdict.reasons.len(), 1);
        assert!((verdict.level_difference_db + 0.63).abs() < 0.01);
    }

    #[test]
    fn a_hole_fails_unless_a_lost_packet_explains_it() {
        let sent = music(1.0);
        let mut heard = delayed(&sent, 100);
        heard[2 * 24_000..2 * 24_960].fill(0.0);
        let verdict = compare(&sent, &heard, &[]);
        assert_eq!(verdict.gaps.len(), 1);
        assert!(verdict.gaps[0].start.abs_diff(23_900) <= 240 && verdict.gaps[0].end.abs_diff(24_860) <= 240);
        assert!(!verdict.ok());
        let excused = compare(&sent, &heard, std::slice::from_ref(&(24_000..24_960)));
        assert!(excused.ok(), "{:?}", excused.reasons);
    }

    #[test]
    fn audio_that_slips_halfway_fails() {
        let sent = music(1.0);
        let mut heard = sent[..48_000].to_vec();
        heard.extend_from_slice(&sent[48_000 - 1_920..]);
        assert!(!compare(&sent, &heard, &[]).ok());
    }

    #[test]
    fn another_sound_fails() {
        let sent = music(1.0);
        let mut backwards = sent.clone();
        backwards.reverse();
        assert!(!compare(&sent, &backwards, &[]).ok());
    }
}
