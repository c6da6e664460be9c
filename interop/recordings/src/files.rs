//! A short call, recorded in every way at once: two speak, the second with pauses, over a link that loses packets.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;
use voice_client::layer::receive::record::Wav;
use voice_client::source::file::File as Sound;
use voice_client::{Gaps, MixFormat, RecordFormat, Recorder, RecorderConfig, Rotate, repair_recording};
use voice_loopback::Impairment;

use crate::Outcome;
use crate::killed::Killed;
use crate::room::{Room, encrypted, tone};

const LINK: Impairment = Impairment {
    latency: Duration::from_millis(20),
    jitter: Duration::from_millis(15),
    loss: 0.02,
    reorder: 0.01,
    duplicate: 0.01,
};
/// Between two tones of the second speaker: the gaps of its track.
const PAUSE: Duration = Duration::from_millis(1_700);
/// After the first tone; then the program is killed.
const BEFORE_THE_END: Duration = Duration::from_secs(4);
/// Whatever is under way arrives.
const ARRIVES: Duration = Duration::from_secs(1);
/// Beyond 4 GiB, in samples: seven hours.
const HUGE: u64 = 7 * 3_600 * 48_000;

/// Every way that ends well, by the name of its folder.
fn ways(folder: &Path) -> [RecorderConfig; 7] {
    let way = |name: &str, format| RecorderConfig::new(folder.join(name)).format(format);
    let parts = |name: &str, format, bytes| way(name, format).rotate(Some(Rotate::Bytes(bytes)));
    [
        way("ogg-filled", RecordFormat::OggOpus).mix(Some(MixFormat::Wav)),
        way("ogg-gaps", RecordFormat::OggOpus).gaps(Gaps::Real).mix(Some(MixFormat::Flac)),
        way("wav", RecordFormat::Wav).mix(Some(MixFormat::Wav)),
        way("flac", RecordFormat::Flac).mix(Some(MixFormat::Flac)),
        parts("ogg-parts", RecordFormat::OggOpus, 24_000).gaps(Gaps::Real).mix(Some(MixFormat::Flac)),
        parts("wav-parts", RecordFormat::Wav, 400_000),
        parts("flac-parts", RecordFormat::Flac, 100_000),
    ]
}

/// Fills the folder.
pub(crate) async fn record(folder: &Path) -> Outcome {
    let room = Room::open(folder, LINK).await?;
    let (first, second, listener) = (room.join(201).await?, room.join(202).await?, room.join(203).await?);
    for call in [&first, &second, &listener] {
        encrypted(call).await?;
    }
    let mut recorders = Vec::new();
    for config in ways(folder) {
        recorders.push(Recorder::start(&listener, config.overwrite(true)).await?);
    }
    let killed = Killed::start(folder, &room).await?;

    let song = first.play(Sound::new(tone("tone-600hz.opus.ogg")));
    let ding = || second.play(Sound::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/ding-48k-mono.wav")));
    ding().ended().await;
    sleep(PAUSE).await;
    ding().ended().await;
    sleep(BEFORE_THE_END.saturating_sub(PAUSE)).await;
    killed.kill().await?;
    song.ended().await;
    // Parts are ten seconds long at least.
    let song = first.play(Sound::new(tone("tone-600hz.opus.ogg")));
    ding().ended().await;
    song.ended().await;
    sleep(ARRIVES).await;
    for recorder in recorders {
        let recording = recorder.stop().await?;
        let is_parted = recording.folder.to_string_lossy().ends_with("parts");
        if recording.files.values().any(|files| files.len() > 1) != is_parted {
            return Err(format!("{}: not as many files as there should be", recording.folder.display()).into());
        }
        let heard = recording.report.users.values().filter(|user| user.track.packets > 50).count();
        if heard != 2 || recording.missed > 0 {
            return Err(
                format!("{}: {heard} of 2 speakers, {} missed", recording.folder.display(), recording.missed).into()
            );
        }
    }
    for call in [first, second, listener] {
        call.leave().await;
    }
    room.server.shutdown().await;

    for way in crate::killed::WAYS {
        let folder = folder.join(way);
        if repair_recording(&folder)?.is_empty() {
            return Err(format!("{}: there was nothing to repair", folder.display()).into());
        }
    }
    huge(&folder.join("wav-huge"))
}

/// A file of silence that needs RF64's long sizes: nearly all of it is a hole, which takes no room on the disk.
fn huge(folder: &Path) -> Outcome {
    std::fs::create_dir_all(folder)?;
    let mut wav = Wav::new(File::create(folder.join("1.wav"))?)?;
    wav.silence(HUGE)?;
    let (bytes, seconds) = (wav.bytes(), HUGE as f64 / 48_000.0);
    wav.finish()?;
    let file = serde_json::json!({ "name": "1.wav", "start": 0.0, "duration": seconds, "bytes": bytes });
    let session = serde_json::json!({ "users": { "1": { "files": [file] } }, "mix": [] });
    std::fs::write(folder.join("session.json"), session.to_string())?;
    Ok(())
}
