//! Properties of sealed frames, with another AES-GCM on the other side, and with anything at all.

use std::time::Instant;

use aes_gcm::aead::consts::{U8, U12};
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::aes::Aes128;
use aes_gcm::{AesGcm, Nonce};
use proptest::prelude::*;
use voice_dave::primitive::{Layout, OpenKey, Ratchet, SealKey, Trailer};
use voice_dave::{Codec, Media, Opened, Opener, Refusal, SealError, Sealer, Secret};

type Portable = AesGcm<Aes128, U12, U8>;

const CODECS: [Codec; 7] = [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::H265, Codec::Av1, Codec::Unknown];

#[expect(clippy::disallowed_methods, reason = "time in these tests starts anywhere")]
fn start() -> Instant {
    Instant::now()
}

/// Clear parts and encrypted ones of media, joined.
fn apart(media: &[u8], ranges: &[std::ops::Range<usize>]) -> (Vec<u8>, Vec<u8>) {
    let is_clear = |at: &usize| ranges.iter().any(|range| range.contains(at));
    let (clear, encrypted): (Vec<usize>, Vec<usize>) = (0..media.len()).partition(is_clear);
    let bytes = |at: Vec<usize>| at.into_iter().map(|at| media[at]).collect();
    (bytes(clear), bytes(encrypted))
}

/// Encrypted parts, put where they belong.
fn together(media: &mut [u8], ranges: &[std::ops::Range<usize>], encrypted: &[u8]) {
    let mut encrypted = encrypted.iter();
    for (at, byte) in media.iter_mut().enumerate() {
        if !ranges.iter().any(|range| range.contains(&at)) {
            *byte = *encrypted.next().expect("as many as there are");
        }
    }
}

fn full_nonce(nonce: u32) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[8..].copy_from_slice(&nonce.to_le_bytes());
    bytes
}

/// A generation's key, on the portable side.
fn portable(secret: &Secret) -> Portable {
    Portable::new(&(*Ratchet::new(secret).key()).into())
}

/// Frames that look like something to each codec, and some that do not.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![3 => Just(0_u8), 2 => Just(1), 1 => Just(3), 1 => Just(0x65), 4 => any::<u8>()];
    let part = prop_oneof![
        Just(vec![0, 0, 1, 0x65, 0xE0]),
        Just(vec![0, 0, 0, 1, 0x67]),
        Just(vec![0, 0, 1, 0x02, 0x01]),
        Just(vec![0x0A, 0x02]),
        Just(vec![0x32, 0x84, 0x00]),
        Just(vec![0x12, 0x00]),
        prop::collection::vec(byte, 0..12),
        prop::collection::vec(any::<u8>(), 0..200),
    ];
    prop::collection::vec(part, 0..10).prop_map(|parts| parts.concat())
}

fn codec() -> impl Strategy<Value = Codec> {
    prop::sample::select(&CODECS[..])
}

proptest! {
    #[test]
    fn another_implementation_opens_what_is_sealed(codec in codec(), frame in frame(), secret: [u8; 16], before in 0_usize..4) {
        let secret = Secret::new(secret);
        let mut sealer = Sealer::new();
        sealer.install(&secret);
        let mut buffer = vec![0; Sealer::max_len(codec, frame.len())];
        for _ in 0..=before {
            buffer[..frame.len()].copy_from_slice(&frame);
            let len = sealer.seal(codec, &mut buffer, frame.len()).expect("no more than 60 ranges");
            prop_assert!(len <= buffer.len());
            let sealed = &buffer[..len];
            let trailer = Trailer::read(sealed).expect("a sealed frame");
            let ranges: Vec<_> = trailer.ranges(sealed).collect();
            let layout = Layout::new(codec, &frame);
            prop_assert_eq!(&layout.ranges, &ranges);

            let (clear, mut text) = apart(&sealed[..trailer.media_len], &ranges);
            let nonce = full_nonce(trailer.nonce);
            portable(&secret)
                .decrypt_inout_detached(&Nonce::from(nonce), &clear, text.as_mut_slice().into(), &trailer.tag.into())
                .expect("authentic");
            let mut media = sealed[..trailer.media_len].to_vec();
            together(&mut media, &ranges, &text);
            prop_assert_eq!(&media, &layout.media);
        }
    }

    #[test]
    fn what_another_implementation_seals_opens(
        media in prop::collection::vec(any::<u8>(), 0..600), cuts in prop::collection::vec(0_usize..600, 0..12),
        secret: [u8; 16], nonce in 0_u32..1 << 24, spoilt in any::<(prop::sample::Index, u8)>(),
    ) {
        let secret = Secret::new(secret);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(media.len())).collect();
        cuts.sort_unstable();
        let ranges: Vec<_> = cuts.chunks_exact(2).map(|pair| pair[0]..pair[1]).collect();
        let (clear, mut text) = apart(&media, &ranges);
        let tag = portable(&secret)
            .encrypt_inout_detached(&Nonce::from(full_nonce(nonce)), &clear, text.as_mut_slice().into())
            .expect("sealed");
        let mut sealed_media = media.clone();
        together(&mut sealed_media, &ranges, &text);

        // Our own sealing gives the same, which has the trailer.
        let frame = SealKey::new(&Ratchet::new(&secret).key()).seal_frame(nonce, &media, &ranges).expect("sealed");
        prop_assert_eq!(&frame[..media.len()], &sealed_media);
        let own = Trailer::read(&frame).expect("sealed").tag;
        prop_assert_eq!(own.as_slice(), tag.as_slice());

        let (now, mut opener) = (start(), Opener::new());
        opener.expect(now, &secret, now);
        let mut bad = frame.clone();
        let at = spoilt.0.index(media.len() + 8);
        bad[at] ^= spoilt.1.max(1);
        let as_it_came = bad.clone();
        prop_assert_eq!(opener.open(now, Media::Video, true, &mut bad), Opened::Refused(Refusal::Unauthentic));
        prop_assert_eq!(bad, as_it_came);

        let mut good = frame.clone();
        prop_assert_eq!(opener.open(now, Media::Video, false, &mut good), Opened::Sealed { len: media.len() });
        prop_assert_eq!(&good[..media.len()], &media);
        let mut again = frame.clone();
        prop_assert_eq!(opener.open(now, Media::Video, false, &mut again), Opened::Refused(Refusal::Replayed));
        prop_assert_eq!(again, frame);
    }

    #[test]
    fn anything_is_sealed_or_refused_and_opens_to_what_was_laid_out(codec in codec(), frame in frame(), copies in 1_usize..80) {
        let frame = frame.repeat(copies);
        let (now, secret) = (start(), Secret::new([5; Secret::LEN]));
        let (mut sealer, mut opener) = (Sealer::new(), Opener::new());
        sealer.install(&secret);
        opener.expect(now, &secret, now);
        let layout = Layout::new(codec, &frame);
        let mut buffer = frame.clone();
        buffer.resize(Sealer::max_len(codec, frame.len()), 0xFF);
        match sealer.seal(codec, &mut buffer, frame.len()) {
            Ok(len) => {
                let mut sealed = buffer[..len].to_vec();
                if matches!(codec, Codec::H264 | Codec::H265) {
                    let short = |bytes: &[u8]| bytes.windows(3).filter(|window| *window == [0, 0, 1]).count();
                    let clear: usize = layout.ranges.iter().map(|range| short(&layout.media[range.clone()])).sum();
                    prop_assert_eq!(short(&sealed), clear, "start codes where it is clear only");
                }
                prop_assert_eq!(opener.open(now, Media::Video, false, &mut sealed), Opened::Sealed { len: layout.media.len() });
                prop_assert_eq!(&sealed[..layout.media.len()], &layout.media);
            }
            Err(error) => {
                prop_assert_eq!(error, SealError::Unsealable);
                prop_assert!(layout.ranges.len() > 30, "{} ranges", layout.ranges.len());
            }
        }
    }

    #[test]
    fn anything_may_come(
        mut frame in prop::collection::vec(any::<u8>(), 0..300), trailer in prop::collection::vec(any::<u8>(), 0..40),
        size in 0_u8..60, sealed: bool, plain: bool,
    ) {
        if sealed {
            frame.extend(trailer);
            frame.extend([size, 0xFA, 0xFA]);
        }
        let (now, as_it_came) = (start(), frame.clone());
        let mut opener = Opener::new();
        opener.expect(now, &Secret::new([5; Secret::LEN]), now);
        for media in [Media::Audio, Media::Video] {
            let opened = opener.open(now, media, plain, &mut frame);
            let is_opened = matches!(opened, Opened::Sealed { .. });
            prop_assert!(!is_opened);
            prop_assert_eq!(matches!(opened, Opened::Plain | Opened::Refused(Refusal::Plain)), Trailer::read(&frame).is_none());
            prop_assert_eq!(&frame, &as_it_came);
        }
        prop_assert_eq!(OpenKey::new(&[7; 16]).open_frame(&mut frame), None);
        prop_assert_eq!(frame, as_it_came);
    }
}

/// The tag is taken from one over associated data, block by block: every length up to some blocks, and lengths of many bits.
#[test]
fn tags_are_right_at_every_length() {
    let secret = Secret::new([0xC3; Secret::LEN]);
    let (seal, open) = (SealKey::new(&Ratchet::new(&secret).key()), OpenKey::new(&Ratchet::new(&secret).key()));
    let lens = |most: usize| (0..most).chain([255, 256, 1_275, 65_535, 65_536, 1_000_003]);
    for (nonce, clear_len) in (1..).zip(lens(40)) {
        for len in lens(40) {
            let media: Vec<u8> = (0..clear_len + len).map(|at| (at * 31 % 251) as u8).collect();
            let clear = 0..clear_len;
            let ranges = if clear.is_empty() { &[][..] } else { std::slice::from_ref(&clear) };
            let mut frame = seal.seal_frame(nonce, &media, ranges).expect("sealed");
            assert_eq!(open.open_frame(&mut frame), Some(media.len()), "{clear_len} and {len} bytes");
            assert!(frame[..media.len()] == media, "{clear_len} and {len} bytes");
        }
    }
}
