//! Frames of every codec, of the shape that encoders give them.

use voice_dave::Codec;

/// All that DAVE knows.
pub const CODECS: [Codec; 7] =
    [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::H265, Codec::Av1, Codec::Unknown];

/// Bytes of media in a sample.
const BODY: usize = 120;

/// A frame that every implementation sends as it is: four-byte start codes, a last OBU without size. `number` makes it
/// a frame of its own; even ones are key frames.
pub fn sample(codec: Codec, number: u32) -> Vec<u8> {
    let body: Vec<u8> = (0..BODY as u32).map(|at| (at.wrapping_mul(7).wrapping_add(number) % 251) as u8 | 1).collect();
    let is_key = number.is_multiple_of(2);
    let head: &[&[u8]] = match (codec, is_key) {
        (Codec::Vp8, true) => &[&[0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x40, 0x01, 0xF0, 0x00]],
        (Codec::Vp8, false) => &[&[0x11]],
        // SPS, PPS, IDR slice.
        (Codec::H264, true) => &[
            &[0, 0, 0, 1, 0x67, 0x42, 0xC0, 0x0D, 0x8C],
            &[0, 0, 0, 1, 0x68, 0xCE, 0x3C, 0x80],
            &[0, 0, 0, 1, 0x65, 0xB8],
        ],
        (Codec::H264, false) => &[&[0, 0, 0, 1, 0x41, 0x9A]],
        // VPS, SPS, IDR slice.
        (Codec::H265, true) => {
            &[&[0, 0, 0, 1, 0x40, 0x01, 0x0C], &[0, 0, 0, 1, 0x42, 0x01, 0x01], &[0, 0, 0, 1, 0x26, 0x01, 0xAF]]
        }
        (Codec::H265, false) => &[&[0, 0, 0, 1, 0x02, 0x01, 0xD0]],
        // A sequence header with its size, then a frame without.
        (Codec::Av1, true) => &[&[0x0A, 0x03, 0x00, 0x01, 0x02], &[0x30]],
        (Codec::Av1, false) => &[&[0x30]],
        _ => &[],
    };
    [head.concat(), body].concat()
}
