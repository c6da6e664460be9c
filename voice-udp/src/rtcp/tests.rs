use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use proptest::test_runner::{Config, RngSeed};
use voice_model::{RtpTime, Ssrc};

use super::{Application, CNAME, Chunk, Goodbye, Item, Packet, ReceiverReport, ReportBlock, SenderReport, read, write};

/// Captured from Discord's desktop client and decrypted (Discord-RE/Discord-video-stream, issue 50).
const CAPTURED: [u8; 40] = [
    0x80, 0xC8, 0x00, 0x06, 0x00, 0x05, 0xEC, 0x18, 0xE9, 0x57, 0xA5, 0x9B, 0x69, 0x37, 0x4B, 0xC6, 0x0A, 0x5B, 0x61,
    0xD0, 0x00, 0x00, 0x5B, 0x8E, 0x00, 0x1E, 0x66, 0x1B, 0x81, 0xCA, 0x00, 0x02, 0x00, 0x05, 0xEC, 0x18, 0x01, 0x00,
    0x00, 0x00,
];

fn written(packets: &[Packet]) -> Vec<u8> {
    let mut out = Vec::new();
    write(packets, &mut out);
    out
}

#[test]
fn case_31_the_captured_sender_report_and_its_description() {
    let ssrc = Ssrc(0x0005_EC18);
    let expected = [
        Packet::SenderReport(SenderReport {
            ssrc,
            ntp: 0xE957_A59B_6937_4BC6,
            time: RtpTime(0x0A5B_61D0),
            packets: 23_438,
            octets: 1_992_219,
            reports: Vec::new(),
        }),
        Packet::SourceDescription(vec![Chunk { ssrc, items: vec![Item { kind: CNAME, text: Vec::new() }] }]),
    ];
    let mut packets = read(&CAPTURED);
    assert_eq!(packets.by_ref().collect::<Vec<_>>(), expected);
    assert!(packets.remainder().is_empty());
    assert_eq!(written(&expected), CAPTURED);
}

#[test]
fn a_receiver_report_byte_by_byte() {
    let bytes = [
        0x81, 201, 0, 7, 0, 0, 0, 1, // header, sender
        0, 0, 0, 2, 64, 0xFF, 0xFF, 0xFE, 0, 3, 0x12, 0x34, 0, 0, 1, 0, 0xAA, 0xBB, 0xCC, 0xDD, 0, 1, 0, 0,
    ];
    let expected = Packet::ReceiverReport(ReceiverReport {
        ssrc: Ssrc(1),
        reports: vec![ReportBlock {
            ssrc: Ssrc(2),
            fraction_lost: 64,
            lost: -2,
            highest_seq: 0x0003_1234,
            jitter: 256,
            last_sender_report: 0xAABB_CCDD,
            delay: 65_536,
        }],
    });
    assert_eq!(read(&bytes).collect::<Vec<_>>(), std::slice::from_ref(&expected));
    assert_eq!(written(&[expected]), bytes);
}

#[test]
fn descriptions_goodbyes_and_applications_byte_by_byte() {
    #[rustfmt::skip]
    let bytes = [
        // Two chunks: the first needs no filling beyond its closing zero, the second has no item.
        0x82, 202, 0, 5, 0, 0, 0, 1, 1, 1, b'a', 6, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0,
        0x81, 203, 0, 2, 0, 0, 0, 3, 2, b'o', b'k', 0,
        0x80, 203, 0, 0,
        0x85, 204, 0, 3, 0, 0, 0, 4, b'n', b'a', b'm', b'e', 9, 8, 7, 6,
        // Transport feedback stays raw.
        0x8F, 205, 0, 3, 0, 0, 0, 5, 0, 0, 0, 6, 1, 2, 3, 4,
    ];
    let expected = [
        Packet::SourceDescription(vec![
            Chunk {
                ssrc: Ssrc(1),
                items: vec![Item { kind: CNAME, text: b"a".to_vec() }, Item { kind: 6, text: Vec::new() }],
            },
            Chunk { ssrc: Ssrc(2), items: Vec::new() },
        ]),
        Packet::Goodbye(Goodbye { sources: vec![Ssrc(3)], reason: Some(b"ok".to_vec()) }),
        Packet::Goodbye(Goodbye { sources: Vec::new(), reason: None }),
        Packet::Application(Application { subtype: 5, ssrc: Ssrc(4), name: *b"name", data: vec![9, 8, 7, 6] }),
        Packet::Other { packet_type: 205, count: 15, body: vec![0, 0, 0, 5, 0, 0, 0, 6, 1, 2, 3, 4] },
    ];
    assert_eq!(read(&bytes).collect::<Vec<_>>(), expected);
    assert_eq!(written(&expected), bytes);
}

#[test]
fn what_its_type_does_not_explain_stays_raw() {
    // A sender report that counts a block it does not have, and a description without its closing zero.
    for bytes in [
        [[0x81, 200, 0, 6].as_slice(), &[7; 24]].concat(),
        vec![0x81, 202, 0, 2, 0, 0, 0, 1, 1, 2, b'a', b'b'],
        vec![0x81, 202, 0, 2, 0, 0, 0, 1, 1, 200, b'a', b'b'],
        vec![0x81, 203, 0, 0],
        vec![0x80, 204, 0, 1, 0, 0, 0, 1],
    ] {
        let packet = Packet::Other { packet_type: bytes[1], count: bytes[0] & 0x1F, body: bytes[4..].to_vec() };
        assert_eq!(read(&bytes).collect::<Vec<_>>(), std::slice::from_ref(&packet));
        assert_eq!(written(&[packet]), bytes);
    }
}

#[test]
fn padding_is_no_part_of_a_packet() {
    let padded = [0xA0, 206, 0, 2, 1, 2, 3, 4, 0, 0, 0, 4];
    let expected = Packet::Other { packet_type: 206, count: 0, body: vec![1, 2, 3, 4] };
    assert_eq!(read(&padded).collect::<Vec<_>>(), [expected]);

    for count in [0, 9, 255] {
        let mut malformed = padded;
        malformed[11] = count;
        let mut packets = read(&malformed);
        assert_eq!(packets.next(), None);
        assert_eq!(packets.remainder(), malformed);
    }
}

#[test]
fn reading_ends_where_the_framing_does() {
    let mut cut = read(&CAPTURED[..39]);
    assert!(matches!(cut.next(), Some(Packet::SenderReport(_))));
    assert_eq!(cut.next(), None);
    assert_eq!(cut.next(), None);
    assert_eq!(cut.remainder(), &CAPTURED[28..39]);

    let mut version = CAPTURED;
    version[28] = 0x41;
    assert_eq!(read(&version).count(), 1);
    assert_eq!(read(&[]).count(), 0);
    assert_eq!(read(&[0x80, 200, 0]).count(), 0);
}

#[test]
fn what_a_field_has_no_room_for_is_left_out() {
    let block = ReportBlock {
        ssrc: Ssrc(1),
        fraction_lost: 0,
        lost: i32::MAX,
        highest_seq: 0,
        jitter: 0,
        last_sender_report: 0,
        delay: 0,
    };
    let bytes = written(&[
        Packet::ReceiverReport(ReceiverReport { ssrc: Ssrc(1), reports: vec![block; 40] }),
        Packet::Goodbye(Goodbye { sources: vec![Ssrc(1); 40], reason: Some(vec![b'x'; 400]) }),
        Packet::Other { packet_type: 206, count: 0xFF, body: vec![1; 300_000] },
    ]);
    let packets: Vec<_> = read(&bytes).collect();
    let [Packet::ReceiverReport(report), Packet::Goodbye(goodbye), Packet::Other { count, body, .. }] =
        packets.as_slice()
    else {
        panic!("{packets:?}");
    };
    assert_eq!((report.reports.len(), report.reports[0].lost), (31, 0x7F_FFFF));
    assert_eq!((goodbye.sources.len(), goodbye.reason.as_ref().map(Vec::len)), (31, Some(255)));
    assert_eq!((*count, body.len()), (31, 4 * 65_535));
}

fn ssrc() -> impl Strategy<Value = Ssrc> {
    any::<u32>().prop_map(Ssrc)
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..=255)
}

fn words() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<[u8; 4]>(), 0..20).prop_map(|words| words.concat())
}

fn reports() -> impl Strategy<Value = Vec<ReportBlock>> {
    let block = (ssrc(), any::<u8>(), -0x80_0000..=0x7F_FFFF, any::<[u32; 4]>()).prop_map(
        |(ssrc, fraction_lost, lost, [highest_seq, jitter, last_sender_report, delay])| ReportBlock {
            ssrc,
            fraction_lost,
            lost,
            highest_seq,
            jitter,
            last_sender_report,
            delay,
        },
    );
    vec(block, 0..=31)
}

fn packet() -> impl Strategy<Value = Packet> {
    let sender = (ssrc(), any::<u64>(), any::<[u32; 3]>(), reports()).prop_map(
        |(ssrc, ntp, [time, packets, octets], reports)| {
            Packet::SenderReport(SenderReport { ssrc, ntp, time: RtpTime(time), packets, octets, reports })
        },
    );
    let receiver =
        (ssrc(), reports()).prop_map(|(ssrc, reports)| Packet::ReceiverReport(ReceiverReport { ssrc, reports }));
    let item = (1u8.., text()).prop_map(|(kind, text)| Item { kind, text });
    let chunk = (ssrc(), vec(item, 0..4)).prop_map(|(ssrc, items)| Chunk { ssrc, items });
    let goodbye = (vec(ssrc(), 0..=31), proptest::option::of(text()))
        .prop_map(|(sources, reason)| Packet::Goodbye(Goodbye { sources, reason }));
    let application = (0u8..32, ssrc(), any::<[u8; 4]>(), words())
        .prop_map(|(subtype, ssrc, name, data)| Packet::Application(Application { subtype, ssrc, name, data }));
    let other = (prop_oneof![Just(192), 205u8..=223], 0u8..32, words())
        .prop_map(|(packet_type, count, body)| Packet::Other { packet_type, count, body });
    prop_oneof![sender, receiver, vec(chunk, 0..=31).prop_map(Packet::SourceDescription), goodbye, application, other]
}

proptest! {
    #![proptest_config(Config { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..Config::default() })]

    #[test]
    fn compounds_round_trip(packets in vec(packet(), 0..5)) {
        let bytes = written(&packets);
        let mut reader = read(&bytes);
        prop_assert_eq!(reader.by_ref().collect::<Vec<_>>(), packets);
        prop_assert_eq!(reader.remainder(), &[] as &[u8]);
    }

    #[test]
    fn what_was_read_is_written_to_be_read_alike(
        first in 0x80u8..0xA0,
        packet_type in 199u8..208,
        mut bytes in vec(any::<u8>(), 4..300),
    ) {
        let words = (bytes.len() / 4 - 1) as u16;
        bytes[0] = first;
        bytes[1] = packet_type;
        bytes[2..4].copy_from_slice(&words.to_be_bytes());
        let packets: Vec<_> = read(&bytes).collect();
        prop_assert_eq!(read(&written(&packets)).collect::<Vec<_>>(), packets);
    }
}
