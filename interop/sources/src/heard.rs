//! What a source yields, and what note that is.

use std::time::Duration;

use opus::{Channels, Decoder};
use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};
use voice_client::layer::mixer::{Chunk, Source};

use crate::Outcome;

/// For any of them to come to its end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a source that waits.
const MOMENT: Duration = Duration::from_millis(2);
/// Longest Opus packet, in frames at 48 kHz.
const LONGEST: usize = 5_760;

/// The left channel, and its rate.
pub(crate) struct Heard {
    pub(crate) samples: Vec<f32>,
    pub(crate) rate: u32,
}

impl Heard {
    /// Everything from `from` on.
    pub(crate) async fn of(source: impl Source + 'static, from: Duration) -> Outcome<Self> {
        timeout(PATIENCE, listen(Box::new(source), from)).await.map_err(|_| "it does not come to its end")?
    }

    pub(crate) fn length(&self) -> Duration {
        Duration::from_secs_f64(self.samples.len() as f64 / f64::from(self.rate))
    }

    /// Hz, by how often the middle second goes from below to above zero.
    pub(crate) fn pitch(&self) -> usize {
        let middle = self.samples.len() / 2;
        let half = (self.rate / 2) as usize;
        let second = self.samples.get(middle.saturating_sub(half)..middle + half).unwrap_or_default();
        second.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count()
    }
}

async fn listen(mut source: Box<dyn Source>, from: Duration) -> Outcome<Heard> {
    let (mut heard, mut chunk) = (Heard { samples: Vec::new(), rate: 48_000 }, Chunk::new());
    let mut decoder = Decoder::new(48_000, Channels::Stereo)?;
    let mut decoded = vec![0.0; 2 * LONGEST];
    let mut sought = from.is_zero();
    loop {
        while !source.is_ready() {
            sleep(MOMENT).await;
        }
        chunk.clear();
        block_in_place(|| source.open())?;
        if !sought {
            block_in_place(|| source.seek(from))?;
            sought = true;
            continue;
        }
        if !block_in_place(|| source.read(&mut chunk))? {
            return Ok(heard);
        }
        if !chunk.packet().is_empty() {
            let frames = decoder.decode_float(chunk.packet(), &mut decoded, false)?;
            heard.samples.extend(decoded[..2 * frames].iter().step_by(2));
        } else if !chunk.samples().is_empty() {
            let (rate, channels) = chunk.layout();
            heard.rate = rate;
            heard.samples.extend(chunk.samples().iter().step_by(channels.into()));
        }
    }
}
