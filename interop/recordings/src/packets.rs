//! Opus packets, as others keep them.

use std::fs::File;
use std::path::Path;

use ogg::PacketReader;

use crate::Outcome;

/// The headers of an Ogg Opus file, which are packets too (RFC 7845, section 3).
const HEADERS: usize = 2;

/// Packets that follow one another; those of silence are left out.
pub(crate) struct Packets(Vec<Vec<u8>>);

impl Packets {
    /// Those of an Ogg Opus file.
    pub(crate) fn of_ogg(path: &Path) -> Outcome<Self> {
        let mut reader = PacketReader::new(File::open(path)?);
        let mut packets = Vec::new();
        while let Some(packet) = reader.read_packet()? {
            packets.push(packet.data);
        }
        Ok(Self::new(packets.into_iter().skip(HEADERS)))
    }

    /// Those that the probe wrote: a line for each, in hexadecimal, after the user and a space.
    pub(crate) fn of_probe(path: &Path, user: u64) -> Outcome<Self> {
        let (text, user) = (std::fs::read_to_string(path)?, format!("{user} "));
        let lines = text.lines().filter_map(|line| line.strip_prefix(&user));
        let packets: Vec<Vec<u8>> = lines.map(bytes).collect::<Outcome<_>>()?;
        Ok(Self::new(packets.into_iter()))
    }

    fn new(packets: impl Iterator<Item = Vec<u8>>) -> Self {
        Self(packets.filter(|packet| !is_silence(packet)).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether these are those of `whole`, each byte, but for at most `few` that are missing at the beginning, and as many at
    /// the end.
    pub(crate) fn are_of(&self, whole: &Self, few: usize) -> bool {
        (0..=few).any(|first| {
            let rest = whole.0.get(first..).unwrap_or_default();
            rest.starts_with(&self.0) && rest.len() - self.0.len() <= few
        })
    }
}

/// CELT with nothing in it, of any length, as senders end speech with: Discord's is F8 FF FE.
fn is_silence(packet: &[u8]) -> bool {
    matches!(packet, [0xE0 | 0xE8 | 0xF0 | 0xF8, 0xFF, 0xFE])
}

fn bytes(text: &str) -> Outcome<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2).map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?));
    pairs.collect()
}
