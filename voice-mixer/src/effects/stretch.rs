use std::fmt;

use voice_model::CHANNELS;

use super::{EffectError, Timescale};
use course::Course;
use resampled::Resampled;
use splice::Splice;

mod course;
mod kernel;
mod resampled;
mod splice;

/// Changes tempo and pitch of a sound while it is played.
///
/// Pitch is changed by resampling with a filter of at least 24 samples; tempo by playing stretches of 10 to 30 ms from
/// places that lie closer together or further apart, each spliced where within 15 ms it is most like what it follows
/// (WSOLA). A phase vocoder sounds purer, most of all with chords; the one in Rust (timestretch 0.16) takes 300 to 1,300
/// microseconds per 20 ms, up to 4 ms at once, and 9 MB per track. This takes some tens of microseconds and 0.3 MB, and what is
/// neither slower nor faster goes through it bit for bit.
pub struct Stretch {
    settings: Timescale,
    /// Spliced frames that tempo moves on by per frame of output.
    tempo: f64,
    input: Resampled,
    course: Course,
    splice: Splice,
    /// Resampled sound, one channel after the other, from frame `base` on.
    sound: [Box<[f32]>; CHANNELS],
    base: u64,
    len: usize,
    /// The stretch that is playing: where it begins, its length, and how much of it is over.
    from: u64,
    length: usize,
    at: usize,
    /// Where the last one goes on, which fades out over it, and how much the two are alike.
    last: Option<(u64, f32)>,
    /// Where tempo has come to: `anchor + run * tempo`.
    anchor: f64,
    run: u64,
    /// All that the source had has been heard.
    over: bool,
}

/// What one call of [`Stretch::render`] came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rendered {
    /// Frames that were written.
    pub frames: usize,
    /// Frames that were taken from the source.
    pub consumed: u64,
}

/// Frames over which two stretches are blended: 8 ms.
const OVERLAP: usize = 384;

/// Frames within which a stretch may begin: 15 ms.
const REACH: usize = 720;

/// Longest and shortest stretch, 30 and 10 ms, and how far tempo may go within one otherwise.
const LONGEST: f64 = 1_440.0;
const SHORTEST: f64 = 480.0;
const SPAN: f64 = 3_600.0;

/// Frames of resampled sound that are kept at most. A stretch at eight times the tempo, twice over because tempo may
/// change within it, and what a search needs before and after it, are less.
const SIZE: usize = 12_288;

impl Stretch {
    /// One that has heard nothing. All memory is allocated here.
    ///
    /// # Errors
    ///
    /// A parameter, or a product of two, is out of its range.
    pub fn new(settings: Timescale) -> Result<Self, EffectError> {
        settings.check()?;
        let (ratio, tempo) = settings.ratios();
        Ok(Self {
            settings,
            tempo,
            input: Resampled::new(ratio),
            course: Course::new(ratio),
            splice: Splice::new(),
            sound: std::array::from_fn(|_| vec![0.0; SIZE].into()),
            base: 0,
            len: 0,
            from: 0,
            length: length(tempo),
            at: 0,
            last: None,
            anchor: 0.0,
            run: 0,
            over: false,
        })
    }

    /// The settings that it plays with.
    pub fn settings(&self) -> Timescale {
        self.settings
    }

    /// Changes the settings from the next frame on, without a click and without allocating.
    ///
    /// # Errors
    ///
    /// A parameter, or a product of two, is out of its range; the settings stay as they were.
    pub fn set(&mut self, settings: Timescale) -> Result<(), EffectError> {
        settings.check()?;
        if settings == self.settings {
            return Ok(());
        }
        let (ratio, tempo) = settings.ratios();
        if self.settings.ratios().0 != ratio {
            self.course.bend(self.end() as f64, self.input.place(), ratio);
            self.input.set(ratio);
        }
        self.settings = settings;
        (self.anchor, self.run, self.tempo) = (self.now(), 0, tempo);
        self.length = self.length.min(self.at + length(tempo));
        Ok(())
    }

    /// Fills `out` with interleaved stereo at 48 kHz. `source` fills whole frames of a slice and returns how many, fewer
    /// when it has no more at the moment; then fewer come out too, and nothing is lost. When the source has `ended` (it
    /// has no more, and never will), what is held comes out; all of it has when fewer frames come out than asked for. The
    /// whole is as long as the source's frames divided by the tempo, rounded up.
    pub fn render(&mut self, out: &mut [f32], source: &mut dyn FnMut(&mut [f32]) -> usize, ended: bool) -> Rendered {
        let before = self.input.taken;
        let (out, _) = out.as_chunks_mut::<CHANNELS>();
        let mut done = 0;
        while done < out.len() {
            if self.at == self.length && !self.begin(source, ended) {
                break;
            }
            let wanted = (out.len() - done).min(self.length - self.at);
            let heard = self.from + (self.at + wanted) as u64;
            self.fill(heard.max(self.after(wanted).ceil() as u64), source, ended);
            let count = self.ready(wanted);
            if count == 0 {
                break;
            }
            self.play(&mut out[done..done + count]);
            done += count;
        }
        self.course.pass(self.now());
        // The last few frames may be too few for a splice: they are over as well.
        self.over = ended && done < out.len();
        Rendered { frames: done, consumed: self.input.taken - before }
    }

    /// Fills `out` with what is left of the sound, without a jump before what the source has next: for settings that change
    /// nothing any more. All of it was played when fewer frames come out than asked for; [`reset`](Self::reset) it then.
    pub(crate) fn drain(&mut self, out: &mut [f32]) -> usize {
        let left = self.input.left().round().max(0.0) as u64;
        self.fill(self.end() + left, &mut |_| 0, true);
        let (out, _) = out.as_chunks_mut::<CHANNELS>();
        let there = self.end().saturating_sub(self.from + self.at as u64) as usize;
        let count = out.len().min(there);
        self.play(&mut out[..count]);
        count
    }

    /// Frames taken from the source that are still to be heard: what is heard now is the source's frame `consumed - held`.
    pub fn held(&self) -> u64 {
        if self.over {
            return 0;
        }
        (self.input.taken as f64 - self.course.place(self.now())).max(0.0).round() as u64
    }

    /// Forgets all it has heard, as a seek needs it; the settings stay.
    pub fn reset(&mut self) {
        let (ratio, tempo) = self.settings.ratios();
        self.input.reset();
        self.course = Course::new(ratio);
        (self.base, self.len) = (0, 0);
        (self.from, self.length, self.at, self.last) = (0, length(tempo), 0, None);
        (self.anchor, self.run, self.over) = (0.0, 0, false);
    }

    /// Where tempo has come to, and where it will be some frames later.
    fn now(&self) -> f64 {
        self.after(0)
    }

    fn after(&self, frames: usize) -> f64 {
        self.anchor + (self.run + frames as u64) as f64 * self.tempo
    }

    /// The frame after the last that has been resampled.
    fn end(&self) -> u64 {
        self.base + self.len as u64
    }

    /// How many of the `wanted` frames can be played: those whose sound is there, and whose place in the source is known
    /// to exist.
    fn ready(&self, wanted: usize) -> usize {
        let there = self.end().saturating_sub(self.from + self.at as u64) as usize;
        let known = if self.input.ended {
            ((self.end() as f64 + self.input.left() - self.now()) / self.tempo - 1e-6).ceil()
        } else {
            ((self.end() as f64 - self.now()) / self.tempo + 1e-6).floor()
        };
        wanted.min(there).min(known.max(0.0) as usize)
    }

    /// Begins the next stretch; not yet when the source has too little.
    fn begin(&mut self, source: &mut dyn FnMut(&mut [f32]) -> usize, ended: bool) -> bool {
        let (next, now) = (self.from + self.at as u64, self.now());
        let first = (now.round() as u64).saturating_sub(REACH as u64 / 2).max(self.base);
        let near = (first..=first + REACH as u64).contains(&next);
        let (from, last) = if near {
            (next, None)
        } else {
            let needed = next.max(first + REACH as u64) + OVERLAP as u64;
            self.fill(needed, source, ended);
            if self.end() < needed {
                return false;
            }
            let sound = |from: u64, frames: usize| {
                let from = (from - self.base) as usize;
                [&self.sound[0][from..from + frames], &self.sound[1][from..from + frames]]
            };
            let (found, likeness) = self.splice.find(sound(next, OVERLAP), sound(first, REACH + OVERLAP));
            (first + found as u64, Some((next, likeness)))
        };
        (self.from, self.last, self.at, self.length) = (from, last, 0, length(self.tempo));
        true
    }

    fn play(&mut self, out: &mut [[f32; CHANNELS]]) {
        let start = (self.from + self.at as u64 - self.base) as usize;
        for (n, frame) in out.iter_mut().enumerate() {
            *frame = [self.sound[0][start + n], self.sound[1][start + n]];
        }
        if let Some((last, likeness)) = self.last {
            let start = (last + self.at as u64 - self.base) as usize;
            for (n, frame) in out.iter_mut().enumerate().take(OVERLAP.saturating_sub(self.at)) {
                let x = (self.at + n) as f32 / OVERLAP as f32;
                let new = x * x * (3.0 - 2.0 * x);
                let old = 1.0 - new;
                // What is alike adds up in amplitude, what is not in power.
                let level = 1.0 / (new * new + old * old + 2.0 * new * old * likeness).sqrt();
                *frame = [0, 1].map(|channel| (frame[channel] * new + self.sound[channel][start + n] * old) * level);
            }
        }
        self.at += out.len();
        self.run += out.len() as u64;
        if self.at >= OVERLAP {
            self.last = None;
        }
    }

    /// Resamples up to frame `end`, as far as the source has it.
    fn fill(&mut self, end: u64, source: &mut dyn FnMut(&mut [f32]) -> usize, ended: bool) {
        let Some(missing) = end.checked_sub(self.end()).map(|missing| missing as usize).filter(|missing| *missing > 0)
        else {
            return;
        };
        if self.len + missing > SIZE {
            // What plays, what fades out, and what the next search may come back to, whatever the tempo is by then.
            let back = (self.now() as u64).saturating_sub(REACH as u64);
            let playing = self.last.map_or(self.from, |(last, _)| last.min(self.from)) + self.at as u64;
            let gone = (playing.min(back).saturating_sub(self.base) as usize).min(self.len);
            self.sound.iter_mut().for_each(|sound| sound.copy_within(gone..self.len, 0));
            self.base += gone as u64;
            self.len -= gone;
        }
        let to = (self.len + missing).min(SIZE);
        let [left, right] = &mut self.sound;
        self.len += self.input.make(&mut left[self.len..to], &mut right[self.len..to], source, ended);
    }
}

/// Frames that a stretch has at a tempo.
fn length(tempo: f64) -> usize {
    (SPAN / tempo).clamp(SHORTEST, LONGEST) as usize
}

impl fmt::Debug for Stretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stretch").field("settings", &self.settings).field("held", &self.held()).finish_non_exhaustive()
    }
}
