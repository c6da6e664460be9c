//! What is no audio: raw media and RTCP.

use crypto::{Backend, Half, Key, Sealer};
use model::{RtpTime, Seq, Ssrc};
use udp::rtcp::{self, Goodbye, Packet, ReceiverReport};

use super::stage::{CIPHER, KEY, Stage, drain, user};
use crate::audio::stream;
use crate::driver::Tapped;
use crate::listen::{ListenOptions, MediaTap};

/// A video packet of payload type 103, as a server sends it.
fn video(sealer: &mut Sealer, ssrc: u32, seq: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 0x80 | 103];
    packet.extend_from_slice(&seq.to_be_bytes());
    packet.extend_from_slice(&90_000_u32.to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    seal(sealer, Half::Rtp, packet, payload)
}

fn seal(sealer: &mut Sealer, half: Half, mut packet: Vec<u8>, payload: &[u8]) -> Vec<u8> {
    let clear = packet.len();
    packet.extend_from_slice(payload);
    let len = packet.len();
    packet.resize(len + 64, 0);
    let sealed = sealer.seal(half, &mut packet, clear, payload.len()).expect("there are nonces");
    packet.truncate(sealed);
    packet
}

#[test]
fn other_media_is_counted_and_handed_on_raw_and_disturbs_nothing() {
    let mut stage = Stage::new();
    let ear = stage.listen(ListenOptions::default());
    let mut sealer = Sealer::new(CIPHER, &Key::new(KEY), Backend::AwsLc);
    stage.speak(2, 20, 440.0, 0.5, std::time::Duration::from_secs(20));
    stage.take(&mut video(&mut sealer, 20, 1, b"before anybody asked"));
    let (tap, mut media) = stream(8);
    stage.taps.add(Tapped::Media(MediaTap::new(tap)));
    for number in 0..20 {
        stage.take(&mut video(&mut sealer, 20 + u32::from(number % 2), number, &[number as u8; 700]));
        stage.run(1);
    }
    let mut forged = video(&mut sealer, 21, 99, &[1; 700]);
    forged[300] ^= 1;
    stage.take(&mut forged);
    let received = stage.inbound.received();
    assert_eq!((received.other_media, received.unauthentic, received.malformed), (22, 1, 0));
    assert_eq!(received.packets as usize, stage.wire.len(), "audio alone");
    let heard = stage.inbound.heard()[&user(2)];
    assert_eq!((heard.lost, heard.late, heard.duplicate), (0, 0, 0));
    assert!(drain(&ear).len() >= 15);
    let raw: Vec<_> = std::iter::from_fn(|| media.try_next()).collect();
    assert_eq!(raw.len(), 8, "bounded");
    for (number, packet) in raw.iter().enumerate() {
        assert_eq!((packet.payload_type, packet.seq, packet.time), (103, Seq(number as u16), RtpTime(90_000)));
        assert_eq!(packet.user, (number % 2 == 0).then(|| user(2)), "the second SSRC is nobody's that speaks");
        assert!(packet.marker && *packet.payload == [number as u8; 700]);
    }
    drop(media);
    stage.take(&mut video(&mut sealer, 20, 100, &[0; 700]));
    stage.take(&mut video(&mut sealer, 20, 101, &[0; 700]));
    assert_eq!(stage.inbound.received().other_media, 24);
}

#[test]
fn case_31_rtcp_is_parsed_after_it_was_opened() {
    let mut stage = Stage::new();
    let mut sealer = Sealer::new(CIPHER, &Key::new(KEY), Backend::AwsLc);
    let sent = [
        Packet::ReceiverReport(ReceiverReport { ssrc: Ssrc(20), reports: Vec::new() }),
        Packet::Goodbye(Goodbye { sources: vec![Ssrc(20)], reason: Some(b"gone".to_vec()) }),
        Packet::Other { packet_type: 206, count: 1, body: vec![0, 0, 0, 20, 0, 0, 0, 1] },
    ];
    let mut compound = Vec::new();
    rtcp::write(&sent, &mut compound);
    let sealed = |sealer: &mut Sealer| {
        let (clear, rest) = compound.split_at(rtcp::CLEAR_LEN);
        seal(sealer, Half::Rtcp, clear.to_vec(), rest)
    };
    stage.take(&mut sealed(&mut sealer));
    let (tap, mut stream) = stream(8);
    stage.taps.add(Tapped::Rtcp(tap));
    stage.take(&mut sealed(&mut sealer));
    let mut forged = sealed(&mut sealer);
    forged[12] ^= 1;
    stage.take(&mut forged);
    let heard: Vec<_> = std::iter::from_fn(|| stream.try_next()).collect();
    assert!(heard.iter().all(|rtcp| rtcp.at == stage.now));
    assert_eq!(heard.into_iter().map(|rtcp| rtcp.packet).collect::<Vec<_>>(), sent);
    assert_eq!((stage.inbound.received().rtcp, stage.inbound.received().unauthentic), (2, 1));
}
