#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod audio;
mod id;
mod rtp;

pub use audio::{CHANNELS, FRAME, FRAME_SAMPLES, MAX_PACKET_SAMPLES, SAMPLE_RATE, SILENCE_FRAME, SILENCE_TAIL};
pub use id::{ChannelId, GuildId, UserId};
pub use rtp::{RtpTime, Seq, Ssrc};
