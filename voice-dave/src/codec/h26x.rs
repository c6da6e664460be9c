use std::ops::Range;

use super::Layout;

/// What a start code of 3 bytes is rewritten to: depacketizers would do it later, and spoil what was sealed.
const LONG_START_CODE: [u8; 4] = [0, 0, 0, 1];

const SHORT_START_CODE_LEN: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    H264,
    H265,
}

impl Kind {
    fn header_len(self) -> usize {
        match self {
            Kind::H264 => 1,
            Kind::H265 => 2,
        }
    }

    /// How many bytes of a NAL unit stay clear; `None` when it is none.
    fn clear_len(self, unit: &[u8]) -> Option<usize> {
        let (header, payload) = unit.split_at_checked(self.header_len())?;
        let first = *header.first()?;
        Some(match self {
            // Slices without and with IDR; the depacketizer reads their picture parameter set's id (H.264, table 7-1).
            Kind::H264 if matches!(first & 0x1F, 1 | 5) => header.len() + parameter_set_id_len(payload),
            // Video coding layer (H.265, table 7-1).
            Kind::H265 if first >> 1 & 0x3F < 32 => header.len(),
            Kind::H264 | Kind::H265 => unit.len(),
        })
    }
}

/// Of units with video data the header stays clear, of others everything (DAVE protocol, "H264 & H265"). What comes before
/// the first start code is dropped, and so are empty units, and one at the end of the frame that has a header byte only: so
/// do the other implementations.
///
/// `None`: these are no NAL units.
pub(super) fn lay_out(kind: Kind, frame: &[u8], layout: &mut Layout) -> Option<()> {
    if frame.len() < SHORT_START_CODE_LEN + kind.header_len() {
        return None;
    }
    let mut code = find_start_code(frame)?;
    loop {
        let start = code + SHORT_START_CODE_LEN;
        let rest = frame.get(start..)?;
        let next = find_start_code(rest);
        let unit = match next {
            None if rest.len() == 1 => &[],
            None => rest,
            // The zero before a start code is the first byte of a longer one.
            Some(len) => rest.get(..len).map(|unit| unit.strip_suffix(&[0]).unwrap_or(unit))?,
        };
        if !unit.is_empty() {
            let (clear, encrypted) = unit.split_at_checked(kind.clear_len(unit)?)?;
            layout.clear(&LONG_START_CODE);
            layout.clear(clear);
            layout.encrypted(encrypted);
        }
        match next {
            Some(next) => code = start + next,
            // Nothing would be left of it.
            None => return (!layout.media.is_empty()).then_some(()),
        }
    }
}

/// How many bytes hold the first three numbers of a slice header: first macroblock, slice type, picture parameter set (H.264,
/// section 7.3.3), rounded up generously as other implementations do. Nothing when they do not end within the unit, or one is
/// too large to be any.
fn parameter_set_id_len(payload: &[u8]) -> usize {
    let mut bits = Bits { payload, at: 0 };
    for _ in 0..3 {
        // Exponential Golomb code: as many bits follow the first one as zeros precede it.
        let mut zeros = 0;
        loop {
            match bits.next() {
                Some(true) => break,
                Some(false) if zeros < 31 => zeros += 1,
                _ => return 0,
            }
        }
        if (0..zeros).any(|_| bits.next().is_none()) {
            return 0;
        }
    }
    (bits.at / 8 + 1).min(payload.len())
}

/// The bits of a payload without its emulation prevention bytes (H.264, section 7.4.1).
struct Bits<'a> {
    payload: &'a [u8],
    at: usize,
}

impl Iterator for Bits<'_> {
    type Item = bool;

    fn next(&mut self) -> Option<bool> {
        let byte = self.at / 8;
        if self.at.is_multiple_of(8) && byte >= 2 && self.payload.get(byte - 2..=byte) == Some(&[0, 0, 3]) {
            self.at += 8;
        }
        let bit = self.payload.get(self.at / 8)? >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }
}

fn find_start_code(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += match *bytes.get(at..)?.first_chunk()? {
            [0, 0, 1] => return Some(at),
            [_, _, third] if third > 1 => 3,
            [_, second, _] if second > 0 => 2,
            _ => 1,
        };
    }
}

/// Whether there is a start code in a sealed frame that touches what is not clear: ciphertext and trailer.
pub(crate) fn has_start_code(frame: &[u8], ranges: &[Range<usize>]) -> bool {
    const REACH: usize = SHORT_START_CODE_LEN - 1;
    let mut at = 0;
    let end = frame.len();
    ranges.iter().cloned().chain(std::iter::once(end..end)).any(|range| {
        let section = at..range.start;
        at = range.end;
        let window = section.start.saturating_sub(REACH)..(section.end + REACH).min(end);
        !section.is_empty() && frame.get(window).is_some_and(|window| find_start_code(window).is_some())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{find_start_code, has_start_code, parameter_set_id_len};

    /// Bytes of which many are part of start codes.
    fn zeros_and_ones() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![4 => Just(0), 2 => Just(1), 1 => Just(3), 1 => any::<u8>()], 0..80)
    }

    proptest! {
        #[test]
        fn start_codes_are_found_where_they_are(bytes in zeros_and_ones()) {
            let plain = bytes.windows(3).position(|window| window == [0, 0, 1]);
            prop_assert_eq!(find_start_code(&bytes), plain);
        }

        #[test]
        fn start_codes_count_that_touch_what_is_not_clear(bytes in zeros_and_ones(), start in 0_usize..80, len in 1_usize..80) {
            let clear = start.min(bytes.len())..(start + len).min(bytes.len());
            let plain = bytes
                .windows(3)
                .enumerate()
                .any(|(at, window)| window == [0, 0, 1] && (at..at + 3).any(|at| !clear.contains(&at)));
            prop_assert_eq!(has_start_code(&bytes, &[clear]), plain);
        }

        #[test]
        fn a_slice_header_ends_within_its_unit(payload in zeros_and_ones()) {
            prop_assert!(parameter_set_id_len(&payload) <= payload.len());
        }
    }

    #[test]
    fn emulation_prevention_bytes_hold_no_bits() {
        // 16 zeros, the byte, a one and 16 more bits, then two ones.
        assert_eq!(parameter_set_id_len(&[0, 0, 3, 0x80, 0, 0xE0, 0xFA]), 6);
        // The same within a number: 15 zeros, a one, 15 bits of which 14 come before the byte.
        assert_eq!(parameter_set_id_len(&[0, 1, 0, 0, 3, 0xFF, 0xFA]), 6);
        // Three ones.
        assert_eq!(parameter_set_id_len(&[0xE0]), 1);
        assert_eq!(parameter_set_id_len(&[0x80]), 0);
        assert_eq!(parameter_set_id_len(&[]), 0);
    }
}
