use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, Fft, FixedAsync, FixedSync, Indexing, Resampler, ResamplerConstructionError, SincInterpolationParameters,
    WindowFunction,
};
use voice_model::{CHANNELS, SAMPLE_RATE};

/// Rates that are converted; outside of them a filter would need absurd amounts of memory.
pub(crate) const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// Frames per conversion.
const CHUNK: usize = 1_024;

/// Above this a synchronous resampler's block, and so its delay, grows long: at 44,099 Hz it would be half a second.
const LARGEST_RATIO_TERM: u32 = 1_000;

/// Length of the asynchronous resampler's filter in frames.
const SINC_LEN: usize = 128;

/// Shortest block of the synchronous resampler whose filter is steep enough.
const MIN_BLOCK: usize = 100;

/// How much a converter takes at once, and so how late its output comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// Most output for the work: tens of milliseconds.
    Ahead,
    /// At most 10 ms, for what is live.
    Prompt,
}

/// Brings interleaved stereo of one rate to 48 kHz. Output sample `n` sounds when input sample `n * rate / 48,000` does:
/// the filter's delay is cut off at the beginning and its tail is flushed at the end.
pub(crate) struct Converter {
    rate: u32,
    resampler: Option<Box<dyn Resampler<f32>>>,
    input: Vec<f32>,
    scratch: Vec<f32>,
    /// Silent input frames put before the first one.
    lead: u64,
    /// Output frames still to be cut off at the beginning.
    delay: usize,
    /// `lead` and `delay` of a fresh one.
    first: (usize, usize),
    /// Frames that came in, with the lead, and went out.
    consumed: u64,
    produced: u64,
}

impl Converter {
    /// A converter for `rate`, which is one of [`RATES`].
    pub(crate) fn new(rate: u32) -> Result<Self, ResamplerConstructionError> {
        Self::with(rate, Pace::Ahead)
    }

    /// A converter whose output comes at most 10 ms later than its input.
    pub(crate) fn prompt(rate: u32) -> Result<Self, ResamplerConstructionError> {
        Self::with(rate, Pace::Prompt)
    }

    fn with(rate: u32, pace: Pace) -> Result<Self, ResamplerConstructionError> {
        let (resampler, lead, delay) = if rate == SAMPLE_RATE { (None, 0, 0) } else { resampler(rate, pace)? };
        let scratch = resampler.as_ref().map_or(0, |resampler| resampler.output_frames_max() * CHANNELS);
        let (input, scratch) = (vec![0.0; lead * CHANNELS], vec![0.0; scratch]);
        let first = (lead, delay);
        Ok(Self { rate, resampler, input, scratch, lead: lead as u64, delay, first, consumed: 0, produced: 0 })
    }

    /// Forgets all that came in, as if it were new.
    pub(crate) fn reset(&mut self) {
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
        let (lead, delay) = self.first;
        self.input.clear();
        self.input.resize(lead * CHANNELS, 0.0);
        (self.delay, self.consumed, self.produced) = (delay, 0, 0);
    }

    pub(crate) fn rate(&self) -> u32 {
        self.rate
    }

    /// The buffer to append input to before [`convert`](Self::convert).
    pub(crate) fn input(&mut self) -> &mut Vec<f32> {
        &mut self.input
    }

    /// Appends what can be converted so far to `out`.
    pub(crate) fn convert(&mut self, out: &mut Vec<f32>) {
        let Some(resampler) = &self.resampler else {
            out.append(&mut self.input);
            return;
        };
        let mut needed = resampler.input_frames_next();
        let mut start = 0;
        while self.input.len() / CHANNELS - start >= needed {
            let frames = self.process(start, None, out);
            self.consumed += frames as u64;
            start += frames;
            needed = self.resampler.as_ref().map_or(usize::MAX, |resampler| resampler.input_frames_next());
        }
        self.input.drain(..start * CHANNELS);
    }

    /// Appends all that is left, so that the whole has the input's duration to the sample.
    pub(crate) fn finish(&mut self, out: &mut Vec<f32>) {
        self.convert(out);
        if self.resampler.is_none() {
            return;
        }
        let rest = self.input.len() / CHANNELS;
        let rate = u64::from(self.rate);
        let total = ((self.consumed + rest as u64 - self.lead) * u64::from(SAMPLE_RATE) + rate / 2) / rate;
        let mut partial = rest;
        while self.produced < total {
            let before = out.len();
            self.process(0, Some(partial), out);
            partial = 0;
            let surplus = self.produced.saturating_sub(total) as usize;
            self.produced -= surplus as u64;
            out.truncate((out.len() - surplus * CHANNELS).max(before));
        }
        self.input.clear();
    }

    /// One conversion of the input from frame `start` on; returns how many frames it took.
    fn process(&mut self, start: usize, partial: Option<usize>, out: &mut Vec<f32>) -> usize {
        let Some(resampler) = &mut self.resampler else { return 0 };
        let (frames_in, frames_out) = (self.input.len() / CHANNELS, self.scratch.len() / CHANNELS);
        let input = InterleavedSlice::new(&self.input[..], CHANNELS, frames_in).expect("invariant: whole frames");
        let mut output =
            InterleavedSlice::new_mut(&mut self.scratch[..], CHANNELS, frames_out).expect("invariant: whole frames");
        let indexing = Indexing { input_offset: start, partial_len: partial, ..Indexing::default() };
        let (taken, made) = resampler
            .process_into_buffer(&input, &mut output, Some(&indexing))
            .expect("invariant: the buffers are as large as the resampler asked for");
        let cut = self.delay.min(made);
        self.delay -= cut;
        self.produced += (made - cut) as u64;
        out.extend_from_slice(&self.scratch[cut * CHANNELS..made * CHANNELS]);
        taken
    }
}

/// A resampler, how many silent frames to put before its input, and how many to cut off its output then.
type Aligned = (Option<Box<dyn Resampler<f32>>>, usize, usize);

fn resampler(rate: u32, pace: Pace) -> Result<Aligned, ResamplerConstructionError> {
    let divisor = gcd(rate, SAMPLE_RATE);
    // Prompt: a block is waited for, and half a block is the filter's delay; together they are 10 ms at most. A filter of an
    // odd length has its middle between two frames.
    let even = rate / divisor * (1 + rate / divisor % 2);
    let block = match pace {
        Pace::Ahead => (rate.max(SAMPLE_RATE) / divisor <= LARGEST_RATIO_TERM).then_some(CHUNK),
        Pace::Prompt => Some((rate / 150 / even * even) as usize).filter(|block| *block >= MIN_BLOCK),
    };
    if let Some(block) = block {
        let (from, to) = (rate as usize, SAMPLE_RATE as usize);
        let resampler = Fft::new(from, to, block, CHANNELS, FixedSync::Input)?;
        let delay = resampler.output_delay();
        return Ok((Some(Box::new(resampler)), 0, delay));
    }
    let (chunk, sinc_len) = match pace {
        Pace::Ahead => (CHUNK, SINC_LEN),
        // Half a filter of 16 ms and 1.25 ms of input.
        Pace::Prompt => ((rate as usize / 800).max(1), SINC_LEN.min((rate as usize / 62).next_multiple_of(8))),
    };
    let ratio = f64::from(SAMPLE_RATE) / f64::from(rate);
    let parameters = SincInterpolationParameters::new(sinc_len, WindowFunction::BlackmanHarris2);
    let resampler = Async::new_sinc(ratio, 1.0, &parameters, chunk, CHANNELS, FixedAsync::Input)?;
    // Half a filter of input later the first frame comes out, less the one output frame by which the resampler starts
    // early: seldom a whole number of output frames, unless some silence goes before.
    let delay = |lead: usize| (sinc_len / 2 + lead) as f64 * ratio;
    let fraction = |lead: &usize| (delay(*lead) - delay(*lead).round()).abs();
    let lead = (0..256).min_by(|a, b| fraction(a).total_cmp(&fraction(b))).unwrap_or(0);
    Ok((Some(Box::new(resampler)), lead, (delay(lead).round() as usize).saturating_sub(1)))
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
