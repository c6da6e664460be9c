use super::reader::Reader;

const BASIC_CREDENTIAL: u16 = 1;
const SOURCE_KEY_PACKAGE: u8 = 1;
const SOURCE_COMMIT: u8 = 3;

/// A leaf node as DAVE has it (RFC 9420, section 7.2): a basic credential, no extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LeafNode<'a> {
    pub(super) encryption_key: &'a [u8],
    pub(super) signature_key: &'a [u8],
    /// Of the credential.
    pub(super) identity: &'a [u8],
    pub(super) source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    KeyPackage { not_before: u64, not_after: u64 },
    Commit,
}

impl<'a> LeafNode<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let encryption_key = reader.vector()?;
        let signature_key = reader.vector()?;
        if reader.u16()? != BASIC_CREDENTIAL {
            return None;
        }
        let identity = reader.vector()?;
        // Capabilities: versions, suites, extensions, proposals, credentials.
        for _ in 0..5 {
            reader.list(Reader::u16)?;
        }
        let source = match reader.u8()? {
            SOURCE_KEY_PACKAGE => Source::KeyPackage { not_before: reader.u64()?, not_after: reader.u64()? },
            SOURCE_COMMIT => {
                let _parent_hash = reader.vector()?;
                Source::Commit
            }
            _ => return None,
        };
        let (extensions, _signature) = (reader.vector()?, reader.vector()?);
        extensions.is_empty().then_some(Self { encryption_key, signature_key, identity, source })
    }
}
