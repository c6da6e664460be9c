/// Bytes of the longest encoding: that of a number with 64 bits.
pub const MAX_ULEB128_LEN: usize = 10;

/// Reads a number (DAVE protocol, "ULEB128 Encoding") and how many bytes it takes. Padded ones are accepted.
///
/// `None` when it does not end, or does not fit into 64 bits.
pub fn read_uleb128(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(MAX_ULEB128_LEN).enumerate() {
        let bits = u64::from(byte & 0x7F);
        if index == MAX_ULEB128_LEN - 1 && byte > 1 {
            return None;
        }
        value |= bits << (7 * index);
        if byte < 0x80 {
            return Some((value, index + 1));
        }
    }
    None
}

/// Bytes that [`write_uleb128`] needs.
pub const fn uleb128_len(value: u64) -> usize {
    ((u64::BITS - (value | 1).leading_zeros()) as usize).div_ceil(7)
}

/// Writes a number in as few bytes as possible, and returns how many.
///
/// `None` when there is no room.
pub fn write_uleb128(mut value: u64, out: &mut [u8]) -> Option<usize> {
    for (index, byte) in out.iter_mut().enumerate() {
        if value < 0x80 {
            *byte = value as u8;
            return Some(index + 1);
        }
        *byte = value as u8 | 0x80;
        value >>= 7;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{MAX_ULEB128_LEN, read_uleb128, uleb128_len, write_uleb128};

    proptest! {
        #[test]
        fn what_is_written_is_read(value: u64, shift in 0_u32..64, padding in 0_usize..12) {
            let value = value >> shift;
            let mut bytes = [0xAA; MAX_ULEB128_LEN];
            let len = write_uleb128(value, &mut bytes).expect("room");
            prop_assert_eq!(len, uleb128_len(value));
            prop_assert_eq!(read_uleb128(&bytes), Some((value, len)));
            prop_assert_eq!(read_uleb128(&bytes[..len - 1]), None);
            prop_assert_eq!(write_uleb128(value, &mut bytes[..len - 1]), None);

            let mut padded = bytes[..len].to_vec();
            padded[len - 1] |= 0x80;
            padded.resize(len + padding, 0x80);
            padded.push(0);
            let padded_len = padded.len();
            let wanted = (padded_len <= MAX_ULEB128_LEN).then_some((value, padded_len));
            prop_assert_eq!(read_uleb128(&padded), wanted);
        }

        #[test]
        fn anything_is_read_without_a_panic(bytes: Vec<u8>) {
            if let Some((value, len)) = read_uleb128(&bytes) {
                prop_assert!(len <= bytes.len() && uleb128_len(value) <= len);
            }
        }
    }
}
