//! How peers write numbers and ids. Read leniently (a number, a float without fraction, a decimal string), written
//! exactly: ids as decimal strings, everything else as JSON integers.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::Value;
use voice_model::{ChannelId, GuildId, Ssrc, UserId};

/// Beyond this a JSON float no longer names one integer (RFC 8259, section 6).
const EXACT: f64 = 9_007_199_254_740_992.0;

/// An integer or an id, as it goes over the wire.
pub(super) trait Wire: Sized {
    fn from_number(number: i128) -> Option<Self>;
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl Wire for $integer {
            fn from_number(number: i128) -> Option<Self> {
                Self::try_from(number).ok()
            }

            fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.serialize(serializer)
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, i64);

macro_rules! ids {
    ($($id:ty),*) => {$(
        impl Wire for $id {
            fn from_number(number: i128) -> Option<Self> {
                u64::try_from(number).ok().and_then(Self::new)
            }

            fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

ids!(UserId, GuildId, ChannelId);

impl Wire for Ssrc {
    fn from_number(number: i128) -> Option<Self> {
        u32::from_number(number).map(Ssrc)
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }
}

/// Refuses an array, which serde would take for a struct whose fields have lost their names.
pub(super) fn no_array(json: &str) -> serde_json::Result<&str> {
    if json.trim_start().starts_with('[') { Err(Error::custom("an array instead of an object")) } else { Ok(json) }
}

/// Carries a [`Wire`] value through serde.
struct Wired<T>(T);

impl<T: Wire> Serialize for Wired<&T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }
}

impl<'de, T: Wire> Deserialize<'de> for Wired<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Number(PhantomData))
    }
}

struct Number<T>(PhantomData<T>);

impl<T: Wire> Number<T> {
    fn convert<E: Error>(number: i128) -> Result<Wired<T>, E> {
        T::from_number(number).map(Wired).ok_or_else(|| E::custom("number out of range"))
    }
}

impl<T: Wire> Visitor<'_> for Number<T> {
    type Value = Wired<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer or a decimal string")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Self::convert(number.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Self::convert(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        if number.fract() == 0.0 && number.abs() <= EXACT {
            Self::convert(number as i128)
        } else {
            Err(E::custom("not an integer"))
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let number = text.parse().map_err(|_| E::custom("a string that is no decimal number"))?;
        Self::convert(number)
    }
}

pub(super) fn serialize<T: Wire, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    value.write(serializer)
}

pub(super) fn deserialize<'de, T: Wire, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Wired::deserialize(deserializer).map(|wired| wired.0)
}

/// A field that may be null or, with `#[serde(default)]`, absent.
pub(super) mod optional {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Wire, Wired};

    pub(in super::super) fn serialize<T: Wire, S: Serializer>(value: &Option<T>, s: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(Wired).serialize(s)
    }

    pub(in super::super) fn deserialize<'de, T: Wire, D: Deserializer<'de>>(d: D) -> Result<Option<T>, D::Error> {
        Ok(Option::<Wired<T>>::deserialize(d)?.map(|wired| wired.0))
    }
}

/// As [`optional`], for what nothing depends on: a value of an unexpected type counts as absent.
pub(super) mod lenient {
    use super::{Deserialize, Deserializer, Serializer, Value, Wire, optional};

    pub(in super::super) fn serialize<T: Wire, S: Serializer>(value: &Option<T>, s: S) -> Result<S::Ok, S::Error> {
        optional::serialize(value, s)
    }

    pub(in super::super) fn deserialize<'de, T: Wire, D: Deserializer<'de>>(d: D) -> Result<Option<T>, D::Error> {
        Ok(optional::deserialize(Value::deserialize(d)?).unwrap_or_default())
    }
}

/// An array.
pub(super) mod list {
    use super::{Deserialize, Deserializer, Serializer, Wire, Wired};

    pub(in super::super) fn serialize<T: Wire, S: Serializer>(values: &[T], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(values.iter().map(Wired))
    }

    pub(in super::super) fn deserialize<'de, T: Wire, D: Deserializer<'de>>(d: D) -> Result<Vec<T>, D::Error> {
        Ok(Vec::<Wired<T>>::deserialize(d)?.into_iter().map(|wired| wired.0).collect())
    }
}

/// For what nothing depends on: a value of an unexpected type counts as absent instead of spoiling the message.
pub(super) fn or_default<'de, T: DeserializeOwned + Default, D: Deserializer<'de>>(d: D) -> Result<T, D::Error> {
    let value = Value::deserialize(d)?;
    Ok(T::deserialize(value).unwrap_or_default())
}
