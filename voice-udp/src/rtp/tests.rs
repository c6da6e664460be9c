use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use proptest::test_runner::{Config, RngSeed};
use voice_model::{RtpTime, Seq, Ssrc};

use super::{AUDIO, Header, Malformed, ONE_BYTE_PROFILE, body, extension_words, profile};

fn header() -> Header {
    Header::new(Seq(0x0102), RtpTime(0x0304_0506), Ssrc(0x0708_090A))
}

fn padded() -> Header {
    Header { padding: true, ..header() }
}

#[test]
fn the_fixed_header_byte_by_byte() {
    let mut out = [0xEE; 14];
    header().write(&mut out);
    assert_eq!(out, [0x80, 0x78, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0xEE, 0xEE]);

    let full = Header { marker: true, padding: true, extension: true, csrc_count: 15, payload_type: 96, ..header() };
    full.write(&mut out);
    assert_eq!(out[..2], [0xBF, 0xE0]);
}

#[test]
fn the_clear_part_counts_csrcs_and_the_extension_header() {
    for csrc_count in 0..16 {
        for extension in [false, true] {
            let header = Header { csrc_count, extension, ..header() };
            let expected = 12 + 4 * usize::from(csrc_count) + if extension { 4 } else { 0 };
            assert_eq!(header.clear_len(), expected);

            let mut packet = vec![0; expected];
            header.write(&mut packet);
            assert_eq!(Header::read(&packet), Some(header));
            assert_eq!(Header::read(&packet[..expected - 1]), None);
        }
    }
}

#[test]
fn the_extension_header_follows_the_csrcs() {
    let header = Header { csrc_count: 2, extension: true, ..header() };
    let mut packet = [0; 24];
    header.write(&mut packet);
    packet[20..].copy_from_slice(&[0xBE, 0xDE, 0x01, 0x02]);
    assert_eq!(extension_words(&packet, &header), 0x0102);
    assert_eq!(profile(&packet, &header), Some(ONE_BYTE_PROFILE));

    assert_eq!(extension_words(&packet[..23], &header), 0);
    let without = Header { extension: false, ..header };
    assert_eq!(extension_words(&packet, &without), 0);
    assert_eq!(profile(&packet, &without), None);
}

#[test]
fn extension_then_padding_are_stripped() {
    let header = Header { extension: true, ..padded() };
    let plaintext = [0x10, 0xFF, 0x90, 1, 0xAA, 0xBB, 0, 0, 3];
    let parts = body(&header, 1, &plaintext).unwrap();
    assert_eq!((parts.extension, parts.payload, parts.padding), (0..4, 4..6, 3));

    // Padding never reaches back into the extension.
    let padding_too_long = [0x10, 0xFF, 0x90, 1, 0xAA, 3];
    assert_eq!(body(&header, 1, &padding_too_long), Err(Malformed::Padding { len: 3, rest: 2 }));
}

#[test]
fn an_extension_longer_than_the_plaintext_is_malformed() {
    let header = Header { extension: true, ..header() };
    assert_eq!(body(&header, 2, &[0; 7]), Err(Malformed::Extension { len: 8, plaintext: 7 }));
    assert_eq!(body(&header, usize::MAX, &[0; 7]), Err(Malformed::Extension { len: usize::MAX, plaintext: 7 }));
    assert_eq!(body(&header, 2, &[0; 8]).unwrap().payload, 8..8);
}

#[test]
fn case_14_padding_is_stripped_when_the_p_bit_is_set() {
    let plaintext = [0xF8, 0xFF, 0xFE, 0, 0, 0, 4];
    assert_eq!(body(&padded(), 0, &plaintext).unwrap().payload, 0..3);
    assert_eq!(body(&header(), 0, &plaintext).unwrap().payload, 0..7);
}

#[test]
fn case_14_padding_of_zero_or_beyond_the_body_is_rejected() {
    assert_eq!(body(&padded(), 0, &[1, 2, 0]), Err(Malformed::Padding { len: 0, rest: 3 }));
    assert_eq!(body(&padded(), 0, &[1, 2, 4]), Err(Malformed::Padding { len: 4, rest: 3 }));
    assert_eq!(body(&padded(), 0, &[]), Err(Malformed::Padding { len: 0, rest: 0 }));
}

#[test]
fn case_14_a_body_that_is_all_padding_has_an_empty_payload() {
    let parts = body(&padded(), 0, &[0, 0, 3]).unwrap();
    assert_eq!((parts.payload, parts.padding), (0..0, 3));
    let longest = [vec![0; 254], vec![255]].concat();
    assert!(body(&padded(), 0, &longest).unwrap().payload.is_empty());
}

#[test]
fn case_15_the_marker_bit_is_no_part_of_the_payload_type() {
    let packet = [0x80, 0xF8, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
    let header = Header::read(&packet).unwrap();
    assert!(header.marker);
    assert_eq!(header.payload_type, AUDIO);
}

proptest! {
    #![proptest_config(Config { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..Config::default() })]

    #[test]
    fn headers_round_trip(
        (marker, padding, extension) in any::<(bool, bool, bool)>(),
        csrc_count in 0u8..16,
        payload_type in 0u8..128,
        (seq, time, ssrc) in any::<(u16, u32, u32)>(),
    ) {
        let header = Header {
            marker, padding, extension, csrc_count, payload_type,
            seq: Seq(seq), time: RtpTime(time), ssrc: Ssrc(ssrc),
        };
        let mut packet = vec![0xFF; header.clear_len()];
        header.write(&mut packet);
        prop_assert_eq!(Header::read(&packet), Some(header));
    }

    #[test]
    fn the_parts_of_a_body_are_the_body(
        (padding, extension) in any::<(bool, bool)>(),
        words in 0usize..20,
        plaintext in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let header = Header { padding, extension, ..header() };
        if let Ok(parts) = body(&header, words, &plaintext) {
            prop_assert_eq!(parts.extension.start, 0);
            prop_assert_eq!(parts.extension.end, parts.payload.start);
            prop_assert_eq!(parts.payload.end + parts.padding, plaintext.len());
            prop_assert!(padding == (parts.padding > 0));
        }
    }
}
