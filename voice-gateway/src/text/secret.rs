//! Secrets in JSON. Errors here never quote what they found: serde's own would.

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::Serializer;

use crate::Token;

pub(super) mod token {
    use super::{Deserialize, Deserializer, Error, Serializer, Token};

    pub(in super::super) fn serialize<S: Serializer>(token: &Token, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(token.expose())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Token, D::Error> {
        let token = String::deserialize(d).map_err(|_| D::Error::custom("the token is no string"))?;
        Ok(Token::from(token))
    }
}

pub(super) mod key {
    use super::{Deserialize, Deserializer, Error, Serializer};
    use crate::secret::SecretKey;

    pub(in super::super) fn serialize<S: Serializer>(key: &SecretKey, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(key.expose())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<SecretKey, D::Error> {
        let key = <[u8; 32]>::deserialize(d).map_err(|_| D::Error::custom("the secret key is no array of 32 bytes"))?;
        Ok(SecretKey::new(key))
    }
}
