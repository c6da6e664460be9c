//! What a meeting with discord.js needs: programs, and how they are started.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::npm;
use crate::child::Running;
use crate::run::{self, Failure};

const GUILD: &str = "100000000000000001";
const CHANNEL: &str = "300000000000000001";
const STARTS: Duration = Duration::from_secs(20);
const ENDS: Duration = Duration::from_secs(40);

/// The tones of `interop/tones/`: ours, and theirs.
pub(super) const LOW: (&str, f64) = ("tone-455hz.wav", 455.0);
pub(super) const HIGH: (&str, f64) = ("tone-600hz.opus.ogg", 600.0);
/// The probe counts whole periods in 20 ms.
const TOLERANCE: f64 = 0.02;

/// Everything that is there before the first run.
pub(super) struct Stage {
    pub(super) node: PathBuf,
    /// Where the probe and its packages are.
    pub(super) probe: PathBuf,
    server: PathBuf,
    call: PathBuf,
}

/// A server, and what its clients need.
pub(super) struct Server {
    _running: Running,
    endpoint: String,
    /// The folder of this run: certificates and recordings.
    folder: PathBuf,
}

impl Stage {
    /// Installs and builds; both may take long the first time.
    pub(super) fn set(folder: &Path) -> Result<Self, Failure> {
        let (node, probe) = npm::install(folder)?;
        let programs = run::release(&["--bin", "voice-loopback", "--example", "call"])?;
        let program = |name| run::named(&programs, name).map(Path::to_owned);
        Ok(Self { node, probe, server: program("voice-loopback")?, call: program("call")? })
    }

    /// Starts the server; `folder` is made.
    pub(super) fn server(&self, folder: &Path, flags: &[&str]) -> Result<Server, Failure> {
        std::fs::create_dir_all(folder).map_err(|error| format!("cannot write {}: {error}", folder.display()))?;
        let mut server = Command::new(&self.server);
        server.args(["--ws", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--exit-after", "60"]).args(flags);
        let mut running = Running::start("voice-loopback", server.arg("--ca-out").arg(folder.join("ca.pem")))?;
        let listening = running.line("LISTENING ", STARTS)?;
        let endpoint = listening.split_whitespace().find_map(|word| word.strip_prefix("ws=")).map(str::to_owned);
        let endpoint = endpoint.ok_or_else(|| running.failure("its LISTENING line names no ws="))?;
        Ok(Server { _running: running, endpoint, folder: folder.to_owned() })
    }

    /// Starts discord.js, which plays a tone.
    pub(super) fn probe(&self, server: &Server, user: &str, tone: &str, flags: &[&str]) -> Result<Running, Failure> {
        let mut probe = Command::new(&self.node);
        probe.current_dir(&self.probe).env("NODE_EXTRA_CA_CERTS", server.folder.join("ca.pem"));
        probe.env("GUILD_ID", GUILD).env("CHANNEL_ID", CHANNEL);
        probe.args(["probe.mjs", "--endpoint", &server.endpoint, "--user", user, "--quiet"]).args(flags);
        Running::start("the discord.js probe", probe.arg("--play").arg(tones().join(tone)))
    }

    /// Starts our `call`, which plays a tone and records everybody below `folder/user`.
    pub(super) fn call(&self, server: &Server, user: &str, tone: &str, flags: &[&str]) -> Result<Running, Failure> {
        let mut call = Command::new(&self.call);
        call.args(["--endpoint", &server.endpoint, "--guild", GUILD, "--channel", CHANNEL, "--user", user, "--json"]);
        call.args(["--session", &format!("session-{user}"), "--token", "token", "--ca"]);
        call.arg(server.folder.join("ca.pem")).arg("--play").arg(tones().join(tone));
        call.arg("--record").arg(server.folder.join(user)).args(flags);
        Running::start("call", &mut call)
    }
}

fn tones() -> PathBuf {
    run::root().join("interop").join("tones")
}

impl Server {
    /// Hz of what `listener` recorded of `speaker`; a recording that is not there has no pitch.
    pub(super) fn recorded(&self, listener: &str, speaker: &str) -> Option<f64> {
        let recording = self.folder.join(listener).join(format!("{speaker}.wav"));
        std::fs::read(recording).ok().and_then(|file| crate::wav::pitch(&file))
    }
}

/// The RESULT line of a program.
pub(super) fn result(program: &mut Running) -> Result<Value, Failure> {
    let text = program.line("RESULT ", ENDS)?;
    serde_json::from_str(&text).map_err(|error| program.failure(&format!("its RESULT is no JSON: {error}")))
}

/// The RESULT line of our `call`, which must end well.
pub(super) fn good_result(call: &mut Running) -> Result<Value, Failure> {
    let result = result(call)?;
    let status = call.end(ENDS)?;
    if status.success() { Ok(result) } else { Err(call.failure(&format!("ended with {status}"))) }
}

/// What one side heard of another.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Heard {
    pub(super) packets: u64,
    pub(super) hz: Option<f64>,
}

impl Heard {
    /// `hz` of a recording, or else what the result says, which is what discord.js does.
    pub(super) fn new(result: &Value, speaker: &str, hz: Option<f64>) -> Self {
        let heard = &result["heard"][speaker];
        Self { packets: heard["packets"].as_u64().unwrap_or(0), hz: hz.or(heard["medianHz"].as_f64()) }
    }

    /// What is wrong with it.
    pub(super) fn wrong(self, who: &str, least: u64, wanted: f64) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.packets < least {
            wrong.push(format!("{who} heard {} packets, wanted {least}", self.packets));
        }
        if !self.hz.is_some_and(|hz| (hz / wanted - 1.0).abs() <= TOLERANCE) {
            wrong.push(format!("{who} heard {}, wanted {wanted} Hz", shown(self.hz)));
        }
        wrong
    }

    pub(super) fn text(self) -> String {
        format!("{} packets, {}", self.packets, shown(self.hz))
    }
}

fn shown(hz: Option<f64>) -> String {
    hz.map_or("no tone".to_owned(), |hz| format!("{hz:.0} Hz"))
}
