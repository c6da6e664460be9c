use voice_model::{CHANNELS, MAX_PACKET_SAMPLES, SAMPLE_RATE};

use super::track::Placed;
use crate::packet;

/// Samples of a cross-fade where speech is cut or repeated: 5 ms.
const FADE: usize = 240;
/// Longest stretch that is concealed: beyond, libopus has faded out.
const MAX_CONCEALED: usize = MAX_PACKET_SAMPLES;
/// The smallest one, of which all are multiples: 2.5 ms.
const QUANTUM: usize = 120;

/// The decoder of one user: placed packets to placed audio, losses concealed.
#[derive(Debug)]
pub(super) struct Voice {
    opus: Option<opus::Decoder>,
    pcm: Vec<f32>,
}

impl Voice {
    pub(super) fn new() -> Self {
        let opus = opus::Decoder::new(SAMPLE_RATE, opus::Channels::Stereo).ok();
        Self { opus, pcm: vec![0.0; 2 * MAX_PACKET_SAMPLES * CHANNELS] }
    }

    /// Gives out the audio of a packet, and what stands in for lost ones before it: where it begins, interleaved.
    /// Returns how many samples were concealed.
    pub(super) fn render<E>(
        &mut self,
        placed: &Placed<'_>,
        out: &mut impl FnMut(u64, &[f32]) -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut concealed = 0;
        if placed.lost {
            let gap = ((placed.position - placed.end) as usize / QUANTUM) * QUANTUM;
            let again = (packet::redundancy(placed.frame) as usize).min(gap);
            let hidden = (gap - again).min(MAX_CONCEALED);
            if hidden > 0 {
                self.decode(&[], hidden, false);
                out(placed.end, &self.pcm[..hidden * CHANNELS])?;
            }
            if again > 0 {
                self.decode(placed.frame, again, true);
                out(placed.position - again as u64, &self.pcm[..again * CHANNELS])?;
            }
            concealed = hidden as u64;
        }
        let samples = placed.samples as usize;
        self.decode(placed.frame, samples, false);
        let (cut, repeat) = (placed.cut as usize, placed.repeat as usize);
        if cut > 0 {
            self.cut(samples, cut);
        } else if repeat > 0 {
            self.repeat(samples, repeat);
        }
        out(placed.position, &self.pcm[..placed.length() as usize * CHANNELS])?;
        Ok(concealed)
    }

    fn decode(&mut self, packet: &[u8], samples: usize, fec: bool) {
        let out = &mut self.pcm[..samples * CHANNELS];
        let Some(opus) = &mut self.opus else { return out.fill(0.0) };
        let decoded = opus.decode_float(packet, out, fec).unwrap_or_else(|_| {
            // Refused by the decoder: as if it were lost.
            opus.decode_float(&[], out, false).unwrap_or(0)
        });
        out[decoded * CHANNELS..].fill(0.0);
    }

    /// Takes `cut` samples out: begins as it did, and fades over into what comes after them.
    fn cut(&mut self, samples: usize, cut: usize) {
        let fade = FADE.min(samples - cut);
        for at in 0..(samples - cut) * CHANNELS {
            let later = self.pcm[at + cut * CHANNELS];
            let share = share(at, fade);
            self.pcm[at] += share * (later - self.pcm[at]);
        }
    }

    /// Lets the first `repeat` samples sound twice, the second time faded over into.
    fn repeat(&mut self, samples: usize, repeat: usize) {
        let fade = FADE.min(samples - repeat);
        for at in (repeat * CHANNELS..(samples + repeat) * CHANNELS).rev() {
            let again = self.pcm[at - repeat * CHANNELS];
            let share = share(at - repeat * CHANNELS, fade);
            let before = if share < 1.0 { self.pcm[at] } else { 0.0 };
            self.pcm[at] = before * (1.0 - share) + share * again;
        }
    }
}

/// How much of the later signal sounds at the value `at` of a fade of so many samples.
fn share(at: usize, fade: usize) -> f32 {
    let sample = at / CHANNELS;
    if sample >= fade { 1.0 } else { (sample as f32 + 0.5) / fade as f32 }
}

#[cfg(test)]
mod tests {
    use super::Voice;

    fn ramp() -> Voice {
        let mut voice = Voice::new();
        voice.pcm.iter_mut().enumerate().for_each(|(at, value)| *value = (at / 2) as f32);
        voice
    }

    #[test]
    fn a_cut_begins_as_before_and_ends_as_before() {
        let mut voice = ramp();
        voice.cut(960, 480);
        assert!(voice.pcm[0] < 2.0 && voice.pcm[2 * 479] == 959.0 && voice.pcm[2 * 300 + 1] == 780.0);
        assert!(voice.pcm[..2 * 480].chunks(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn a_repeat_sounds_twice() {
        let mut voice = ramp();
        voice.repeat(960, 480);
        assert_eq!((voice.pcm[2 * 479], voice.pcm[2 * 1439 + 1], voice.pcm[2 * 800]), (479.0, 959.0, 320.0));
        assert!((voice.pcm[2 * 480] - 480.0).abs() < 2.0, "goes on for a moment");
    }
}
