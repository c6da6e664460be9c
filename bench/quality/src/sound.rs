//! Mono WAV files at 48 kHz.

use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use voice_model::SAMPLE_RATE;

use crate::Outcome;

/// Reads 16-bit mono at 48 kHz into samples between -1 and 1.
pub(crate) fn read(path: &Path) -> Outcome<Vec<f32>> {
    let name = path.display();
    let mut file = WavReader::open(path).map_err(|error| format!("cannot read {name}: {error}"))?;
    let spec = file.spec();
    if (spec.channels, spec.sample_rate, spec.bits_per_sample, spec.sample_format)
        != (1, SAMPLE_RATE, 16, SampleFormat::Int)
    {
        return Err(format!("{name} must be 16-bit mono at 48 kHz; ffmpeg -ac 1 -ar 48000 makes it so").into());
    }
    Ok(file
        .samples::<i16>()
        .map(|sample| sample.map(|sample| f32::from(sample) / 32_768.0))
        .collect::<Result<_, _>>()?)
}

/// Writes the same.
pub(crate) fn write(path: &Path, pcm: &[f32]) -> Outcome {
    let spec = WavSpec { channels: 1, sample_rate: SAMPLE_RATE, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut file = WavWriter::create(path, spec)?;
    for sample in pcm {
        file.write_sample((sample * 32_768.0).round() as i16)?;
    }
    Ok(file.finalize()?)
}
