use voice_model::CHANNELS;

use super::kernel::Kernel;

/// The source's sound at another rate: frame `n` of it is where the source's frame `n * ratio` is.
pub(super) struct Resampled {
    ratio: f64,
    kernel: Kernel,
    /// The source's sound, one channel after the other, as far as the filter needs it.
    input: [Box<[f32]>; CHANNELS],
    /// The source's frame that `input` begins with, and how many there are. The source begins at frame zero; silence was
    /// before it.
    start: i64,
    len: usize,
    /// Where in the source the next frame is: `anchor + made * ratio`.
    anchor: f64,
    made: u64,
    /// Frames taken from the source.
    pub(super) taken: u64,
    /// The source has ended: silence comes after it.
    pub(super) ended: bool,
    chunk: Box<[f32]>,
}

/// Frames taken from the source at a time at most.
const CHUNK: usize = 256;

/// Loudest sample that is taken, 60 dB above full scale.
const LIMIT: f32 = 1_000.0;

/// Frames of input that are kept at most.
const SIZE: usize = 4 * Kernel::REACH + 2 * CHUNK;

impl Resampled {
    pub(super) fn new(ratio: f64) -> Self {
        let mut resampled = Self {
            ratio,
            kernel: Kernel::new(ratio),
            input: std::array::from_fn(|_| vec![0.0; SIZE].into()),
            start: 0,
            len: 0,
            anchor: 0.0,
            made: 0,
            taken: 0,
            ended: false,
            chunk: vec![0.0; CHUNK * CHANNELS].into(),
        };
        resampled.reset();
        resampled
    }

    /// Forgets all sound; the source begins anew at frame zero.
    pub(super) fn reset(&mut self) {
        self.input.iter_mut().for_each(|input| input[..Kernel::REACH].fill(0.0));
        (self.start, self.len) = (-(Kernel::REACH as i64), Kernel::REACH);
        (self.anchor, self.made, self.taken, self.ended) = (0.0, 0, 0, false);
    }

    /// Where in the source the next frame is.
    pub(super) fn place(&self) -> f64 {
        self.anchor + self.made as f64 * self.ratio
    }

    /// Changes the ratio from the next frame on.
    pub(super) fn set(&mut self, ratio: f64) {
        (self.anchor, self.made) = (self.place(), 0);
        self.ratio = ratio;
        self.kernel.set(ratio);
    }

    /// Frames from the next one to where the source ended.
    pub(super) fn left(&self) -> f64 {
        (self.taken as f64 - self.place()) / self.ratio
    }

    /// Makes the next frames; fewer than there is room for when the source has no more at the moment.
    pub(super) fn make(
        &mut self,
        left: &mut [f32],
        right: &mut [f32],
        source: &mut dyn FnMut(&mut [f32]) -> usize,
        ended: bool,
    ) -> usize {
        let batch = ((CHUNK as f64 / self.ratio) as usize).max(1);
        let mut count = 0;
        for (left, right) in left.chunks_mut(batch).zip(right.chunks_mut(batch)) {
            let (first, _) = self.span(0);
            let (last, len) = self.span(left.len() as u64 - 1);
            self.pull(last + len as i64, first, source, ended);
            for (left, right) in left.iter_mut().zip(right) {
                let (first, len) = self.span(0);
                if first + len as i64 > self.start + self.len as i64 {
                    return count;
                }
                let range = (first - self.start) as usize..(first - self.start) as usize + len;
                let [l, r] = &self.input;
                let place = self.place();
                let inputs = [&l[range.clone()], &r[range]];
                [*left, *right] =
                    if len == 1 { inputs.map(|input| input[0]) } else { self.kernel.at(place - place.floor(), inputs) };
                self.made += 1;
                count += 1;
            }
        }
        count
    }

    /// The input that the frame `later` frames on needs: where it begins, and its length.
    fn span(&self, later: u64) -> (i64, usize) {
        let place = self.anchor + (self.made + later) as f64 * self.ratio;
        let whole = place.floor();
        // Where nothing lies between two samples and nothing is to be filtered, the sample is it.
        if self.ratio == 1.0 && place == whole {
            return (whole as i64, 1);
        }
        let half = self.kernel.half();
        (whole as i64 - (half as i64 - 1), 2 * half)
    }

    /// Takes what is missing up to `end` from the source, or what it has; forgets what is before `first`, less the longest
    /// filter.
    fn pull(&mut self, end: i64, first: i64, source: &mut dyn FnMut(&mut [f32]) -> usize, ended: bool) {
        while end > self.start + self.len as i64 {
            let wanted = (end - self.start - self.len as i64).min(CHUNK as i64) as usize;
            if self.len + wanted > SIZE {
                let keep = first - Kernel::REACH as i64;
                let gone = (keep - self.start).clamp(0, self.len as i64) as usize;
                self.input.iter_mut().for_each(|input| input.copy_within(gone..self.len, 0));
                self.start += gone as i64;
                self.len -= gone;
            }
            let wanted = wanted.min(SIZE - self.len);
            let got = if self.ended { 0 } else { source(&mut self.chunk[..wanted * CHANNELS]).min(wanted) };
            self.taken += got as u64;
            self.ended |= ended && got == 0;
            let got = if self.ended { wanted } else { got };
            if got == 0 {
                return;
            }
            if self.ended {
                self.chunk[..got * CHANNELS].fill(0.0);
            }
            for (n, frame) in self.chunk.as_chunks::<CHANNELS>().0[..got].iter().enumerate() {
                for (input, sample) in self.input.iter_mut().zip(frame) {
                    input[self.len + n] = if sample.is_finite() { sample.clamp(-LIMIT, LIMIT) } else { 0.0 };
                }
            }
            self.len += got;
        }
    }
}
