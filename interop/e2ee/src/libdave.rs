use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use voice_dave::Codec;

use crate::{CHANNEL, Member};

/// What stands for nothing in the bridge's language.
const NOTHING: &str = "-";

/// Discord's own libdave in a Python process, `interop/libdave/bridge.py`: a line there, a line back.
pub struct Libdave {
    user: u64,
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Libdave {
    /// In a call of version 1. `python` runs the bridge; `packages` is where `dave.py` is installed.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn new(user: u64, python: &str, packages: &str) -> Self {
        let bridge = concat!(env!("CARGO_MANIFEST_DIR"), "/../libdave/bridge.py");
        let mut command = Command::new(python);
        command.args([bridge, &user.to_string(), &CHANNEL.to_string()]).env("PYTHONPATH", packages);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the bridge starts");
        let requests = child.stdin.take().expect("a pipe");
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { user, child, requests, answers }
    }

    fn ask(&mut self, request: &str) -> String {
        writeln!(self.requests, "{request}").expect("the bridge reads");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the bridge answers");
        assert!(answer.ends_with('\n'), "the bridge of {} ended over `{}`", self.user, shown(request));
        answer.trim_end().to_owned()
    }

    fn tell(&mut self, request: &str) {
        let answer = self.ask(request);
        assert_eq!(answer, "ok", "libdave of {} over `{}`", self.user, shown(request));
    }
}

impl Drop for Libdave {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Member for Libdave {
    fn user(&self) -> u64 {
        self.user
    }

    fn name(&self) -> &'static str {
        "libdave"
    }

    fn external_sender(&mut self, package: &[u8]) {
        self.tell(&format!("sender {}", hex(package)));
    }

    fn connected(&mut self, users: &BTreeSet<u64>) {
        let users: Vec<String> = users.iter().map(u64::to_string).collect();
        self.tell(&format!("connected {}", users.join(",")));
    }

    fn key_package(&mut self) -> Vec<u8> {
        bytes(&self.ask("package")).expect("a key package")
    }

    fn proposals(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        bytes(&self.ask(&format!("proposals {}", hex(payload))))
    }

    fn commit(&mut self, transition: u16, commit: &[u8]) {
        self.tell(&format!("commit {transition} {}", hex(commit)));
    }

    fn welcome(&mut self, transition: u16, welcome: &[u8]) {
        self.tell(&format!("welcome {transition} {}", hex(welcome)));
    }

    fn prepare(&mut self, transition: u16, version: u16) {
        self.tell(&format!("prepare {transition} {version}"));
    }

    fn execute(&mut self, transition: u16) {
        self.tell(&format!("execute {transition}"));
    }

    fn start_over(&mut self, version: u16) {
        self.tell(&format!("restart {version}"));
    }

    fn authenticator(&mut self) -> Vec<u8> {
        bytes(&self.ask("authenticator")).unwrap_or_default()
    }

    fn privacy_code(&mut self) -> String {
        self.ask("code")
    }

    fn keys(&mut self) -> BTreeMap<u64, Vec<u8>> {
        let key = |entry: &str| {
            let (user, key) = entry.split_once(':').expect("user:key");
            (user.parse().expect("a number"), bytes(key).expect("a key"))
        };
        self.ask("keys").split(',').filter(|entry| !entry.is_empty()).map(key).collect()
    }

    fn pair_fingerprint(&mut self, other: u64) -> Vec<u8> {
        bytes(&self.ask(&format!("fingerprint {other}"))).expect("a member of the group")
    }

    fn pair_code(&mut self, other: u64) -> String {
        self.ask(&format!("paircode {other}"))
    }

    fn seal(&mut self, codec: Codec, frame: &[u8]) -> Option<Vec<u8>> {
        bytes(&self.ask(&format!("seal {} {}", name(codec), hex(frame))))
    }

    fn open(&mut self, from: u64, codec: Codec, frame: &[u8]) -> Option<Vec<u8>> {
        bytes(&self.ask(&format!("open {from} {} {}", name(codec), hex(frame))))
    }
}

/// As the bridge's library names it.
fn name(codec: Codec) -> String {
    format!("{codec:?}").to_lowercase()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    if hex == NOTHING {
        return None;
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    Some(hex.as_bytes().chunks(2).map(|pair| byte(pair).expect("hex digits")).collect())
}

/// Without its load.
fn shown(request: &str) -> &str {
    request.get(..40).unwrap_or(request)
}
