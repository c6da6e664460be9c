use std::collections::VecDeque;
use std::time::{Duration, Instant};

use gateway::text::{Dialect, Message, Resume};

use super::{ConnId, Output, Server};

/// A severed session can be resumed for at least this long.
pub(super) const RESUMABLE: Duration = Duration::from_secs(30);

/// At most this many messages are kept for a replay, and this many bytes of them; the oldest go first.
const MAX_MESSAGES: usize = 512;
const MAX_BYTES: usize = 256 * 1_024;

/// The last numbered messages of a session.
#[derive(Debug, Default)]
pub(super) struct Replay {
    messages: VecDeque<(u16, String)>,
    bytes: usize,
}

impl Replay {
    pub(super) fn push(&mut self, seq: u16, text: String) {
        self.bytes += text.len();
        self.messages.push_back((seq, text));
        while self.messages.len() > MAX_MESSAGES || self.bytes > MAX_BYTES {
            self.bytes -= self.messages.pop_front().map_or(self.bytes, |(_, text)| text.len());
        }
    }

    /// What is newer than `acknowledged`, oldest first; everything when that is absent or -1. Newer is a question of
    /// distance on the circle of 2^16.
    fn since(&self, acknowledged: Option<i64>) -> impl Iterator<Item = &str> {
        let acknowledged = acknowledged.and_then(|seq| u16::try_from(seq).ok());
        let is_newer = move |seq: u16| acknowledged.is_none_or(|last| seq.wrapping_sub(last) as i16 > 0);
        self.messages.iter().filter(move |(seq, _)| is_newer(*seq)).map(|(_, text)| text.as_str())
    }
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
        if let Some(session) = self.sessions.get(&ssrc).filter(|session| session.dialect == Dialect::V8) {
            let missed = session.replay.since(resume.seq_ack).map(|text| Output::Text { conn, text: text.to_owned() });
            self.outputs.extend(missed);
        }
        self.show_up(ssrc);
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_BYTES, MAX_MESSAGES, Replay};

    fn replay(seqs: impl IntoIterator<Item = u16>) -> Replay {
        let mut replay = Replay::default();
        seqs.into_iter().for_each(|seq| replay.push(seq, seq.to_string()));
        replay
    }

    #[test]
    fn newer_is_a_question_of_distance() {
        let replay = replay([65_534, 65_535, 0, 1]);
        assert_eq!(replay.since(Some(65_535)).collect::<Vec<_>>(), ["0", "1"]);
        assert_eq!(replay.since(Some(1)).count(), 0);
        for everything in [None, Some(-1), Some(i64::MAX)] {
            assert_eq!(replay.since(everything).count(), 4);
        }
    }

    #[test]
    fn messages_and_bytes_are_bounded() {
        let many = replay(0..MAX_MESSAGES as u16 + 7);
        assert_eq!(many.since(None).next(), Some("7"));
        let mut large = Replay::default();
        (0..10).for_each(|seq| large.push(seq, "x".repeat(MAX_BYTES / 4)));
        assert_eq!(large.since(None).count(), 4);
        large.push(10, "x".repeat(MAX_BYTES + 1));
        assert_eq!((large.since(None).count(), large.bytes), (0, 0));
    }
}
