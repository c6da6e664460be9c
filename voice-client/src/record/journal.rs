use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::time::Duration;

use model::{SAMPLE_RATE, UserId};
use receive::record::{Note, What};
use serde_json::{Map, Value, json};

use crate::encryption::EncryptionEvent;
use crate::event::{Event, Recovery};

/// Most users whose joins are counted.
const MAX_USERS: usize = 4_096;

/// What happens in a recorded call, one JSON object a line: `events.jsonl`.
pub(crate) struct Journal {
    out: BufWriter<File>,
    dirty: bool,
    present: BTreeSet<UserId>,
    /// Those who were there before the session that is being replaced.
    stale: BTreeSet<UserId>,
    joins: BTreeMap<UserId, u32>,
    /// The first failure: it ends the recording at the next flush.
    failed: Option<io::Error>,
}

impl Journal {
    pub(crate) fn new(file: File) -> Self {
        let (present, stale, joins) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        Self { out: BufWriter::new(file), dirty: false, present, stale, joins, failed: None }
    }

    /// Writes who is there when the recording begins: they have not joined it, and nobody is told of them again.
    pub(crate) fn present(&mut self, users: impl IntoIterator<Item = UserId>) {
        for user in users {
            if self.present.len() < MAX_USERS && self.present.insert(user) {
                self.line(Duration::ZERO, "present", Some(user), Value::Null);
            }
        }
    }

    /// How often each user has joined.
    pub(crate) fn joins(&self) -> &BTreeMap<UserId, u32> {
        &self.joins
    }

    /// Writes one line.
    pub(crate) fn line(&mut self, at: Duration, event: &str, user: Option<UserId>, more: Value) {
        self.put(at.as_secs_f64(), event, user, more);
    }

    fn put(&mut self, t: f64, event: &str, user: Option<UserId>, more: Value) {
        // Milliseconds are what anybody wants to read; packets are placed more finely by the files.
        let mut line =
            Map::from_iter([("t".to_owned(), json!((t * 1e4).round() / 1e4)), ("event".to_owned(), event.into())]);
        if let Some(user) = user {
            line.insert("user".to_owned(), user.to_string().into());
        }
        if let Value::Object(more) = more {
            line.extend(more);
        }
        let written = serde_json::to_writer(&mut self.out, &line).map_err(io::Error::from);
        let written = written.and_then(|()| self.out.write_all(b"\n"));
        self.dirty = true;
        if let (Err(error), None) = (written, &self.failed) {
            self.failed = Some(error);
        }
    }

    /// Writes what the recording has to say.
    pub(crate) fn note(&mut self, note: &Note) {
        let t = note.at as f64 / f64::from(SAMPLE_RATE);
        let (event, more) = match note.what {
            What::Speaking(on) => ("speaking", json!({ "on": on })),
            What::Lost(packets) => ("loss", json!({ "packets": packets })),
            What::Concealed(samples) => ("concealed", json!({ "ms": samples as f64 / 48.0 })),
            What::Epoch { ssrc, why } => ("epoch", json!({ "ssrc": ssrc.0, "why": format!("{why:?}").to_lowercase() })),
            What::Part(part) => ("part", json!({ "part": part })),
            What::TooMany => ("error", json!({ "text": "not recorded: there are too many users" })),
            _ => return,
        };
        self.put(t, event, note.user, more);
    }

    /// Writes what the call has to say.
    pub(crate) fn event(&mut self, at: Duration, event: &Event) {
        match event {
            Event::ClientsConnect(connect) => {
                for user in &connect.users {
                    let was_there = self.stale.remove(user);
                    if self.present.len() < MAX_USERS && self.present.insert(*user) && !was_there {
                        *self.joins.entry(*user).or_default() += 1;
                        self.line(at, "join", Some(*user), Value::Null);
                    }
                }
            }
            Event::ClientDisconnect(gone) => {
                self.present.remove(&gone.user);
                self.stale.remove(&gone.user);
                self.line(at, "leave", Some(gone.user), Value::Null);
            }
            Event::Reconnecting { cause, by } => {
                if !matches!(by, Recovery::Resume { .. }) {
                    // The server of the next session tells afresh who is there, before it says that it is up.
                    self.stale.append(&mut self.present);
                }
                let by = match by {
                    Recovery::Resume { .. } => "resume",
                    Recovery::Rejoin { .. } => "rejoin",
                    Recovery::Move => "move",
                    Recovery::AwaitUpdate => "await update",
                };
                self.line(at, "reconnect", None, json!({ "state": "lost", "cause": cause.to_string(), "by": by }));
            }
            Event::Resumed => self.line(at, "reconnect", None, json!({ "state": "resumed" })),
            Event::Connected { mode, dave_version, .. } => {
                let more = json!({ "state": "connected", "mode": mode, "dave_version": dave_version });
                self.line(at, "reconnect", None, more);
                for user in std::mem::take(&mut self.stale) {
                    self.line(at, "leave", Some(user), Value::Null);
                }
            }
            Event::Watchdog { rung, why } => {
                let rung = format!("{rung:?}").to_lowercase();
                self.line(at, "watchdog", None, json!({ "action": rung, "why": why.to_string() }));
            }
            Event::Moved { channel } => self.line(at, "moved", None, json!({ "channel": channel.to_string() })),
            Event::Encryption(EncryptionEvent::PrivacyCode { epoch, .. }) => {
                self.line(at, "encryption", None, json!({ "epoch": epoch }));
            }
            Event::Missed(events) => self.line(at, "missed", None, json!({ "events": events })),
            _ => {}
        }
    }

    /// Hands everything to the system.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if std::mem::take(&mut self.dirty) { self.out.flush() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gateway::text::ClientsConnect;
    use model::{Ssrc, UserId};
    use serde_json::Value;

    use super::Journal;
    use crate::error::Cause;
    use crate::event::{Event, Recovery};

    fn user(id: u64) -> UserId {
        UserId::new(id).expect("not zero")
    }

    #[test]
    fn a_rejoin_is_no_join_of_those_who_stayed() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut journal = Journal::new(file.reopen().expect("a file"));
        journal.present([user(1), user(2)]);
        let lost = |by| Event::Reconnecting { cause: Cause::Moved, by };
        let there = |users: &[u64]| {
            let users = users.iter().map(|id| user(*id)).collect();
            Event::ClientsConnect(ClientsConnect { users })
        };
        let up = Event::Connected { ssrc: Ssrc(1), mode: String::new(), dave_version: 0 };
        for event in [
            there(&[1, 2, 3]),
            lost(Recovery::Resume { attempt: 1 }),
            Event::Resumed,
            lost(Recovery::Rejoin { attempt: 1 }),
            // An attempt that failed after it was told who is there.
            there(&[1, 2, 3]),
            lost(Recovery::Rejoin { attempt: 2 }),
            there(&[1, 3, 4]),
            up.clone(),
            there(&[2]),
            lost(Recovery::Move),
            there(&[1, 2, 3, 4]),
            up,
        ] {
            journal.event(Duration::ZERO, &event);
        }
        journal.flush().expect("a file");
        let text = std::fs::read_to_string(file.path()).expect("a file");
        let told: Vec<(String, String)> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
            .filter(|line| line["event"] != "reconnect")
            .map(|line| {
                (line["event"].as_str().unwrap_or("").to_owned(), line["user"].as_str().unwrap_or("").to_owned())
            })
            .collect();
        let wanted = [("present", "1"), ("present", "2"), ("join", "3"), ("join", "4"), ("leave", "2"), ("join", "2")];
        assert_eq!(told, wanted.map(|(event, user)| (event.to_owned(), user.to_owned())));
        let joins = [(2, 1), (3, 1), (4, 1)].map(|(id, joins)| (user(id), joins));
        assert_eq!(journal.joins().clone().into_iter().collect::<Vec<_>>(), joins);
    }
}
