use serde::de::DeserializeOwned;
use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::dave::{ExecuteTransition, InvalidCommitWelcome, PrepareEpoch, PrepareTransition, ReadyForTransition};
use super::field;
use super::media::{BackendVersion, SessionUpdate, Speaking, Video};
use super::people::{ClientDisconnect, ClientFlags, ClientPlatform, ClientsConnect};
use super::session::{Heartbeat, HeartbeatAck, Hello, Identify, Ready, Resume, SelectProtocol, SessionDescription};

/// The opcode of [`Message::Resumed`], which has no payload.
const RESUMED: u64 = 9;

/// One row per opcode: the enum, its numbers, reading and writing all follow from it.
macro_rules! messages {
    ($($(#[$doc:meta])* $op:literal $name:ident($payload:ty),)*) => {
        /// A JSON message of the voice gateway, in either direction.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Message {
            $($(#[$doc])* $name($payload),)*
            /// Op 9, server: the session goes on; what was missed follows.
            Resumed,
            /// Any other opcode, kept as it came.
            Unknown {
                /// The opcode.
                op: u64,
                /// Its `d`.
                data: Value,
            },
        }

        impl Message {
            /// The opcode.
            pub fn op(&self) -> u64 {
                match self {
                    $(Self::$name(_) => $op,)*
                    Self::Resumed => RESUMED,
                    Self::Unknown { op, .. } => *op,
                }
            }

            /// Whether a v8 server gives it a `seq`: ready, session description, heartbeat acknowledgement, hello and
            /// resumed have none.
            pub fn is_numbered(&self) -> bool {
                !matches!(self.op(), 2 | 4 | 6 | 8 | RESUMED)
            }

            /// Reads a payload; adds the fields that nobody here knows to `unknown_fields`.
            pub(super) fn read(op: u64, data: &str, unknown_fields: &mut u64) -> serde_json::Result<Self> {
                Ok(match op {
                    $($op => Self::$name(payload(data, unknown_fields)?),)*
                    RESUMED => Self::Resumed,
                    op => Self::Unknown { op, data: serde_json::from_str(data)? },
                })
            }
        }

        /// The payload alone.
        impl Serialize for Message {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$name(payload) => payload.serialize(serializer),)*
                    Self::Resumed => serializer.serialize_unit(),
                    Self::Unknown { data, .. } => data.serialize(serializer),
                }
            }
        }
    };
}

messages! {
    /// Op 0, client.
    0 Identify(Identify),
    /// Op 1, client.
    1 SelectProtocol(SelectProtocol),
    /// Op 2, server.
    2 Ready(Ready),
    /// Op 3, both directions.
    3 Heartbeat(Heartbeat),
    /// Op 4, server.
    4 SessionDescription(SessionDescription),
    /// Op 5, both directions.
    5 Speaking(Speaking),
    /// Op 6, server.
    6 HeartbeatAck(HeartbeatAck),
    /// Op 7, client.
    7 Resume(Resume),
    /// Op 8, server.
    8 Hello(Hello),
    /// Op 11, server.
    11 ClientsConnect(ClientsConnect),
    /// Op 12, both directions.
    12 Video(Video),
    /// Op 13, server.
    13 ClientDisconnect(ClientDisconnect),
    /// Op 14, both directions.
    14 SessionUpdate(SessionUpdate),
    /// Op 15, both directions: how much of which stream is wanted. Keys are `any`, SSRCs and `pixelCounts`; the values
    /// are not all numbers.
    15 MediaSinkWants(Map<String, Value>),
    /// Op 16, both directions.
    16 BackendVersion(BackendVersion),
    /// Op 18, server.
    18 ClientFlags(ClientFlags),
    /// Op 20, server.
    20 ClientPlatform(ClientPlatform),
    /// Op 21, server.
    21 PrepareTransition(PrepareTransition),
    /// Op 22, server.
    22 ExecuteTransition(ExecuteTransition),
    /// Op 23, client.
    23 ReadyForTransition(ReadyForTransition),
    /// Op 24, server.
    24 PrepareEpoch(PrepareEpoch),
    /// Op 31, client.
    31 InvalidCommitWelcome(InvalidCommitWelcome),
}

fn payload<T: DeserializeOwned>(data: &str, unknown_fields: &mut u64) -> serde_json::Result<T> {
    // Peers send both null and {} where nothing is to be said.
    let data = if data == "null" { "{}" } else { field::no_array(data)? };
    let mut json = serde_json::Deserializer::from_str(data);
    serde_ignored::deserialize(&mut json, |_| *unknown_fields += 1)
}
