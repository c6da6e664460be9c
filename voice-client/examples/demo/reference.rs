//! What a file sounds like: the same container reader as in the call, but Opus decoded and rates converted apart from it.

use std::error::Error;
use std::path::Path;

use opus::{Channels, Decoder};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};
use voice_client::layer::mixer::{Chunk, Format, Source};
use voice_client::source::file::File;

const RATE: u32 = 48_000;
/// Samples per channel of the longest Opus packet, 120 ms.
const LONGEST: usize = 5_760;

/// All of a file as interleaved stereo at 48 kHz, and a description of its format.
pub(crate) fn decode(path: &Path) -> Result<(Vec<f32>, String), Box<dyn Error>> {
    let mut file = File::new(path);
    let info = file.open()?;
    let mut chunk = Chunk::new();
    let mut pcm = Vec::new();
    let mut decoder = Decoder::new(RATE, Channels::Stereo)?;
    let mut packet = vec![0.0; 2 * LONGEST];
    loop {
        chunk.clear();
        if !file.read(&mut chunk)? {
            break;
        }
        if chunk.packet().is_empty() {
            pcm.extend_from_slice(chunk.samples());
        } else {
            let samples = decoder.decode_float(chunk.packet(), &mut packet, false)?;
            let (skip, trim) = chunk.cut();
            let end = samples.saturating_sub(trim as usize);
            pcm.extend_from_slice(&packet[2 * end.min(skip as usize)..2 * end]);
        }
    }
    let (rate, channels) = match info.format {
        Format::Pcm { rate, channels } => (rate, channels),
        Format::Opus => (RATE, 2),
    };
    let kind = match info.format {
        Format::Opus => "Opus packets, passed through".to_owned(),
        Format::Pcm { .. } => {
            let layout = if channels == 1 { "mono" } else { "stereo" };
            format!("{:.1} kHz {layout}, decoded and encoded", f64::from(rate) / 1_000.0)
        }
    };
    let stereo = match channels {
        1 => pcm.iter().flat_map(|sample| [*sample, *sample]).collect(),
        2 => pcm,
        other => return Err(format!("{other} channels: the demo compares mono and stereo").into()),
    };
    Ok((resample(stereo, rate)?, kind))
}

fn resample(stereo: Vec<f32>, rate: u32) -> Result<Vec<f32>, Box<dyn Error>> {
    if rate == RATE {
        return Ok(stereo);
    }
    let frames = stereo.len() / 2;
    let mut resampler = Fft::<f32>::new(rate as usize, RATE as usize, 1_024, 2, FixedSync::Both)?;
    let input = InterleavedSlice::new(&stereo, 2, frames)?;
    let capacity = resampler.process_all_needed_output_len(frames);
    let mut out = vec![0.0; 2 * capacity];
    let mut output = InterleavedSlice::new_mut(&mut out, 2, capacity)?;
    let (_, made) = resampler.process_all_into_buffer(&input, &mut output, frames, None)?;
    out.truncate(2 * made);
    Ok(out)
}
