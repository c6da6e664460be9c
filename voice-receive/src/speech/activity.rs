use std::time::{Duration, Instant};

use voice_model::RtpTime;

use super::level::{Detector, Sensitivity, level};
use crate::heard::{Heard, Kind};
use crate::packet;

/// Without a packet for so long, who spoke has stopped: more than any jitter, and than a few lost packets in a row.
const GAP: Duration = Duration::from_millis(200);
/// How long it may be quiet within speech, when the level says so.
const HANG_OVER: Duration = Duration::from_millis(300);
/// As long as decoded audio has been seen this recently, it decides, and packets alone prove nothing.
const MEASURED: Duration = Duration::from_millis(500);

/// When one person starts and stops speaking, on the clock of their stream.
///
/// Told of packets as they arrive ([`packet`](Self::packet)) and, where somebody has them decoded, of what is heard
/// ([`heard`](Self::heard)), which knows better.
#[derive(Clone, Debug)]
pub struct Activity {
    detector: Detector,
    speaking: bool,
    /// The last sign of speech: when, and the timestamp after it.
    last: Option<(Instant, RtpTime)>,
    /// When decoded audio was last seen.
    measured: Option<Instant>,
}

/// What an [`Activity`] has noticed. Timestamps are those of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Speech starts with the sample of this timestamp.
    Started(RtpTime),
    /// Speech ended before the sample of this timestamp.
    Stopped(RtpTime),
}

impl Activity {
    /// Nobody speaks yet.
    pub fn new(sensitivity: Sensitivity) -> Self {
        Self { detector: Detector::new(sensitivity), speaking: false, last: None, measured: None }
    }

    /// Whether the person speaks.
    pub fn is_speaking(&self) -> bool {
        self.speaking
    }

    /// An Opus packet has arrived; `flags` are Discord's speaking flags, when its header extension has them.
    pub fn packet(&mut self, now: Instant, time: RtpTime, frame: &[u8], flags: Option<u8>) -> Option<Change> {
        // Padding says nothing; what is no Opus packet neither.
        let samples = packet::samples(frame)?;
        if self.is_measured(now) {
            // It is heard soon, and judged then.
            None
        } else if packet::is_quiet(frame) || flags == Some(0) {
            self.stop()
        } else {
            self.voice(now, time, samples)
        }
    }

    /// Decoded audio of this person is given out.
    pub fn heard(&mut self, now: Instant, heard: &Heard<'_>) -> Option<Change> {
        if heard.pcm.is_empty() {
            return None;
        }
        self.measured = Some(now);
        match heard.kind {
            // Silence frames and pauses: the sender has ended.
            Kind::Silence => self.stop(),
            // What was made up sounds like what it replaces.
            _ if self.detector.is_speech(level(heard.pcm)) => self.voice(now, heard.time, heard.samples),
            _ => self.handle_timeout(now),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due: the end of speech that nobody announces.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let (at, _) = self.last.filter(|_| self.speaking)?;
        let measured = self.measured.is_some_and(|measured| measured + MEASURED > at);
        Some(at + if measured { HANG_OVER } else { GAP })
    }

    /// Notices that nothing has been heard for too long.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Change> {
        if self.poll_timeout()? <= now { self.stop() } else { None }
    }

    /// The stream is over: nothing more comes.
    pub fn end(&mut self) -> Option<Change> {
        self.stop()
    }

    fn is_measured(&self, now: Instant) -> bool {
        self.measured.is_some_and(|measured| now.saturating_duration_since(measured) < MEASURED)
    }

    fn voice(&mut self, now: Instant, time: RtpTime, samples: u32) -> Option<Change> {
        self.last = Some((now, time + samples));
        let started = !self.speaking;
        self.speaking = true;
        started.then_some(Change::Started(time))
    }

    fn stop(&mut self) -> Option<Change> {
        let (_, end) = self.last.filter(|_| self.speaking)?;
        self.speaking = false;
        Some(Change::Stopped(end))
    }
}

#[cfg(test)]
mod tests;
