//! The pitch of a recorded tone.

/// Windows of this length are judged one by one.
const WINDOWS_PER_SECOND: usize = 10;
/// Quieter windows (RMS, full scale is 1) hold no tone.
const AUDIBLE: f64 = 0.01;

/// Hz of the tone in the first channel of a 16-bit PCM file: the median over its audible parts, by the distance of
/// upward zero crossings. `None` when nothing is audible or the file is something else.
pub(crate) fn pitch(file: &[u8]) -> Option<f64> {
    let (rate, samples) = first_channel(file)?;
    let windows = samples.chunks_exact((rate as usize / WINDOWS_PER_SECOND).max(1));
    let mut pitches: Vec<f64> = windows.filter_map(|window| Some(f64::from(rate) / period(window)?)).collect();
    pitches.sort_by(f64::total_cmp);
    pitches.get(pitches.len() / 2).copied()
}

/// Samples from one upward zero crossing to the next, on average.
fn period(window: &[f64]) -> Option<f64> {
    let energy: f64 = window.iter().map(|sample| sample * sample).sum();
    if (energy / window.len() as f64).sqrt() < AUDIBLE {
        return None;
    }
    let crossing = |(index, pair): (usize, &[f64])| {
        // Where the straight line between the two samples is zero.
        (pair[0] < 0.0 && pair[1] >= 0.0).then(|| index as f64 + pair[0] / (pair[0] - pair[1]))
    };
    let crossings: Vec<f64> = window.windows(2).enumerate().filter_map(crossing).collect();
    let (first, last) = (crossings.first()?, crossings.last()?);
    (crossings.len() > 1).then(|| (last - first) / (crossings.len() - 1) as f64)
}

/// Sample rate, and the first channel from -1 to 1.
fn first_channel(file: &[u8]) -> Option<(u32, Vec<f64>)> {
    let word = |bytes: &[u8], at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let long = |bytes: &[u8], at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let mut rest = file.get(12..).filter(|_| file.starts_with(b"RIFF") && file[8..12] == *b"WAVE")?;
    let mut form = None;
    while rest.len() >= 8 {
        let length = long(rest, 4)? as usize;
        let body = &rest[8..rest.len().min(8_usize.saturating_add(length))];
        match &rest[..4] {
            b"fmt " if word(body, 14)? == 16 => form = Some((long(body, 4)?, usize::from(word(body, 2)?))),
            b"data" => {
                let (rate, channels) = form.filter(|&(_, channels)| channels > 0)?;
                let sample = |frame: &[u8]| f64::from(i16::from_le_bytes([frame[0], frame[1]])) / 32_768.0;
                return Some((rate, body.chunks_exact(2 * channels).map(sample).collect()));
            }
            _ => {}
        }
        // Chunks are padded to an even length.
        rest = rest.get(8_usize.saturating_add(length).saturating_add(length % 2)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::pitch;

    fn wav(rate: u32, channels: u16, samples: impl Iterator<Item = f64>) -> Vec<u8> {
        let data: Vec<u8> = samples
            .flat_map(|sample| {
                let first = (sample * 32_767.0) as i16;
                std::iter::once(first).chain(std::iter::repeat_n(0, usize::from(channels) - 1))
            })
            .flat_map(i16::to_le_bytes)
            .collect();
        let mut file = b"RIFF\0\0\0\0WAVElist\x03\0\0\0abc\0fmt \x10\0\0\0\x01\0".to_vec();
        file.extend(channels.to_le_bytes());
        file.extend(rate.to_le_bytes());
        file.extend([0; 4]);
        file.extend((2 * channels).to_le_bytes());
        file.extend([16, 0]);
        file.extend(b"data");
        file.extend((data.len() as u32).to_le_bytes());
        file.extend(data);
        file
    }

    fn tone(rate: u32, hz: f64) -> impl Iterator<Item = f64> {
        (0..rate).map(move |index| 0.3 * (std::f64::consts::TAU * hz * f64::from(index) / f64::from(rate)).sin())
    }

    #[test]
    fn a_tone_between_silences_is_found() {
        for (rate, channels, hz) in [(48_000, 2, 600.0), (16_000, 1, 455.0), (44_100, 1, 3_001.5)] {
            let silence = || std::iter::repeat_n(0.0, 3 * rate as usize);
            let file = wav(rate, channels, silence().chain(tone(rate, hz)).chain(silence()));
            let found = pitch(&file).expect("there is a tone");
            assert!((found / hz - 1.0).abs() < 0.001, "{found} instead of {hz}");
        }
    }

    #[test]
    fn what_is_no_tone_has_no_pitch() {
        assert_eq!(pitch(b""), None);
        assert_eq!(pitch(&wav(48_000, 2, std::iter::repeat_n(0.0, 48_000))), None);
        assert_eq!(pitch(&wav(48_000, 1, std::iter::repeat_n(0.5, 48_000))), None);
        let file = wav(48_000, 2, tone(48_000, 600.0));
        for length in 0..64 {
            assert_eq!(pitch(&file[..length]), None);
        }
    }
}
