use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::test_runner::{Config, RngSeed};
use voice_udp::rtcp;

use super::Opener;
use crate::{Backend, Half, Key, MAX_OVERHEAD, Mode, SealError, Sealer};

const BACKENDS: [Backend; 2] = [Backend::AwsLc, Backend::Portable];
const MODES: [Mode; 6] = [
    Mode::Aes256GcmRtpsize,
    Mode::XChaCha20Poly1305Rtpsize,
    Mode::XSalsa20Poly1305,
    Mode::XSalsa20Poly1305Suffix,
    Mode::XSalsa20Poly1305Lite,
    Mode::XSalsa20Poly1305LiteRtpsize,
];
const CLEAR: [u8; 12] = [0x80, 0x78, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];

fn key() -> Key {
    Key::new(std::array::from_fn(|index| index as u8))
}

fn seal(mode: Mode, backend: Backend, clear: &[u8], plaintext: &[u8]) -> Vec<u8> {
    seal_with(&mut Sealer::new(mode, &key(), backend), Half::Rtp, clear, plaintext)
}

fn seal_with(sealer: &mut Sealer, half: Half, clear: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut buffer = [clear, plaintext, &[0; MAX_OVERHEAD]].concat();
    let len = sealer.seal(half, &mut buffer, clear.len(), plaintext.len()).unwrap();
    buffer.truncate(len);
    buffer
}

fn open(mode: Mode, backend: Backend, packet: &[u8], clear_len: usize) -> Option<Vec<u8>> {
    let mut packet = packet.to_vec();
    Opener::new(mode, &key(), backend).open(&mut packet, clear_len).map(|plaintext| plaintext.to_vec())
}

#[test]
fn case_16_the_largest_opus_frame_round_trips() {
    let frame: Vec<u8> = (0..1_275).map(|index| index as u8).collect();
    for mode in MODES {
        let packet = seal(mode, Backend::AwsLc, &CLEAR, &frame);
        assert_eq!(packet.len(), CLEAR.len() + frame.len() + mode.overhead());
        assert_eq!(open(mode, Backend::AwsLc, &packet, CLEAR.len()).unwrap(), frame, "{mode}");
    }
}

#[test]
fn xsalsa20_poly1305_refuses_rtcp_whose_nonce_would_repeat() {
    let mut sealer = Sealer::new(Mode::XSalsa20Poly1305, &key(), Backend::AwsLc);
    assert_eq!(sealer.seal_rtcp(&mut [0; 100], 24), Err(SealError::NoRtcp));
}

#[test]
fn case_31_rtcp_is_read_after_decryption() {
    let mut packet = vec![
        0x80, 0xC8, 0x00, 0x06, 0x00, 0x05, 0xEC, 0x18, 0x8A, 0xF5, 0xB6, 0xFB, 0x63, 0xA1, 0x5A, 0x19, 0xF5, 0x19,
        0xAB, 0x9B, 0x50, 0x2E, 0x93, 0x3C, 0x6A, 0xE1, 0x01, 0xAE, 0x68, 0x5F, 0x5E, 0x7F, 0x42, 0xB4, 0xFA, 0xB7,
        0x83, 0xBB, 0x0E, 0xED, 0xA7, 0x3E, 0x70, 0xE9, 0x94, 0xCB, 0xAE, 0xA0, 0xFD, 0xB0, 0x65, 0x2F, 0x91, 0xA5,
        0x2D, 0x69, 0x5A, 0x00, 0x00, 0x80,
    ];
    let sealed = packet.clone();
    let key = Key::new([
        0x44, 0x05, 0xDF, 0xC5, 0xD8, 0x3D, 0x86, 0xC2, 0x31, 0xD3, 0x31, 0x3A, 0x59, 0xCE, 0xF4, 0x1D, 0x6B, 0x78,
        0x06, 0x41, 0xAC, 0xF0, 0x07, 0xC9, 0xAF, 0x84, 0x1D, 0xC6, 0x16, 0xB2, 0x78, 0xA2,
    ]);
    let mode = Mode::Aes256GcmRtpsize;
    let len = Opener::new(mode, &key, Backend::AwsLc).open(&mut packet, rtcp::CLEAR_LEN).unwrap().len();
    let packets: Vec<_> = rtcp::read(&packet[..rtcp::CLEAR_LEN + len]).collect();
    let [rtcp::Packet::SenderReport(report), rtcp::Packet::SourceDescription(chunks)] = packets.as_slice() else {
        panic!("{packets:?}");
    };
    assert_eq!((report.packets, report.octets), (0x5B8E, 0x1E_661B));
    assert_eq!(chunks[0].ssrc, report.ssrc);

    // Discord's client counts RTCP little-endian from 0x8000_0000 up, as we do.
    let mut sealer = Sealer::new(mode, &key, Backend::AwsLc).resume_from(0x8000_005A);
    assert_eq!(sealer.seal_rtcp(&mut packet, len), Ok(sealed.len()));
    assert_eq!(packet, sealed);
}

/// Tag and ciphertext computed with PyNaCl 1.6 (libsodium), `nacl.bindings.crypto_secretbox`.
#[test]
fn retired_modes_are_secret_boxes_with_the_tag_first() {
    #[rustfmt::skip]
    let lite = [
        0x5E, 0x11, 0x32, 0x6D, 0x76, 0xA4, 0x99, 0x0D, 0xD6, 0x31, 0x2F, 0x3D, 0xBB, 0x9A, 0x52, 0x85,
        0x93, 0xBF, 0x13,
    ];
    #[rustfmt::skip]
    let suffix = [
        0xD6, 0x49, 0xA4, 0x45, 0x56, 0x47, 0x55, 0x98, 0x4D, 0xAE, 0xCD, 0x19, 0x61, 0xB9, 0x9E, 0x2A,
        0x2F, 0x88, 0x41,
    ];
    #[rustfmt::skip]
    let plain = [
        0xCC, 0x2F, 0xFF, 0x5A, 0x4F, 0xCF, 0x14, 0x46, 0x0A, 0x09, 0x9D, 0x85, 0xA9, 0xF1, 0xE0, 0xB4,
        0x82, 0x69, 0xF5,
    ];
    for (mode, boxed, nonce) in [
        (Mode::XSalsa20Poly1305Lite, lite, [5, 0, 0, 0].to_vec()),
        (Mode::XSalsa20Poly1305LiteRtpsize, lite, [5, 0, 0, 0].to_vec()),
        (Mode::XSalsa20Poly1305Suffix, suffix, [[5, 0, 0, 0].as_slice(), &[9; 20]].concat()),
        (Mode::XSalsa20Poly1305, plain, Vec::new()),
    ] {
        let mut sealer = Sealer::new(mode, &key(), Backend::AwsLc).resume_from(5).with_nonce_tail([9; 20]);
        let packet = seal_with(&mut sealer, Half::Rtp, &CLEAR, &[0xF8, 0xFF, 0xFE]);
        assert_eq!(packet, [CLEAR.as_slice(), &boxed, &nonce].concat(), "{mode}");
    }
}

#[test]
fn nonces_are_little_endian_at_the_end_of_the_packet() {
    let mut sealer = Sealer::new(Mode::Aes256GcmRtpsize, &key(), Backend::AwsLc);
    let mut suffix = |half| seal_with(&mut sealer, half, &CLEAR, &[1])[CLEAR.len() + 17..].to_vec();
    assert_eq!(suffix(Half::Rtp), [0, 0, 0, 0]);
    assert_eq!(suffix(Half::Rtcp), [0, 0, 0, 0x80]);
    assert_eq!(suffix(Half::Rtp), [1, 0, 0, 0]);
    assert_eq!(suffix(Half::Rtcp), [1, 0, 0, 0x80]);
}

#[test]
fn the_nonce_tail_ends_the_suffix() {
    let mut sealer =
        Sealer::new(Mode::XSalsa20Poly1305Suffix, &key(), Backend::AwsLc).resume_from(0x0102).with_nonce_tail([9; 20]);
    let packet = seal_with(&mut sealer, Half::Rtp, &CLEAR, &[1]);
    assert_eq!(packet[packet.len() - 24..], [[2, 1, 0, 0].as_slice(), &[9; 20]].concat());
    assert_eq!(open(Mode::XSalsa20Poly1305Suffix, Backend::AwsLc, &packet, CLEAR.len()), Some(vec![1]));
}

#[test]
fn a_sealer_refuses_to_leave_its_half() {
    for mode in Mode::DEFAULT {
        let mut buffer = [0; 100];
        let mut sealer = Sealer::new(mode, &key(), Backend::AwsLc).resume_from(0x7FFF_FFFF).resume_from(u32::MAX);
        assert!(sealer.seal_rtp(&mut buffer, 12, 10).is_ok());
        assert!(sealer.seal_rtcp(&mut buffer, 10).is_ok());
        let before = buffer;
        assert_eq!(sealer.seal_rtp(&mut buffer, 12, 10), Err(SealError::NoncesUsedUp(Half::Rtp)));
        assert_eq!(sealer.seal_rtcp(&mut buffer, 10), Err(SealError::NoncesUsedUp(Half::Rtcp)));
        assert_eq!(buffer, before);
    }
}

#[test]
fn a_short_buffer_is_an_error_and_uses_no_nonce() {
    for mode in MODES {
        let mut sealer = Sealer::new(mode, &key(), Backend::AwsLc);
        let needed = 12 + 10 + mode.overhead();
        let mut buffer = vec![0; needed];
        let error = SealError::BufferTooShort { needed, len: needed - 1 };
        assert_eq!(sealer.seal_rtp(&mut buffer[..needed - 1], 12, 10), Err(error));
        assert!(sealer.seal_rtp(&mut buffer, usize::MAX, 10).is_err());
        assert!(sealer.seal_rtp(&mut buffer, 12, usize::MAX).is_err());
        assert!(sealer.seal_rtcp(&mut [], 0).is_err());
        assert_eq!(sealer.seal_rtp(&mut buffer, 12, 10), Ok(needed));
        assert_eq!(buffer, seal(mode, Backend::AwsLc, &[0; 12], &[0; 10]), "{mode}");
    }
}

#[test]
fn what_is_too_short_does_not_open() {
    for mode in MODES {
        for backend in BACKENDS {
            let packet = seal(mode, backend, &CLEAR, &[]);
            assert_eq!(open(mode, backend, &packet, CLEAR.len()), Some(Vec::new()));
            for len in 0..packet.len() {
                assert_eq!(open(mode, backend, &packet[..len], CLEAR.len()), None);
            }
            assert_eq!(open(mode, backend, &packet, usize::MAX), None);
        }
    }
}

#[test]
fn neither_a_key_nor_another_mode_opens() {
    let packet = seal(Mode::Aes256GcmRtpsize, Backend::AwsLc, &CLEAR, &[1, 2, 3]);
    assert_eq!(open(Mode::XChaCha20Poly1305Rtpsize, Backend::AwsLc, &packet, 12), None);
    let mut opener = Opener::new(Mode::Aes256GcmRtpsize, &Key::new([0; 32]), Backend::AwsLc);
    assert!(opener.open(&mut packet.clone(), 12).is_none());
}

#[test]
fn debug_tells_no_secret() {
    let key = Key::new([0xAB; 32]);
    let sealer = format!("{:?}", Sealer::new(Mode::XChaCha20Poly1305Rtpsize, &key, Backend::AwsLc));
    assert_eq!(sealer, "Sealer { mode: XChaCha20Poly1305Rtpsize, nonces: Nonces { rtp: 0, rtcp: 2147483648 }, .. }");
    let opener = format!("{:?}", Opener::new(Mode::Aes256GcmRtpsize, &key, Backend::Portable));
    assert_eq!(opener, "Opener { mode: Aes256GcmRtpsize, .. }");
}

#[test]
fn both_may_move_between_threads() {
    fn movable<T: Send + Sync + 'static>() {}
    movable::<Sealer>();
    movable::<Opener>();
}

fn bytes(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), len)
}

fn mode() -> impl Strategy<Value = Mode> {
    proptest::sample::select(MODES.as_slice())
}

fn half() -> impl Strategy<Value = Half> {
    prop_oneof![Just(Half::Rtp), Just(Half::Rtcp)]
}

proptest! {
    #![proptest_config(Config { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..Config::default() })]

    #[test]
    fn both_back_ends_give_the_same_bytes(
        mode in mode(),
        secret in any::<[u8; 32]>(),
        (counter, half) in (any::<u32>(), half()),
        clear in bytes(0..80),
        plaintext in bytes(0..1_300),
    ) {
        let key = Key::new(secret);
        let half = if mode == Mode::XSalsa20Poly1305 { Half::Rtp } else { half };
        let [ours, theirs] = BACKENDS.map(|backend| {
            seal_with(&mut Sealer::new(mode, &key, backend).resume_from(counter), half, &clear, &plaintext)
        });
        prop_assert_eq!(&ours, &theirs);
        for backend in BACKENDS {
            let mut packet = ours.clone();
            let mut opener = Opener::new(mode, &key, backend);
            prop_assert_eq!(opener.open(&mut packet, clear.len()).map(|text| text.to_vec()), Some(plaintext.clone()));
            prop_assert_eq!(&packet[..clear.len()], clear.as_slice());
            prop_assert_eq!(&packet[clear.len()..clear.len() + plaintext.len()], plaintext.as_slice());
        }
    }

    #[test]
    fn a_changed_bit_does_not_open(
        mode in mode(),
        plaintext in bytes(0..200),
        at in any::<proptest::sample::Index>(),
        bit in 0u8..8,
    ) {
        let mut packet = seal(mode, Backend::AwsLc, &CLEAR, &plaintext);
        let at = at.index(packet.len());
        packet[at] ^= 1 << bit;
        // A secret box has no associated data; only as a nonce does the header count.
        let counts = at >= CLEAR.len() || !mode.is_retired() || mode == Mode::XSalsa20Poly1305;
        for backend in BACKENDS {
            prop_assert_eq!(open(mode, backend, &packet, CLEAR.len()).is_none(), counts);
        }
    }

    #[test]
    fn any_bytes_are_refused(mode in mode(), packet in bytes(0..200), clear_len in 0usize..80) {
        for backend in BACKENDS {
            prop_assert!(open(mode, backend, &packet, clear_len).is_none());
        }
    }
}
