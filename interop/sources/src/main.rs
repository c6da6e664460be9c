//! `interop-sources FFMPEG YTDLP PYTHON TONES` has FFmpeg make files and streams of a tone, Python's own web server serve them,
//! yt-dlp find them there, and our sources play them all: each must come out as that tone, whole.

mod heard;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use voice_client::layer::mixer::Source;
use voice_client::source::hls::Hls;
use voice_client::source::http::Http;
use voice_client::source::process::Process;
use voice_client::source::ytdlp::YtDlp;

use heard::Heard;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// The tone, and how long it lasts.
const PITCH: usize = 455;
const LENGTH: Duration = Duration::from_secs(6);
/// What an encoder and its frames may add or take.
const SLACK: Duration = Duration::from_millis(150);
/// Where a seek goes.
const LATER: Duration = Duration::from_secs(4);

/// What FFmpeg makes of the tone: a name, and how.
const FILES: [(&str, &[&str]); 6] = [
    ("tone.mp3", &["-c:a", "libmp3lame"]),
    ("tone.m4a", &["-c:a", "aac", "-movflags", "+faststart"]),
    ("tone.opus", &["-c:a", "libopus"]),
    ("tone.webm", &["-c:a", "libopus"]),
    ("tone.flac", &["-c:a", "flac"]),
    ("tone.ogg", &["-c:a", "libvorbis"]),
];
const STREAMS: [(&str, &[&str]); 3] = [
    ("segments.m3u8", &[]),
    ("fragments.m3u8", &["-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "fragments.mp4"]),
    ("secret.m3u8", &["-hls_key_info_file", "key.info"]),
];

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [ffmpeg, ytdlp, python, tones] = &arguments[..] else {
        return Err("interop-sources FFMPEG YTDLP PYTHON TONES".into());
    };
    let tone = tones.join("tone-455hz.wav");
    let folder = tempfile::tempdir()?;
    make(ffmpeg, &tone, folder.path()).await?;

    let play = |input: &Path| Process::ffmpeg(input).binary(ffmpeg);
    check("ffmpeg", play(&tone), Duration::ZERO).await?;
    check("ffmpeg, from 4 s", play(&tone), LATER).await?;
    let gone = Heard::of(play(&folder.path().join("nothing.wav")), Duration::ZERO).await.err().ok_or("it played")?;
    says(&gone, "No such file")?;

    let server = Server::start(python, folder.path()).await?;
    for (name, _) in FILES {
        check(name, Http::new(server.address(name)), Duration::ZERO).await?;
        // Python's server knows no ranges.
        check(&format!("{name}, from 4 s"), Http::new(server.address(name)), LATER).await?;
    }
    for (name, _) in STREAMS {
        check(name, Hls::new(server.address(name)), Duration::ZERO).await?;
        check(&format!("{name}, from 4 s"), Hls::new(server.address(name)), LATER).await?;
    }

    let find = |name: &str| YtDlp::new(server.address(name)).binary(ytdlp);
    for name in ["tone.mp3", "segments.m3u8"] {
        let resolved = find(name).resolve().await?;
        let stem = name.split('.').next();
        if resolved.metadata.title.as_deref() != stem {
            return Err(format!("yt-dlp says that {name} is {resolved:?}").into());
        }
        check(&format!("yt-dlp {name}"), find(name), Duration::ZERO).await?;
    }
    let found = find("tone.mp3").playlist(5).await?;
    if found.len() != 1 {
        return Err(format!("yt-dlp finds {} pieces in one file", found.len()).into());
    }
    check("yt-dlp, what it found", find("tone.mp3").of(&found[0]), Duration::ZERO).await?;
    let gone = find("nothing.mp3").resolve().await.err().ok_or("yt-dlp found nothing.mp3")?;
    says(&gone, "404")
}

async fn make(ffmpeg: &Path, tone: &Path, folder: &Path) -> Outcome {
    std::fs::write(folder.join("secret.key"), [7; 16])?;
    std::fs::write(folder.join("key.info"), "secret.key\nsecret.key\n")?;
    let hls: &[&str] = &["-c:a", "aac", "-f", "hls", "-hls_time", "2", "-hls_playlist_type", "vod"];
    let files = FILES.iter().map(|(name, how)| (*name, how.to_vec()));
    let streams = STREAMS.iter().map(|(name, how)| (*name, [hls, *how].concat()));
    for (name, how) in files.chain(streams) {
        let mut command = Command::new(ffmpeg);
        command.current_dir(folder).args(["-nostdin", "-loglevel", "error", "-i"]).arg(tone).args(how).arg(name);
        if !command.status().await?.success() {
            return Err(format!("FFmpeg makes no {name}").into());
        }
    }
    Ok(())
}

/// Plays it, and wants the tone from there to its end.
async fn check(what: &str, source: impl Source + 'static, from: Duration) -> Outcome {
    let heard = Heard::of(source, from).await.map_err(|error| format!("{what}: {error}"))?;
    let (pitch, length, wanted) = (heard.pitch(), heard.length(), LENGTH - from);
    println!("{what}: {pitch} Hz, {:.3} s", length.as_secs_f64());
    // The middle second has one period more or less, by where it begins.
    if pitch.abs_diff(PITCH) > 1 || length.abs_diff(wanted) > SLACK {
        return Err(format!("{what}: {pitch} Hz for {length:?} instead of {PITCH} Hz for {wanted:?}").into());
    }
    Ok(())
}

fn says(error: &impl ToString, words: &str) -> Outcome {
    let text = error.to_string();
    println!("as it should be: {text}");
    if text.contains(words) { Ok(()) } else { Err(format!("`{text}` does not say {words:?}").into()) }
}

/// Python's web server.
struct Server {
    _child: Child,
    port: u16,
}

impl Server {
    async fn start(python: &Path, folder: &Path) -> Outcome<Self> {
        let mut command = Command::new(python);
        command.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]).current_dir(folder);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line).await?;
        let port = line.split_whitespace().skip_while(|word| *word != "port").nth(1);
        let port = port.and_then(|port| port.parse().ok()).ok_or_else(|| format!("Python's server says {line:?}"))?;
        Ok(Self { _child: child, port })
    }

    fn address(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}", self.port)
    }
}
