//! Header extensions in the one-byte form (RFC 8285, section 4.2), the one that Discord uses.

use super::Header;

/// What the extension's header begins with in the one-byte form (RFC 8285, section 4.2).
pub const ONE_BYTE_PROFILE: u16 = 0xBEDE;

/// Id of the element that holds Discord's speaking flags, one byte.
pub const SPEAKING: u8 = 9;

/// Ids 0 (padding) and 15 (stop) name no element (RFC 8285, section 4.2).
const STOP: u8 = 15;

/// The extension's profile, from its clear header; `None` without an extension. Elements are only to be looked for
/// when it is [`ONE_BYTE_PROFILE`].
pub fn profile(packet: &[u8], header: &Header) -> Option<u16> {
    clear_header(packet, header).map(|(profile, _)| profile)
}

/// Profile, and words of the body (RFC 3550, section 5.3.1).
pub(super) fn clear_header(packet: &[u8], header: &Header) -> Option<(u16, u16)> {
    let bytes = packet.get(header.csrc_end()..)?.first_chunk::<4>().filter(|_| header.extension)?;
    let [a, b, c, d] = *bytes;
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

/// One element of an extension.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Element<'a> {
    /// What it is, 1 to 14.
    pub id: u8,
    /// 1 to 16 bytes.
    pub data: &'a [u8],
}

/// The elements of a decrypted extension body, up to the first that does not fit.
pub fn elements(extension: &[u8]) -> Elements<'_> {
    Elements { rest: extension }
}

/// Iterator of [`elements`].
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        loop {
            let (&first, rest) = self.rest.split_first()?;
            let (id, len) = (first >> 4, usize::from(first & 0x0F) + 1);
            // A zero id with a length is malformed and ends the list (RFC 8285, section 4.2).
            if first == 0 {
                self.rest = rest;
            } else if id == 0 || id == STOP || rest.len() < len {
                self.rest = &[];
            } else {
                let (data, rest) = rest.split_at(len);
                self.rest = rest;
                return Some(Element { id, data });
            }
        }
    }
}

/// Writes an extension at `out`, which begins where the CSRC list ends: 4 bytes of header, which stay clear, then the
/// elements, zero-filled to words of 4 bytes. Returns the bytes written, header included.
///
/// `None`: no room, an id outside 1 to 14, or data of no or more than 16 bytes.
pub fn write_extension(elements: &[Element<'_>], out: &mut [u8]) -> Option<usize> {
    let (header, body) = out.split_first_chunk_mut::<4>()?;
    let mut len = 0;
    for element in elements {
        if !(1..STOP).contains(&element.id) || !(1..=16).contains(&element.data.len()) {
            return None;
        }
        let (first, data) = body.get_mut(len..)?.get_mut(..=element.data.len())?.split_first_mut()?;
        *first = element.id << 4 | (element.data.len() - 1) as u8;
        data.copy_from_slice(element.data);
        len += 1 + element.data.len();
    }
    let end = len.next_multiple_of(4);
    body.get_mut(len..end)?.fill(0);
    let words = u16::try_from(end / 4).ok()?;
    header[..2].copy_from_slice(&ONE_BYTE_PROFILE.to_be_bytes());
    header[2..].copy_from_slice(&words.to_be_bytes());
    Some(4 + end)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use proptest::test_runner::{Config, RngSeed};

    use super::{Element, SPEAKING, elements, write_extension};

    #[test]
    fn what_discord_sends() {
        let body = [0x10, 0xFF, 0x90, 0x01];
        let found: Vec<_> = elements(&body).collect();
        assert_eq!(found, [Element { id: 1, data: &[0xFF] }, Element { id: SPEAKING, data: &[1] }]);

        let mut out = [0xAA; 8];
        assert_eq!(write_extension(&found, &mut out), Some(8));
        assert_eq!(out, [0xBE, 0xDE, 0, 1, 0x10, 0xFF, 0x90, 0x01]);
    }

    #[test]
    fn padding_is_skipped_and_the_stop_id_ends() {
        let body = [0, 0, 0x21, 1, 2, 0, 0xF0, 9, 0x90, 1];
        assert_eq!(elements(&body).collect::<Vec<_>>(), [Element { id: 2, data: &[1, 2] }]);
        assert_eq!(elements(&[0x0F, 0x90, 1]).count(), 0);
        assert_eq!(elements(&[0x93, 1, 2]).count(), 0);
    }

    #[test]
    fn what_cannot_be_written() {
        let mut out = [0; 64];
        assert_eq!(write_extension(&[Element { id: 0, data: &[1] }], &mut out), None);
        assert_eq!(write_extension(&[Element { id: 15, data: &[1] }], &mut out), None);
        assert_eq!(write_extension(&[Element { id: 1, data: &[] }], &mut out), None);
        assert_eq!(write_extension(&[Element { id: 1, data: &[0; 17] }], &mut out), None);
        assert_eq!(write_extension(&[Element { id: 1, data: &[1] }], &mut out[..7]), None);
        assert_eq!(write_extension(&[Element { id: 1, data: &[1] }], &mut out[..8]), Some(8));
        assert_eq!(write_extension(&[], &mut out[..3]), None);
        assert_eq!(write_extension(&[], &mut out), Some(4));
    }

    proptest! {
        #![proptest_config(Config { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..Config::default() })]

        #[test]
        fn elements_round_trip(list in vec((1u8..15, vec(any::<u8>(), 1..=16)), 0..20)) {
            let list: Vec<_> = list.iter().map(|(id, data)| Element { id: *id, data }).collect();
            let mut out = [0xAA; 400];
            let len = write_extension(&list, &mut out).expect("room");
            prop_assert_eq!(len % 4, 0);
            prop_assert_eq!(elements(&out[4..len]).collect::<Vec<_>>(), list);
        }

        #[test]
        fn any_bytes_end(body in vec(any::<u8>(), 0..300)) {
            assert!(elements(&body).count() <= body.len() / 2);
        }
    }
}
