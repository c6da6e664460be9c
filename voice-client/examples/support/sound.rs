//! A moment of what was heard, and what can be said of it.

use std::f64::consts::TAU;
use std::fmt;

use realfft::RealFftPlanner;

const RATE: f64 = 48_000.0;
/// Lower ends of the bands of a [picture](Sound::bands), an octave apart.
const BANDS: [f64; 9] = [60.0, 120.0, 240.0, 480.0, 960.0, 1_920.0, 3_840.0, 7_680.0, 15_360.0];

/// Interleaved stereo at 48 kHz, and the sizes of the Opus packets that it came in.
#[derive(Default)]
pub(crate) struct Sound {
    pub(crate) pcm: Vec<f32>,
    pub(crate) packets: Vec<usize>,
}

impl Sound {
    /// RMS level in dB of full scale; -100 is silence.
    pub(crate) fn level(&self) -> f64 {
        let energy: f64 = self.pcm.iter().map(|&sample| f64::from(sample).powi(2)).sum();
        decibels(energy / self.pcm.len().max(1) as f64)
    }

    /// Whether there is anything to be heard.
    pub(crate) fn is_silent(&self) -> bool {
        self.level() < -60.0
    }

    /// The strongest frequency in Hz, to within some Hz.
    pub(crate) fn pitch(&self) -> f64 {
        let power = self.power();
        let strongest = (1..power.len()).max_by(|&a, &b| power[a].total_cmp(&power[b])).unwrap_or(0);
        strongest as f64 * RATE / (2.0 * power.len() as f64)
    }

    /// How loud each octave is, from the bass to the treble.
    pub(crate) fn bands(&self) -> String {
        let power = self.power();
        let bin = |hz: f64| ((hz / RATE * 2.0 * power.len() as f64) as usize).min(power.len());
        let bar = |&low: &f64| {
            let level = decibels(power[bin(low)..bin(2.0 * low)].iter().sum::<f64>());
            ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][((level + 70.0) / 7.0).clamp(0.0, 7.0) as usize]
        };
        BANDS.iter().map(bar).collect()
    }

    /// Power per frequency, of both channels, up to 24 kHz.
    fn power(&self) -> Vec<f64> {
        let size = 1 << (self.pcm.len() / 2).max(2).ilog2();
        let transform = RealFftPlanner::<f64>::new().plan_fft_forward(size);
        let mut power = vec![0.0; size / 2];
        for side in 0..2 {
            let samples = self.pcm.iter().skip(side).step_by(2).chain(std::iter::repeat(&0.0));
            let window = |index: usize| 0.5 - 0.5 * (TAU * index as f64 / size as f64).cos();
            let mut input: Vec<f64> =
                samples.take(size).enumerate().map(|(index, &sample)| f64::from(sample) * window(index)).collect();
            let mut output = transform.make_output_vec();
            transform.process(&mut input, &mut output).expect("invariant: the transform made the buffer");
            let scale = 2.0 / size as f64;
            power.iter_mut().zip(&output).for_each(|(power, bin)| *power += bin.norm_sqr() * scale * scale);
        }
        power
    }
}

/// Its level, in numbers and as a bar.
impl fmt::Display for Sound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_silent() {
            return write!(f, "silence  {:20}", "");
        }
        let level = self.level();
        let bar = "█".repeat(((level + 60.0) / 3.0).clamp(0.0, 20.0) as usize);
        write!(f, "{level:4.0} dB  {bar:20}")
    }
}

fn decibels(power: f64) -> f64 {
    (10.0 * power.log10()).max(-100.0)
}
