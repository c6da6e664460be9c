use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use gateway::text::{Dialect, Message, Resume};

use super::{ConnId, Output, Server};

/// A severed session can be resumed for at least this long.
pub(super) const RESUMABLE: Duration = Duration::from_secs(30);

/// At most this many messages are kept for a replay, and this many bytes of them; the oldest go first.
const MAX_MESSAGES: usize = 512;
const MAX_BYTES: usize = 256 * 1_024;

/// A message as it was sent.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Sent {
    Text(String),
    Binary(Vec<u8>),
}

impl Sent {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(frame) => frame.len(),
        }
    }

    pub(super) fn on(self, conn: ConnId) -> Output {
        match self {
            Self::Text(text) => Output::Text { conn, text },
            Self::Binary(frame) => Output::Binary { conn, frame },
        }
    }
}

/// The last numbered messages of a session.
#[derive(Default)]
pub(super) struct Replay {
    messages: VecDeque<(u16, Sent)>,
    bytes: usize,
    /// The newest one that is no longer here.
    lost: Option<u16>,
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Replay({} messages, {} bytes)", self.messages.len(), self.bytes)
    }
}

impl Replay {
    pub(super) fn push(&mut self, seq: u16, message: Sent) {
        self.bytes += message.len();
        self.messages.push_back((seq, message));
        while self.messages.len() > MAX_MESSAGES || self.bytes > MAX_BYTES {
            let Some((seq, message)) = self.messages.pop_front() else { return };
            self.bytes -= message.len();
            self.lost = Some(seq);
        }
    }

    /// What is newer than `acknowledged`, oldest first; everything when that is absent or -1. Newer is a question of
    /// distance on the circle of 2^16.
    fn since(&self, acknowledged: Option<i64>) -> impl Iterator<Item = &Sent> {
        self.messages.iter().filter(move |(seq, _)| is_newer(*seq, acknowledged)).map(|(_, message)| message)
    }

    /// Whether that is all that was sent since.
    fn is_complete_since(&self, acknowledged: Option<i64>) -> bool {
        !self.lost.is_some_and(|lost| is_newer(lost, acknowledged))
    }
}

fn is_newer(seq: u16, acknowledged: Option<i64>) -> bool {
    let acknowledged = acknowledged.and_then(|seq| u16::try_from(seq).ok());
    acknowledged.is_none_or(|last| seq.wrapping_sub(last) as i16 > 0)
}

impl Server {
    /// Op 7, answered by op 9, then by what was missed.
    pub(super) fn resume(&mut self, now: Instant, conn: ConnId, resume: &Resume) {
        if self.misbehaviour.refuses_resume() {
            return self.close(now, conn, 4006, "session is no longer valid");
        }
        // Two users may have been given the same session and token: the one who is away is meant.
        let found = self
            .sessions
            .values_mut()
            .filter(|it| it.guild == resume.server && it.described && it.is_for(&resume.session, &resume.token))
            .min_by_key(|it| it.conn.is_some());
        let (Some(session), Some(connection)) = (found, self.connections.get_mut(&conn)) else {
            return self.close(now, conn, 4006, "session is no longer valid");
        };
        connection.session = Some(session.ssrc);
        session.dialect = connection.dialect;
        session.severed = None;
        if let Some(old) = session.conn.replace(conn) {
            self.connections.remove(&old);
            let reason = "resumed on another connection".to_owned();
            self.outputs.push_back(Output::Close { conn: old, code: 1000, reason });
        }
        let ssrc = session.ssrc;
        self.send(ssrc, &Message::Resumed);
        let Some(session) = self.sessions.get(&ssrc) else { return };
        let has_replay = session.dialect == Dialect::V8;
        if has_replay {
            self.outputs.extend(session.replay.since(resume.seq_ack).map(|message| message.clone().on(conn)));
        }
        let is_complete = has_replay && session.replay.is_complete_since(resume.seq_ack);
        if session.visible {
            self.delivery(now, ssrc, |delivery, cx, user| delivery.handle_resumed(cx, user, is_complete));
        } else {
            self.show_up(ssrc);
            self.enter(now, ssrc);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_BYTES, MAX_MESSAGES, Replay, Sent};

    fn replay(seqs: impl IntoIterator<Item = u16>) -> Replay {
        let mut replay = Replay::default();
        seqs.into_iter().for_each(|seq| replay.push(seq, text(seq)));
        replay
    }

    fn text(seq: u16) -> Sent {
        Sent::Text(seq.to_string())
    }

    #[test]
    fn newer_is_a_question_of_distance() {
        let replay = replay([65_534, 65_535, 0, 1]);
        assert!(replay.since(Some(65_535)).eq(&[text(0), text(1)]));
        assert_eq!(replay.since(Some(1)).count(), 0);
        for everything in [None, Some(-1), Some(i64::MAX)] {
            assert_eq!(replay.since(everything).count(), 4);
        }
    }

    #[test]
    fn messages_and_bytes_are_bounded() {
        let many = replay(0..MAX_MESSAGES as u16 + 7);
        assert!(many.since(None).next() == Some(&text(7)));
        for (acknowledged, is_complete) in [(None, false), (Some(5), false), (Some(6), true), (Some(100), true)] {
            assert_eq!(many.is_complete_since(acknowledged), is_complete, "{acknowledged:?}");
        }
        let mut large = Replay::default();
        (0..10).for_each(|seq| large.push(seq, Sent::Binary(vec![7; MAX_BYTES / 4])));
        assert_eq!(large.since(None).count(), 4);
        large.push(10, Sent::Text("x".repeat(MAX_BYTES + 1)));
        assert_eq!((large.since(None).count(), large.bytes), (0, 0));
        assert!(!large.is_complete_since(Some(9)) && replay([0]).is_complete_since(None));
    }
}
