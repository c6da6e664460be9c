use std::net::SocketAddr;

use proptest::prelude::{any, prop_assert_eq, proptest};
use proptest::test_runner::{Config, RngSeed};
use voice_model::Ssrc;

use super::{LEN, Response, read_request, read_response, request, response};

fn answer(address: &str) -> [u8; LEN] {
    response(&Response { ssrc: Ssrc(0x0102_0304), address: address.parse().unwrap() })
}

#[test]
fn a_request_byte_by_byte() {
    let bytes = request(Ssrc(0x0102_0304));
    assert_eq!(bytes[..8], [0, 1, 0, 70, 1, 2, 3, 4]);
    assert!(bytes[8..].iter().all(|&byte| byte == 0));
    assert_eq!(read_request(&bytes), Some(Ssrc(0x0102_0304)));
    assert_eq!(read_response(&bytes), None);
}

#[test]
fn a_response_byte_by_byte() {
    let bytes = answer("203.0.113.9:50000");
    assert_eq!(bytes[..8], [0, 2, 0, 70, 1, 2, 3, 4]);
    assert_eq!(&bytes[8..20], b"203.0.113.9\0");
    assert_eq!(bytes[72..], [0xC3, 0x50]);
    assert_eq!(read_response(&bytes).unwrap().address, "203.0.113.9:50000".parse().unwrap());
    assert_eq!(read_request(&bytes), None);
}

#[test]
fn bytes_after_the_nul_do_not_count() {
    let mut bytes = answer("203.0.113.9:50000");
    bytes[20..72].fill(0xFF);
    assert_eq!(read_response(&bytes).unwrap().address.ip().to_string(), "203.0.113.9");
}

#[test]
fn what_is_no_response() {
    let good = answer("[2001:db8::1]:50000");
    assert!(read_response(&good).is_some());
    assert_eq!(read_response(&good[..73]), None);
    assert_eq!(read_response(&[good.as_slice(), &[0]].concat()), None);
    assert_eq!(read_response(&[]), None);

    let spoilt = |at: usize, bytes: &[u8]| {
        let mut datagram = good;
        datagram[at..at + bytes.len()].copy_from_slice(bytes);
        read_response(&datagram)
    };
    assert_eq!(spoilt(1, &[3]), None);
    for length in [0u16, 5, 6, 69, 71, 74, u16::MAX] {
        assert_eq!(spoilt(2, &length.to_be_bytes()), None);
    }
    assert_eq!(spoilt(8, &[b'1'; 64]), None, "no NUL");
    assert_eq!(spoilt(8, &[0]), None, "no text");
    assert_eq!(spoilt(8, &[0xFF]), None, "no UTF-8");
    assert_eq!(spoilt(8, b"localhost\0"), None, "no address");
}

proptest! {
    #![proptest_config(Config { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..Config::default() })]

    #[test]
    fn responses_round_trip(ssrc in any::<u32>(), address in any::<SocketAddr>()) {
        // Scope and flow of IPv6 do not travel.
        let address = SocketAddr::new(address.ip(), address.port());
        let answer = Response { ssrc: Ssrc(ssrc), address };
        prop_assert_eq!(read_response(&response(&answer)), Some(answer));
    }
}
