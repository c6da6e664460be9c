//! Opus packets: their duration, and a source of packets that are ready to be sent.

use std::sync::Arc;
use std::time::Duration;

use voice_model::{MAX_PACKET_SAMPLES, SAMPLE_RATE};

use crate::{Chunk, Format, Info, Source, SourceError};

/// Largest Opus frame in bytes (RFC 6716, section 3.4, R2).
pub const MAX_FRAME: usize = 1_275;

/// Why a packet is no legal Opus (RFC 6716, section 3.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpusError {
    /// R1: at least one byte.
    #[error("a packet of no bytes")]
    Empty,
    /// R2: a frame has at most 1,275 bytes.
    #[error("a frame of {0} bytes, at most {MAX_FRAME} are legal")]
    LongFrame(usize),
    /// R3 to R7: the lengths inside contradict the length of the packet.
    #[error("frame lengths that contradict the packet's length")]
    Lengths,
    /// R5: one to 48 frames and at most 120 ms.
    #[error("{frames} frames of {samples} samples, at most 120 ms are legal")]
    Duration {
        /// Frames in the packet.
        frames: usize,
        /// Samples per frame, at 48 kHz.
        samples: usize,
    },
    /// Longer than this pipe takes.
    #[error("a packet of {len} bytes, at most {max} fit")]
    TooLong {
        /// Bytes in the packet.
        len: usize,
        /// Bytes that fit.
        max: usize,
    },
}

/// Samples per channel at 48 kHz in `packet`: a multiple of 120, at most 5,760 (RFC 6716, section 3.1 and 3.2).
///
/// Checks the packet's structure wholly, as section 3.4 asks for.
///
/// # Errors
///
/// The rule of section 3.4 that the packet breaks.
pub fn samples(packet: &[u8]) -> Result<usize, OpusError> {
    let (&toc, body) = packet.split_first().ok_or(OpusError::Empty)?;
    let samples = frame_samples(toc);
    let frames = match toc & 3 {
        0 => {
            check_frame(body.len())?;
            1
        }
        1 => {
            if body.len() % 2 != 0 {
                return Err(OpusError::Lengths);
            }
            check_frame(body.len() / 2)?;
            2
        }
        2 => {
            let (first, rest) = read_length(body)?;
            check_frame(rest.len().checked_sub(first).ok_or(OpusError::Lengths)?)?;
            2
        }
        _ => counted_frames(body, samples)?,
    };
    Ok(frames * samples)
}

/// Samples per frame at 48 kHz (RFC 6716, table 2).
fn frame_samples(toc: u8) -> usize {
    match toc >> 3 {
        config @ 0..12 => [480, 960, 1_920, 2_880][usize::from(config & 3)],
        config @ 12..16 => [480, 960][usize::from(config & 1)],
        config => [120, 240, 480, 960][usize::from(config & 3)],
    }
}

/// Code 3: a signalled number of frames (RFC 6716, section 3.2.5).
fn counted_frames(body: &[u8], samples: usize) -> Result<usize, OpusError> {
    let (&header, mut rest) = body.split_first().ok_or(OpusError::Lengths)?;
    let frames = usize::from(header & 0x3F);
    if frames == 0 || frames * samples > MAX_PACKET_SAMPLES {
        return Err(OpusError::Duration { frames, samples });
    }
    if header & 0x40 != 0 {
        let mut padding = 0;
        loop {
            let (&byte, after) = rest.split_first().ok_or(OpusError::Lengths)?;
            rest = after;
            padding += usize::from(byte.min(254));
            if byte != 255 {
                break;
            }
        }
        rest = &rest[..rest.len().checked_sub(padding).ok_or(OpusError::Lengths)?];
    }
    if header & 0x80 == 0 {
        if rest.len() % frames != 0 {
            return Err(OpusError::Lengths);
        }
        check_frame(rest.len() / frames)?;
        return Ok(frames);
    }
    let mut sum = 0;
    for _ in 1..frames {
        let (length, after) = read_length(rest)?;
        sum += length;
        rest = after;
    }
    check_frame(rest.len().checked_sub(sum).ok_or(OpusError::Lengths)?)?;
    Ok(frames)
}

/// A frame length of one or two bytes (RFC 6716, section 3.2.1).
fn read_length(bytes: &[u8]) -> Result<(usize, &[u8]), OpusError> {
    match *bytes {
        [first @ 0..=251, ..] => Ok((usize::from(first), &bytes[1..])),
        [first, second, ..] => Ok((usize::from(first) + 4 * usize::from(second), &bytes[2..])),
        _ => Err(OpusError::Lengths),
    }
}

fn check_frame(len: usize) -> Result<(), OpusError> {
    if len > MAX_FRAME { Err(OpusError::LongFrame(len)) } else { Ok(()) }
}

/// A source of ready Opus packets, each of any legal duration.
#[derive(Debug)]
pub struct Packets {
    packets: Arc<[Vec<u8>]>,
    next: usize,
}

impl Packets {
    /// Packets to be played one after the other.
    pub fn new(packets: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        Self { packets: packets.into_iter().map(Into::into).collect(), next: 0 }
    }

    fn total(&self) -> Duration {
        time(self.packets.iter().map(|packet| samples(packet).unwrap_or(0) as u64).sum())
    }
}

impl Source for Packets {
    fn open(&mut self) -> Result<Info, SourceError> {
        Ok(Info::new(Format::Opus).duration(Some(self.total())).seekable(true))
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        let Some(packet) = self.packets.get(self.next) else { return Ok(false) };
        samples(packet).map_err(|cause| SourceError::Opus { name: "packets".into(), cause })?;
        chunk.set_packet(packet, 0, 0);
        self.next += 1;
        Ok(true)
    }

    fn seek(&mut self, to: Duration) -> Result<Duration, SourceError> {
        let mut at = 0;
        for (index, packet) in self.packets.iter().enumerate() {
            let end = at + samples(packet).unwrap_or(0) as u64;
            if time(end) > to {
                self.next = index;
                return Ok(time(at));
            }
            at = end;
        }
        self.next = self.packets.len();
        Ok(time(at))
    }

    fn fresh(&self) -> Option<Box<dyn Source>> {
        Some(Box::new(Self { packets: Arc::clone(&self.packets), next: 0 }))
    }
}

/// How long so many samples at 48 kHz last.
pub(crate) fn time(samples: u64) -> Duration {
    crate::source::time(samples, SAMPLE_RATE)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{OpusError, Packets, samples};
    use crate::{Chunk, Source, SourceError};

    #[test]
    fn durations_follow_the_table() {
        let one = |config: u8| samples(&[config << 3, 0]).map(|samples| samples * 10 / 48);
        let tenths = [100, 200, 400, 600];
        for config in 0..12 {
            assert_eq!(one(config), Ok(tenths[usize::from(config % 4)]));
        }
        assert_eq!([one(12), one(13), one(14), one(15)], [Ok(100), Ok(200), Ok(100), Ok(200)]);
        for config in 16..32 {
            assert_eq!(one(config), Ok([25, 50, 100, 200][usize::from(config % 4)]));
        }
        assert_eq!(samples(&voice_model::SILENCE_FRAME), Ok(960));
        assert_eq!(samples(&[31 << 3 | 1, 0, 0]), Ok(1_920));
        assert_eq!(samples(&[31 << 3 | 2, 1, 0, 0]), Ok(1_920));
        assert_eq!(samples(&[31 << 3 | 3, 6]), Ok(5_760));
        assert_eq!(samples(&[16 << 3 | 3, 48]), Ok(5_760));
    }

    #[test]
    fn each_rule_is_checked() {
        assert_eq!(samples(&[]), Err(OpusError::Empty));
        assert_eq!(samples(&[0xF8; 1_277]), Err(OpusError::LongFrame(1_276)));
        assert_eq!(samples(&[0xF9, 0]), Err(OpusError::Lengths));
        assert_eq!(samples(&[0xFA]), Err(OpusError::Lengths));
        assert_eq!(samples(&[0xFA, 5, 0]), Err(OpusError::Lengths));
        assert_eq!(samples(&[0xFB]), Err(OpusError::Lengths));
        assert_eq!(samples(&[0xFB, 0]), Err(OpusError::Duration { frames: 0, samples: 960 }));
        assert_eq!(samples(&[0xFB, 7]), Err(OpusError::Duration { frames: 7, samples: 960 }));
        assert_eq!(samples(&[0xFB, 2, 0]), Err(OpusError::Lengths));
        assert_eq!(samples(&[0xFB, 0x41, 9, 0]), Err(OpusError::Lengths));
        assert_eq!(samples(&[0xFB, 0x82, 9, 0]), Err(OpusError::Lengths));
    }

    #[test]
    fn packets_seek_to_the_one_that_sounds() {
        let mut packets = Packets::new([vec![0xFC, 1], vec![0xFD, 2, 2], vec![0xFC, 3]]);
        assert_eq!(packets.open().map(|info| info.duration).ok(), Some(Some(Duration::from_millis(80))));
        let mut chunk = Chunk::new();
        for (millis, landed, first) in [(0, 0, 1), (19, 0, 1), (20, 20, 2), (59, 20, 2), (60, 60, 3)] {
            assert_eq!(packets.seek(Duration::from_millis(millis)).ok(), Some(Duration::from_millis(landed)));
            assert!(packets.read(&mut chunk).expect("a packet"));
            assert_eq!(chunk.packet()[1], first);
        }
        assert_eq!(packets.seek(Duration::from_secs(9)).ok(), Some(Duration::from_millis(80)));
        assert!(!packets.read(&mut chunk).expect("the end"));
        assert!(matches!(Packets::new([vec![]]).read(&mut chunk), Err(SourceError::Opus { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_096, failure_persistence: None, ..ProptestConfig::default() })]

        /// libopus takes and refuses the same packets.
        #[test]
        fn agrees_with_libopus(packet in prop::collection::vec(prop_oneof![any::<u8>(), 0..8_u8, Just(0xFF)], 1..40)) {
            let ours = samples(&packet);
            let parsed = ::opus::packet::parse(&packet).is_ok();
            let theirs = ::opus::packet::get_nb_samples(&packet, 48_000).ok().filter(|_| parsed);
            prop_assert_eq!(ours.ok(), theirs);
        }
    }
}
