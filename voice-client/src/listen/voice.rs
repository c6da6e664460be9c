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

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: u32 = FRAME_SAMPLES as u32;

    fn hear(voice: &mut Voice, time: u32, level: f32, gain: f32) -> (u32, Vec<f32>) {
        voice.begin(RtpTime(time), Format::SPEECH);
        let pcm = [level; FRAME_SAMPLES * CHANNELS];
        let mut scratch = Vec::new();
        let pcm = voice.amplify(&pcm, gain, &mut scratch);
        let (time, pcm) = voice.convert(RtpTime(time), pcm);
        (time.0, pcm.to_vec())
    }

    #[test]
    fn a_stream_that_goes_on_elsewhere_begins_anew() {
        let mut voice = Voice::new(Ssrc(1), Format::SPEECH);
        let (time, _) = hear(&mut voice, 240, 0.5, 1.0);
        assert_eq!(time, 0, "5 ms earlier, which is when it was said");
        hear(&mut voice, 240 + FRAME, 0.5, 1.0);
        // A little ahead, as when time is caught up: the filter goes on.
        let (_, ringing) = hear(&mut voice, 240 + 2 * FRAME + 480, 0.0, 1.0);
        assert!(ringing[0] > 0.1, "the last 5 ms are still to come");
        hear(&mut voice, 240 + 3 * FRAME, 0.5, 1.0);
        let (_, silence) = hear(&mut voice, 1_000_000, 0.0, 4.0);
        assert!(silence.iter().all(|sample| *sample == 0.0), "nothing of what was");
        hear(&mut voice, 1_000_000 + FRAME, 0.25, 4.0);
        let (_, loud) = hear(&mut voice, 1_000_000 + 2 * FRAME, 0.25, 4.0);
        assert!(loud[100..].iter().all(|sample| (sample - 1.0).abs() < 0.01), "{loud:?}");
    }

    #[test]
    fn a_gain_is_reached_within_a_frame_and_at_once_where_a_stream_begins() {
        let mut voice = Voice::new(Ssrc(1), Format::default());
        let pcm = [0.5; FRAME_SAMPLES * CHANNELS];
        let mut scratch = Vec::new();
        assert!(voice.amplify(&pcm, 0.5, &mut scratch).iter().all(|sample| *sample == 0.25));
        let ramp = voice.amplify(&pcm, 1.0, &mut scratch).to_vec();
        assert!(ramp.windows(3).all(|some| some[2] > some[0] && some[2] - some[0] < 0.001));
        assert!((ramp[0] - 0.25).abs() < 0.001 && ramp[FRAME_SAMPLES * CHANNELS - 1] == 0.5);
        let same = voice.amplify(&pcm, 1.0, &mut scratch);
        assert_eq!(same.as_ptr(), pcm.as_ptr(), "nothing to do, nothing copied");
    }
}
