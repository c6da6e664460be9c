//! libopus as a Discord client sets it: 20 ms packets, voice, 32 kbit/s.

use std::fmt;

use opus::{Application, Bitrate, Channels, Encoder};
use voice_model::{FRAME_SAMPLES, SAMPLE_RATE};

use crate::Outcome;

/// Loss in percent that the encoder is told to expect, with FEC.
const EXPECTED_LOSS: i32 = 20;
/// Bits per second.
const BITRATE: i32 = 32_000;
/// The louder and the softer side of a speaker who sits a little to the left.
const SIDES: [f32; 2] = [1.0, 0.6];

/// Whether packets carry a coarser copy of the one before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fec {
    On,
    Off,
}

impl fmt::Display for Fec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "fec",
            Self::Off => "plain",
        })
    }
}

/// Channels that are encoded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    Mono,
    Stereo,
}

/// What is sent: packet n at n * 20 ms, with timestamp n * 960.
pub(crate) struct Stream {
    pub(crate) packets: Vec<Vec<u8>>,
    /// Samples by which the codec is behind.
    pub(crate) lookahead: usize,
    /// Samples of the reference.
    pub(crate) samples: usize,
}

/// Encodes all of `speech`, and 200 ms of silence so that the codec gives out its last samples.
pub(crate) fn encode(speech: &[f32], width: Width, fec: Fec) -> Outcome<Stream> {
    let channels = if width == Width::Mono { Channels::Mono } else { Channels::Stereo };
    let mut encoder = Encoder::new(SAMPLE_RATE, channels, Application::Voip)?;
    encoder.set_bitrate(Bitrate::Bits(BITRATE))?;
    encoder.set_inband_fec(fec == Fec::On)?;
    encoder.set_packet_loss_perc(if fec == Fec::On { EXPECTED_LOSS } else { 0 })?;
    let mut padded = speech.to_vec();
    padded.resize(speech.len().next_multiple_of(FRAME_SAMPLES) + 10 * FRAME_SAMPLES, 0.0);
    let packets = padded.chunks_exact(FRAME_SAMPLES).map(|frame| match width {
        Width::Mono => encoder.encode_vec_float(frame, 1275),
        Width::Stereo => {
            let both: Vec<f32> = frame.iter().flat_map(|sample| SIDES.map(|gain| gain * sample)).collect();
            encoder.encode_vec_float(&both, 1275)
        }
    });
    let packets = packets.collect::<Result<_, _>>()?;
    Ok(Stream { packets, lookahead: encoder.get_lookahead()?.try_into()?, samples: speech.len() })
}
