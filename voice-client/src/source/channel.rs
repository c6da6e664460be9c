//! Opus packets out of a channel.

use std::fmt;
use std::time::Duration;

use mixer::{Chunk, Format, Info, Source, SourceError, opus};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// The end of a channel that yields Opus packets, mono or stereo, of any legal duration. It ends with its last sender.
///
/// What is to be sent on time as it comes is better pushed into a [raw sink](crate::Player::opus_sink), which has no read-ahead.
pub struct Channel {
    packets: Receiver<Vec<u8>>,
    next: Option<Vec<u8>>,
    over: bool,
}

/// A channel of Opus packets with room for `capacity` of them, at least one.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (packets, source) = voice_client::source::channel::opus(50);
/// packets.send(vec![0xF8, 0xFF, 0xFE]).await?;
/// # drop(source);
/// # Ok::<(), tokio::sync::mpsc::error::SendError<Vec<u8>>>(()) }).unwrap();
/// ```
pub fn opus(capacity: usize) -> (Sender<Vec<u8>>, Channel) {
    let (sender, packets) = channel(capacity.max(1));
    (sender, Channel { packets, next: None, over: false })
}

impl Source for Channel {
    fn open(&mut self) -> Result<Info, SourceError> {
        Ok(Info::new(Format::Opus))
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        if !self.is_ready() {
            return Ok(true);
        }
        let Some(packet) = self.next.take() else { return Ok(false) };
        opus::samples(&packet).map_err(|cause| SourceError::Opus { name: "channel".into(), cause })?;
        chunk.set_packet(&packet, 0, 0);
        Ok(true)
    }

    fn seek(&mut self, _: Duration) -> Result<Duration, SourceError> {
        Err(SourceError::Unseekable { name: "channel".into() })
    }

    fn is_ready(&mut self) -> bool {
        if self.next.is_none() && !self.over {
            match self.packets.try_recv() {
                Ok(packet) => self.next = Some(packet),
                Err(TryRecvError::Disconnected) => self.over = true,
                Err(TryRecvError::Empty) => {}
            }
        }
        self.next.is_some() || self.over
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("waiting", &self.packets.len()).field("over", &self.over).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_out_in_order_and_the_last_sender_ends_it() {
        let (sender, mut source) = opus(4);
        let mut chunk = Chunk::new();
        assert!(!source.is_ready(), "nothing was sent yet");
        for byte in 0..3 {
            sender.try_send(vec![0xFC, byte]).expect("there is room");
        }
        drop(sender);
        for byte in 0..3 {
            assert!(source.is_ready() && source.read(&mut chunk).expect("a packet"));
            assert_eq!(chunk.packet(), [0xFC, byte]);
        }
        assert!(source.is_ready() && !source.read(&mut chunk).expect("the end"));
    }

    #[test]
    fn what_is_no_opus_is_an_error() {
        let (sender, mut source) = opus(1);
        sender.try_send(Vec::new()).expect("there is room");
        assert!(matches!(source.read(&mut Chunk::new()), Err(SourceError::Opus { .. })));
    }
}
