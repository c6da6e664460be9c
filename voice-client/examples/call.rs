//! Joins a voice channel, plays files one after the other, records who speaks.
//!
//! ```text
//! call --endpoint HOST:PORT --guild ID --channel ID --user ID --session S --token T [--ca ca.pem | --plain-ws]
//!      [--play FILE]... [--delay SECS] [--record DIR] [--secs N] [--json]
//! ```
//!
//! Leaves after `--secs`, or else a second after the last file, or else on Ctrl-C. With `--json` the last line is
//! `RESULT {..}`; `concealed` counts 20 ms frames, begun ones included, `epoch` and `privacy_code` are the last ones.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use voice_client::layer::model::FRAME_SAMPLES;
use voice_client::{
    Call, Client, Closed, Config, ConnectionInfo, EncryptionEvent, Event, RecordFormat, Recorder, RecorderConfig,
    State, Stats, TrackEnd, UserId, source,
};

const USAGE: &str = "usage: call --endpoint HOST:PORT --guild ID --channel ID --user ID --session S --token T \
    [--ca ca.pem | --plain-ws] [--play FILE]... [--delay SECS] [--record DIR] [--secs N] [--json]";

/// The files of a recording, by speaker.
type Files = BTreeMap<UserId, Vec<PathBuf>>;

/// The end-to-end encryption in force, or the last that was.
#[derive(Default)]
struct Latest {
    /// `None` as long as it is that of the session.
    version: Option<u16>,
    /// Epoch and privacy code.
    code: Option<(u64, String)>,
}

struct Args {
    info: ConnectionInfo,
    config: Config,
    play: Vec<PathBuf>,
    delay: Duration,
    record: Option<PathBuf>,
    secs: Option<Duration>,
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let args = match parse() {
        Ok(args) => args,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let user = args.info.user;
    let client = Client::new(args.config);
    let joined = client.join(args.info).await;
    let call = match joined {
        Ok(call) => call,
        Err(error) => {
            if args.json {
                let closed = match &error {
                    voice_client::JoinError::Failed { cause, .. } => cause.code(),
                    voice_client::JoinError::Ended(closed) => closed.code(),
                    _ => None,
                };
                let closed = Some(json!({"code": closed, "reason": error.to_string()}));
                println!(
                    "RESULT {}",
                    result(user, &Stats::default(), Latest::default(), &Files::new(), closed.as_ref())
                );
            }
            return Err(error.into());
        }
    };
    let mut failure: Option<Box<dyn Error>> = None;
    let mut recorder = None;
    if let Some(folder) = args.record {
        let config = RecorderConfig::new(folder).format(RecordFormat::Wav).overwrite(true);
        match Recorder::start(&call, config).await {
            Ok(started) => recorder = Some(started),
            Err(error) => failure = Some(error.into()),
        }
    }
    let latest = Arc::new(Mutex::new(Latest::default()));
    tokio::spawn(tell(call.clone().events(), latest.clone()));

    let mut played = Ok(false);
    if failure.is_none() {
        let over = async {
            match args.secs {
                Some(secs) => tokio::time::sleep(secs).await,
                None => std::future::pending().await,
            }
        };
        let playing = async {
            played = play(&call, args.play, args.delay).await;
            match (&played, args.secs) {
                // Without files and an end of its own it stays until it is told to go.
                (Ok(true) | Err(_), None) => tokio::time::sleep(Duration::from_secs(1)).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = call.closed() => {}
            () = over => {}
            () = playing => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    }
    let closed = call.is_closed();
    call.leave().await;
    let stats = call.stats().await.unwrap_or_default();
    let mut files = Files::new();
    if let Some(recorder) = recorder {
        match recorder.stop().await {
            Ok(recording) => files = recording.files,
            Err(error) => failure = Some(error.into()),
        }
    }
    if args.json {
        let closed = closed.as_ref().map(|closed| json!({"code": closed.code(), "reason": closed.to_string()}));
        let latest = std::mem::take(&mut *latest.lock().unwrap_or_else(PoisonError::into_inner));
        println!("RESULT {}", result(user, &stats, latest, &files, closed.as_ref()));
    }
    match (failure, played, closed) {
        (Some(failure), _, _) => Err(failure),
        (None, Err(error), _) => Err(error.into()),
        (None, Ok(_), None | Some(Closed::Left)) => Ok(()),
        (None, Ok(_), Some(closed)) => Err(closed.into()),
    }
}

/// Plays the files one after the other; says whether there were any. The last failure is returned, after all were tried.
async fn play(call: &Call, files: Vec<PathBuf>, delay: Duration) -> Result<bool, source::SourceError> {
    tokio::time::sleep(delay).await;
    let mut played = Ok(!files.is_empty());
    for file in files {
        eprintln!("playing {}", file.display());
        if let TrackEnd::Failed(error) = call.play(source::file::File::new(file)).ended().await {
            eprintln!("{error}");
            played = Err(error);
        }
    }
    played
}

/// Tells what happens, and keeps the latest epoch and privacy code.
async fn tell(mut events: voice_client::Events, latest: Arc<Mutex<Latest>>) {
    while let Some(event) = events.next().await {
        match event {
            Event::Connected { mode, .. } => eprintln!("connected, {mode}"),
            Event::Reconnecting { cause, by } => eprintln!("reconnecting ({by:?}): {cause}"),
            Event::Resumed => eprintln!("resumed"),
            Event::Moved { channel } => eprintln!("moved to {channel}"),
            Event::Encryption(EncryptionEvent::PrivacyCode { epoch, code }) => {
                eprintln!("epoch {epoch}, privacy code {code}");
                latest.lock().unwrap_or_else(PoisonError::into_inner).code = Some((epoch, code));
            }
            Event::Encryption(event) => {
                eprintln!("{}", describe(&event));
                let mut latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
                match event {
                    EncryptionEvent::State(State::On { version }) => latest.version = Some(version),
                    EncryptionEvent::State(State::Off) => *latest = Latest { version: Some(0), code: None },
                    _ => {}
                }
            }
            Event::Closed(closed) => eprintln!("closed: {closed}"),
            _ => {}
        }
    }
}

fn describe(event: &EncryptionEvent) -> String {
    match event {
        EncryptionEvent::State(State::Off) => "not end-to-end encrypted".to_owned(),
        EncryptionEvent::State(State::Pending) => "no encrypted group yet: nothing is sent".to_owned(),
        EncryptionEvent::State(State::On { version }) => format!("end-to-end encrypted, DAVE version {version}"),
        EncryptionEvent::Joined(member) => format!("{} is in the group", member.user),
        EncryptionEvent::Verified(member) => format!("{} is in the group, with the known key", member.user),
        EncryptionEvent::KeyChanged { member, .. } => format!("{} has another key than before", member.user),
        EncryptionEvent::Left(user) => format!("{user} left the group"),
        EncryptionEvent::RecoveryStarted(trouble) => format!("joining the group afresh: {trouble}"),
        EncryptionEvent::RecoveryEnded => "in the group again".to_owned(),
        other => format!("{other:?}"),
    }
}

fn result(user: UserId, stats: &Stats, latest: Latest, files: &Files, closed: Option<&Value>) -> Value {
    let (epoch, code) = latest.code.unzip();
    let heard: Map<String, Value> = stats
        .heard
        .iter()
        .map(|(user, heard)| {
            let file = files.get(user).and_then(|paths| paths.first()).map(|path| path.display().to_string());
            let value = json!({
                "packets": heard.received + heard.duplicate,
                "frames": heard.frames,
                "lost": heard.lost,
                "concealed": heard.concealed_samples.div_ceil(FRAME_SAMPLES as u64),
                "late": heard.late,
                "file": file,
            });
            (user.to_string(), value)
        })
        .collect();
    let sent = &stats.sent;
    json!({
        "user": user.to_string(),
        "privacy_code": code,
        "epoch": epoch,
        "dave_version": latest.version.unwrap_or(stats.dave_version),
        "mode": stats.mode.map(|mode| mode.name()),
        "sent": {
            "packets": sent.packets,
            "bytes": sent.bytes,
            "silence": sent.silence,
            "dropped": sent.dropped,
            "no_key": sent.no_key,
        },
        "heard": heard,
        "closed": closed,
    })
}

fn parse() -> Result<Args, Box<dyn Error>> {
    use lexopt::prelude::{Long, ValueExt};
    let mut text: std::collections::HashMap<&'static str, String> = std::collections::HashMap::new();
    let mut config = Config::default();
    let (mut play, mut delay, mut record, mut secs, mut json) = (Vec::new(), Duration::ZERO, None, None, false);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("endpoint") => drop(text.insert("endpoint", parser.value()?.string()?)),
            Long("guild") => drop(text.insert("guild", parser.value()?.string()?)),
            Long("channel") => drop(text.insert("channel", parser.value()?.string()?)),
            Long("user") => drop(text.insert("user", parser.value()?.string()?)),
            Long("session") => drop(text.insert("session", parser.value()?.string()?)),
            Long("token") => drop(text.insert("token", parser.value()?.string()?)),
            Long("ca") => {
                let path = PathBuf::from(parser.value()?);
                let pem = std::fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
                config = config.ca(Some(pem));
            }
            Long("plain-ws") => config = config.plain_ws(true),
            Long("play") => play.push(parser.value()?.into()),
            Long("delay") => delay = seconds(parser.value()?.parse()?)?,
            Long("record") => record = Some(parser.value()?.into()),
            Long("secs") => secs = Some(seconds(parser.value()?.parse()?)?),
            Long("json") => json = true,
            other => return Err(other.unexpected().into()),
        }
    }
    let mut take = |name: &str| text.remove(name).ok_or_else(|| format!("--{name} is missing"));
    let info = ConnectionInfo {
        endpoint: take("endpoint")?,
        guild: take("guild")?.parse().map_err(|_| "--guild is no id")?,
        channel: take("channel")?.parse().map_err(|_| "--channel is no id")?,
        user: take("user")?.parse().map_err(|_| "--user is no id")?,
        session: take("session")?,
        token: take("token")?.into(),
    };
    Ok(Args { info, config, play, delay, record, secs, json })
}

fn seconds(seconds: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(seconds).map_err(|error| format!("{seconds} is no number of seconds: {error}"))
}
