//! What one bot hears while the other one plays a file: audio, packets, and what became of them.

use std::ops::Range;

use voice_client::layer::model::{FRAME_SAMPLES, RtpTime};
use voice_client::layer::receive::Kind;
use voice_client::layer::receive::record::{Place, Timeline};
use voice_client::{Arrival, Audio, Frame, Stream};

use super::report::{self, Mark, MarkKind};

/// Collects from a call.
pub(crate) struct Ears {
    pub(crate) audio: Audio,
    pub(crate) arrivals: Stream<Arrival>,
}

/// Everything heard during one clip.
#[derive(Default)]
pub(crate) struct Heard {
    frames: Vec<Frame>,
    arrivals: Vec<Arrival>,
}

impl Ears {
    /// Collects until `done`.
    pub(crate) async fn listen(&mut self, done: impl Future<Output = ()>) -> Heard {
        let mut heard = Heard::default();
        tokio::pin!(done);
        loop {
            tokio::select! {
                Some(frame) = self.audio.next() => heard.frames.push(frame),
                Some(arrival) = self.arrivals.next() => heard.arrivals.push(arrival),
                () = &mut done => return heard,
            }
        }
    }
}

impl Heard {
    /// The audio, gaps as silence: sample 0 is the first one of the first frame.
    pub(crate) fn pcm(&self) -> Vec<f32> {
        let mut timeline = Timeline::new(std::time::Duration::ZERO);
        let mut pcm = Vec::new();
        for frame in &self.frames {
            let Place { silence, cut } = timeline.place(frame.at, frame.time, FRAME_SAMPLES);
            pcm.resize(pcm.len() + 2 * silence as usize, 0.0);
            pcm.extend_from_slice(&frame.pcm[2 * cut..]);
        }
        pcm
    }

    /// Stretches of [`pcm`](Self::pcm) that stand in for packets that never came.
    pub(crate) fn replaced(&self) -> Vec<Range<usize>> {
        let replaced = self.frames.iter().filter(|frame| matches!(frame.kind, Kind::Fec | Kind::Concealed));
        replaced.map(|frame| self.place(frame.time)).map(|start| start..start + FRAME_SAMPLES).collect()
    }

    /// When each packet came, against an even stream.
    pub(crate) fn arrivals(&self) -> Vec<report::Arrival> {
        let Some(first) = self.arrivals.first() else { return Vec::new() };
        let mut late: Vec<f64> = self
            .arrivals
            .iter()
            .map(|arrival| {
                let due = f64::from(arrival.time.since(first.time)) / 48.0;
                1_000.0 * (arrival.at - first.at).as_secs_f64() - due
            })
            .collect();
        let deviations = late.clone();
        late.sort_by(f64::total_cmp);
        let median = late[late.len() / 2];
        let at = |arrival: &Arrival| self.seconds(arrival.time);
        let each = self.arrivals.iter().zip(deviations);
        each.map(|(arrival, late)| report::Arrival { at_seconds: at(arrival), deviation_ms: late - median }).collect()
    }

    /// How much was buffered, frame by frame.
    pub(crate) fn depth(&self) -> Vec<(f64, f64)> {
        self.frames.iter().map(|frame| (self.seconds(frame.time), 1_000.0 * frame.depth.as_secs_f64())).collect()
    }

    /// Packets that never came, and what was put in their place.
    pub(crate) fn marks(&self) -> Vec<Mark> {
        let mut marks = Vec::new();
        let mut arrivals = self.arrivals.clone();
        arrivals.sort_by_key(|arrival| arrival.seq.since(self.arrivals[0].seq));
        for pair in arrivals.windows(2) {
            let missing = pair[1].seq.since(pair[0].seq) - 1;
            if missing < 0 {
                marks.push(Mark { at_seconds: self.seconds(pair[1].time), kind: MarkKind::Duplicate });
            }
            let step = pair[1].time.since(pair[0].time) / i32::from(missing.max(0) + 1);
            for index in 1..=i32::from(missing) {
                let time = pair[0].time + (index * step) as u32;
                marks.push(Mark { at_seconds: self.seconds(time), kind: MarkKind::Lost });
            }
        }
        for arrival in &self.arrivals {
            let covers = |frame: &&Frame| (0..FRAME_SAMPLES as i32).contains(&arrival.time.since(frame.time));
            if self.frames.iter().find(covers).is_some_and(|frame| frame.at < arrival.at) {
                marks.push(Mark { at_seconds: self.seconds(arrival.time), kind: MarkKind::Late });
            }
        }
        for frame in &self.frames {
            let kind = match frame.kind {
                Kind::Concealed => MarkKind::Concealed,
                Kind::Fec => MarkKind::Fec,
                _ => continue,
            };
            marks.push(Mark { at_seconds: self.seconds(frame.time), kind });
        }
        marks
    }

    pub(crate) fn packets(&self) -> usize {
        self.arrivals.len()
    }

    fn place(&self, time: RtpTime) -> usize {
        self.frames.first().map_or(0, |first| time.since(first.time).max(0) as usize)
    }

    fn seconds(&self, time: RtpTime) -> f64 {
        self.frames.first().map_or(0.0, |first| f64::from(time.since(first.time)) / 48_000.0)
    }
}
