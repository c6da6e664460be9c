//! Sealing and opening allocate nothing in Rust, whatever the mode and the back end.

use voice_crypto::{Backend, Key, MAX_OVERHEAD, Mode, Opener, Sealer};

const PACKETS: u64 = 1_000;
const CLEAR_LEN: usize = 12;
const PLAINTEXT_LEN: usize = 160;

fn allocations(mode: Mode, backend: Backend) -> u64 {
    let key = Key::new([7; 32]);
    let mut sealer = Sealer::new(mode, &key, backend);
    let mut opener = Opener::new(mode, &key, backend);
    let mut buffer = [0x80; CLEAR_LEN + PLAINTEXT_LEN + MAX_OVERHEAD];
    let mut opened = 0;
    let info = allocation_counter::measure(|| {
        for _ in 0..PACKETS {
            let len = sealer.seal_rtp(&mut buffer, CLEAR_LEN, PLAINTEXT_LEN).expect("room and nonces");
            opened += u64::from(opener.open(&mut buffer[..len], CLEAR_LEN).is_some());
            buffer[CLEAR_LEN] ^= 0x01;
            if mode == Mode::XSalsa20Poly1305 {
                // It has no nonce for RTCP.
                assert!(sealer.seal_rtcp(&mut buffer, PLAINTEXT_LEN).is_err());
                continue;
            }
            let len = sealer.seal_rtcp(&mut buffer, PLAINTEXT_LEN).expect("room and nonces");
            buffer[len - 1] ^= 0x01;
            buffer[0] ^= 0x01;
            opened += u64::from(opener.open(&mut buffer[..len], 8).is_some());
        }
    });
    assert_eq!(opened, PACKETS, "{mode} on {backend:?}: each RTP packet opens, no spoilt RTCP packet does");
    info.count_total
}

#[test]
fn none_in_1_000_packets() {
    let modes = [
        Mode::Aes256GcmRtpsize,
        Mode::XChaCha20Poly1305Rtpsize,
        Mode::XSalsa20Poly1305,
        Mode::XSalsa20Poly1305Suffix,
        Mode::XSalsa20Poly1305Lite,
        Mode::XSalsa20Poly1305LiteRtpsize,
    ];
    for mode in modes {
        for backend in [Backend::AwsLc, Backend::Portable] {
            assert_eq!(allocations(mode, backend), 0, "{mode} on {backend:?}");
        }
    }
}
