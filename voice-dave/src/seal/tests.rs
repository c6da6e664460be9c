use super::{MAX_REMEMBERED, SealError, SealStats, Sealer};
use crate::codec::Codec;
use crate::frame::{OpenKey, Trailer};
use crate::ratchet::Ratchet;
use crate::secret::Secret;

fn secret(number: u8) -> Secret {
    Secret::new([number; Secret::LEN])
}

fn seal(sealer: &mut Sealer, codec: Codec, frame: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut buffer = frame.to_vec();
    buffer.resize(Sealer::max_len(codec, frame.len()), 0xEE);
    let len = sealer.seal(codec, &mut buffer, frame.len())?;
    buffer.truncate(len);
    Ok(buffer)
}

fn nonce(sealer: &mut Sealer) -> u32 {
    let frame = seal(sealer, Codec::Opus, b"audio").expect("sealed");
    Trailer::read(&frame).expect("a sealed frame").nonce
}

#[test]
fn without_a_secret_nothing_is_sealed() {
    let mut sealer = Sealer::new();
    assert!(!sealer.is_ready());
    assert_eq!(seal(&mut sealer, Codec::Opus, b"audio"), Err(SealError::NoSecret));
    assert!(sealer.install(&secret(1)));
    assert!(sealer.is_ready());
    assert!(seal(&mut sealer, Codec::Opus, b"audio").is_ok());
    sealer.suspend();
    assert!(!sealer.is_ready());
    assert_eq!(seal(&mut sealer, Codec::Opus, b"audio"), Err(SealError::NoSecret));
    assert_eq!(sealer.stats(), SealStats { sealed: 1, no_secret: 2, failed: 0 });
}

#[test]
fn a_secret_that_comes_back_goes_on_with_its_nonces() {
    let mut sealer = Sealer::new();
    assert!(sealer.install(&secret(1)));
    assert_eq!((nonce(&mut sealer), nonce(&mut sealer)), (1, 2));
    assert!(!sealer.install(&secret(1)));
    assert_eq!(nonce(&mut sealer), 3);
    sealer.suspend();
    sealer.suspend();
    assert!(!sealer.install(&secret(1)));
    assert_eq!(nonce(&mut sealer), 4);

    assert!(sealer.install(&secret(2)));
    assert_eq!(nonce(&mut sealer), 1);
    assert!(!sealer.install(&secret(1)));
    assert_eq!(nonce(&mut sealer), 5);
    assert!(!sealer.install(&secret(2)));
    assert_eq!(nonce(&mut sealer), 2);
}

#[test]
fn as_many_secrets_as_stated_are_remembered() {
    let mut sealer = Sealer::new();
    for number in 0..=MAX_REMEMBERED as u8 {
        assert!(sealer.install(&secret(number)));
        assert_eq!(nonce(&mut sealer), 1);
    }
    // The oldest there is takes the place of the one in use.
    assert!(!sealer.install(&secret(0)));
    assert_eq!(nonce(&mut sealer), 2);
    assert_eq!(sealer.remembered.len(), MAX_REMEMBERED);
    assert!(sealer.install(&secret(100)));
    assert!(sealer.install(&secret(1)), "forgotten");
    assert_eq!(sealer.remembered.len(), MAX_REMEMBERED);
}

#[test]
fn the_nonce_begins_anew_after_32_bits_and_the_generation_goes_on() {
    let mut sealer = Sealer::new();
    sealer.install(&secret(1));
    for (used, nonce, generation) in [
        (0, 1, 0),
        ((1 << 24) - 2, (1 << 24) - 1, 0),
        ((1 << 24) - 1, 1 << 24, 1),
        ((1 << 32) - 2, u32::MAX, 255),
        ((1 << 32) - 1, 0, 256),
        (1 << 32, 1, 256),
        ((1 << 32) + (5 << 24), (5 << 24) + 1, 261),
    ] {
        sealer.current.as_mut().expect("installed").used = used;
        let mut frame = seal(&mut sealer, Codec::Opus, b"audio").expect("sealed");
        assert_eq!(Trailer::read(&frame).map(|trailer| trailer.nonce), Some(nonce));
        let mut ratchet = Ratchet::new(&secret(1));
        ratchet.advance_to(generation);
        assert_eq!(OpenKey::new(&ratchet.key()).open_frame(&mut frame), Some(5), "{generation}");
    }
    // Back after a pause, in a later generation.
    sealer.suspend();
    assert!(!sealer.install(&secret(1)));
    assert_eq!(nonce(&mut sealer), (5 << 24) + 2);
}

#[test]
fn a_buffer_without_room_uses_nothing_up() {
    let mut sealer = Sealer::new();
    sealer.install(&secret(1));
    for codec in [Codec::Opus, Codec::Vp8, Codec::H264, Codec::Av1] {
        let needed = Sealer::max_len(codec, 100);
        let mut buffer = vec![0; needed - 1];
        assert_eq!(sealer.seal(codec, &mut buffer, 100), Err(SealError::BufferTooShort { needed, len: needed - 1 }));
    }
    assert!(matches!(sealer.seal(Codec::H264, &mut [0; 10], usize::MAX), Err(SealError::BufferTooShort { .. })));
    assert_eq!(nonce(&mut sealer), 1);
    assert_eq!(sealer.stats(), SealStats { sealed: 1, no_secret: 0, failed: 5 });
}

#[test]
fn too_many_clear_ranges_cannot_be_sealed() {
    let mut sealer = Sealer::new();
    sealer.install(&secret(1));
    let slice = [0, 0, 1, 0x65, 0xE0, 0xFA, 0xFA];
    assert!(seal(&mut sealer, Codec::H264, &slice.repeat(60)).is_ok());
    assert_eq!(seal(&mut sealer, Codec::H264, &slice.repeat(200)), Err(SealError::Unsealable));
    assert!(seal(&mut sealer, Codec::Opus, b"audio").is_ok(), "it goes on");
}

#[test]
fn debug_tells_no_secret() {
    let mut sealer = Sealer::new();
    sealer.install(&secret(7));
    let text = format!("{sealer:?}");
    assert!(text.contains("ready: true") && !text.contains("[7, 7"), "{text}");
}

/// In 4 MiB of ciphertext every fourth frame or so has a start code by chance.
#[test]
fn a_frame_with_a_start_code_is_sealed_again_with_the_next_nonce() {
    const FRAMES: u64 = 12;
    let mut slice = vec![0xFA; 4 << 20];
    slice[..6].copy_from_slice(&[0, 0, 0, 1, 0x65, 0xE0]);
    let mut sealer = Sealer::new();
    sealer.install(&secret(1));
    let mut last = 0;
    for _ in 0..FRAMES {
        let mut frame = seal(&mut sealer, Codec::H264, &slice).expect("10 attempts are enough");
        assert_eq!(frame.windows(3).filter(|window| *window == [0, 0, 1]).count(), 1);
        let nonce = Trailer::read(&frame).expect("a sealed frame").nonce;
        assert!(nonce > last);
        last = nonce;
        assert_eq!(OpenKey::new(&Ratchet::new(&secret(1)).key()).open_frame(&mut frame), Some(slice.len()));
        assert!(frame[..slice.len()] == slice);
    }
    assert!(u64::from(last) > FRAMES, "no frame had one: this tests nothing");
}
