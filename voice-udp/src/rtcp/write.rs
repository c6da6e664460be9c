use super::report::{write_receiver, write_sender};
use super::{
    APPLICATION, Chunk, GOODBYE, Goodbye, HEADER_LEN, MAX_COUNT, Packet, RECEIVER_REPORT, SENDER_REPORT,
    SOURCE_DESCRIPTION,
};

/// Texts have a length of one byte (RFC 3550, sections 6.5 and 6.6).
const MAX_TEXT: usize = 255;

/// The most that a packet's 16-bit length can count, header included.
const MAX_LEN: usize = 4 << 16;

/// Appends a compound. It should begin with a report (RFC 3550, section 6.1); its first [`super::CLEAR_LEN`] bytes stay
/// clear when it is sealed.
///
/// What a field has no room for is left out: list entries beyond the 31st, bytes of a text beyond the 255th, bytes of a
/// packet beyond 256 KiB. Data is filled up with zeros to words of 4 bytes.
pub fn write(packets: &[Packet], out: &mut Vec<u8>) {
    for packet in packets {
        let start = out.len();
        out.extend_from_slice(&[0; HEADER_LEN]);
        let (packet_type, count) = write_body(packet, out);
        out.truncate(start + MAX_LEN);
        fill_word(start, out);
        let words = ((out.len() - start) / 4 - 1) as u16;
        let [high, low] = words.to_be_bytes();
        out[start..start + HEADER_LEN].copy_from_slice(&[0x80 | count as u8, packet_type, high, low]);
    }
}

/// Packet type and count.
fn write_body(packet: &Packet, out: &mut Vec<u8>) -> (u8, usize) {
    match packet {
        Packet::SenderReport(report) => {
            write_sender(report, out);
            (SENDER_REPORT, report.reports.len().min(MAX_COUNT))
        }
        Packet::ReceiverReport(report) => {
            write_receiver(report, out);
            (RECEIVER_REPORT, report.reports.len().min(MAX_COUNT))
        }
        Packet::SourceDescription(chunks) => {
            for chunk in chunks.iter().take(MAX_COUNT) {
                write_chunk(chunk, out);
            }
            (SOURCE_DESCRIPTION, chunks.len().min(MAX_COUNT))
        }
        Packet::Goodbye(goodbye) => {
            write_goodbye(goodbye, out);
            (GOODBYE, goodbye.sources.len().min(MAX_COUNT))
        }
        Packet::Application(application) => {
            out.extend_from_slice(&application.ssrc.0.to_be_bytes());
            out.extend_from_slice(&application.name);
            out.extend_from_slice(&application.data);
            (APPLICATION, usize::from(application.subtype & 0x1F))
        }
        Packet::Other { packet_type, count, body } => {
            out.extend_from_slice(body);
            (*packet_type, usize::from(*count & 0x1F))
        }
    }
}

fn write_chunk(chunk: &Chunk, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&chunk.ssrc.0.to_be_bytes());
    // A zero would end the chunk.
    for item in chunk.items.iter().filter(|item| item.kind != 0) {
        out.push(item.kind);
        write_text(&item.text, out);
    }
    out.push(0);
    fill_word(start, out);
}

fn write_goodbye(goodbye: &Goodbye, out: &mut Vec<u8>) {
    for source in goodbye.sources.iter().take(MAX_COUNT) {
        out.extend_from_slice(&source.0.to_be_bytes());
    }
    if let Some(reason) = &goodbye.reason {
        write_text(reason, out);
    }
}

fn write_text(text: &[u8], out: &mut Vec<u8>) {
    let text = &text[..text.len().min(MAX_TEXT)];
    out.push(text.len() as u8);
    out.extend_from_slice(text);
}

fn fill_word(start: usize, out: &mut Vec<u8>) {
    out.resize(start + (out.len() - start).next_multiple_of(4), 0);
}
