//! How loud a piece is, from what its tags say.

/// What ReplayGain 2.0 brings everything to, in LUFS.
const REPLAYGAIN: f32 = -18.0;

/// What R128 gains bring everything to, in LUFS (EBU R 128; RFC 7845, section 5.2.1).
const R128: f32 = -23.0;

/// ReplayGain 1.0 counts in dB of sound pressure: its 89 dB are ReplayGain 2.0's -18 LUFS.
const SOUND_PRESSURE: f32 = 107.0;

/// Gains beyond these are mistakes.
const LARGEST_GAIN: f32 = 64.0;

/// The tags that tell how loud a piece is.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Gains {
    replaygain: Option<f32>,
    reference: Option<f32>,
    r128: Option<f32>,
}

impl Gains {
    /// Takes note of a tag, whatever it is about.
    pub(crate) fn tag(&mut self, key: &str, value: &str) {
        // Formats put their own names before it: "TXXX:", "com.apple.iTunes:".
        let key = key.rsplit(':').next().unwrap_or(key).to_ascii_uppercase();
        match key.as_str() {
            "REPLAYGAIN_TRACK_GAIN" | "REPLAYGAIN_GAIN" => self.replaygain = gain(value).or(self.replaygain),
            "REPLAYGAIN_REFERENCE_LOUDNESS" => self.reference = reference(value).or(self.reference),
            // A Q7.8 fixed-point number: 1/256 dB.
            "R128_TRACK_GAIN" => {
                self.r128 = value.trim().parse::<i16>().ok().map(|gain| f32::from(gain) / 256.0).or(self.r128);
            }
            _ => {}
        }
    }

    /// Integrated loudness in LUFS of what a player hears that does not apply `header`, the output gain of an Opus header
    /// in 1/256 dB: the tags' gains are meant to come on top of it (RFC 7845, section 5.2.1).
    pub(crate) fn loudness(self, header: i16) -> Option<f32> {
        let after = match (self.r128, self.replaygain) {
            (Some(gain), _) => R128 - gain,
            (None, Some(gain)) => self.reference.unwrap_or(REPLAYGAIN) - gain,
            (None, None) => return None,
        };
        Some(after - f32::from(header) / 256.0)
    }
}

/// "-7.03 dB", unit and sign as you like.
fn gain(value: &str) -> Option<f32> {
    number(value).filter(|gain| gain.abs() <= LARGEST_GAIN)
}

/// "-18.00 LUFS", or "89.0 dB" of sound pressure.
fn reference(value: &str) -> Option<f32> {
    let number = number(value)?;
    let lufs = if number > 0.0 { number - SOUND_PRESSURE } else { number };
    (-LARGEST_GAIN..=0.0).contains(&lufs).then_some(lufs)
}

fn number(value: &str) -> Option<f32> {
    let value = value.trim();
    let end = value.find(|c: char| !c.is_ascii_digit() && !"+-.".contains(c)).unwrap_or(value.len());
    value[..end].parse().ok().filter(|number: &f32| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::Gains;

    fn loudness(tags: &[(&str, &str)], header: i16) -> Option<f32> {
        let mut gains = Gains::default();
        for (key, value) in tags {
            gains.tag(key, value);
        }
        gains.loudness(header)
    }

    #[test]
    fn every_kind_of_tag_tells_the_loudness() {
        for (tags, header, expected) in [
            (&[("REPLAYGAIN_TRACK_GAIN", "-7.00 dB")][..], 0, Some(-11.0)),
            (&[("replaygain_track_gain", "+2.5 dB")], 0, Some(-20.5)),
            (&[("TXXX:REPLAYGAIN_TRACK_GAIN", "-3dB")], 0, Some(-15.0)),
            (&[("REPLAYGAIN_TRACK_GAIN", "-7"), ("REPLAYGAIN_REFERENCE_LOUDNESS", "89.0 dB")], 0, Some(-11.0)),
            (&[("REPLAYGAIN_TRACK_GAIN", "-7"), ("REPLAYGAIN_REFERENCE_LOUDNESS", "83.0 dB")], 0, Some(-17.0)),
            (&[("REPLAYGAIN_REFERENCE_LOUDNESS", "-23.00 LUFS"), ("REPLAYGAIN_TRACK_GAIN", "1 dB")], 0, Some(-24.0)),
            (&[("R128_TRACK_GAIN", "-2560")], 0, Some(-13.0)),
            (&[("R128_TRACK_GAIN", "512"), ("REPLAYGAIN_TRACK_GAIN", "40 dB")], 0, Some(-25.0)),
            // The header asks for 5 dB less, with which it would be 10 dB too loud.
            (&[("R128_TRACK_GAIN", "-2560")], -1_280, Some(-8.0)),
            (&[], -1_280, None),
            (&[("REPLAYGAIN_TRACK_GAIN", "loud")], 0, None),
            (&[("REPLAYGAIN_TRACK_GAIN", "")], 0, None),
            (&[("REPLAYGAIN_TRACK_GAIN", "900 dB")], 0, None),
            (&[("R128_TRACK_GAIN", "99999")], 0, None),
            (&[("REPLAYGAIN_TRACK_GAIN", "1 dB"), ("REPLAYGAIN_REFERENCE_LOUDNESS", "300 dB")], 0, Some(-19.0)),
        ] {
            assert_eq!(loudness(tags, header), expected, "{tags:?} {header}");
        }
    }
}
