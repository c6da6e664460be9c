#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod agent;
mod audio;
mod broadcast;
mod call;
mod client;
mod config;
mod control;
mod dialer;
mod driver;
mod encoder;
mod encryption;
mod end;
mod error;
mod event;
mod identity;
mod info;
mod link;
pub mod listen;
pub mod media;
#[cfg(feature = "metrics")]
pub mod metrics;
mod player;
mod queue;
mod record;
mod sink;
pub mod source;
mod stats;
#[cfg(test)]
mod tests;
mod track;

pub use agent::{Agent, AgentError};
pub use audio::{Audio, Frame, Stream};
pub use broadcast::Broadcast;
pub use call::Call;
pub use client::Client;
pub use config::{Config, Deadlines, Retry, Watchdog};
pub use control::{Rung, Symptom};
pub use dialer::{Dialer, Dialing};
pub use driver::{ClockStats, ClockThread, Realtime};
pub use encoder::{Bitrate, EncoderSettings, ExpectedLoss};
pub use encryption::{CodeError, E2ee, Encryption, EncryptionEvent, SystemEntropy};
pub use end::TrackEnd;
pub use error::{Cause, Closed, JoinError, Missing, Stage};
pub use event::{Event, Events, Recovery};
pub use identity::KeyFolder;
pub use info::{ConnectionInfo, InvalidUpdate, VoiceServerUpdate, VoiceStateCommand, VoiceStateUpdate};
pub use link::MainGateway;
pub use listen::{ListenError, ListenOptions, Listener};
pub use media::{Arrival, Speech};
pub use player::{Data, PlayOptions, Player, Queue};
pub use queue::{
    Back, Element, Entry, EntryId, How, Item, Join, Low, Marker, QueueError, QueueEvent, Reason, Remaining, Repeat,
};
pub use record::{
    Consent, Ended, RecordError, RecordFormat, Recorder, RecorderConfig, RecorderStats, Recording, RepairedFile,
    repair_recording,
};
pub use sink::{OpusSink, SinkError};
pub use stats::{Received, SendQuality, Sent, Stats, WatchdogCounts};
pub use track::{SeekError, Track, TrackEvents};

/// The layers, for what the facade hands on from them, and for doing more with one of them.
pub mod layer {
    pub use {crypto, dave, gateway, mixer, model, receive, udp};
}

pub use dave::{Identity, IdentityError, KeyStore, Member, State, Trouble};
pub use dialer::Stream as ByteStream;
pub use gateway::Token;
pub use mixer::effects;
pub use mixer::prefetch::{Flushed, Loops, PushConfig as AgentConfig, PushError};
pub use mixer::{Art, Cue, Ducking, FrameLength, GroupId, Metadata, Phase, Signal, TimerId, TrackEvent, TrackId, When};
pub use model::{ChannelId, GuildId, Ssrc, UserId};
pub use receive::record::{Gaps, Limit, MixFormat, Rotate};
pub use receive::speech;
