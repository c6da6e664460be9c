#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod agent;
mod audio;
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
pub mod media;
mod sink;
mod stats;
#[cfg(test)]
mod tests;
mod track;

pub use agent::{Agent, AgentError};
pub use audio::{Audio, Frame, Stream};
pub use call::Call;
pub use client::Client;
pub use config::{Config, Deadlines, Retry};
pub use dialer::{Dialer, Dialing};
pub use driver::ClockStats;
pub use encoder::{Bitrate, EncoderSettings, ExpectedLoss};
pub use encryption::{CodeError, E2ee, Encryption, EncryptionEvent, SystemEntropy};
pub use end::TrackEnd;
pub use error::{Cause, Closed, JoinError, Missing, Stage};
pub use event::{Event, Events, Recovery};
pub use identity::KeyFolder;
pub use info::{ConnectionInfo, InvalidUpdate, VoiceServerUpdate, VoiceStateCommand, VoiceStateUpdate};
pub use link::MainGateway;
pub use media::Arrival;
pub use sink::{OpusSink, SinkError};
pub use stats::{Received, Sent, Stats};
pub use track::{SeekError, Track};

/// The layers, for what the facade hands on from them, and for doing more with one of them.
pub mod layer {
    pub use {crypto, dave, gateway, mixer, model, receive, udp};
}

/// Sources of audio to [play](Call::play).
pub mod source {
    pub use mixer::{Chunk, Format, Info, Source, SourceError, file, generate, opus, pcm};
}

pub use dave::{Identity, IdentityError, KeyStore, Member, State, Trouble};
pub use dialer::Stream as ByteStream;
pub use gateway::Token;
pub use mixer::TrackId;
pub use model::{ChannelId, GuildId, Ssrc, UserId};
