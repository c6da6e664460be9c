/// Reads the TLS presentation language (RFC 8446, section 3) with MLS's variable-size vectors (RFC 9420, section 2.1.2).
/// `None` is what is too short, or not written the shortest way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What has not been read yet.
    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// `opaque content<V>`, or the bytes of a vector of anything.
    pub(super) fn vector(&mut self) -> Option<&'a [u8]> {
        let first = *self.0.first()?;
        let (len, shortest) = match first >> 6 {
            0 => (u32::from(self.u8()?), 0),
            1 => (u32::from(self.u16()? & 0x3FFF), 1 << 6),
            2 => (self.u32()? & 0x3FFF_FFFF, 1 << 14),
            _ => return None,
        };
        let (content, rest) = self.0.split_at_checked(usize::try_from(len).ok()?)?;
        self.0 = rest;
        (len >= shortest).then_some(content)
    }

    /// A vector whose items `read` reads, up to its last byte.
    pub(super) fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut content = Self(self.vector()?);
        let mut items = Vec::new();
        while !content.is_empty() {
            items.push(read(&mut content)?);
        }
        Some(items)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }
}

/// Appends `opaque content<V>`. Contents come from messages, hence are far below the 2^30 bytes that fit.
pub(super) fn write_vector(content: &[u8], out: &mut Vec<u8>) {
    let len = content.len() as u32;
    match len {
        0..0x40 => out.push(len as u8),
        0x40..0x4000 => out.extend_from_slice(&(len as u16 | 0x4000).to_be_bytes()),
        _ => out.extend_from_slice(&(len | 0x8000_0000).to_be_bytes()),
    }
    out.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    use super::{Reader, write_vector};

    #[test]
    fn vectors_of_every_size_survive() {
        for len in [0, 1, 63, 64, 16_383, 16_384, 100_000] {
            let content = vec![7; len];
            let mut written = Vec::new();
            write_vector(&content, &mut written);
            written.push(0xEE);
            let mut reader = Reader::new(&written);
            assert_eq!(reader.vector(), Some(&content[..]), "{len}");
            assert_eq!(reader.rest(), [0xEE]);
        }
    }

    #[test]
    fn lengths_that_are_not_the_shortest_are_refused() {
        for written in [&[0x40, 1, 9][..], &[0x80, 0, 0, 1, 9], &[0xC0, 0], &[2, 9], &[0x40], &[]] {
            assert_eq!(Reader::new(written).vector(), None, "{written:?}");
        }
    }

    #[test]
    fn lists_end_with_their_vector() {
        assert_eq!(Reader::new(&[4, 0, 1, 0, 2]).list(Reader::u16), Some(vec![1, 2]));
        assert_eq!(Reader::new(&[3, 0, 1, 0]).list(Reader::u16), None);
        assert_eq!(Reader::new(&[0]).list(Reader::u16), Some(vec![]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut reader = Reader::new(&bytes);
            if let Some(content) = reader.vector() {
                let mut again = Vec::new();
                write_vector(content, &mut again);
                again.extend_from_slice(reader.rest());
                prop_assert_eq!(again, bytes);
            }
        }
    }
}
