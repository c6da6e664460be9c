use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// A Discord snowflake: never zero, written as a decimal string in JSON.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonZeroU64);

        impl $name {
            /// The id with this value; `None` for zero, which names nothing.
            pub const fn new(value: u64) -> Option<Self> {
                match NonZeroU64::new(value) {
                    Some(value) => Some(Self(value)),
                    None => None,
                }
            }

            /// The number itself.
            pub const fn get(self) -> u64 {
                self.0.get()
            }
        }

        impl From<NonZeroU64> for $name {
            fn from(value: NonZeroU64) -> Self {
                Self(value)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

id!(
    /// A user; bots are users too.
    UserId
);
id!(
    /// A guild; the voice gateway calls it `server_id`.
    GuildId
);
id!(
    /// A voice or stage channel.
    ChannelId
);

#[cfg(test)]
mod tests {
    use super::{GuildId, UserId};

    #[test]
    fn zero_is_no_id() {
        assert_eq!(UserId::new(0), None);
        assert!("0".parse::<UserId>().is_err());
        assert!("-1".parse::<GuildId>().is_err());
        assert!("18446744073709551616".parse::<GuildId>().is_err());
    }

    #[test]
    fn text_is_decimal() {
        let id: GuildId = "18446744073709551615".parse().expect("the largest snowflake");
        assert_eq!(id.get(), u64::MAX);
        assert_eq!(id.to_string(), "18446744073709551615");
        assert_eq!(format!("{id:?}"), "GuildId(18446744073709551615)");
    }
}
