use std::time::Duration;

/// Samples per second and channel; also the RTP clock of Opus (RFC 7587, section 4.1).
pub const SAMPLE_RATE: u32 = 48_000;

/// Discord voice is stereo, interleaved left, right.
pub const CHANNELS: usize = 2;

/// Length of an ordinary frame.
pub const FRAME: Duration = Duration::from_millis(20);

/// Samples per channel in an ordinary frame of 20 ms.
pub const FRAME_SAMPLES: usize = 960;

/// Samples per channel in the longest legal Opus packet, 120 ms (RFC 6716, section 3.2.5).
pub const MAX_PACKET_SAMPLES: usize = 5_760;

/// The Opus packet that Discord clients take as silence.
pub const SILENCE_FRAME: [u8; 3] = [0xF8, 0xFF, 0xFE];

/// How many silence frames, each a packet of its own, end speech, so that receivers do not interpolate into the gap
/// (Discord's voice documentation, "Voice Data Interpolation").
pub const SILENCE_TAIL: u32 = 5;
