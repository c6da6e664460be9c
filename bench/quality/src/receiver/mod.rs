//! What the far end makes of the packets. Every receiver has the same clock: a tick every 20 ms, the first one 10 ms
//! after the first packet came.

mod ours;
mod reorder;
mod songbird_like;

use std::fmt;
use std::time::Duration;

use opus::{Channels, Decoder};
use voice_model::{CHANNELS, FRAME, FRAME_SAMPLES, SAMPLE_RATE};
use voice_receive::{Config, Preset};

use crate::Outcome;
use crate::link::Arrival;
use crate::sender::Stream;
use ours::Ours;
use reorder::Reorder;
use songbird_like::SongbirdLike;

/// Who receives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Balanced,
    Recording,
    #[cfg(feature = "deep")]
    Deep,
    SongbirdLike,
    Reorder,
}

impl Kind {
    pub(crate) const ALL: &[Self] = &[
        Self::Balanced,
        Self::Recording,
        #[cfg(feature = "deep")]
        Self::Deep,
        Self::SongbirdLike,
        Self::Reorder,
    ];

    fn make(self) -> Outcome<Box<dyn Receive>> {
        Ok(match self {
            Self::Balanced => Box::new(Ours::new(Config::preset(Preset::Balanced))),
            Self::Recording => Box::new(Ours::new(Config::preset(Preset::Recording))),
            #[cfg(feature = "deep")]
            Self::Deep => Box::new(Ours::new(Config::preset(Preset::Balanced).deep(voice_receive::Deep::Concealment))),
            Self::SongbirdLike => Box::new(SongbirdLike::new()?),
            Self::Reorder => Box::new(Reorder::new()?),
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Balanced => "balanced",
            Self::Recording => "recording",
            #[cfg(feature = "deep")]
            Self::Deep => "deep",
            Self::SongbirdLike => "songbird-like",
            Self::Reorder => "reorder",
        })
    }
}

/// The end of a link. Times are since the first packet was sent.
trait Receive {
    /// Takes a packet as it arrives.
    fn push(&mut self, now: Duration, number: u16, packet: &[u8]);

    /// 20 ms of interleaved stereo into `pcm`, which is silence before; returns the timestamp of its first sample, or
    /// `None` when there is nothing to hear.
    fn tick(&mut self, now: Duration, pcm: &mut [f32]) -> Outcome<Option<u32>>;
}

/// What was heard.
pub(crate) struct Heard {
    /// Mono, as long as the reference; its start is that of the reference, unless play-out moved since.
    pub(crate) pcm: Vec<f32>,
    /// Mean time between when a sample could have been heard at the earliest and when it was.
    pub(crate) delay_ms: f64,
}

/// Runs one receiver over all that arrives.
pub(crate) fn hear(kind: &Kind, stream: &Stream, arrivals: &[Arrival]) -> Outcome<Heard> {
    let mut receiver = kind.make()?;
    let mut arrivals = arrivals.iter().peekable();
    let mut now = arrivals.peek().ok_or("no packet arrived")?.at + FRAME / 2;
    let (mut pcm, mut delays) = (Vec::new(), Vec::new());
    let mut frame = [0.0; CHANNELS * FRAME_SAMPLES];
    let end = stream.samples + stream.lookahead;
    while pcm.len() < end {
        while let Some(arrival) = arrivals.next_if(|arrival| arrival.at <= now) {
            receiver.push(arrival.at, arrival.number, &stream.packets[usize::from(arrival.number)]);
        }
        frame.fill(0.0);
        let time = receiver.tick(now, &mut frame)?;
        if let Some(time) = time {
            if delays.is_empty() {
                pcm.resize(time as usize, 0.0);
            }
            delays.push(now.as_secs_f64() * 1000.0 - f64::from(time) * 1000.0 / f64::from(SAMPLE_RATE));
        }
        if !delays.is_empty() {
            pcm.extend(frame.chunks_exact(CHANNELS).map(middle));
        }
        now += FRAME;
    }
    let delay_ms = delays.iter().sum::<f64>() / delays.len() as f64;
    Ok(Heard { pcm: pcm[stream.lookahead..end].to_vec(), delay_ms })
}

/// What a perfect link would have given.
pub(crate) fn decode_all(stream: &Stream) -> Outcome<Vec<f32>> {
    let mut decoder = Decoder::new(SAMPLE_RATE, Channels::Stereo)?;
    let mut pcm = Vec::new();
    let mut frame = [0.0; CHANNELS * FRAME_SAMPLES];
    for packet in &stream.packets {
        decoder.decode_float(packet, &mut frame, false)?;
        pcm.extend(frame.chunks_exact(CHANNELS).map(middle));
    }
    Ok(pcm[stream.lookahead..][..stream.samples].to_vec())
}

fn middle(both: &[f32]) -> f32 {
    both.iter().sum::<f32>() / CHANNELS as f32
}
