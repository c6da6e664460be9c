/// The uncompressed header of a key frame (RFC 6386, section 9.1), which the depacketizer reads.
const KEY_FRAME_HEADER_LEN: usize = 10;

/// The bit of the first byte that key frames lack (RFC 7741, section 4.3).
const INTER_FRAME: u8 = 0x01;

/// How many bytes stay clear; none of a key frame that is shorter than its header.
pub(super) fn clear_len(frame: &[u8]) -> usize {
    match frame.first() {
        None => 0,
        Some(first) if first & INTER_FRAME != 0 => 1,
        Some(_) if frame.len() < KEY_FRAME_HEADER_LEN => 0,
        Some(_) => KEY_FRAME_HEADER_LEN,
    }
}

#[cfg(test)]
mod tests {
    use super::clear_len;

    #[test]
    fn by_the_kind_of_frame() {
        assert_eq!(clear_len(&[]), 0);
        assert_eq!(clear_len(&[0x11]), 1);
        assert_eq!(clear_len(&[0x10; 9]), 0);
        assert_eq!(clear_len(&[0x10; 10]), 10);
        assert_eq!(clear_len(&[0x10; 500]), 10);
    }
}
