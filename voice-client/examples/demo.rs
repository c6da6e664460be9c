//! The whole stack at work: a voice server on this machine, a bot that plays every file of `assets/`, another one that
//! hears it over a link with jitter and loss, end-to-end encrypted, and a report on whether what was heard is what was
//! sent; then a page about every effect.
//!
//! Writes the recordings, `report.html` and `effects.html` to the folder `demo` of cargo's target folder; fails when something was not
//! heard as it was sent.
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "demo/analysis.rs"]
mod analysis;
#[path = "demo/effects.rs"]
mod effects;
#[path = "demo/listen.rs"]
mod listen;
#[path = "demo/plot.rs"]
mod plot;
#[path = "demo/reference.rs"]
mod reference;
#[path = "demo/report.rs"]
mod report;
#[path = "demo/spectrum.rs"]
mod spectrum;

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use listen::Ears;
use loopback::{Impairment, Loopback, Options};
use report::{Clip, MarkKind, Report};
use voice_client::layer::receive::record::Wav;
use voice_client::{
    Call, ChannelId, Client, Config, ConnectionInfo, E2ee, EncoderSettings, ExpectedLoss, GuildId, RecordFormat,
    Recorder, RecorderConfig, TrackEnd, UserId, VoiceServerUpdate, VoiceStateUpdate, source,
};

const SEED: u64 = 2_026;
const LINK: Impairment = Impairment {
    latency: Duration::from_millis(20),
    jitter: Duration::from_millis(15),
    loss: 0.01,
    reorder: 0.0,
    duplicate: 0.0,
};
/// How long the files were made, in seconds, whoever decodes them; AAC adds its priming.
const LENGTHS: [(&str, f64); 8] = [
    ("arpeggio-48k-stereo.flac", 3.0),
    ("bells-44k-mono.wav", 3.0),
    ("chorale-44k-mono-vorbis.ogg", 3.2),
    ("ding-48k-mono.wav", 0.4),
    ("fanfare-48k-mono-opus.webm", 3.1),
    ("march-48k-stereo-opus.ogg", 3.1),
    ("music-box-44k-stereo.m4a", 3.2),
    ("waltz-44k-stereo.mp3", 3.1),
];
const GUILD: u64 = 100_000_000_000_000_001;
const CHANNEL: u64 = 300_000_000_000_000_001;
const PLAYER: u64 = 200_000_000_000_000_001;
const LISTENER: u64 = 200_000_000_000_000_002;
/// Of what is sent: more than the link loses by chance is lost by us.
const MOST_LOST: f64 = 0.05;
/// How long two bots may take to have an encrypted group.
const GROUP: Duration = Duration::from_secs(10);
/// After a file: the end of speech, the link and the jitter buffer.
const AFTERMATH: Duration = Duration::from_millis(400);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the demo failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<bool> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the crate has no parent folder")?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    let out = target.join("demo");
    std::fs::create_dir_all(&out)?;

    let server = Loopback::start(Options::default().outgoing(LINK).seed(SEED)).await?;
    let ca = server.ca_pem().map(|pem| pem.as_bytes().to_vec());
    let encoder = EncoderSettings::default().expected_loss(ExpectedLoss::Percent(5));
    let config = Config::default().ca(ca).encoder(encoder).audio_queue(1_024).e2ee(E2ee::Required);
    let client = Client::new(config);
    let player = client.join(info(&server, PLAYER).await?).await?;
    let listener = client.join(info(&server, LISTENER).await?).await?;
    let codes = [privacy_code(&player).await?, privacy_code(&listener).await?];
    println!("the player sees the privacy code   {}", spaced(&codes[0]));
    println!("the listener sees the privacy code {}", spaced(&codes[1]));
    let recording = RecorderConfig::new(out.join("recording")).format(RecordFormat::Wav).overwrite(true);
    let recorder = Recorder::start(&listener, recording).await?;
    let mut ears = Ears { audio: listener.audio(), arrivals: listener.arrivals() };

    println!("playing {} files over {}", files(&workspace.join("assets"))?.len(), describe(&LINK));
    let mut clips = Vec::new();
    for path in files(&workspace.join("assets"))? {
        let clip = play(&player, &mut ears, &path, &out).await?;
        println!("{}", line(&clip));
        clips.push(clip);
    }
    let mut report = conclude(&client, &player, &listener, clips, &codes).await?;
    recorder.stop().await?;
    listener.leave().await;
    player.leave().await;
    server.shutdown().await;

    report.failures.extend(show_effects(&workspace.join("assets"), &out)?);
    std::fs::write(out.join("report.html"), report::html(&report))?;
    for failure in &report.failures {
        println!("{failure}");
    }
    let verdict = if report.ok() { "what was heard is what was sent" } else { "what was heard is NOT what was sent" };
    println!("{verdict}; {}", report.summary);
    Ok(report.ok())
}

/// Plays one file and compares what came out at the other end.
async fn play(player: &Call, ears: &mut Ears, path: &Path, out: &Path) -> Result<Clip> {
    let (sent, format) = reference::decode(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let known = LENGTHS.iter().find(|(known, _)| *known == name);
    if let Some((_, seconds)) = known
        && (analysis::seconds(sent.len() / 2) - seconds).abs() > 0.06
    {
        return Err(format!("{name} is {seconds} s long, {} s were decoded", analysis::seconds(sent.len() / 2)).into());
    }
    let track = player.play(source::file::File::new(path));
    let mut end = None;
    let heard = ears
        .listen(async {
            end = Some(track.ended().await);
            tokio::time::sleep(AFTERMATH).await;
        })
        .await;
    if let Some(TrackEnd::Failed(error)) = end {
        return Err(error.into());
    }
    let pcm = heard.pcm();
    let mut verdict = analysis::compare(&sent, &pcm, &heard.replaced());
    let marks = heard.marks();
    let count = |wanted: &[MarkKind]| marks.iter().filter(|mark| wanted.contains(&mark.kind)).count();
    let (lost, replaced) = (count(&[MarkKind::Lost]), count(&[MarkKind::Concealed, MarkKind::Fec]));
    // A lost packet that begins within a frame touches two of them.
    if replaced > 2 * lost {
        verdict.reasons.push(format!("{replaced} frames were made up for {lost} lost packets"));
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let (sent_file, heard_file) = (format!("{stem}.sent.wav"), format!("{stem}.heard.wav"));
    write(&out.join(&sent_file), &sent)?;
    write(&out.join(&heard_file), &pcm)?;
    Ok(Clip {
        numbers: vec![("packets".into(), heard.packets().to_string())],
        arrivals: heard.arrivals(),
        depth: heard.depth(),
        sent_file: Some(sent_file),
        heard_file: Some(heard_file),
        heard: pcm,
        name,
        format,
        sent,
        verdict,
        marks,
    })
}

async fn conclude(
    client: &Client,
    player: &Call,
    listener: &Call,
    clips: Vec<Clip>,
    codes: &[String; 2],
) -> Result<Report> {
    let sent = player.stats().await.ok_or("the player's call is over")?;
    let stats = listener.stats().await.ok_or("the listener's call is over")?;
    let heard = stats.heard.values().next().copied().ok_or("nobody was heard")?;
    let clock = client.clock_stats();
    let mut failures = Vec::new();
    if stats.received.consumer_lost > 0 {
        failures.push(format!("{} frames were lost by the demo itself", stats.received.consumer_lost));
    }
    if heard.lost as f64 > MOST_LOST * sent.sent.packets as f64 {
        failures.push(format!("{} of {} packets were lost, more than the link loses", heard.lost, sent.sent.packets));
    }
    if codes[0] != codes[1] {
        failures.push("the bots see different privacy codes: somebody is between them".into());
    }
    if sent.sent.sealed != sent.sent.packets || stats.received.opened != stats.received.packets {
        failures.push("not everything was end-to-end encrypted".into());
    }
    let millis = |samples: u64| format!("{} ms", samples / 48);
    let numbers = [
        ("sent", format!("{} packets", sent.sent.packets)),
        ("received", format!("{} packets", stats.received.packets)),
        ("lost", format!("{} packets", heard.lost)),
        ("restored", millis(heard.fec_samples)),
        ("concealed", millis(heard.concealed_samples)),
        ("late", format!("{} packets", heard.late)),
        ("jitter (RFC 3550)", format!("{:.1} ms", 1_000.0 * heard.jitter.as_secs_f64())),
        ("worst send", format!("{:.2} ms late", 1_000.0 * clock.worst.as_secs_f64())),
        ("sealed end to end", format!("{} packets", sent.sent.sealed)),
        ("opened end to end", format!("{} packets", stats.received.opened)),
        ("privacy code, player", spaced(&codes[0])),
        ("privacy code, listener", spaced(&codes[1])),
    ];
    let mode = stats.mode.map_or("none", |mode| mode.name());
    let summary = format!(
        "{} of {} packets lost, {} restored, {} concealed; {mode}, DAVE version {}",
        heard.lost, sent.sent.packets, numbers[3].1, numbers[4].1, stats.dave_version
    );
    Ok(Report {
        title: "Played by one bot, heard by another".into(),
        summary: format!("{summary}; {}", describe(&LINK)),
        numbers: numbers.map(|(label, value)| (label.to_owned(), value)).into(),
        failures,
        clips,
        effects: Some("effects.html".into()),
    })
}

/// Renders a song through every effect, and writes the page about it; returns what is wrong with it.
fn show_effects(assets: &Path, out: &Path) -> Result<Vec<String>> {
    let path = effects::song(assets);
    let (song, _) = reference::decode(&path)?;
    std::fs::create_dir_all(out.join("effects"))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (page, failures) = effects::page(&song, &name, |name, pcm| {
        let file = format!("effects/{name}.wav");
        write(&out.join(&file), pcm)?;
        Ok(file)
    })?;
    std::fs::write(out.join("effects.html"), page)?;
    Ok(failures)
}

/// The code of the encrypted group that the call is in, as soon as it is in one.
async fn privacy_code(call: &Call) -> Result<String> {
    let encrypted = tokio::time::timeout(GROUP, call.encrypted()).await;
    let encryption = encrypted.map_err(|_| format!("no encrypted group within {GROUP:?}"))?;
    Ok(encryption.and_then(|it| it.privacy_code).ok_or("the call ended before it was encrypted")?)
}

/// In groups of five digits, as clients show it.
fn spaced(code: &str) -> String {
    let groups: Vec<String> = code.as_bytes().chunks(5).map(|group| String::from_utf8_lossy(group).into()).collect();
    groups.join(" ")
}

fn line(clip: &Clip) -> String {
    let verdict = &clip.verdict;
    let lost = clip.marks.iter().filter(|mark| mark.kind == MarkKind::Lost).count();
    let ok = if verdict.ok() { "ok".to_owned() } else { verdict.reasons.join("; ") };
    format!(
        "{:30} {:.1} s  correlation {:.3}  level {:+.2} dB  lost {lost:2}  {ok}",
        clip.name,
        clip.seconds(),
        verdict.correlation,
        verdict.level_difference_db,
    )
}

fn describe(link: &Impairment) -> String {
    let (latency, jitter) = (link.latency.as_millis(), link.jitter.as_millis());
    format!("a link with {latency} ms latency, {jitter} ms jitter and {} % loss, seed {SEED}", 100.0 * link.loss)
}

/// Every playable file of the folder, in the order of their names.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if matches!(extension, "wav" | "flac" | "mp3" | "ogg" | "m4a" | "webm") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn write(path: &Path, pcm: &[f32]) -> Result<()> {
    let mut wav = Wav::new(BufWriter::new(File::create(path)?))?;
    wav.write(pcm)?;
    wav.finish()?;
    Ok(())
}

/// Plays the main gateway's part: what a bot is told when it asks to join.
async fn info(server: &Loopback, user: u64) -> Result<ConnectionInfo> {
    let user = UserId::new(user).ok_or("no user")?;
    let guild = GuildId::new(GUILD).ok_or("no guild")?;
    let channel = ChannelId::new(CHANNEL).ok_or("no channel")?;
    let updates = server.updates(user, guild, channel).await;
    let state = VoiceStateUpdate::from_json(&updates.state)?;
    let update = VoiceServerUpdate::from_json(&updates.server)?;
    let endpoint = update.endpoint.ok_or("no endpoint")?;
    Ok(ConnectionInfo { endpoint, guild, channel, user, session: state.session, token: update.token })
}
