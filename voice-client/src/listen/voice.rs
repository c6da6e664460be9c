use model::{CHANNELS, FRAME_SAMPLES, RtpTime, Ssrc};
use receive::convert::{Converter, Format};

/// A jump of a stream's time, in samples, after which it is another sound: 100 ms.
const JUMP: u32 = 4_800;

/// One stream as one listener hears it: how loud, and where its conversion is.
pub(super) struct Voice {
    pub(super) ssrc: Ssrc,
    /// Gain at the end of the last frame; none before the first one.
    gain: Option<f32>,
    converter: Converter,
    /// Where it goes on.
    next: RtpTime,
}

impl Voice {
    pub(super) fn new(ssrc: Ssrc, format: Format) -> Self {
        Self { ssrc, gain: None, converter: Converter::new(format), next: RtpTime(0) }
    }

    /// It goes on at `time`, in this format: from anew when that is elsewhere, or another format.
    pub(super) fn begin(&mut self, time: RtpTime, format: Format) {
        if self.converter.format() != format {
            self.converter = Converter::new(format);
        } else if time.since(self.next).unsigned_abs() > JUMP {
            self.converter.reset();
            self.gain = None;
        }
        self.next = time + FRAME_SAMPLES as u32;
    }

    /// As loud as it should be: the same samples when nothing is to be done, else in `scratch`. Another gain than in the frame
    /// before is gone to within this one.
    pub(super) fn amplify<'a>(&mut self, pcm: &'a [f32], target: f32, scratch: &'a mut Vec<f32>) -> &'a [f32] {
        let from = self.gain.replace(target).unwrap_or(target);
        if from == 1.0 && target == 1.0 {
            return pcm;
        }
        let step = (target - from) / (pcm.len() / CHANNELS).max(1) as f32;
        scratch.clear();
        scratch.extend(pcm.chunks(CHANNELS).enumerate().flat_map(|(at, sample)| {
            let gain = from + step * (at + 1) as f32;
            sample.iter().map(move |value| value * gain)
        }));
        scratch
    }

    /// The samples in its format, and the timestamp of the first one.
    pub(super) fn convert<'a>(&'a mut self, time: RtpTime, pcm: &'a [f32]) -> (RtpTime, &'a [f32]) {
        (earlier(time, &self.converter), self.converter.convert(pcm))
    }
}

/// When what a converter gives out was said: earlier than what goes in.
pub(super) fn earlier(time: RtpTime, converter: &Converter) -> RtpTime {
    RtpTime(time.0.wrapping_sub(converter.delay()))
}
