use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use voice_model::{FRAME, FRAME_SAMPLES, RtpTime, SILENCE_FRAME, Seq, Ssrc};
use voice_receive::{Config, Decode, Receiver, Rendered, Speaker};

use crate::input::Input;
use crate::start;

/// Speakers kept; one more SSRC is tried.
const SPEAKERS: usize = 3;
/// Operations of one input: each may decode a packet.
const MOST: usize = 400;
/// A tick may be due this long before now, where ticks are being caught up.
const CATCH_UP: Duration = Duration::from_millis(120);

/// Operations on a receiver: packets of any order, length and content, ticks late and early, modes that change, speakers
/// that are away, forgotten, too many.
///
/// # Panics
///
/// When an invariant does not hold.
pub fn jitter_ops(data: &[u8]) {
    let mut input = Input::new(data);
    input.byte();
    let config = Config::default().max_speakers(SPEAKERS).max_packets(16 << input.below(3));
    let mut world = World {
        receiver: Receiver::new(config),
        now: start(),
        streams: [(0, 0); SPEAKERS + 1],
        pushed: 0,
        away: Vec::new(),
        modes: BTreeMap::new(),
    };
    let mut done = 0;
    while !input.is_empty() && done < MOST {
        world.step(&mut input);
        world.check();
        done += 1;
    }
    world.finish();
}

struct World {
    receiver: Receiver,
    now: Instant,
    /// The latest sequence number and timestamp of each stream.
    streams: [(u16, u32); SPEAKERS + 1],
    pushed: u64,
    away: Vec<Speaker>,
    modes: BTreeMap<Ssrc, Decode>,
}

impl World {
    fn step(&mut self, input: &mut Input) {
        let operation = input.byte();
        let number = usize::from(operation >> 4) % (SPEAKERS + 1);
        let ssrc = Ssrc(number as u32);
        match operation & 0x0F {
            // The next packet of a stream.
            0..=4 => self.push(number, 1, 960, input),
            5 => {
                let (ahead, time) = (input.byte() as i8, i32::from(input.byte() as i8) * 960);
                self.push(number, ahead.into(), time, input);
            }
            6 => {
                let (ahead, time) = (input.short() as i16, i32::from(input.short() as i16) * 61_441);
                self.push(number, ahead, time, input);
            }
            7..=9 => self.tick(),
            10 => self.now += Duration::from_micros(u64::from(input.byte()) * 500),
            11 => self.now += Duration::from_millis(u64::from(input.short())),
            12 => {
                let decode = [Decode::Off, Decode::Packets, Decode::Pcm, Decode::Both][input.below(4)];
                self.receiver.set_decode(ssrc, decode);
                self.modes.insert(ssrc, decode);
            }
            13 => {
                self.receiver.forget(ssrc);
                self.modes.remove(&ssrc);
            }
            14 => self.receiver.take_due(self.now, &mut self.away),
            _ => self.give_back(),
        }
    }

    fn push(&mut self, number: usize, ahead: i16, time: i32, input: &mut Input) {
        let (seq, stamp) = &mut self.streams[number];
        *seq = seq.wrapping_add_signed(ahead);
        *stamp = stamp.wrapping_add_signed(time);
        let choice = input.byte();
        let frame = match choice & 7 {
            // Real packets of 2.5 to 20 ms, and of 60 ms: the range decoder takes any bytes.
            0..=2 => [&[0xFC - (choice & 0x18)], input.take(usize::from(choice >> 3) + 3)].concat(),
            3 => [&[0x58 | choice >> 6], input.take(12)].concat(),
            4 => SILENCE_FRAME.to_vec(),
            5 => Vec::new(),
            6 => vec![0xF8; usize::from(choice) * 40],
            _ => input.bytes().to_vec(),
        };
        let (ssrc, seq, time) = (Ssrc(number as u32), Seq(*seq), RtpTime(*stamp));
        self.receiver.push(self.now, ssrc, seq, time, &frame);
        self.pushed += 1;
    }

    fn tick(&mut self) {
        let mut seen = BTreeMap::<Ssrc, usize>::new();
        let modes = &self.modes;
        self.receiver.tick(self.now, &mut |heard| {
            check_heard(&heard, modes);
            *seen.entry(heard.ssrc).or_default() += usize::from(!heard.pcm.is_empty());
        });
        assert!(seen.values().all(|frames| *frames <= 1), "20 ms a tick");
        self.now += FRAME;
    }

    /// As a worker does it.
    fn give_back(&mut self) {
        let mut rendered = Rendered::new();
        for speaker in &mut self.away {
            speaker.tick(self.now, &mut |heard| rendered.keep(&heard));
        }
        for heard in rendered.iter() {
            assert!(heard.pcm.is_empty() || heard.pcm.len() == 2 * FRAME_SAMPLES);
        }
        self.receiver.give_back(self.now, self.away.drain(..));
        self.now += FRAME;
    }

    fn check(&self) {
        assert!(self.receiver.speakers().count() <= SPEAKERS);
        let mut counted = 0;
        for (_, stats) in self.receiver.speakers() {
            counted += stats.received + stats.duplicate;
            assert!(stats.depth <= Duration::from_secs(16), "{:?}", stats.depth);
        }
        assert!(counted <= self.pushed, "{counted} packets of {}", self.pushed);
        if let Some(due) = self.receiver.poll_timeout() {
            assert!(due <= self.now + FRAME, "nobody waits for longer than a tick");
        }
    }

    /// Nobody stays active for ever.
    fn finish(&mut self) {
        self.give_back();
        for _ in 0..2_000 {
            let Some(due) = self.receiver.poll_timeout() else { return };
            assert!(self.now < due + CATCH_UP || due <= self.now, "no timeout lies too far back");
            self.tick();
        }
        panic!("still active after 40 s");
    }
}

fn check_heard(heard: &voice_receive::Heard<'_>, modes: &BTreeMap<Ssrc, Decode>) {
    assert!(heard.pcm.is_empty() || heard.pcm.len() == 2 * FRAME_SAMPLES && heard.samples == FRAME_SAMPLES as u32);
    assert!(heard.pcm.iter().all(|sample| sample.is_finite()), "{heard:?}");
    assert!(heard.samples > 0 && heard.samples <= 5_760);
    match modes.get(&heard.ssrc).copied().unwrap_or(Decode::Pcm) {
        Decode::Off => panic!("nothing is wanted of {:?}", heard.ssrc),
        Decode::Packets => assert!(heard.pcm.is_empty()),
        Decode::Pcm => assert!(heard.packet.is_empty()),
        _ => assert!(heard.pcm.is_empty() || heard.packet.is_empty()),
    }
}
