use super::leaf::{LeafNode, Source};
use super::proposal::Reference;
use super::reader::Reader;

const MLS_1_0: u16 = 1;
const PUBLIC_MESSAGE: u16 = 1;
const SENDER_MEMBER: u8 = 1;
const CONTENT_COMMIT: u8 = 3;
const BY_REFERENCE: u8 = 2;

/// What a delivery service sees of a commit: an `MLSMessage` with a `PublicMessage` of a member, whose proposals are all
/// references (RFC 9420, sections 6 and 12.4). Its signature cannot be checked without the group's whole context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Commit<'a> {
    pub(super) group: &'a [u8],
    pub(super) epoch: u64,
    /// Leaf index of the committer.
    pub(super) sender: u32,
    pub(super) references: Vec<Reference>,
    /// The committer's new leaf.
    pub(super) path: Option<LeafNode<'a>>,
    /// The whole `MLSMessage`.
    pub(super) message: &'a [u8],
}

impl<'a> Commit<'a> {
    /// Reads a commit and gives what follows it; `None` for anything else.
    pub(super) fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let mut reader = Reader::new(bytes);
        if reader.u16()? != MLS_1_0 || reader.u16()? != PUBLIC_MESSAGE {
            return None;
        }
        let group = reader.vector()?;
        let epoch = reader.u64()?;
        if reader.u8()? != SENDER_MEMBER {
            return None;
        }
        let sender = reader.u32()?;
        let _authenticated_data = reader.vector()?;
        if reader.u8()? != CONTENT_COMMIT {
            return None;
        }
        let references = reader.list(|reader| match reader.u8()? {
            BY_REFERENCE => reader.vector()?.try_into().ok(),
            _ => None,
        })?;
        let path = match reader.u8()? {
            0 => None,
            1 => Some(read_path(&mut reader)?),
            _ => return None,
        };
        let (_signature, _confirmation_tag, _membership_tag) = (reader.vector()?, reader.vector()?, reader.vector()?);
        let rest = reader.rest();
        let message = bytes.get(..bytes.len() - rest.len())?;
        Some((Self { group, epoch, sender, references, path, message }, rest))
    }
}

/// The leaf of an `UpdatePath` (RFC 9420, section 7.6): the committer's new one.
fn read_path<'a>(reader: &mut Reader<'a>) -> Option<LeafNode<'a>> {
    let leaf = LeafNode::read(reader).filter(|leaf| leaf.source == Source::Commit)?;
    reader.list(|reader| {
        let _key = reader.vector()?;
        reader.list(|reader| Some((reader.vector()?, reader.vector()?)))
    })?;
    Some(leaf)
}
