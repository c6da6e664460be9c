use voice_udp::rtcp::{self, Packet};

/// RTCP compounds as they come out of the cipher: whatever was read is written so that it is read alike, lists and texts
/// are within their bounds, and reading ends.
///
/// # Panics
///
/// When an invariant does not hold.
pub fn rtcp(data: &[u8]) {
    let mut reader = rtcp::read(data);
    let mut packets = Vec::new();
    let mut left = data.len();
    while let Some(packet) = reader.next() {
        assert!(reader.remainder().len() < left, "every packet takes some bytes");
        left = reader.remainder().len();
        check(&packet);
        packets.push(packet);
    }
    assert!(data.ends_with(reader.remainder()));
    let mut written = Vec::new();
    rtcp::write(&packets, &mut written);
    assert!(written.len().is_multiple_of(4));
    let mut again = rtcp::read(&written);
    assert!(again.by_ref().eq(packets), "what is written is read as the same");
    assert!(again.remainder().is_empty());
}

fn check(packet: &Packet) {
    match packet {
        Packet::SenderReport(report) => assert!(report.reports.len() <= 31),
        Packet::ReceiverReport(report) => assert!(report.reports.len() <= 31),
        Packet::SourceDescription(chunks) => {
            assert!(chunks.len() <= 31);
            let mut items = chunks.iter().flat_map(|chunk| &chunk.items);
            assert!(items.all(|item| item.kind != 0 && item.text.len() <= 255));
        }
        Packet::Goodbye(goodbye) => {
            assert!(goodbye.sources.len() <= 31 && goodbye.reason.as_ref().is_none_or(|reason| reason.len() <= 255));
        }
        Packet::Application(application) => assert!(application.subtype < 32),
        _ => {}
    }
}
