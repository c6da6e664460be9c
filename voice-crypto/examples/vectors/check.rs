//! Vector files against the crate. Nothing in a file is skipped: what is not understood fails.

use std::fmt::Debug;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::{Map, Value};
use voice_crypto::{Backend, Half, Key, Mode, Opener, Sealer};
use voice_udp::{rtcp, rtp};

/// Bytes of a tag; the nonce follows it.
const TAG_LEN: usize = 16;

/// Runs the files, prints a line for each failure and a closing one. `true` when there was something to run and all of
/// it passed.
pub(crate) fn run(files: &[PathBuf], out: &mut impl Write) -> io::Result<bool> {
    let (mut passed, mut failed) = (0, 0);
    for file in files {
        for (name, outcome) in check_file(file) {
            match outcome {
                Ok(()) => passed += 1,
                Err(reason) => {
                    failed += 1;
                    writeln!(out, "{}: {name}: {reason}", file.display())?;
                }
            }
        }
    }
    if files.is_empty() {
        writeln!(out, "usage: vectors FILE...")?;
    }
    writeln!(out, "{passed} passed, {failed} failed")?;
    Ok(passed > 0 && failed == 0)
}

type Outcome = (String, Result<(), String>);

fn check_file(file: &PathBuf) -> Vec<Outcome> {
    let failure = |name: &str, reason: &dyn ToString| (name.to_owned(), Err(reason.to_string()));
    let json = match fs::read(file) {
        Ok(json) => json,
        Err(error) => return vec![failure("cannot be read", &error)],
    };
    let sections: Map<String, Value> = match serde_json::from_slice(&json) {
        Ok(sections) => sections,
        Err(error) => return vec![failure("is no vector file", &error)],
    };
    let mut outcomes = Vec::new();
    for (section, value) in &sections {
        let kind = match section.as_str() {
            "meta" => continue,
            "rtp" => Kind::Rtp,
            "rtcp" => Kind::Rtcp,
            _ => {
                outcomes.push(failure(section, &"unknown section, wanted `rtp` and `rtcp`"));
                continue;
            }
        };
        let Some(entries) = value.as_array() else {
            outcomes.push(failure(section, &"is no list"));
            continue;
        };
        for (index, entry) in entries.iter().enumerate() {
            let name = entry["name"].as_str().unwrap_or("without a name");
            let outcome = Vector::read(kind, entry).and_then(|vector| vector.check());
            outcomes.push((format!("{section}[{index}] {name}"), outcome));
        }
    }
    if outcomes.is_empty() {
        outcomes.push(failure("is no vector file", &"it has no entry"));
    }
    outcomes
}

#[derive(Clone, Copy)]
enum Kind {
    Rtp,
    Rtcp,
}

struct Vector<'a> {
    kind: Kind,
    entry: &'a Value,
    mode: Mode,
    key: Key,
    packet: Vec<u8>,
    clear_len: usize,
}

impl<'a> Vector<'a> {
    fn read(kind: Kind, entry: &'a Value) -> Result<Self, String> {
        let name = entry["mode"].as_str().ok_or("`mode` is missing or no text")?;
        let mode = Mode::from_name(name).ok_or_else(|| format!("unknown mode `{name}`"))?;
        let key = hex(entry, "key")?.ok_or("`key` is missing")?;
        let key = key.try_into().map_err(|key: Vec<u8>| format!("`key` has {} bytes, not 32", key.len()))?;
        let packet = hex(entry, "packet")?.ok_or("`packet` is missing")?;
        let clear_len = match kind {
            Kind::Rtcp => rtcp::CLEAR_LEN,
            Kind::Rtp if mode.is_rtpsize() => rtp::Header::read(&packet).ok_or("`packet` is no RTP")?.clear_len(),
            Kind::Rtp => rtp::FIXED_LEN,
        };
        same("clear_header_len", number(entry, "clear_header_len")?.as_ref(), &clear_len)?;
        Ok(Self { kind, entry, mode, key: Key::new(key), packet, clear_len })
    }

    fn check(&self) -> Result<(), String> {
        for backend in [Backend::AwsLc, Backend::Portable] {
            self.check_on(backend).map_err(|reason| format!("{backend:?}: {reason}"))?;
        }
        Ok(())
    }

    fn check_on(&self, backend: Backend) -> Result<(), String> {
        let mut opened = self.packet.clone();
        let plaintext_len = Opener::new(self.mode, &self.key, backend)
            .open(&mut opened, self.clear_len)
            .ok_or("does not open: not authentic, or too short")?
            .len();
        opened.truncate(self.clear_len + plaintext_len);
        let plaintext = &opened[self.clear_len..];
        same("plaintext", hex(self.entry, "plaintext")?.as_deref(), plaintext)?;
        if let Kind::Rtp = self.kind {
            self.check_body(&opened)?;
        }
        let sealed = self.seal(backend, plaintext)?;
        same("the packet sealed again", Some(self.packet.as_slice()), &sealed)
    }

    /// Extension, padding and payload of an opened RTP packet, which begins with its header in every mode.
    fn check_body(&self, opened: &[u8]) -> Result<(), String> {
        let header = rtp::Header::read(opened).ok_or("opens to no RTP packet")?;
        let words = rtp::extension_words(opened, &header);
        let plaintext = &opened[header.clear_len()..];
        let padding = number(self.entry, "padding")?;
        let payload = hex(self.entry, "payload")?;
        let rejected = self.entry.get("payload").is_some_and(Value::is_null);
        match rtp::body(&header, words, plaintext) {
            Ok(_) if rejected => Err("`payload` is null, but extension and padding fit".to_owned()),
            Ok(body) => {
                let none = self.entry.get("extension").is_some_and(Value::is_null).then(Vec::new);
                let extension = none.or(hex(self.entry, "extension")?);
                same("extension", extension.as_deref(), &plaintext[body.extension])?;
                same("padding", padding.as_ref(), &body.padding)?;
                same("payload", payload.as_deref(), &plaintext[body.payload])
            }
            Err(rtp::Malformed::Padding { len, .. }) if rejected => same("padding", padding.as_ref(), &len),
            Err(_) if rejected => Ok(()),
            Err(malformed) => Err(malformed.to_string()),
        }
    }

    /// Seals with the packet's own nonce, whichever half it is from.
    fn seal(&self, backend: Backend, plaintext: &[u8]) -> Result<Vec<u8>, String> {
        let suffix = &self.packet[self.clear_len + plaintext.len() + TAG_LEN..];
        let (counter, tail) = suffix.split_first_chunk().unwrap_or((&[0; 4], &[]));
        let counter = u32::from_le_bytes(*counter);
        let mut sealer = Sealer::new(self.mode, &self.key, backend)
            .resume_from(counter)
            .with_nonce_tail(tail.try_into().unwrap_or_default());

        let mut buffer = [&self.packet[..self.clear_len], plaintext].concat();
        buffer.resize(buffer.len() + self.mode.overhead(), 0);
        let sealed = sealer.seal(Half::of(counter), &mut buffer, self.clear_len, plaintext.len());
        buffer.truncate(sealed.map_err(|error| error.to_string())?);
        Ok(buffer)
    }
}

/// Compares with what the entry says, if it says anything.
fn same<T: PartialEq + Debug + ?Sized>(what: &str, wanted: Option<&T>, found: &T) -> Result<(), String> {
    match wanted {
        Some(wanted) if wanted != found => Err(format!("{what}: wanted {wanted:02x?}, found {found:02x?}")),
        _ => Ok(()),
    }
}

fn number(entry: &Value, field: &str) -> Result<Option<usize>, String> {
    match entry.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_u64()
            .and_then(|number| usize::try_from(number).ok())
            .map(Some)
            .ok_or_else(|| format!("`{field}` is no count")),
    }
}

fn hex(entry: &Value, field: &str) -> Result<Option<Vec<u8>>, String> {
    match entry.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_str()
            .and_then(|text| text.as_bytes().chunks(2).map(byte).collect())
            .map(Some)
            .ok_or_else(|| format!("`{field}` is no hexadecimal text")),
    }
}

fn byte(digits: &[u8]) -> Option<u8> {
    let &[high, low] = digits else { return None };
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}
