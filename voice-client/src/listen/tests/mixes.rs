//! Everybody in one.

use std::time::Duration;

use model::FRAME;
use receive::Kind;

use super::stage::{Stage, drain, user};
use crate::listen::listener::Change;
use crate::listen::{Format, ListenOptions, Mode, Sound, Users, Who};

const SECONDS: Duration = Duration::from_secs(20);

fn mix() -> ListenOptions {
    ListenOptions::default().mix(true)
}

fn of(sounds: &[Sound], id: u64) -> Vec<&Sound> {
    sounds.iter().filter(|sound| sound.users() == [user(id)]).collect()
}

#[test]
fn case_10_two_users_are_summed_sample_by_sample_and_one_is_as_alone() {
    let mut stage = Stage::new();
    let (each, both) = (stage.listen(ListenOptions::default()), stage.listen(mix()));
    // As long as the encoder's look-ahead fits into the tenth packet.
    stage.speak(2, 20, 440.0, 0.3, Duration::from_millis(190));
    stage.speak(3, 30, 700.0, 0.3, Duration::from_millis(190));
    stage.run(40);
    let (each, both) = (drain(&each), drain(&both));
    let (one, other) = (of(&each, 2), of(&each, 3));
    assert!(one.len() >= 10 && one.len() == other.len() && one.len() == both.len(), "{} {}", one.len(), both.len());
    for ((one, other), both) in one.iter().zip(&other).zip(&both) {
        assert_eq!(one.at, both.at, "in the same tick");
        assert_eq!(both.users(), [user(2), user(3)]);
        let mut sum = one.f32().iter().zip(other.f32()).map(|(one, other)| one + other);
        assert!(both.f32().iter().all(|sample| Some(*sample) == sum.next()));
    }
    assert!(both.windows(2).all(|pair| pair[1].time.since(pair[0].time) == 960));

    let mut stage = Stage::new();
    let (each, both) = (stage.listen(ListenOptions::default()), stage.listen(mix()));
    stage.speak(2, 20, 440.0, 0.9, SECONDS);
    stage.run(50);
    let (alone, mixed) = (drain(&each), drain(&both));
    assert_eq!(alone.len(), mixed.len());
    assert!(alone.iter().zip(&mixed).all(|(alone, mixed)| alone.f32() == mixed.f32()), "unity gain, bit by bit");
    assert!(mixed.iter().all(|sound| matches!(sound.who, Who::Mix(_)) && sound.seq.is_none()));
}

#[test]
fn many_loud_users_stay_within_full_scale() {
    let mut stage = Stage::new();
    let loud = (2..=9).map(|id| (user(id), 2.0)).collect();
    let ear = stage.listen(mix().gains(loud));
    for id in 2..=9 {
        stage.speak(id, 10 * id as u32, 300.0 + 70.0 * id as f64, 0.6, SECONDS);
    }
    stage.run(50);
    let heard = drain(&ear);
    assert!(heard.iter().all(|sound| sound.f32().iter().all(|sample| sample.abs() <= 1.0)));
    let peak = heard.iter().flat_map(|sound| sound.f32()).fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    assert!(peak > 0.9, "and reach it: {peak}");
}

#[test]
fn who_is_off_or_filtered_is_not_in_it() {
    let mut stage = Stage::new();
    let format = Mode::Pcm(Format::SPEECH);
    let ear = stage.listen(mix().mode(format).users(Users::AllBut([user(4)].into())));
    stage.change(&ear, Change::UserMode(user(3), Some(Mode::Off)));
    for id in 1..=5 {
        stage.speak(id, 10 * id as u32, 300.0, 0.1, SECONDS);
    }
    stage.run(20);
    let heard = drain(&ear);
    assert!(
        heard.len() >= 15 && heard.iter().all(|sound| sound.users() == [user(2), user(5)] && sound.i16().len() == 320)
    );
    stage.change(&ear, Change::UserMode(user(3), Some(Mode::Opus)));
    stage.run(1);
    stage.run(10);
    assert!(
        drain(&ear).last().is_some_and(|sound| sound.users() == [user(2), user(3), user(5)]),
        "in or not is the choice"
    );
}

#[test]
fn nobody_speaks_then_nothing_comes_but_from_a_continuous_mix() {
    let mut stage = Stage::new();
    let (plain, steady) = (stage.listen(mix()), stage.listen(mix().continuous(true)));
    let start = stage.now;
    stage.wait(Duration::from_millis(1_003));
    assert!(drain(&plain).is_empty());
    assert_eq!(drain(&steady).len(), 50);
    // Whatever the phase in which somebody begins.
    stage.speak(2, 20, 440.0, 0.5, Duration::from_millis(500));
    stage.run(50);
    let spoken = drain(&plain);
    assert!((25..=40).contains(&spoken.len()), "{}", spoken.len());
    stage.wait(Duration::from_secs(1));
    let heard = drain(&steady);
    assert_eq!(heard.len() + 50, ((stage.now - start).as_millis() / FRAME.as_millis()) as usize);
    assert!(heard.windows(2).all(|pair| pair[1].time.since(pair[0].time) == 960 && pair[1].at - pair[0].at == FRAME));
    let (quiet, loud): (Vec<_>, Vec<_>) = heard.iter().partition(|sound| sound.users().is_empty());
    assert_eq!(loud.len(), spoken.len());
    assert!(quiet.iter().all(|sound| sound.kind == Kind::Silence && sound.f32().iter().all(|sample| *sample == 0.0)));

    steady.pause().expect("it listens");
    stage.change(&steady, Change::Phase);
    stage.wait(Duration::from_secs(1));
    assert!(drain(&steady).is_empty(), "nothing while it is paused");
    assert_eq!(stage.inbound.poll_tick(), None, "and no timer");
    steady.resume().expect("it is paused");
    stage.change(&steady, Change::Phase);
    stage.wait(Duration::from_secs(1));
    assert_eq!(drain(&steady).len(), 50);
}

#[test]
fn time_of_a_mix_runs_on_while_nobody_speaks() {
    let mut stage = Stage::new();
    let ear = stage.listen(mix());
    stage.speak(2, 20, 440.0, 0.5, Duration::from_millis(200));
    stage.run(30);
    stage.wait(Duration::from_secs(3));
    stage.speak(3, 30, 440.0, 0.5, Duration::from_millis(200));
    stage.run(30);
    let heard = drain(&ear);
    for pair in heard.windows(2) {
        let (samples, elapsed) = (pair[1].time.since(pair[0].time), pair[1].at - pair[0].at);
        assert!((f64::from(samples) / 48_000.0 - elapsed.as_secs_f64()).abs() <= 0.021, "{samples} in {elapsed:?}");
    }
    assert!(heard.windows(2).any(|pair| pair[1].time.since(pair[0].time) > 100_000));
}
