use std::net::UdpSocket;
use std::sync::Arc;

use opus2::{Application, Bitrate, Channels, Encoder};
use songbird::constants::STEREO_FRAME_SIZE;
use songbird::driver::bench_internals::mixer::Mixer;
use songbird::driver::bench_internals::track_context;
use songbird::driver::{Listeners, MockScheduler};
use songbird::input::codecs::{get_codec_registry, get_probe};
use songbird::input::{AudioStream, Input, LiveInput, RawAdapter};
use songbird::test_utils::make_sine;
use songbird::tracks::Track;
use tokio::runtime::Handle;

use crate::Outcome;
use crate::endless::Endless;
use crate::signal::{self, FRAME_FLOATS, in_stretches};

/// Bytes of a passthrough packet: 64 kbit/s.
const PACKET: usize = 160;

/// What a DCA file must say of itself.
const ABOUT: &str = r#"{"dca":{"version":1,"tool":{"name":"","version":""}},
"opus":{"mode":"music","sample_rate":48000,"frame_size":960,"abr":64000,"vbr":false,"channels":2}}"#;

/// What is played.
#[derive(Clone, Copy)]
pub enum Tune {
    /// Each track as loud as its source, which clips.
    Sine,
    /// Together as loud as one.
    Chord,
    /// The chord, encoded.
    Opus,
}

impl Tune {
    pub fn named(name: &str) -> Outcome<Self> {
        match name {
            "sine" => Ok(Self::Sine),
            "tune" => Ok(Self::Chord),
            "opus" => Ok(Self::Opus),
            _ => Err(format!("{name:?} is no signal").into()),
        }
    }

    /// Float samples, or packets with their lengths before them.
    pub fn bytes(self) -> Outcome<Vec<u8>> {
        match self {
            Self::Sine => Ok(make_sine(10 * STEREO_FRAME_SIZE, true)),
            Self::Chord => Ok(signal::bytes(&signal::tune())),
            Self::Opus => packets(),
        }
    }

    fn input(self, bytes: Arc<[u8]>) -> Input {
        match self {
            Self::Sine | Self::Chord => RawAdapter::new(Endless::new(Vec::new(), bytes), 48_000, 2).into(),
            Self::Opus => {
                let head =
                    [b"DCA1".as_slice(), &u32::try_from(ABOUT.len()).unwrap_or(0).to_le_bytes(), ABOUT.as_bytes()];
                Input::Live(LiveInput::Raw(AudioStream { input: Box::new(Endless::new(head.concat(), bytes)) }), None)
            }
        }
    }

    fn volume(self, tracks: usize) -> f32 {
        if matches!(self, Self::Chord) { 1.0 / tracks as f32 } else { 1.0 }
    }
}

fn packets() -> Outcome<Vec<u8>> {
    let mut encoder = Encoder::new(48_000, Channels::Stereo, Application::Audio)?;
    encoder.set_bitrate(Bitrate::Bits((PACKET * 8 * 50) as i32))?;
    encoder.set_vbr(false)?;
    let mut bytes = Vec::new();
    for frame in signal::tune().chunks(FRAME_FLOATS) {
        let packet = encoder.encode_vec_float(frame, PACKET)?;
        bytes.extend(u16::try_from(packet.len())?.to_le_bytes());
        bytes.extend(packet);
    }
    Ok(bytes)
}

/// One call on a worker that does not sleep.
pub struct Mixing {
    worker: MockScheduler,
    /// Where its events go: somebody must have them.
    listeners: Vec<Listeners>,
    /// As the call's own.
    bare: UdpSocket,
    /// What the call sends.
    packet: Vec<u8>,
}

impl Mixing {
    pub fn start(handle: &Handle, tune: Tune, tracks: usize) -> Outcome<Self> {
        let (mut mixer, listeners) = Mixer::mock(handle.clone(), true);
        let bytes: Arc<[u8]> = tune.bytes()?.into();
        for _ in 0..tracks {
            let Input::Live(live, _) = tune.input(bytes.clone()) else { return Err("a lazy input".into()) };
            let live = live.promote(get_codec_registry(), get_probe())?;
            let (_, context) = track_context(Track::from(Input::Live(live, None)).volume(tune.volume(tracks)));
            mixer.add_track(context).map_err(|error| format!("{error:?}"))?;
        }
        let sink = UdpSocket::bind("127.0.0.1:0")?;
        let own = UdpSocket::bind("127.0.0.1:0")?;
        own.connect(sink.local_addr()?)?;
        mixer.conn_active.as_mut().ok_or("a call without a connection")?.udp_tx = own;
        let bare = UdpSocket::bind("127.0.0.1:0")?;
        let (mut worker, listeners) = MockScheduler::from_mixers(None, vec![(mixer, listeners)]);
        // The first packet is read; those after it are not.
        worker.core.run_once();
        let mut packet = vec![0; 2_048];
        sink.set_nonblocking(true)?;
        let len = sink.recv(&mut packet).map_err(|error| format!("a tick sent nothing: {error}"))?;
        packet.truncate(len);
        let sink = Box::leak(Box::new(sink));
        bare.connect(sink.local_addr()?)?;
        Ok(Self { worker, listeners, bare, packet })
    }

    /// Nanoseconds of a tick, and of a send alone.
    pub fn run(&mut self, ticks: u32) -> Outcome<(f64, f64)> {
        let tick = in_stretches(ticks.into(), || _ = self.worker.core.run_once());
        let mut failed = None;
        let send = in_stretches(ticks.into(), || failed = failed.take().or(self.bare.send(&self.packet).err()));
        if let Some(error) = failed {
            return Err(error.into());
        }
        for (core, events) in &self.listeners {
            if let Ok(message) = core.try_recv() {
                drop(message);
                return Err("the call has lost its connection: nothing was measured".into());
            }
            events.drain().for_each(drop);
        }
        let each = |time: std::time::Duration| time.as_secs_f64() * 1e9 / f64::from(ticks);
        Ok((each(tick), each(send)))
    }
}
