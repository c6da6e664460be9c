use proptest::prelude::{any, proptest};
use proptest::test_runner::{Config, RngSeed};
use voice_model::{RtpTime, Seq, Ssrc};

use super::Datagram;
use crate::{Discovery, Keepalive, discovery, keepalive, rtcp, rtp};

/// The longest payload of a UDP datagram over IPv4.
const LONGEST: usize = 65_507;

/// Everything that a receiver does with a datagram, decryption left out.
fn receive(datagram: &[u8]) {
    match Datagram::classify(datagram) {
        Datagram::Rtp(header) => {
            let (clear, plaintext) = datagram.split_at(header.clear_len());
            let words = rtp::extension_words(clear, &header);
            if let Ok(body) = rtp::body(&header, words, plaintext) {
                assert_eq!(body.extension.len() + body.payload.len() + body.padding, plaintext.len());
                rtp::elements(&plaintext[body.extension]).for_each(drop);
            }
        }
        Datagram::Rtcp => assert!(rtcp::read(datagram).count() <= datagram.len() / 4),
        Datagram::Discovery => {
            assert!(discovery::read_request(datagram).is_some() || datagram[1] == 2);
        }
        Datagram::Ping => assert!(keepalive::read_ping(datagram).is_some()),
        Datagram::Pong => assert!(keepalive::read_pong(datagram).is_some()),
        Datagram::Unknown => {}
    }
}

#[test]
fn each_kind_is_told_by_its_first_bytes() {
    let header = rtp::Header::new(Seq(1), RtpTime(2), Ssrc(3));
    let mut packet = [0; 12];
    header.write(&mut packet);
    assert_eq!(Datagram::classify(&packet), Datagram::Rtp(header));
    assert_eq!(Datagram::classify(&packet[..11]), Datagram::Unknown);

    assert_eq!(Datagram::classify(&discovery::request(Ssrc(3))), Datagram::Discovery);
    let response = discovery::Response { ssrc: Ssrc(3), address: "192.0.2.1:4000".parse().unwrap() };
    assert_eq!(Datagram::classify(&discovery::response(&response)), Datagram::Discovery);
    assert_eq!(Datagram::classify(&keepalive::ping(9)), Datagram::Ping);
    assert_eq!(Datagram::classify(&keepalive::pong(9)), Datagram::Pong);

    // What other clients send to keep their mapping open.
    for len in [4, 8, 9] {
        assert_eq!(Datagram::classify(&[0, 0, 0, 0, 0, 0, 0, 5, 0][..len]), Datagram::Unknown);
    }
    assert_eq!(Datagram::classify(&[]), Datagram::Unknown);
}

#[test]
fn rtcp_is_a_second_byte_from_192_to_223() {
    for second in 0..=u8::MAX {
        let mut packet = [0; 12];
        packet[..2].copy_from_slice(&[0x80, second]);
        let is_rtcp = Datagram::classify(&packet) == Datagram::Rtcp;
        assert_eq!(is_rtcp, (192..=223).contains(&second), "{second}");
    }
    assert_eq!(Datagram::classify(&[0x80, 200, 0, 1, 0, 0, 0, 7]), Datagram::Rtcp);
    assert_eq!(Datagram::classify(&[0x80, 200, 0, 1, 0, 0, 0]), Datagram::Unknown);
}

#[test]
fn other_versions_are_unknown() {
    for version in [0x00, 0x40, 0xC0] {
        for second in [120, 200] {
            let mut packet = [0; 40];
            packet[..2].copy_from_slice(&[version, second]);
            assert_eq!(Datagram::classify(&packet), Datagram::Unknown);
        }
    }
}

#[test]
fn case_07_garbage_of_1_to_100_bytes_with_all_csrc_counts() {
    for len in 1..=100 {
        for first in 0..=u8::MAX {
            for second in [0x78, 0xF8, 0xC8, 0xCA, 0xCB, 0xCC, 0x13, 0x00] {
                for fill in [0x00, 0x01, 0xFF] {
                    let mut datagram = vec![fill; len];
                    datagram[0] = first;
                    if let Some(byte) = datagram.get_mut(1) {
                        *byte = second;
                    }
                    receive(&datagram);
                }
            }
        }
    }
}

#[test]
fn the_longest_datagram_of_every_kind() {
    for fill in [0x00, 0x5A, 0xFF] {
        let mut datagram = vec![fill; LONGEST];
        for first in 0..=u8::MAX {
            for second in [0x78, 0xC8, 0xCA, 0xCD] {
                datagram[..2].copy_from_slice(&[first, second]);
                receive(&datagram);
            }
        }
    }
}

proptest! {
    #![proptest_config(Config { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..Config::default() })]

    #[test]
    fn any_bytes_are_classified(
        first in any::<u8>(),
        second in any::<u8>(),
        rest in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        receive(&rest);
        receive(&[&[first, second], rest.as_slice()].concat());
        receive(&[&[0x80 | first & 0x3F, 200 + second % 7], rest.as_slice()].concat());
    }

    #[test]
    fn machines_take_any_datagram(datagram in proptest::collection::vec(any::<u8>(), 0..100)) {
        #[allow(clippy::disallowed_methods)] // Any instant will do; only distances count.
        let now = std::time::Instant::now();
        let second = std::time::Duration::from_secs(1);
        assert!(!Discovery::new(now, Ssrc(7), second, second).handle_datagram(now, &datagram));
        assert!(!Keepalive::new(now, second).handle_pong(now, &datagram));
    }
}
