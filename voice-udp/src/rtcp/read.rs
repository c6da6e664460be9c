use super::report::{read_receiver, read_sender, read_ssrc};
use super::{
    APPLICATION, Application, Chunk, GOODBYE, Goodbye, HEADER_LEN, Item, Packet, RECEIVER_REPORT, SENDER_REPORT,
    SOURCE_DESCRIPTION,
};

/// The P bit: the packet's last byte counts the bytes of padding at its end, itself included (RFC 3550, section 6.4.1).
const PADDING: u8 = 0x20;

/// The packets of a decrypted compound, its clear bytes included. Each packet's own length field says where the next
/// begins.
pub fn read(compound: &[u8]) -> Packets<'_> {
    Packets { rest: compound }
}

/// Iterator of [`read`]. It ends at the first bytes that are no packet.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Packets<'a> {
    /// What is not read yet; once the iterator has ended, what cannot be: nothing in a well-made compound.
    pub fn remainder(&self) -> &'a [u8] {
        self.rest
    }
}

impl Iterator for Packets<'_> {
    type Item = Packet;

    fn next(&mut self) -> Option<Packet> {
        let &[flags, packet_type, high, low] = self.rest.first_chunk::<HEADER_LEN>()?;
        let len = HEADER_LEN * (usize::from(u16::from_be_bytes([high, low])) + 1);
        let (packet, rest) = self.rest.split_at_checked(len).filter(|_| flags >> 6 == 2)?;
        let padding = match packet.last() {
            Some(0) if flags & PADDING != 0 => return None,
            Some(&count) if flags & PADDING != 0 => usize::from(count),
            _ => 0,
        };
        let body = packet.get(HEADER_LEN..len.checked_sub(padding)?)?;
        self.rest = rest;

        let count = flags & 0x1F;
        let parsed = match packet_type {
            SENDER_REPORT => read_sender(count.into(), body).map(Packet::SenderReport),
            RECEIVER_REPORT => read_receiver(count.into(), body).map(Packet::ReceiverReport),
            SOURCE_DESCRIPTION => read_description(count, body).map(Packet::SourceDescription),
            GOODBYE => read_goodbye(count, body).map(Packet::Goodbye),
            APPLICATION => read_application(count, body).map(Packet::Application),
            _ => None,
        };
        Some(parsed.unwrap_or_else(|| Packet::Other { packet_type, count, body: body.to_vec() }))
    }
}

fn read_description(count: u8, mut body: &[u8]) -> Option<Vec<Chunk>> {
    let mut chunks = Vec::with_capacity(count.into());
    for _ in 0..count {
        let (ssrc, rest) = read_ssrc(body)?;
        let (items, len) = read_items(rest)?;
        chunks.push(Chunk { ssrc, items });
        // Each chunk is filled up with zeros to a word; what ends the body may lack them.
        body = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(chunks)
}

/// The items of a chunk and their length, the zero that ends them included.
fn read_items(bytes: &[u8]) -> Option<(Vec<Item>, usize)> {
    let mut items = Vec::new();
    let mut len = 0;
    loop {
        match *bytes.get(len..)? {
            [0, ..] => return Some((items, len + 1)),
            [kind, text_len, ref rest @ ..] => {
                items.push(Item { kind, text: rest.get(..text_len.into())?.to_vec() });
                len += 2 + usize::from(text_len);
            }
            _ => return None,
        }
    }
}

fn read_goodbye(count: u8, mut body: &[u8]) -> Option<Goodbye> {
    let mut sources = Vec::with_capacity(count.into());
    for _ in 0..count {
        let (ssrc, rest) = read_ssrc(body)?;
        sources.push(ssrc);
        body = rest;
    }
    let reason = match body {
        [] => None,
        [len, rest @ ..] => Some(rest.get(..usize::from(*len))?.to_vec()),
    };
    Some(Goodbye { sources, reason })
}

fn read_application(subtype: u8, body: &[u8]) -> Option<Application> {
    let (ssrc, rest) = read_ssrc(body)?;
    let (&name, data) = rest.split_first_chunk::<4>()?;
    Some(Application { subtype, ssrc, name, data: data.to_vec() })
}
