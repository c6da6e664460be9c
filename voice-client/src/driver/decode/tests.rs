use std::collections::BTreeMap;

use crypto::{Backend, Key, MAX_OVERHEAD, Mode, Sealer};
use model::{FRAME, FRAME_SAMPLES, RtpTime, SAMPLE_RATE, Seq, UserId};
use receive::Heard;

use super::*;
use crate::config::Config;
use crate::media::{AudioPacket, InboundSettings, Session, Speech, Update};

const SPEAKERS: u32 = 40;
const KEY: [u8; 32] = [7; 32];
const HEADER: usize = 12;

/// Everything of everybody, in the order in which it came.
#[derive(Default)]
struct Ears {
    heard: BTreeMap<UserId, Vec<(RtpTime, Vec<f32>)>>,
    order: Vec<UserId>,
}

impl Sink for Ears {
    fn audio(&mut self, _now: Instant, user: UserId, heard: &Heard<'_>) {
        self.heard.entry(user).or_default().push((heard.time, heard.pcm.to_vec()));
        self.order.push(user);
    }

    fn packet(&mut self, _packet: &AudioPacket<'_>) {}

    fn speech(&mut self, _speech: Speech) {}
}

/// A call, and what comes to it.
struct Call {
    inbound: Inbound,
    sealer: Sealer,
    now: Instant,
    packets: Vec<Vec<u8>>,
    beat: u32,
}

impl Call {
    fn new(now: Instant) -> Self {
        let mode = Mode::Aes256GcmRtpsize;
        let mut inbound = Inbound::new(InboundSettings::from(&Config::default()));
        let key = || Key::new(KEY);
        let session = Session { ssrc: Ssrc(1), mode, key: key(), seq: Seq(0), time: RtpTime(0), encrypted: false };
        let mut ears = Ears::default();
        inbound.update(now, &Update::Session(session), &mut ears);
        for number in 1..=SPEAKERS {
            let user = UserId::new(number.into()).expect("not 0");
            inbound.update(now, &Update::Speaker { ssrc: Ssrc(1_000 + number), user }, &mut ears);
        }
        let mut encoder =
            opus::Encoder::new(SAMPLE_RATE, opus::Channels::Stereo, opus::Application::Audio).expect("an encoder");
        let mut packet = |number: u32| {
            let wave = |at: usize| 0.3 * (at as f32 * 0.02 * (1 + number % 5) as f32).sin();
            let pcm: Vec<f32> = (0..2 * FRAME_SAMPLES).map(wave).collect();
            encoder.encode_vec_float(&pcm, 1_000).expect("a packet")
        };
        let packets = (0..50).map(&mut packet).collect();
        Self { inbound, sealer: Sealer::new(mode, &key(), Backend::AwsLc), now, packets, beat: 0 }
    }

    /// 20 ms of everybody; some packets are lost.
    fn receive(&mut self, ears: &mut Ears) {
        for number in 1..=SPEAKERS {
            if (self.beat + number).is_multiple_of(17) {
                continue;
            }
            let opus = &self.packets[((self.beat + number) % 50) as usize];
            let mut packet = vec![0; HEADER + opus.len() + MAX_OVERHEAD];
            packet[..2].copy_from_slice(&[0x80, 0x78]);
            packet[2..4].copy_from_slice(&(self.beat as u16).to_be_bytes());
            packet[4..8].copy_from_slice(&(self.beat * FRAME_SAMPLES as u32).to_be_bytes());
            packet[8..HEADER].copy_from_slice(&(1_000 + number).to_be_bytes());
            packet[HEADER..][..opus.len()].copy_from_slice(opus);
            let len = self.sealer.seal_rtp(&mut packet, HEADER, opus.len()).expect("there is room");
            self.inbound.handle_datagram(self.now, &mut packet[..len], ears);
        }
        self.beat += 1;
        self.now += FRAME;
    }

    fn play_out(&mut self, play_out: &mut PlayOut, ears: &mut Ears) {
        let ticked = play_out.tick(&mut self.inbound, self.now, ears);
        block_on(ticked);
    }
}

/// Runs a future on this thread.
fn block_on(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(future);
}

#[test]
fn what_threads_decode_is_what_the_call_would_have_decoded_by_itself() {
    let (alone, spread) = (Decoders::new(1), Decoders::new(3));
    let start = now();
    let mut heard = [Ears::default(), Ears::default()];
    for (ears, (decoders, is_spread)) in heard.iter_mut().zip([(&alone, false), (&spread, true)]) {
        let (mut call, mut play_out) = (Call::new(start), decoders.play_out());
        for _ in 0..60 {
            call.receive(ears);
            // As if it had become so expensive, and cheaper, and dear again.
            let cost = [10, 1, 3, 0, 2][call.beat as usize % 5] * BUSY;
            (play_out.spread, play_out.cost) = (is_spread, if is_spread { cost } else { Duration::ZERO });
            call.play_out(&mut play_out, ears);
        }
        // Nobody is active for a while.
        for _ in 0..40 {
            call.now += FRAME;
            (play_out.spread, play_out.cost) = (is_spread, 10 * BUSY);
            call.play_out(&mut play_out, ears);
        }
    }
    let [alone_heard, spread_heard] = heard;
    assert_eq!(alone_heard.heard.len(), SPEAKERS as usize);
    assert!(alone_heard.heard == spread_heard.heard, "bit by bit");
    assert_eq!(alone_heard.order, spread_heard.order);
    assert_eq!(lock(&alone.shared.pool).threads, 0, "none before it is needed");
    assert!((1..=3).contains(&lock(&spread.shared.pool).threads));
}

#[test]
fn threads_end_with_their_client() {
    let decoders = Decoders::new(2);
    let shared = decoders.shared.clone();
    let (mut call, mut play_out, mut ears) = (Call::new(now()), decoders.play_out(), Ears::default());
    for _ in 0..5 {
        call.receive(&mut ears);
        (play_out.spread, play_out.cost) = (true, 10 * BUSY);
        call.play_out(&mut play_out, &mut ears);
    }
    assert!(lock(&shared.pool).threads > 0);
    drop(decoders);
    while lock(&shared.pool).threads > 0 {
        thread::yield_now();
    }
    // A call that outlives it plays out by itself.
    let before = ears.order.len();
    call.receive(&mut ears);
    play_out.spread = true;
    call.play_out(&mut play_out, &mut ears);
    assert_eq!(ears.order.len(), before + SPEAKERS as usize);
}

#[test]
fn calls_that_cannot_keep_up_are_helped_until_they_can() {
    let mut play_out = Decoders::new(4).play_out();
    play_out.note(Duration::from_millis(15));
    assert!(!play_out.spread, "once is no trend");
    (0..10).for_each(|_| play_out.note(Duration::from_millis(15)));
    assert!(play_out.spread);
    (0..50).for_each(|_| play_out.note(Duration::from_millis(5)));
    assert!(play_out.spread, "it would soon be too much again");
    (0..50).for_each(|_| play_out.note(Duration::from_millis(1)));
    assert!(!play_out.spread);
}

#[test]
fn shares_are_as_many_as_are_worth_it() {
    let millis = Duration::from_millis;
    assert_eq!(shares(millis(30), 1_000, 64), 10);
    assert_eq!(shares(millis(30), 1_000, 4), 4);
    assert_eq!(shares(millis(30), 2, 4), 2);
    assert_eq!(shares(Duration::ZERO, 0, 4), 1);
}
