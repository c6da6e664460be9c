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
    joins: BTreeMap<UserId, u32>,
    /// The first failure: it ends the recording at the next flush.
    failed: Option<io::Error>,
}

impl Journal {
    pub(crate) fn new(file: File) -> Self {
        let (present, joins) = (BTreeSet::new(), BTreeMap::new());
        Self { out: BufWriter::new(file), dirty: false, present, joins, failed: None }
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
                    if self.present.len() < MAX_USERS && self.present.insert(*user) {
                        *self.joins.entry(*user).or_default() += 1;
                        self.line(at, "join", Some(*user), Value::Null);
                    }
                }
            }
            Event::ClientDisconnect(gone) => {
                self.present.remove(&gone.user);
                self.line(at, "leave", Some(gone.user), Value::Null);
            }
            Event::Reconnecting { cause, by } => {
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
                // The server tells afresh who is there.
                self.present.clear();
                let more = json!({ "state": "connected", "mode": mode, "dave_version": dave_version });
                self.line(at, "reconnect", None, more);
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
