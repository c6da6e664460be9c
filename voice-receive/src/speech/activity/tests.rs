use std::time::{Duration, Instant};

use voice_model::{FRAME, RtpTime, SILENCE_FRAME, Ssrc};

use super::{Activity, Change};
use crate::speech::Sensitivity;
use crate::{Heard, Kind, Mix};

/// An Opus packet of 20 ms (CELT, full band) whose content does not matter here.
const PACKET: [u8; 4] = [0xFC, 1, 2, 3];

struct Person {
    activity: Activity,
    now: Instant,
    time: u32,
}

impl Person {
    #[expect(clippy::disallowed_methods, reason = "time goes on from here by itself")]
    fn new() -> Self {
        Self { activity: Activity::new(Sensitivity::default()), now: Instant::now(), time: 48_000 }
    }

    fn pass(&mut self) {
        self.now += FRAME;
        self.time += 960;
    }

    fn packet(&mut self, frame: &[u8], flags: Option<u8>) -> Option<Change> {
        let change = self.activity.packet(self.now, RtpTime(self.time), frame, flags);
        self.pass();
        change
    }

    fn heard(&mut self, amplitude: f32, kind: Kind) -> Option<Change> {
        let pcm = [amplitude; 1920];
        let heard = Heard {
            ssrc: Ssrc(1),
            time: RtpTime(self.time),
            seq: None,
            kind,
            mix: Mix::default(),
            pcm: &pcm,
            packet: &[],
            samples: 960,
            depth: Duration::ZERO,
        };
        let change = self.activity.heard(self.now, &heard);
        self.pass();
        change
    }
}

#[test]
fn packets_start_speech_and_silence_frames_end_it() {
    let mut person = Person::new();
    assert_eq!(person.packet(&SILENCE_FRAME, None), None);
    assert_eq!(person.packet(&PACKET, None), Some(Change::Started(RtpTime(48_960))));
    assert_eq!(person.packet(&PACKET, None), None);
    assert_eq!(person.packet(&SILENCE_FRAME, None), Some(Change::Stopped(RtpTime(48_000 + 3 * 960))));
    assert_eq!(person.packet(&SILENCE_FRAME, None), None);
    assert_eq!(person.activity.poll_timeout(), None);
}

#[test]
fn flags_and_discontinuous_transmission_end_speech() {
    for (frame, flags) in [(&PACKET[..], Some(0)), (&[0xFC][..], None)] {
        let mut person = Person::new();
        assert_eq!(person.packet(&PACKET, Some(1)), Some(Change::Started(RtpTime(48_000))));
        assert_eq!(person.packet(frame, flags), Some(Change::Stopped(RtpTime(48_960))));
    }
}

#[test]
fn a_gap_ends_speech_and_loss_does_not() {
    let mut person = Person::new();
    person.packet(&PACKET, None);
    (0..8).for_each(|_| person.pass());
    assert_eq!(person.activity.handle_timeout(person.now), None);
    assert_eq!(person.packet(&PACKET, None), None, "still the same speech");
    let due = person.activity.poll_timeout().expect("it speaks");
    assert_eq!(person.activity.handle_timeout(due), Some(Change::Stopped(RtpTime(48_000 + 10 * 960))));
}

#[test]
fn padding_and_garbage_say_nothing() {
    let mut person = Person::new();
    for frame in [&[][..], &[0xE3, 0]] {
        assert_eq!(person.packet(frame, None), None);
    }
    assert!(!person.activity.is_speaking());
}

#[test]
fn silent_packets_of_a_camera_are_no_speech_once_they_are_heard() {
    let mut person = Person::new();
    assert_eq!(person.heard(0.0, Kind::Received), None);
    for _ in 0..100 {
        assert_eq!(person.packet(&PACKET, None), None);
        assert_eq!(person.heard(0.0, Kind::Received), None);
    }
    let start = person.time;
    assert_eq!(person.heard(0.2, Kind::Received), Some(Change::Started(RtpTime(start))));
    for _ in 0..14 {
        assert_eq!(person.heard(0.0, Kind::Received), None, "a short pause within speech");
    }
    assert_eq!(person.heard(0.0, Kind::Received), Some(Change::Stopped(RtpTime(start + 960))));
}

#[test]
fn speech_that_is_heard_ends_when_it_is_given_out_not_when_its_end_arrives() {
    let mut person = Person::new();
    person.heard(0.2, Kind::Received);
    assert_eq!(person.packet(&SILENCE_FRAME, None), None, "what came before it is still buffered");
    let end = person.time + 960;
    assert_eq!(person.heard(0.2, Kind::Concealed), None);
    assert_eq!(person.heard(0.0, Kind::Silence), Some(Change::Stopped(RtpTime(end))));
}
