//! Sources that never end, and the thread that reads them ahead.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use opus::{Application, Bitrate, Channels, Encoder};
use voice_client::layer::mixer::prefetch::{self, Feed, Reader, Step};
use voice_client::layer::mixer::{Chunk, Format, Info, Source, SourceError};
use voice_client::layer::model::{CHANNELS, SAMPLE_RATE};

use crate::signal::{FRAME_FLOATS, tune};

/// Bytes of a packet at 64 kbit/s, what a Discord channel has.
pub const PACKET: usize = 160;

const BITS: i32 = (PACKET * 8 * 50) as i32;

/// One frame of 20 ms: interleaved stereo samples at 48 kHz.
pub type Frame = Vec<f32>;

/// A signal in frames.
pub fn frames(samples: &[f32]) -> Vec<Frame> {
    samples.chunks(FRAME_FLOATS).map(<[f32]>::to_vec).collect()
}

/// The tune as Opus packets of equal length.
pub fn packets() -> opus::Result<Vec<Vec<u8>>> {
    let mut encoder = Encoder::new(SAMPLE_RATE, Channels::Stereo, Application::Audio)?;
    encoder.set_bitrate(Bitrate::Bits(BITS))?;
    encoder.set_vbr(false)?;
    frames(&tune()).iter().map(|frame| encoder.encode_vec_float(frame, PACKET)).collect()
}

/// Plays the same frames or packets again and again; all instances share them.
pub struct Endless {
    content: Content,
    next: usize,
}

#[derive(Clone)]
enum Content {
    Pcm(Arc<[Frame]>),
    Opus(Arc<[Vec<u8>]>),
}

impl Endless {
    pub fn pcm(frames: Arc<[Frame]>) -> Self {
        Self { content: Content::Pcm(frames), next: 0 }
    }

    pub fn opus(packets: Arc<[Vec<u8>]>) -> Self {
        Self { content: Content::Opus(packets), next: 0 }
    }
}

impl Source for Endless {
    fn open(&mut self) -> Result<Info, SourceError> {
        Ok(Info::new(match self.content {
            Content::Pcm(_) => Format::Pcm { rate: SAMPLE_RATE, channels: CHANNELS as u16 },
            Content::Opus(_) => Format::Opus,
        }))
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        match &self.content {
            Content::Pcm(frames) => {
                chunk.pcm(SAMPLE_RATE, CHANNELS as u16).extend_from_slice(&frames[self.next % frames.len()]);
            }
            Content::Opus(packets) => chunk.set_packet(&packets[self.next % packets.len()], 0, 0),
        }
        self.next += 1;
        Ok(true)
    }

    fn seek(&mut self, _: Duration) -> Result<Duration, SourceError> {
        Err(SourceError::Unseekable { name: "endless".into() })
    }
}

/// A thread that fills rings when it is told to, and rests otherwise: what is measured meets audio that another core
/// has written, but not that core at work.
pub struct Filler {
    orders: Sender<()>,
    done: Receiver<()>,
}

impl Filler {
    /// With `count` sources, of which so much is read ahead.
    pub fn start(count: usize, ahead: Duration, source: impl Fn() -> Endless) -> (Self, Vec<Feed>) {
        let config = prefetch::Config::default().length(ahead);
        let pipes = (0..count).map(|_| prefetch::pipe(Box::new(source()), config.clone()));
        let (mut readers, feeds): (Vec<Reader>, Vec<Feed>) = pipes.unzip();
        let ((orders, inbox), (report, done)) = (channel(), channel());
        thread::spawn(move || {
            while inbox.recv().is_ok() {
                readers.iter_mut().for_each(fill);
                if report.send(()).is_err() {
                    break;
                }
            }
        });
        (Self { orders, done }, feeds)
    }

    /// Returns when all rings are full.
    pub fn fill(&self) {
        self.orders.send(()).expect("the filler runs");
        self.done.recv().expect("the filler runs");
    }
}

fn fill(reader: &mut Reader) {
    loop {
        match reader.step() {
            Step::Progress => {}
            Step::Full => return,
            step => panic!("an endless source came to {step:?}"),
        }
    }
}
