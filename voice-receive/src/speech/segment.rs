use std::collections::VecDeque;
use std::time::{Duration, Instant};

use voice_model::{FRAME, RtpTime, SAMPLE_RATE};

use super::level::{Detector, Sensitivity, level};
use crate::heard::Kind;

/// How a [`Segmenter`] cuts. Durations out of range are brought into it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Segments {
    /// What is loud enough to be speech.
    pub sensitivity: Sensitivity,
    /// Audio before the first sign of speech that belongs to an utterance, so that soft beginnings are not lost.
    /// Default 240 ms, at most 2 s.
    pub pre_roll: Duration,
    /// Silence after which an utterance is over; it is part of it. Default 700 ms, from 20 ms to 10 s.
    pub hang_over: Duration,
    /// What has less speech than this is a cough or a click, and left out. Default 100 ms, at most 2 s.
    pub shortest: Duration,
    /// An utterance that is longer is cut, and goes on as the next one. Default 30 s, from 1 s to 5 min.
    pub longest: Duration,
    /// Give out an utterance that is under way each time that it has grown by this much; never by default.
    pub partial: Option<Duration>,
}

impl Default for Segments {
    fn default() -> Self {
        Self {
            sensitivity: Sensitivity::default(),
            pre_roll: Duration::from_millis(240),
            hang_over: Duration::from_millis(700),
            shortest: Duration::from_millis(100),
            longest: Duration::from_secs(30),
            partial: None,
        }
    }
}

macro_rules! setters {
    ($($name:ident: $kind:ty,)*) => {
        $(
            #[doc = concat!("Sets [`", stringify!($name), "`](Self#structfield.", stringify!($name), ").")]
            #[must_use]
            pub fn $name(mut self, $name: $kind) -> Self {
                self.$name = $name;
                self
            }
        )*
    };
}

impl Segments {
    setters! {
        sensitivity: Sensitivity,
        pre_roll: Duration,
        hang_over: Duration,
        shortest: Duration,
        longest: Duration,
        partial: Option<Duration>,
    }

    fn in_range(self) -> Self {
        let (two, long) = (Duration::from_secs(2), Duration::from_secs(300));
        Self {
            pre_roll: self.pre_roll.min(two),
            hang_over: self.hang_over.clamp(FRAME, Duration::from_secs(10)),
            shortest: self.shortest.min(two),
            longest: self.longest.clamp(Duration::from_secs(1), long),
            partial: self.partial.map(|partial| partial.max(FRAME)),
            ..self
        }
    }
}

/// An utterance, or what there is of it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Chunk<'a> {
    /// Which utterance of this person, from 0. One that was cut for its length goes on as the next number.
    pub utterance: u64,
    /// Timestamp of its first sample on the stream's 48 kHz clock.
    pub time: RtpTime,
    /// All of it so far, mono, at the rate that the segmenter was made with.
    pub pcm: &'a [f32],
    /// How many samples at its end have not been given out before.
    pub fresh: usize,
    /// How many of its samples were concealed: words there are less certain.
    pub concealed: usize,
    /// Why it ends here; `None` while the person still talks.
    pub cut: Option<Cut>,
}

/// Why an utterance ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cut {
    /// The person was silent for [`Segments::hang_over`].
    Pause,
    /// It reached [`Segments::longest`]; the next one goes on where it ends.
    Length,
    /// The stream went on at another place, or is over.
    End,
}

/// Cuts what one person says into utterances.
///
/// Memory: the longest utterance (2 MB at 16 kHz and 30 s), and the pre-roll.
#[derive(Debug)]
pub struct Segmenter {
    segments: Segments,
    rate: u32,
    detector: Detector,
    /// What was heard last, while there is no utterance.
    before: VecDeque<f32>,
    current: Option<Current>,
    /// Utterances so far.
    count: u64,
    /// Timestamp after the last sample, and when it was heard.
    end: Option<(RtpTime, Instant)>,
    /// Kept for its memory.
    spare: Vec<f32>,
}

#[derive(Debug)]
struct Current {
    time: RtpTime,
    pcm: Vec<f32>,
    /// Samples of frames with speech.
    speech: usize,
    /// Samples since the last speech.
    pause: usize,
    concealed: usize,
    /// Samples that were given out already.
    given: usize,
    /// It is the rest of one that was too long.
    continued: bool,
}

impl Segmenter {
    /// A segmenter for mono audio of `rate` samples a second, such as 16,000; a multiple of 50, at least 8,000.
    pub fn new(segments: Segments, rate: u32) -> Self {
        let segments = segments.in_range();
        Self {
            detector: Detector::new(segments.sensitivity),
            segments,
            rate: rate.clamp(8_000, SAMPLE_RATE),
            before: VecDeque::new(),
            current: None,
            count: 0,
            end: None,
            spare: Vec::new(),
        }
    }

    /// Whether an utterance is under way.
    pub fn is_speaking(&self) -> bool {
        self.current.is_some()
    }

    /// Takes the next frame, 20 ms or so, whose first sample has this timestamp. Gaps in the timestamps are silence.
    pub fn push(&mut self, now: Instant, time: RtpTime, kind: Kind, pcm: &[f32], deliver: &mut dyn FnMut(Chunk<'_>)) {
        if pcm.is_empty() {
            return;
        }
        let gap = self.end.map_or(0, |(end, _)| time.since(end));
        let longest = i64::from(SAMPLE_RATE) * self.segments.hang_over.as_millis() as i64 / 1_000;
        if i64::from(gap) > longest || i64::from(gap) < -longest {
            let cut = if gap > 0 { Cut::Pause } else { Cut::End };
            self.finish(cut, deliver);
            self.before.clear();
        } else if gap > 0 {
            let silent = self.samples_of(gap as u32);
            let before = time + (gap as u32).wrapping_neg();
            self.take(before, Kind::Silence, std::iter::repeat_n(0.0, silent), false, deliver);
        }
        let speech = kind != Kind::Silence && self.detector.is_speech(level(pcm));
        self.take(time, kind, pcm.iter().copied(), speech, deliver);
        let ticks = pcm.len() as u64 * u64::from(SAMPLE_RATE) / u64::from(self.rate);
        self.end = Some((time + ticks as u32, now));
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due: somebody who sends nothing any more has ended as well.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let (_, heard) = self.end.filter(|_| self.current.is_some())?;
        Some(heard + self.segments.hang_over)
    }

    /// Ends the utterance of somebody who has not been heard for too long.
    pub fn handle_timeout(&mut self, now: Instant, deliver: &mut dyn FnMut(Chunk<'_>)) {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.finish(Cut::Pause, deliver);
        }
    }

    /// Ends the utterance that is under way: the stream is over.
    pub fn end(&mut self, deliver: &mut dyn FnMut(Chunk<'_>)) {
        self.finish(Cut::End, deliver);
    }

    fn take(
        &mut self,
        time: RtpTime,
        kind: Kind,
        pcm: impl ExactSizeIterator<Item = f32>,
        speech: bool,
        deliver: &mut dyn FnMut(Chunk<'_>),
    ) {
        let samples = pcm.len();
        if self.current.is_none() {
            if !speech {
                self.before.extend(pcm);
                let most = self.samples_in(self.segments.pre_roll);
                self.before.drain(..self.before.len().saturating_sub(most));
                return;
            }
            self.begin(time);
        }
        let Some(current) = &mut self.current else { return };
        current.pcm.extend(pcm);
        current.concealed += if kind == Kind::Concealed { samples } else { 0 };
        if speech {
            current.speech += samples;
            current.pause = 0;
        } else {
            current.pause += samples;
        }
        let (pause, len) = (current.pause, current.pcm.len());
        if pause >= self.samples_in(self.segments.hang_over) {
            self.finish(Cut::Pause, deliver);
        } else if len >= self.samples_in(self.segments.longest) {
            self.finish(Cut::Length, deliver);
            let ticks = samples as u64 * u64::from(SAMPLE_RATE) / u64::from(self.rate);
            self.begin(time + ticks as u32);
            // The pause may be over soon: what is said then goes on from here.
            if let Some(rest) = &mut self.current {
                (rest.continued, rest.pause) = (true, pause);
            }
        } else {
            self.give_partial(deliver);
        }
    }

    /// Begins an utterance with a frame of this timestamp, and what came before it.
    fn begin(&mut self, time: RtpTime) {
        let ticks = self.before.len() as u64 * u64::from(SAMPLE_RATE) / u64::from(self.rate);
        let mut pcm = std::mem::take(&mut self.spare);
        pcm.extend(self.before.drain(..));
        let time = time + (ticks as u32).wrapping_neg();
        self.current = Some(Current { time, pcm, speech: 0, pause: 0, concealed: 0, given: 0, continued: false });
    }

    fn give_partial(&mut self, deliver: &mut dyn FnMut(Chunk<'_>)) {
        let Some(step) = self.segments.partial.map(|partial| self.samples_in(partial)) else { return };
        let shortest = self.samples_in(self.segments.shortest);
        let Some(current) = &mut self.current else { return };
        if current.counts(shortest) && current.pcm.len() - current.given >= step {
            deliver(current.chunk(self.count, None));
            current.given = current.pcm.len();
        }
    }

    fn finish(&mut self, cut: Cut, deliver: &mut dyn FnMut(Chunk<'_>)) {
        let Some(current) = self.current.take() else { return };
        // What was given out in part has an end.
        if current.given > 0 || current.counts(self.samples_in(self.segments.shortest)) {
            deliver(current.chunk(self.count, Some(cut)));
            self.count += 1;
        }
        // Long ones are rare.
        self.spare = current.pcm;
        self.spare.clear();
        self.spare.shrink_to(4 * self.rate as usize);
    }

    fn samples_in(&self, duration: Duration) -> usize {
        (duration.as_micros() as u64 * u64::from(self.rate) / 1_000_000) as usize
    }

    /// Samples at our rate in so many at 48 kHz.
    fn samples_of(&self, ticks: u32) -> usize {
        (u64::from(ticks) * u64::from(self.rate) / u64::from(SAMPLE_RATE)) as usize
    }
}

impl Current {
    /// Whether it is speech, and neither a cough nor a click.
    fn counts(&self, shortest: usize) -> bool {
        self.speech >= shortest || self.continued && self.speech > 0
    }

    fn chunk(&self, utterance: u64, cut: Option<Cut>) -> Chunk<'_> {
        let (time, concealed) = (self.time, self.concealed);
        Chunk { utterance, time, pcm: &self.pcm, fresh: self.pcm.len() - self.given, concealed, cut }
    }
}

#[cfg(test)]
mod tests;
