use openmls::extensions::RatchetTreeExtension;
use tls_codec::{Serialize as _, VLByteVec};

use super::wire;

/// Nodes of a ratchet tree at most: 4,096 members, as many as are recognised.
const MAX_NODES: usize = 8_192;

/// Refuses ratchet trees that openmls would take too long for, or trip over: it looks up unmerged leaves before it has
/// verified anything, and with debug assertions it panics over one that is blank. Whatever else is wrong, it finds itself.
pub(super) fn examine(tree: &RatchetTreeExtension) -> Result<(), &'static str> {
    const MALFORMED: &str = "its tree is malformed";
    let bytes = tree.tls_serialize_detached().map_err(|_| MALFORMED)?;
    let (nodes, _) = wire::read::<VLByteVec>(&bytes).ok_or(MALFORMED)?;
    let mut rest = nodes.as_slice();
    let (mut leaves, mut unmerged, mut count) = (Vec::new(), Vec::new(), 0);
    while let Some((&present, behind)) = rest.split_first() {
        if count == MAX_NODES {
            return Err("its tree is too large");
        }
        // Leaves are at the even places.
        let is_leaf = count % 2 == 0;
        rest = match present {
            0 => Some(behind),
            _ => node(behind, &mut unmerged),
        }
        .ok_or(MALFORMED)?;
        if is_leaf {
            leaves.push(present != 0);
        }
        count += 1;
    }
    let is_member = |index: &u32| leaves.get(*index as usize).copied().unwrap_or_default();
    if unmerged.iter().all(is_member) { Ok(()) } else { Err("an unmerged leaf of its tree is blank") }
}

/// Skips a node (RFC 9420, sections 7.1 and 7.2; 12.4.3.3), and collects the unmerged leaves of a parent.
fn node<'a>(bytes: &'a [u8], unmerged: &mut Vec<u32>) -> Option<&'a [u8]> {
    let (&kind, rest) = bytes.split_first()?;
    match kind {
        1 => leaf(rest),
        2 => {
            let (indices, rest) = wire::read::<VLByteVec>(skip(rest, 2)?)?;
            let (indices, []) = indices.as_slice().as_chunks() else { return None };
            unmerged.extend(indices.iter().map(|index| u32::from_be_bytes(*index)));
            Some(rest)
        }
        _ => None,
    }
}

fn leaf(bytes: &[u8]) -> Option<&[u8]> {
    // Both keys; the credential's type and content; five lists of capabilities.
    let rest = skip(skip(bytes, 2)?.get(2..)?, 6)?;
    let (&source, rest) = rest.split_first()?;
    let rest = match source {
        // A key package's lifetime; nothing for an update; a commit's parent hash.
        1 => rest.get(16..)?,
        2 => rest,
        3 => skip(rest, 1)?,
        _ => return None,
    };
    // Extensions and signature.
    skip(rest, 2)
}

fn skip(bytes: &[u8], vectors: usize) -> Option<&[u8]> {
    (0..vectors).try_fold(bytes, |rest, _| Some(wire::read::<VLByteVec>(rest)?.1))
}
