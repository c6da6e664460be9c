use std::fmt;
use std::time::Duration;

use crypto::NoCommonMode;
use gateway::close;

use crate::control::{Rung, Symptom};

/// A stage of joining, in the order in which they happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Waiting for the main gateway's two updates.
    Updates,
    /// TCP, TLS and WebSocket handshake.
    Dial,
    /// Identify sent; waiting for ready (op 2).
    Ready,
    /// Asking the voice server for our external address.
    Discovery,
    /// Select protocol sent; waiting for the session description (op 4).
    Description,
    /// Resume sent; waiting for resumed (op 9).
    Resume,
}

impl Stage {
    /// What to look at when it fails, beyond what its cause says.
    fn advice(self) -> &'static str {
        match self {
            Stage::Dial => "; is this the endpoint of the latest VOICE_SERVER_UPDATE, and can it be reached from here?",
            Stage::Discovery => "; does a firewall let UDP through?",
            _ => "",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Updates => "waiting for the main gateway's updates",
            Stage::Dial => "dialing the voice server",
            Stage::Ready => "waiting for ready (op 2)",
            Stage::Discovery => "IP discovery",
            Stage::Description => "waiting for the session description (op 4)",
            Stage::Resume => "waiting for resumed (op 9)",
        })
    }
}

/// Which of the main gateway's two answers to op 4 did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// VOICE_STATE_UPDATE of the bot itself.
    State,
    /// VOICE_SERVER_UPDATE.
    Server,
    /// Neither came.
    Both,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Missing::State => "VOICE_STATE_UPDATE",
            Missing::Server => "VOICE_SERVER_UPDATE",
            Missing::Both => "neither VOICE_STATE_UPDATE nor VOICE_SERVER_UPDATE",
        })
    }
}

/// What went wrong on a connection; why a call reconnects, and the root of most errors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The endpoint is not `host:port`.
    #[error("the endpoint is not host:port: {0}")]
    Endpoint(String),
    /// TCP, TLS or the WebSocket handshake failed.
    #[error("{0}")]
    Dial(String),
    /// A stage did not finish in time.
    #[error("no answer within {deadline:?}")]
    TimedOut {
        /// The deadline of the stage, see [`Deadlines`](crate::Deadlines).
        deadline: Duration,
    },
    /// The main gateway did not answer our op 4 in full.
    #[error(
        "within {deadline:?} of op 4 {} came ({}); is the channel full, the bot without permission, or are voice state updates not passed on to the client?",
        if *.missing == Missing::Both { "" } else { "only one update" }, MissingText(*.missing)
    )]
    NoUpdates {
        /// What did not come.
        missing: Missing,
        /// How long it was waited for.
        deadline: Duration,
    },
    /// The voice server closed the WebSocket.
    #[error("closed by the voice server with code {code}: {}{}", close::meaning(*.code), Reason(.reason))]
    Closed {
        /// The close code.
        code: u16,
        /// The server's own words, often empty.
        reason: String,
    },
    /// The WebSocket ended without a close frame.
    #[error("the connection was cut: {0}")]
    Cut(String),
    /// Heartbeats went unacknowledged.
    #[error("{0} heartbeats in a row were not acknowledged")]
    MissedAcks(u32),
    /// A message without which the connection cannot go on was malformed.
    #[error("the server's op {op} is malformed: {reason}")]
    Malformed {
        /// The opcode.
        op: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The server and the configuration share no transport mode.
    #[error(transparent)]
    NoCommonMode(NoCommonMode),
    /// The server refused the mode that was selected from its own list (close code 4016).
    #[error(
        "closed by the voice server with code 4016: it refused the transport mode; it offers {}, accepted are {}; accept another one of its modes",
        .offered.join(", "), .accepted.iter().map(|mode| mode.name()).collect::<Vec<_>>().join(", ")
    )]
    ModeRefused {
        /// What the server had offered.
        offered: Vec<String>,
        /// What we accept, see [`Config::modes`](crate::Config::modes).
        accepted: Vec<crypto::Mode>,
    },
    /// The server described a mode that was not selected.
    #[error("the server answered with mode {0}, which was not selected")]
    UnexpectedMode(String),
    /// The call is not, or no longer, end-to-end encrypted, and must be: see [`E2ee::Required`](crate::E2ee).
    #[error(
        "the call is not end-to-end encrypted (DAVE version 0), which Config::e2ee requires: set it to E2ee::Allowed to be in such calls, as those of stage channels"
    )]
    NotEncrypted,
    /// The machine of end-to-end encryption broke down; a fresh join makes another.
    #[error("end-to-end encryption broke down: please report this")]
    Encryption,
    /// The media socket could not be opened.
    #[error("the media socket could not be opened: {0}")]
    Udp(String),
    /// The main-gateway link refused our op 4.
    #[error("the main-gateway link refused the command: {0}")]
    Link(String),
    /// The voice server went away (`endpoint: null`).
    #[error("the voice server went away")]
    ServerGone,
    /// Moved to another channel or voice server.
    #[error("moved to another channel or voice server")]
    Moved,
    /// The session can be neither identified nor resumed any more.
    #[error("the session's token is used up")]
    Spent,
    /// The media path was dead, and this was tried to revive it.
    #[error("the media path is dead: {why}")]
    Media {
        /// What it was told by.
        why: Symptom,
        /// What was tried.
        rung: Rung,
    },
    /// The sealer's nonces are used up; a new session brings a new key.
    #[error("the transport key is used up")]
    KeyExhausted,
}

impl Cause {
    /// The voice gateway's close code, when one was the cause.
    pub fn code(&self) -> Option<u16> {
        match self {
            Cause::Closed { code, .. } => Some(*code),
            Cause::ModeRefused { .. } => Some(4_016),
            _ => None,
        }
    }
}

struct MissingText(Missing);

impl fmt::Display for MissingText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Missing::Both => write!(f, "{}", self.0),
            one => write!(f, "missing: {one}"),
        }
    }
}

struct Reason<'a>(&'a str);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " ({})", self.0) }
    }
}

/// Why a join, or a move, did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// A stage failed.
    #[error("joining failed while {stage}: {cause}{}", stage.advice())]
    Failed {
        /// The stage that failed.
        stage: Stage,
        /// What went wrong.
        cause: Cause,
    },
    /// A later join of the same user and guild took over.
    #[error("a later join of the same guild took over; only the last one counts")]
    Superseded,
    /// The call was left while joining.
    #[error("the call was left before the join was complete")]
    Left,
    /// The call ended while joining.
    #[error("the call ended: {0}")]
    Ended(Closed),
    /// The system gave no clock thread or no randomness.
    #[error("the system lacks what a call needs: {0}")]
    System(String),
    /// Joining a channel needs a main-gateway link.
    #[error("this client has no main-gateway link: use Client::with_link, or join with a ConnectionInfo")]
    NoLink,
}

/// Why a call is over. There is exactly one per call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Closed {
    /// The application left, or dropped the last handle.
    #[error("left")]
    Left,
    /// Its task was ended from outside, with its tokio runtime.
    #[error("the runtime that the call ran on has ended")]
    Aborted,
    /// Sending broke down for this call alone: code that the audio thread ran for it panicked, and other calls go on. Wakers of an
    /// [`OpusSink`](crate::OpusSink)'s writer are such code.
    #[error("sending panicked: if no waker of yours did, please report this")]
    Panicked,
    /// The main gateway says that the bot is in no channel any more: it was disconnected, or the channel is gone.
    #[error("removed from the channel")]
    Removed,
    /// The first join never succeeded.
    #[error("joining failed while {stage}: {cause}")]
    Join {
        /// The stage that failed.
        stage: Stage,
        /// What went wrong.
        cause: Cause,
    },
    /// The connection was lost and could not be won back.
    #[error("the connection is lost for good: {0}")]
    Lost(Cause),
    /// The session is over, and without a main-gateway link only new [`ConnectionInfo`](crate::ConnectionInfo) could
    /// have revived it; none came in time.
    #[error(
        "the session is over ({0}) and needs new connection info: join again with fresh updates, or give the client a main-gateway link"
    )]
    InfoNeeded(Cause),
}

impl Closed {
    /// The voice gateway's close code, when one ended the call.
    pub fn code(&self) -> Option<u16> {
        match self {
            Closed::Join { cause, .. } | Closed::Lost(cause) | Closed::InfoNeeded(cause) => cause.code(),
            Closed::Left | Closed::Aborted | Closed::Panicked | Closed::Removed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_stage_deadline_and_what_is_missing() {
        let deadline = Duration::from_secs(10);
        let cause = Cause::NoUpdates { missing: Missing::Server, deadline };
        let text = JoinError::Failed { stage: Stage::Updates, cause }.to_string();
        assert!(
            text.contains("VOICE_SERVER_UPDATE") && text.contains("10s") && text.contains("main gateway"),
            "{text}"
        );

        let cause = Cause::NoUpdates { missing: Missing::Both, deadline };
        let text = cause.to_string();
        assert!(text.contains("neither"), "{text}");
    }

    #[test]
    fn a_close_code_is_found() {
        let cause = Cause::Closed { code: 4004, reason: String::new() };
        assert_eq!(Closed::Lost(cause).code(), Some(4004));
        assert_eq!(Closed::Left.code(), None);
    }
}
