//! What is sent and with which codecs: ops 5, 12, 14, 16. (Op 15 is a bare JSON object.)

use serde::{Deserialize, Serialize};
use serde_json::Value;
use voice_model::{Ssrc, UserId};

use super::field;

/// Op 5, both directions. From the client: what it is going to send. From the server: whose SSRC this is; not start
/// and stop of speech.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speaking {
    /// Bits [`Speaking::MICROPHONE`], [`Speaking::SOUNDSHARE`], [`Speaking::PRIORITY`]; 0 forbids sending.
    #[serde(rename = "speaking", default, with = "field")]
    pub flags: u32,
    /// Always 0 in practice; clients send it, the server does not.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "field::optional")]
    pub delay: Option<u32>,
    /// The SSRC meant; some peers leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "field::optional")]
    pub ssrc: Option<Ssrc>,
    /// Whose SSRC; from the server only.
    #[serde(rename = "user_id", default, skip_serializing_if = "Option::is_none", with = "field::optional")]
    pub user: Option<UserId>,
}

impl Speaking {
    /// Ordinary voice.
    pub const MICROPHONE: u32 = 1;
    /// Sound of a shared screen or application, without a speaking indicator.
    pub const SOUNDSHARE: u32 = 2;
    /// Others are lowered meanwhile.
    pub const PRIORITY: u32 = 4;

    /// What a client sends.
    pub const fn client(flags: u32, ssrc: Ssrc) -> Self {
        Self { flags, delay: Some(0), ssrc: Some(ssrc), user: None }
    }

    /// What the server sends about a member.
    pub const fn server(flags: u32, ssrc: Ssrc, user: UserId) -> Self {
        Self { flags, delay: None, ssrc: Some(ssrc), user: Some(user) }
    }
}

/// Op 12, both directions: camera state. From the server it also ties an SSRC to a user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Video {
    /// Whose; from the server only.
    #[serde(rename = "user_id", default, skip_serializing_if = "Option::is_none", with = "field::optional")]
    pub user: Option<UserId>,
    /// SSRC of the same user's audio.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "field::optional")]
    pub audio_ssrc: Option<Ssrc>,
    /// SSRC of the video; 0 when the camera is off.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "field::optional")]
    pub video_ssrc: Option<Ssrc>,
    /// SSRC of retransmissions (RFC 4588); 0 when the camera is off.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "field::optional")]
    pub rtx_ssrc: Option<Ssrc>,
    /// Qualities on offer; kept as they are.
    #[serde(default, deserialize_with = "field::or_default")]
    pub streams: Vec<Value>,
}

/// Op 14, both directions: codecs changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionUpdate {
    /// The audio codec from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_codec: Option<String>,
    /// The video codec from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_codec: Option<String>,
    /// Names the media session in Discord's logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_session_id: Option<String>,
    /// Milliseconds between video key frames.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "field::optional")]
    pub keyframe_interval: Option<u64>,
    /// The codecs that the client offers; kept as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "field::or_default")]
    pub codecs: Vec<Value>,
}

/// Op 16, both directions: the client asks with an empty one, the server answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendVersion {
    /// Version of the voice server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
    /// Version of its media worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtc_worker: Option<String>,
}
