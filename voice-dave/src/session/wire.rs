/// Reads a value off the front; the rest. The byte-slice variant of `tls_codec` (0.5) is not for bytes from outside: with
/// debug assertions it panics when a vector is cut short.
pub(super) fn read<T: tls_codec::Deserialize>(mut bytes: &[u8]) -> Option<(T, &[u8])> {
    let value = T::tls_deserialize(&mut bytes).ok()?;
    Some((value, bytes))
}
