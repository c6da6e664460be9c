//! songbird's mixer beside ours: the same signals, settings and machine, in a program of its own (`songbird/`).

use std::time::Duration;

use voice_client::EncoderSettings;

use crate::Outcome;
use crate::playing::{AHEAD, BareEncoder, Piece, Playing};
use crate::program::{self, Program};
use crate::row::{Figure, Row, Wanted};
use crate::signal::{bytes, hash, sine, tune};
use crate::source::frames;
use crate::suite::{Side, Suite};
use crate::tick::ONE_TRACK;

const PEER: &str = "songbird 0.6.1";
const TIME: Duration = Duration::from_secs(3);

/// songbird's settings, which its users cannot change: 128 kbit/s, and libopus's own complexity.
fn settings() -> EncoderSettings {
    EncoderSettings::default().bitrate(voice_client::Bitrate::Bits(128_000)).complexity(9).fec(false)
}

pub fn run(suite: &mut Suite) -> Outcome {
    let pcm = ["sine", "tune"].into_iter().flat_map(|signal| [1, 4, 16, 64].map(|tracks| (signal, tracks)));
    let names: Vec<_> = pcm.map(|(signal, tracks)| (format!("songbird/{signal}-{tracks}"), signal, tracks)).collect();
    let passthrough = "songbird/passthrough";
    if !suite.wants(passthrough) && !names.iter().any(|(name, ..)| suite.wants(name)) {
        return Ok(());
    }
    let mut peer = Peer::start()?;
    println!("songbird: {} there, {} here", peer.about, opus::version());
    for (name, signal, tracks) in names {
        if suite.wants(&name) {
            compare(suite, &mut peer, name, signal, tracks)?;
        }
    }
    if suite.wants(passthrough) {
        // Each plays what its own libopus made of the tune: what is in a packet costs nothing, and all are as long.
        let mut ours = Playing::passthrough()?;
        let sides: [&mut dyn Side; 2] = [&mut |times| ours.run(times), &mut |times| peer.run("opus", 1, times)];
        let [mine, other] = suite.compare(passthrough, TIME, sides);
        ours.check();
        suite.push(Row::new(passthrough, Figure::Time(mine.median())).peer(PEER, other.median()));
    }
    Ok(())
}

fn compare(suite: &mut Suite, peer: &mut Peer, name: String, signal: &str, tracks: usize) -> Outcome {
    // Sines are as loud as their source, and clip together; what is mixed then is not what the bare encoder gets.
    let (samples, volume) = if signal == "sine" { (sine(), 1.0) } else { (tune(), 1.0 / tracks as f32) };
    peer.plays(signal, hash(bytes(&samples)))?;
    let piece = Piece { frames: frames(&samples).into(), volume, encoder: settings() };
    let mut ours = Playing::pcm(tracks, &piece, AHEAD, false);
    let mut limit = BareEncoder::new(&piece)?;
    let sides: [&mut dyn Side; 3] =
        [&mut |times| ours.run(times), &mut |times| peer.run(signal, tracks, times), &mut |times| limit.run(times)];
    let [mine, other, limit] = suite.compare(&name, TIME, sides);
    ours.check();
    let row = Row::new(name, Figure::Time(mine.median())).peer(PEER, other.median());
    suite.push(match (signal, tracks) {
        ("sine", 1) => row.limit(limit.median()).wanted(ONE_TRACK),
        ("sine", 16) => row.wanted(Wanted::OfPeer(0.78)),
        ("sine", 64) => row.wanted(Wanted::OfPeer(0.47)),
        ("sine", _) => row,
        _ => row.limit(limit.median()),
    });
    Ok(())
}

/// The other program.
struct Peer {
    program: Program,
    about: String,
}

impl Peer {
    fn start() -> Outcome<Self> {
        let program = program::build("songbird/Cargo.toml", "voice-bench-songbird")?;
        let mut program = Program::start(program, &[])?;
        let about = program.hear()?;
        Ok(Self { program, about })
    }

    fn ask(&mut self, order: &str) -> Outcome<String> {
        self.program.tell(order)?;
        self.program.hear()
    }

    /// Whether it plays what we do.
    fn plays(&mut self, signal: &str, ours: u64) -> Outcome {
        let theirs = self.ask(&format!("signal {signal}"))?;
        if theirs == format!("{ours:016x}") { Ok(()) } else { Err(format!("songbird's {signal} is not ours").into()) }
    }

    /// Time of so many ticks without their sends.
    fn run(&mut self, signal: &str, tracks: usize, ticks: u64) -> Duration {
        let answer = self.ask(&format!("run {signal} {tracks} {ticks}")).expect("songbird plays");
        let (tick, send) = answer.split_once(' ').expect("two figures");
        let nanos = |text: &str| text.parse::<f64>().expect("nanoseconds");
        Duration::from_secs_f64((nanos(tick) - nanos(send)).max(1.0) * ticks as f64 * 1e-9)
    }
}
