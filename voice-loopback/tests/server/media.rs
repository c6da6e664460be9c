use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use crypto::Mode;
use model::{RtpTime, Seq, Ssrc};
use udp::rtcp::{self, Packet, SenderReport};
use udp::{discovery, keepalive, rtp};

use crate::world::{World, address, plain, select, user};

#[test]
fn both_ways_in_both_modes() {
    for (first, second) in [
        (Mode::DEFAULT[0], Mode::DEFAULT[0]),
        (Mode::DEFAULT[1], Mode::DEFAULT[1]),
        (Mode::DEFAULT[0], Mode::DEFAULT[1]),
    ] {
        let mut world = World::new(plain());
        let (mut first, mut second) = (world.joined_with(1, first), world.joined_with(2, second));
        for seq in [65_535, 0, 1] {
            let packet = first.packet(seq, &[seq as u8; 100], |header| header.marker = seq == 0);
            world.datagram(first.address, &packet);
            let arrived = world.arrived(second.address);
            assert_eq!(arrived.len(), 1);
            let opened = second.open(&arrived[0]);
            assert_eq!(opened.header.marker, seq == 0);
            assert_eq!((opened.header.seq, opened.header.time), (Seq(seq), RtpTime(960 * u32::from(seq))));
            assert_eq!((opened.header.ssrc, opened.header.payload_type), (first.ssrc, rtp::AUDIO));
            assert_eq!((opened.payload, opened.extension, opened.padding), (vec![seq as u8; 100], vec![], 0));
        }
        let packet = second.packet(9, b"back", |_| {});
        world.datagram(second.address, &packet);
        assert_eq!(first.open(&world.arrived(first.address)[0]).payload, b"back");
        assert!(world.arrived(second.address).is_empty(), "nobody hears himself");
        let stats = world.server.stats();
        assert_eq!((stats.received, stats.forwarded), (4, 4));
        let member = world.server.members().find(|member| member.user == user(1)).expect("there");
        assert_eq!((member.received, member.forwarded), (3, 1));
    }
}

/// The counter at the end of a packet.
fn nonce(packet: &[u8]) -> [u8; 4] {
    *packet.last_chunk().expect("a nonce")
}

#[test]
fn both_sides_of_one_key_never_use_the_same_nonce() {
    let mut world = World::new(plain());
    let (mut first, mut second) = (world.joined(1), world.joined(2));
    let mut nonces = BTreeSet::new();
    for seq in 0..100 {
        let there = first.packet(seq, b"there", |_| {});
        let back = second.packet(seq, b"back", |_| {});
        let mut report = vec![0x80, 200, 0, 1, 0, 0, 0, 1];
        report.resize(rtcp::CLEAR_LEN + crypto::MAX_OVERHEAD, 0);
        let len = first.sealer.seal_rtcp(&mut report, 0).expect("sealed");
        nonces.extend([nonce(&there), nonce(&report[..len])]);
        world.datagram(first.address, &there);
        world.datagram(second.address, &back);
        world.pass(Duration::from_millis(200));
    }
    let from_server = world.arrived(first.address);
    let reports = from_server.iter().filter(|packet| packet[1] == 201).count();
    assert!(reports >= 3 && from_server.len() == 100 + reports, "media and reports");
    nonces.extend(from_server.iter().map(|packet| nonce(packet)));
    assert_eq!(nonces.len(), 2 * 100 + from_server.len());
}

#[test]
fn retired_modes_encrypt_the_whole_extension() {
    for mode in [Mode::XSalsa20Poly1305, Mode::XSalsa20Poly1305Suffix, Mode::XSalsa20Poly1305Lite] {
        let mut world = World::new(plain().modes([mode]).extension(true));
        let (mut first, mut second) = (world.joined_with(1, mode), world.joined_with(2, mode));
        // X, one CSRC: both are behind the clear part.
        let header = [0x91, rtp::AUDIO, 0, 1, 0, 0, 0, 0];
        let plaintext = [&[0, 0, 0, 5, 0xBE, 0xDE, 0, 1, 0x90, 1, 0, 0][..], b"opus"].concat();
        let mut packet = [&header[..], &first.ssrc.0.to_be_bytes(), &plaintext, &[0; crypto::MAX_OVERHEAD]].concat();
        let len = first.sealer.seal_rtp(&mut packet, rtp::FIXED_LEN, plaintext.len()).expect("sealed");
        world.datagram(first.address, &packet[..len]);

        let mut arrived = world.arrived(second.address).remove(0);
        let plaintext = second.opener.open(&mut arrived, rtp::FIXED_LEN).expect("authentic");
        assert_eq!((&plaintext[..4], &plaintext[8..]), (&[0xBE, 0xDE, 0, 1][..], &b"opus"[..]), "{mode}");

        // An extension that ends before it begins.
        let mut packet = [&header[..], &first.ssrc.0.to_be_bytes(), &[0; crypto::MAX_OVERHEAD]].concat();
        packet[3] = 2;
        let len = first.sealer.seal_rtp(&mut packet, rtp::FIXED_LEN, 0).expect("sealed");
        world.datagram(first.address, &packet[..len]);
        assert_eq!(world.server.stats().malformed, 1, "{mode}");
    }
}

#[test]
fn extension_carries_the_flags_of_op_5() {
    let mut world = World::new(plain().extension(true));
    let (mut first, mut second) = (world.joined(1), world.joined(2));
    for flags in [0, 5_u32] {
        if flags > 0 {
            world.say_raw(first.conn, &format!(r#"{{"op":5,"d":{{"speaking":{flags},"delay":0,"ssrc":1}}}}"#));
        }
        let packet = first.packet(1, b"opus", |_| {});
        world.datagram(first.address, &packet);
        let arrived = world.arrived(second.address).remove(0);
        assert_eq!(arrived[0], 0x90);
        assert_eq!(arrived[12..16], [0xBE, 0xDE, 0, 1], "the extension's header is clear");
        let opened = second.open(&arrived);
        let speaking = rtp::elements(&opened.extension).find(|element| element.id == rtp::SPEAKING).map(|it| it.data);
        assert_eq!(speaking, Some(&[flags as u8][..]));
        assert_eq!(opened.payload, b"opus");
    }
}

#[test]
fn padding_is_inside_the_ciphertext_of_some_packets() {
    let mut world = World::new(plain().padding(true).extension(true));
    let (mut first, mut second) = (world.joined(1), world.joined(2));
    let mut padded = 0;
    for seq in 0..300 {
        let packet = first.packet(seq, b"opus", |_| {});
        world.datagram(first.address, &packet);
        let opened = second.open(&world.arrived(second.address)[0]);
        assert_eq!(opened.payload, b"opus");
        assert!(opened.padding <= 32);
        padded += u32::from(opened.header.padding);
    }
    assert!((70..130).contains(&padded), "{padded} of 300");
}

#[test]
fn what_clients_pad_and_extend_is_stripped() {
    let mut world = World::new(plain());
    let (mut first, mut second) = (world.joined(1), world.joined(2));
    let packet = first.packet(1, &[0x90, 1, 0, 0, b'o', b'k', 0, 0, 3], |header| {
        header.extension = true;
        header.padding = true;
    });
    world.datagram(first.address, &packet);
    let opened = second.open(&world.arrived(second.address)[0]);
    assert_eq!((opened.payload.as_slice(), opened.padding, opened.header.extension), (&b"ok"[..], 0, false));

    // All padding: it has used up a sequence number, so it goes on as what it is.
    let packet = first.packet(2, &[0, 0, 0, 4], |header| header.padding = true);
    world.datagram(first.address, &packet);
    let opened = second.open(&world.arrived(second.address)[0]);
    assert_eq!((opened.payload.len(), opened.padding, opened.header.seq), (0, 4, Seq(2)));

    // Padding that contradicts the length.
    let packet = first.packet(3, &[0, 0, 0, 9], |header| header.padding = true);
    world.datagram(first.address, &packet);
    assert!(world.arrived(second.address).is_empty());
    assert_eq!(world.server.stats().malformed, 1);
}

#[test]
fn media_goes_where_op_1_said_and_comes_from_anywhere() {
    let mut world = World::new(plain());
    let (mut first, mut second) = (world.joined(1), world.joined(2));
    let elsewhere = SocketAddr::from(([127, 0, 0, 9], 5));
    let packet = first.packet(1, b"from another socket", |_| {});
    world.datagram(elsewhere, &packet);
    assert_eq!(second.open(&world.arrived(second.address)[0]).payload, b"from another socket");
    let packet = second.packet(1, b"back", |_| {});
    world.datagram(second.address, &packet);
    assert!(world.arrived(elsewhere).is_empty());
    assert_eq!(world.arrived(first.address).len(), 1);
}

#[test]
fn without_op_4_there_is_no_media() {
    let mut world = World::new(plain());
    let mut first = world.joined(1);
    world.identified(2);
    let packet = first.packet(1, b"opus", |_| {});
    world.datagram(first.address, &packet);
    assert!(world.arrived(address(2)).is_empty());
    assert_eq!((world.server.stats().received, world.server.stats().forwarded), (1, 0));
}

#[test]
fn another_key_or_ssrc_is_counted() {
    let mut world = World::new(plain());
    let (mut first, mut second) = (world.joined(1), world.joined(2));
    let forged = second.packet(1, b"as the first", |header| header.ssrc = first.ssrc);
    world.datagram(second.address, &forged);
    let unknown = first.packet(1, b"whose", |header| header.ssrc = Ssrc(u32::MAX));
    world.datagram(first.address, &unknown);
    assert_eq!((world.server.stats().not_authentic, world.server.stats().unknown_ssrc), (1, 1));
    assert!(world.arrived(first.address).is_empty() && world.arrived(second.address).is_empty());
}

#[test]
fn discovery_tells_the_address_of_the_datagram() {
    let mut world = World::new(plain());
    let first = world.joined(1);
    let from: SocketAddr = "[2001:db8::7]:4321".parse().expect("an address");
    world.datagram(from, &discovery::request(first.ssrc));
    let answer = world.arrived(from).remove(0);
    let answer = discovery::read_response(&answer).expect("a response");
    assert_eq!((answer.ssrc, answer.address), (first.ssrc, from));
    world.datagram(from, &discovery::request(Ssrc(first.ssrc.0 + 1)));
    assert!(world.arrived(from).is_empty(), "nobody's SSRC");
}

#[test]
fn pings_are_answered_and_other_keepalives_swallowed() {
    let mut world = World::new(plain());
    let from = address(1);
    world.datagram(from, &keepalive::ping(0x0102_0304));
    assert_eq!(world.arrived(from), [vec![0x13, 0x37, 0xF0, 0x0D, 1, 2, 3, 4]]);
    for other in [&[0_u8; 4][..], &[1; 8], &[0xC9, 0, 0, 0, 0, 0, 0, 0, 0]] {
        world.datagram(from, other);
    }
    assert!(world.arrived(from).is_empty());
    assert_eq!((world.server.stats().pings, world.server.stats().swallowed), (1, 3));
}

#[test]
fn receiver_reports_come_every_five_seconds() {
    let mut world = World::new(plain());
    let (mut first, second) = (world.joined(1), world.joined(2));
    for seq in (0..100_u16).filter(|seq| seq % 4 != 1) {
        let packet = first.packet(seq, b"opus", |_| {});
        world.datagram(first.address, &packet);
        world.pass(Duration::from_millis(20));
    }
    world.arrived(second.address);
    let report = SenderReport {
        ssrc: first.ssrc,
        ntp: 0x1122_3344_5566_7788,
        time: RtpTime(0),
        packets: 75,
        octets: 300,
        reports: vec![],
    };
    let mut compound = Vec::new();
    rtcp::write(&[Packet::SenderReport(report)], &mut compound);
    let len = compound.len() - rtcp::CLEAR_LEN;
    compound.resize(compound.len() + crypto::MAX_OVERHEAD, 0);
    let sealed = first.sealer.seal_rtcp(&mut compound, len).expect("sealed");
    world.datagram(first.address, &compound[..sealed]);
    assert_eq!(world.server.stats().rtcp_received, 1);

    world.pass(Duration::from_secs(9));
    assert!(world.arrived(second.address).is_empty(), "the second has sent nothing to report on");
    let reports = world.arrived(first.address);
    assert_eq!(reports.len(), 2);
    let mut report = reports[0].clone();
    let len = first.opener.open(&mut report, rtcp::CLEAR_LEN).expect("authentic").len();
    let Some(Packet::ReceiverReport(report)) = rtcp::read(&report[..rtcp::CLEAR_LEN + len]).next() else {
        panic!("no receiver report")
    };
    let block = report.reports[0];
    assert_eq!((block.ssrc, block.fraction_lost, block.lost, block.highest_seq), (first.ssrc, 64, 25, 99));
    assert_eq!(block.last_sender_report, 0x3344_5566);
}

#[test]
fn a_second_op_1_moves_the_media() {
    let mut world = World::new(plain());
    let (mut first, mut second) = (world.joined(1), world.joined(2));
    world.say(second.conn, &select(address(77), Mode::Aes256GcmRtpsize.name()));
    let packet = first.packet(1, b"opus", |_| {});
    world.datagram(first.address, &packet);
    assert_eq!(second.open(&world.arrived(address(77))[0]).payload, b"opus", "with the key it had");
}

#[test]
fn forwarding_allocates_the_outgoing_datagram_only() {
    let mut world = World::new(plain().extension(true).padding(true));
    let (mut first, _) = (world.joined(1), world.joined(2));
    let (server, now) = (&mut world.server, world.now);
    for seq in 0..100 {
        let mut packet = first.packet(seq, &[7; 160], |_| {});
        let counted = allocation_counter::measure(|| {
            server.handle_datagram(now, first.address, &mut packet);
            assert!(server.poll_output().is_some());
        });
        if seq > 0 {
            assert_eq!(counted.count_total, 1, "packet {seq}");
        }
    }
}
