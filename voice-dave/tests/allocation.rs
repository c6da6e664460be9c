//! Sealing and opening Opus frames allocates nothing in Rust.

use std::time::Instant;

use voice_dave::{Codec, Media, Opened, Opener, Refusal, Sealer, Secret};

const FRAMES: usize = 1_000;

#[expect(clippy::disallowed_methods, reason = "time in these tests starts anywhere")]
fn start() -> Instant {
    Instant::now()
}

/// Allocations of so many frames, with a forged, a repeated and a plain one beside each, in the middle of a transition.
fn allocations(len: usize) -> u64 {
    let (now, mut sealer, mut opener) = (start(), Sealer::new(), Opener::new());
    for number in 1..=2 {
        let secret = Secret::new([number; Secret::LEN]);
        sealer.install(&secret);
        opener.expect(now, &secret, now);
    }
    // The key that does not fit is tried first.
    opener.expect(now, &Secret::new([3; Secret::LEN]), now);

    let mut buffer = vec![0x55; Sealer::max_len(Codec::Opus, len)];
    let mut forged = vec![0; buffer.len()];
    let mut round = |buffer: &mut [u8]| {
        let sealed = sealer.seal(Codec::Opus, buffer, len).expect("a secret and room");
        let (frame, forged) = (&mut buffer[..sealed], &mut forged[..sealed]);
        forged.copy_from_slice(frame);
        forged[0] ^= 0x01;
        assert_eq!(opener.open(now, Media::Audio, false, forged), Opened::Refused(Refusal::Unauthentic));
        forged[0] ^= 0x01;
        assert_eq!(opener.open(now, Media::Audio, false, frame), Opened::Sealed { len });
        assert_eq!(opener.open(now, Media::Audio, false, forged), Opened::Refused(Refusal::Replayed));
        assert_eq!(opener.open(now, Media::Audio, true, &mut frame[..2]), Opened::Plain);
    };
    // Keys are set up when they are first needed.
    round(&mut buffer);
    let info = allocation_counter::measure(|| (0..FRAMES).for_each(|_| round(&mut buffer)));
    info.count_total
}

#[test]
fn none_in_1_000_frames() {
    // Silence, 64 and 510 kbit/s.
    for len in [3, 160, 1_275] {
        assert_eq!(allocations(len), 0, "{len} bytes");
    }
}

#[test]
fn none_in_1_000_video_frames_of_a_known_size() {
    let (now, mut sealer, mut opener) = (start(), Sealer::new(), Opener::new());
    let secret = Secret::new([1; Secret::LEN]);
    sealer.install(&secret);
    opener.expect(now, &secret, now);
    let mut frame = b"\0\0\0\x01\x61\xE0some video\0\0\0\x01\x61\xE0some more".to_vec();
    frame.resize(5_000, 0x77);
    let mut buffer = frame.clone();
    buffer.resize(Sealer::max_len(Codec::H264, frame.len()), 0);
    let mut round = || {
        buffer[..frame.len()].copy_from_slice(&frame);
        let len = sealer.seal(Codec::H264, &mut buffer, frame.len()).expect("a secret and room");
        assert_eq!(opener.open(now, Media::Video, false, &mut buffer[..len]), Opened::Sealed { len: frame.len() });
        assert_eq!(buffer[..frame.len()], frame);
    };
    round();
    assert_eq!(allocation_counter::measure(|| (0..FRAMES).for_each(|_| round())).count_total, 0);
}
