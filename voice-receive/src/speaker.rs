use std::time::Instant;

use voice_model::{RtpTime, Seq, Ssrc};

use crate::stream::Stream;
use crate::{Config, Decode, Heard, Stats};

/// One SSRC: its buffer, its place in time and its decoder, in one small handle that moves whole to another thread and
/// back; see [`Receiver::take_due`](crate::Receiver::take_due).
#[derive(Debug)]
pub struct Speaker {
    id: u64,
    stream: Box<Stream>,
}

impl Speaker {
    pub(crate) fn new(id: u64, ssrc: Ssrc, config: &Config) -> Self {
        Self { id, stream: Box::new(Stream::new(ssrc, config)) }
    }

    /// Whose stream.
    pub fn ssrc(&self) -> Ssrc {
        self.stream.ssrc()
    }

    /// The figures so far.
    pub fn stats(&self) -> &Stats {
        self.stream.stats()
    }

    /// Gives out the next 20 ms, as [`Receiver::tick`](crate::Receiver::tick) does; the first call makes the decoder
    /// where one is needed.
    pub fn tick(&mut self, now: Instant, deliver: &mut dyn FnMut(Heard<'_>)) {
        self.stream.tick(now, deliver);
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn last_arrival(&self) -> Option<Instant> {
        self.stream.last_arrival()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.stream.is_idle()
    }

    pub(crate) fn push(&mut self, now: Instant, seq: Seq, time: RtpTime, frame: &[u8]) {
        self.stream.push(now, seq, time, frame);
    }

    pub(crate) fn set_decode(&mut self, decode: Decode) {
        self.stream.set_decode(decode);
    }
}
