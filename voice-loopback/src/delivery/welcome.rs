use super::proposal::Reference;
use super::reader::{Reader, write_vector};

/// A bare `Welcome` (RFC 9420, section 12.4.3.1), taken apart so that each new member can be given theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Welcome<'a> {
    suite: u16,
    /// Whose, and the bytes of the whole `EncryptedGroupSecrets`.
    secrets: Vec<(Reference, &'a [u8])>,
    group_info: &'a [u8],
}

impl<'a> Welcome<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let suite = reader.u16()?;
        let secrets = reader.list(|reader| {
            let whole = reader.rest();
            let reference = reader.vector()?.try_into().ok()?;
            let (_kem_output, _ciphertext) = (reader.vector()?, reader.vector()?);
            Some((reference, whole.get(..whole.len() - reader.rest().len())?))
        })?;
        let group_info = reader.vector()?;
        reader.is_empty().then_some(Self { suite, secrets, group_info })
    }

    pub(super) fn suite(&self) -> u16 {
        self.suite
    }

    /// Whether it has secrets for exactly these key packages, each once.
    pub(super) fn is_for(&self, references: &[Reference]) -> bool {
        let mut named: Vec<&Reference> = self.secrets.iter().map(|(reference, _)| reference).collect();
        let mut wanted: Vec<&Reference> = references.iter().collect();
        named.sort_unstable();
        wanted.sort_unstable();
        named == wanted
    }

    /// The welcome of one new member: with their secrets only (DAVE protocol, "dave_mls_welcome (30)").
    pub(super) fn targeted(&self, reference: &Reference) -> Option<Vec<u8>> {
        let (_, secrets) = self.secrets.iter().find(|(named, _)| named == reference)?;
        let mut welcome = self.suite.to_be_bytes().to_vec();
        write_vector(secrets, &mut welcome);
        write_vector(self.group_info, &mut welcome);
        Some(welcome)
    }
}

#[cfg(test)]
mod tests {
    use super::Welcome;
    use crate::delivery::reader::write_vector;

    fn secrets(reference: u8) -> Vec<u8> {
        let mut secrets = Vec::new();
        write_vector(&[reference; 32], &mut secrets);
        write_vector(&[reference; 65], &mut secrets);
        write_vector(&[reference; 40], &mut secrets);
        secrets
    }

    fn welcome(references: &[u8]) -> Vec<u8> {
        let mut welcome = vec![0, 2];
        let all: Vec<u8> = references.iter().flat_map(|reference| secrets(*reference)).collect();
        write_vector(&all, &mut welcome);
        write_vector(&[9; 300], &mut welcome);
        welcome
    }

    #[test]
    fn each_gets_their_own_secrets_only() {
        let whole = welcome(&[1, 2, 3]);
        let read = Welcome::read(&whole).expect("well formed");
        assert!(read.is_for(&[[3; 32], [1; 32], [2; 32]]));
        for wrong in [&[[1; 32], [2; 32]][..], &[[1; 32], [2; 32], [4; 32]], &[[1; 32], [2; 32], [3; 32], [3; 32]]] {
            assert!(!read.is_for(wrong));
        }
        assert_eq!(read.targeted(&[2; 32]), Some(welcome(&[2])));
        assert_eq!(read.targeted(&[4; 32]), None);
    }

    #[test]
    fn what_is_cut_short_or_goes_on_is_none() {
        let mut whole = welcome(&[1]);
        for len in 0..whole.len() {
            assert_eq!(Welcome::read(&whole[..len]), None, "{len}");
        }
        whole.push(0);
        assert_eq!(Welcome::read(&whole), None);
    }
}
