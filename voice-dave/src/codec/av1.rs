use super::Layout;
use crate::frame::{MAX_ULEB128_LEN, read_uleb128, write_uleb128};

// The header of an OBU: AV1 specification, section 5.3.2.
const TYPE_SHIFT: u8 = 3;
const TYPE_MASK: u8 = 0x0F;
const HAS_EXTENSION: u8 = 0x04;
const HAS_SIZE: u8 = 0x02;

/// Types that packetizers drop: temporal delimiter, tile list, padding.
const DROPPED: [u8; 3] = [2, 8, 15];

/// Headers, extensions and sizes stay clear. What packetizers drop is dropped, padded sizes are shortened, and an OBU at the
/// end goes without its size, because the trailer will follow it (DAVE protocol, "AV1").
///
/// A deviation: the last OBU of what is left must omit its size. When the OBU behind it is dropped, it keeps it here, since
/// libdave leaves it so (its test vectors pin that), and whoever follows the size finds the same OBU either way.
///
/// `None`: these are no OBUs.
pub(super) fn lay_out(frame: &[u8], layout: &mut Layout) -> Option<()> {
    let mut rest = frame;
    while let Some((&header, mut body)) = rest.split_first() {
        let extension_len = usize::from(header & HAS_EXTENSION != 0);
        let extension = body.split_off(..extension_len)?;
        if body.is_empty() {
            return None;
        }
        let mut size = None;
        if header & HAS_SIZE != 0 {
            let (value, len) = read_uleb128(body)?;
            body.split_off(..len)?;
            size = Some(value);
        }
        let payload = body.split_off(..size.map_or(Some(body.len()), |size| size.try_into().ok())?)?;
        rest = body;

        if DROPPED.contains(&(header >> TYPE_SHIFT & TYPE_MASK)) {
            continue;
        }
        match size {
            Some(size) if !rest.is_empty() => {
                let mut encoded = [0; MAX_ULEB128_LEN];
                let len = write_uleb128(size, &mut encoded)?;
                layout.clear(&[header]);
                layout.clear(extension);
                layout.clear(encoded.get(..len)?);
            }
            _ => {
                layout.clear(&[header & !HAS_SIZE]);
                layout.clear(extension);
            }
        }
        layout.encrypted(payload);
    }
    Some(())
}
