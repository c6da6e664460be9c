use std::thread;

use voice_model::{RtpTime, SILENCE_FRAME, Seq, Ssrc};
use voice_receive::{Decode, Kind, Receiver, Speaker};

use crate::script::{SSRC, Script, Tone, fixed};

/// The same stream, ticked in place or on another thread.
fn play(elsewhere: bool) -> Script {
    let packets = Tone::new(440.0).packets(40);
    let mut script = Script::new(fixed());
    script.elsewhere = elsewhere;
    for (number, packet) in packets.iter().enumerate().filter(|(number, _)| number % 7 != 3) {
        for ssrc in [Ssrc(9), SSRC, Ssrc(4)] {
            script.receiver.push(script.now, ssrc, Seq(number as u16), RtpTime(960 * number as u32), packet);
        }
        script.tick();
    }
    script.end(40, 960 * 40);
    script
}

#[test]
fn a_speaker_sounds_the_same_wherever_it_is_ticked() {
    let (here, there) = (play(false), play(true));
    assert!(here.heard.len() > 120);
    assert_eq!(here.heard, there.heard);
    assert_eq!(here.stats(), there.stats());
}

fn away(script: &mut Script) -> Vec<Speaker> {
    let mut due = Vec::new();
    script.receiver.take_due(script.now, &mut due);
    due
}

fn ticked(script: &Script, mut due: Vec<Speaker>) -> (Vec<Speaker>, Vec<Kind>) {
    let (now, mut kinds) = (script.now, Vec::new());
    thread::scope(|scope| {
        scope.spawn(|| due.iter_mut().for_each(|speaker| speaker.tick(now, &mut |heard| kinds.push(heard.kind))));
    });
    (due, kinds)
}

#[test]
fn what_happens_to_a_speaker_that_is_away_happens_when_it_is_back() {
    let packets = Tone::new(440.0).packets(20);
    let mut script = Script::new(fixed());
    for number in 0..8 {
        script.push(number, 960 * u32::from(number), &packets[usize::from(number)]);
    }
    let due = away(&mut script);
    assert_eq!(due.iter().map(Speaker::ssrc).collect::<Vec<_>>(), [SSRC]);
    script.push(8, 960 * 8, &packets[8]);
    script.receiver.set_decode(SSRC, Decode::Packets);
    assert_eq!(script.stats().received, 8);
    assert!(away(&mut script).is_empty(), "it is away already");
    assert!(script.receiver.poll_timeout().is_some());
    let (due, kinds) = ticked(&script, due);
    assert_eq!(kinds, [Kind::Received]);
    script.receiver.give_back(script.now, due);
    assert_eq!(script.stats().received, 9);
    script.tick();
    assert_eq!(script.heard[0].packet, packets[1]);
}

#[test]
fn packets_for_a_speaker_that_stays_away_are_bounded() {
    let mut script = Script::new(fixed());
    script.push(0, 0, &SILENCE_FRAME);
    let due = away(&mut script);
    for number in 1..10_000 {
        script.push(number, 960 * u32::from(number), &SILENCE_FRAME);
    }
    script.receiver.give_back(script.now, due);
    assert_eq!(script.stats().received, 129);
}

#[test]
fn a_forgotten_speaker_is_dropped_when_it_comes_back() {
    let mut script = Script::new(fixed());
    script.push(0, 0, &SILENCE_FRAME);
    let due = away(&mut script);
    script.receiver.forget(SSRC);
    assert_eq!((script.receiver.stats(SSRC), script.receiver.poll_timeout()), (None, None));
    // One with the same SSRC begins; it is away as well when the old one returns.
    script.push(5, 0, &SILENCE_FRAME);
    let newer = away(&mut script);
    script.receiver.give_back(script.now, due);
    assert_eq!(script.receiver.speakers().count(), 1);
    script.receiver.give_back(script.now, newer);
    assert_eq!(script.stats().received, 1);
    script.drain();
}

#[test]
fn the_schedule_goes_on_while_speakers_are_away_and_ends_when_all_are_idle() {
    let mut script = Script::new(fixed());
    script.push(0, 0, &SILENCE_FRAME);
    let mut rounds = 0;
    while let Some(due) = script.receiver.poll_timeout() {
        script.now = due;
        let speakers = away(&mut script);
        assert!(script.receiver.poll_timeout().expect("somebody is away") > due);
        let (speakers, _) = ticked(&script, speakers);
        script.receiver.give_back(script.now, speakers);
        rounds += 1;
        assert!(rounds < 20);
    }
    assert!(rounds > 1);
}

#[test]
fn speakers_that_are_away_are_evicted_last() {
    let mut script = Script::new(fixed().max_speakers(2));
    script.push(0, 0, &SILENCE_FRAME);
    let due = away(&mut script);
    let now = script.now;
    let push = |receiver: &mut Receiver, ssrc| receiver.push(now, Ssrc(ssrc), Seq(0), RtpTime(0), &SILENCE_FRAME);
    push(&mut script.receiver, 1);
    push(&mut script.receiver, 2);
    assert_eq!(script.receiver.speakers().map(|(ssrc, _)| ssrc).collect::<Vec<_>>(), [Ssrc(2), SSRC]);
    let others = away(&mut script);
    push(&mut script.receiver, 3);
    assert_eq!(script.receiver.speakers().count(), 2);
    script.receiver.give_back(script.now, due.into_iter().chain(others));
    assert_eq!(script.receiver.speakers().count(), 2);
    script.drain();
}
