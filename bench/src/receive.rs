//! One packet of an encrypted call from the socket's buffer to the jitter buffer: parse, open both seals, push.

use std::time::{Duration, Instant};

use voice_client::layer::crypto::{Backend, Key, MAX_OVERHEAD, Mode, Sealer as TransportSealer};
use voice_client::layer::dave::{self, Codec, Sealer, Secret};
use voice_client::layer::model::{FRAME, FRAME_SAMPLES, RtpTime, Seq, Ssrc};
use voice_client::layer::receive::{self, Decode, Heard};
use voice_client::media::{AudioPacket, Inbound, InboundSettings, Session, Sink, Speech, Update};
use voice_client::{Config, UserId};

use crate::Outcome;
use crate::row::{Figure, Row, Wanted};
use crate::suite::Suite;

const NAME: &str = "receive/dave";
const SPEAKERS: u32 = 50;
/// Bytes of Opus.
const FRAME_LEN: usize = 160;
const HEADER: usize = 12;
const KEY: [u8; 32] = [7; 32];
const TIME: Duration = Duration::from_secs(2);

pub fn run(suite: &mut Suite) -> Outcome {
    if !suite.wants(NAME) {
        return Ok(());
    }
    let mut call = Call::start();
    let [ours] = suite.compare(NAME, TIME, [&mut |times| call.run(times)]);
    let received = call.inbound.received();
    if received.packets != call.packets || received.opened != call.packets {
        return Err(format!("{} packets came: {received:?}", call.packets).into());
    }
    suite.push(Row::new(NAME, Figure::Time(ours.median())).wanted(Wanted::AtMost(450.0)));
    Ok(())
}

/// Many who speak at the same time, and one who listens.
struct Call {
    inbound: Inbound,
    now: Instant,
    speakers: Vec<Speaker>,
    transport: TransportSealer,
    /// Of the beat to come.
    seq: Seq,
    time: RtpTime,
    packets: u64,
}

struct Speaker {
    ssrc: Ssrc,
    sealer: Sealer,
    packet: Vec<u8>,
    len: usize,
}

/// Hears nothing: playing out is not measured.
struct Deaf;

impl Sink for Deaf {
    fn audio(&mut self, _: Instant, _: UserId, _: &Heard<'_>) {}
    fn packet(&mut self, _: &AudioPacket<'_>) {}
    fn speech(&mut self, _: Speech) {}
}

impl Call {
    fn start() -> Self {
        let (now, mode) = (Instant::now(), Mode::Aes256GcmRtpsize);
        let config = Config::default().receive(receive::Config::default().decode(Decode::Packets));
        let mut inbound = Inbound::new(InboundSettings::from(&config));
        let session =
            Session { ssrc: Ssrc(1), mode, key: Key::new(KEY), seq: Seq(0), time: RtpTime(0), encrypted: true };
        inbound.update(now, &Update::Session(session), &mut Deaf);
        let mut speaker = |number: u32| {
            let (user, ssrc) = (UserId::new(u64::from(number)).expect("not 0"), Ssrc(1_000 + number));
            let secret = Secret::new([number as u8; _]);
            inbound.update(now, &Update::Speaker { ssrc, user }, &mut Deaf);
            let expect = dave::Update::Expect { user, secret: secret.clone(), retire: now };
            inbound.update(now, &Update::Dave(expect), &mut Deaf);
            let mut sealer = Sealer::new();
            sealer.install(&secret);
            let room = HEADER + Sealer::max_len(Codec::Opus, FRAME_LEN) + MAX_OVERHEAD;
            Speaker { ssrc, sealer, packet: vec![0; room], len: 0 }
        };
        let speakers = (1..=SPEAKERS).map(&mut speaker).collect();
        let transport = TransportSealer::new(mode, &Key::new(KEY), Backend::AwsLc);
        Self { inbound, now, speakers, transport, seq: Seq(0), time: RtpTime(0), packets: 0 }
    }

    /// Time of so many packets; sealing and playing out are not part of it.
    fn run(&mut self, times: u64) -> Duration {
        let (mut left, mut time) = (times, Duration::ZERO);
        while left > 0 {
            let count = left.min(SPEAKERS.into());
            self.seal(count as usize);
            let start = Instant::now();
            for speaker in &mut self.speakers[..count as usize] {
                self.inbound.handle_datagram(self.now, &mut speaker.packet[..speaker.len], &mut Deaf);
            }
            time += start.elapsed();
            left -= count;
            self.packets += count;
            self.now += FRAME;
            self.inbound.handle_timeout(self.now, &mut Deaf);
            self.inbound.tick(self.now, &mut Deaf);
        }
        time
    }

    /// The packets of one beat.
    fn seal(&mut self, count: usize) {
        for Speaker { ssrc, sealer, packet, len } in &mut self.speakers[..count] {
            packet[..2].copy_from_slice(&[0x80, 0x78]);
            packet[2..4].copy_from_slice(&self.seq.0.to_be_bytes());
            packet[4..8].copy_from_slice(&self.time.0.to_be_bytes());
            packet[8..HEADER].copy_from_slice(&ssrc.0.to_be_bytes());
            packet[HEADER..HEADER + FRAME_LEN].fill(0x5A);
            let sealed = sealer.seal(Codec::Opus, &mut packet[HEADER..], FRAME_LEN).expect("there is a secret");
            *len = self.transport.seal_rtp(packet, HEADER, sealed).expect("there is room");
        }
        self.seq = Seq(self.seq.0.wrapping_add(1));
        self.time = RtpTime(self.time.0.wrapping_add(FRAME_SAMPLES as u32));
    }
}
