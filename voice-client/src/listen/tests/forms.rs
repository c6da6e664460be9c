//! Whom a listener hears, in which form, how loud.

use std::time::Duration;

use model::Ssrc;
use receive::{Decode, Kind};
use udp::rtp::Header;

use super::stage::{Stage, amplitude, drain, user};
use crate::listen::listener::Change;
use crate::listen::{Channels, Content, Format, ListenOptions, Mode, Order, Rate, SampleKind, Users, Who};
use crate::media::Update;

const SECONDS: Duration = Duration::from_secs(20);

fn options() -> ListenOptions {
    ListenOptions::default()
}

/// Frequency of one channel by its zero crossings.
fn pitch(mono: &[f32], rate: u32) -> f64 {
    let crossings = mono.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
    crossings as f64 * f64::from(rate) / mono.len() as f64
}

#[test]
fn listeners_hear_the_same_user_each_in_a_form_of_its_own() {
    let mut stage = Stage::new();
    let plain = stage.listen(options());
    let opus = stage.listen(options().mode(Mode::Opus));
    let speech = stage.listen(options().mode(Mode::Pcm(Format::SPEECH)));
    let narrow = Format { rate: Rate::Hz8000, channels: Channels::Stereo, sample: SampleKind::F32 };
    let narrow_ear = stage.listen(options().mode(Mode::Pcm(narrow)));
    stage.speak(2, 20, 440.0, 0.5, SECONDS);
    stage.run(100);
    assert_eq!(stage.wants(2), Decode::Both);

    let (plain, speech, narrow_heard) = (drain(&plain), drain(&speech), drain(&narrow_ear));
    assert!(plain.len() > 90 && plain.len() == speech.len() && plain.len() == narrow_heard.len());
    for sound in &plain {
        assert!(matches!(&sound.who, Who::User { user: of, ssrc: Ssrc(20) } if *of == user(2)));
        assert_eq!((sound.users(), sound.samples, sound.f32().len()), (&[user(2)][..], 960, 1_920));
    }
    assert!(speech.iter().all(|sound| sound.i16().len() == 320 && sound.f32().is_empty() && sound.opus().is_empty()));
    assert!(
        narrow_heard
            .iter()
            .all(|sound| matches!(&sound.content, Content::F32(of, pcm) if *of == narrow && pcm.len() == 320))
    );
    for heard in [&plain, &speech, &narrow_heard] {
        assert!(heard.windows(2).all(|pair| pair[1].time.since(pair[0].time) == 960), "one after the other");
    }
    assert_eq!(plain[0].time.since(speech[0].time), 240, "5 ms later, and it says so");

    let settled = |pcm: Vec<f32>| pcm[pcm.len() / 5..].to_vec();
    let left = settled(plain.iter().flat_map(|sound| sound.f32().iter().step_by(2).copied()).collect());
    let spoken =
        settled(speech.iter().flat_map(|sound| sound.i16().iter().map(|x| f32::from(*x) / 32_767.0)).collect());
    let small = settled(narrow_heard.iter().flat_map(|sound| sound.f32().iter().step_by(2).copied()).collect());
    let loud = amplitude(left.iter().copied());
    assert!((loud - 0.5).abs() < 0.05, "{loud}");
    for (pcm, rate) in [(&left, 48_000), (&spoken, 16_000), (&small, 8_000)] {
        assert!((pitch(pcm, rate) - 440.0).abs() < 3.0, "{rate}: {}", pitch(pcm, rate));
        let level = amplitude(pcm.iter().copied());
        assert!((level - loud).abs() < 0.01 * loud, "{rate}: {level}, not {loud}");
    }

    // Opus is what was sent.
    let opus = drain(&opus);
    let sent: Vec<_> = stage.wire.iter().map(|packet| Header::read(packet).expect("RTP").seq).collect();
    let heard: Vec<_> = opus.iter().filter(|sound| !sound.opus().is_empty()).filter_map(|sound| sound.seq).collect();
    assert_eq!(heard, sent[..heard.len()], "in order, none missing");
    assert!(heard.len() > 90 && opus.iter().all(|sound| sound.f32().is_empty()));
    let mut decoder = opus::Decoder::new(48_000, ::opus::Channels::Stereo).expect("a decoder");
    let mut pcm = [0.0; 1_920];
    assert!(opus.iter().filter(|sound| sound.kind == Kind::Received).all(|sound| {
        decoder.decode_float(sound.opus(), &mut pcm, false).is_ok_and(|samples| samples == sound.samples as usize)
    }));
}

#[test]
fn only_what_somebody_wants_is_done() {
    let mut stage = Stage::new();
    stage.speak(2, 20, 440.0, 0.5, SECONDS);
    assert_eq!(stage.wants(2), Decode::Off, "nobody listens");
    let opus = stage.listen(options().mode(Mode::Opus));
    assert_eq!(stage.wants(2), Decode::Packets);
    let pcm = stage.listen(options().users(Users::Only([user(2)].into())));
    assert_eq!((stage.wants(2), stage.wants(3)), (Decode::Both, Decode::Packets));
    opus.pause().expect("it listens");
    stage.change(&opus, Change::Phase);
    assert_eq!((stage.wants(2), stage.wants(3)), (Decode::Pcm, Decode::Off));
    stage.run(20);
    assert!(drain(&opus).is_empty(), "what comes while it is paused is discarded");
    assert!(!drain(&pcm).is_empty());
    opus.resume().expect("it is paused");
    stage.change(&opus, Change::Phase);
    stage.run(20);
    let heard = drain(&opus);
    assert!((15..=25).contains(&heard.len()), "what came meanwhile is not there: {}", heard.len());
    pcm.stop().expect("it listens");
    stage.order(Order::End(pcm.clone()));
    assert!(pcm.is_over());
    assert_eq!(stage.wants(2), Decode::Packets);
}

#[test]
fn forms_change_while_somebody_speaks() {
    let mut stage = Stage::new();
    let ear = stage.listen(options().mode(Mode::Off));
    stage.speak(2, 20, 440.0, 0.5, SECONDS);
    stage.run(20);
    assert!(drain(&ear).is_empty());
    stage.change(&ear, Change::Mode(Mode::Opus));
    stage.run(20);
    let opus = drain(&ear);
    assert!(opus.len() >= 10 && opus.iter().all(|sound| matches!(sound.content, Content::Opus(_))));
    stage.change(&ear, Change::UserMode(user(2), Some(Mode::default())));
    stage.run(20);
    let pcm = drain(&ear);
    assert!(pcm.len() >= 10 && pcm.iter().all(|sound| sound.f32().len() == 1_920));
    let speech = Format { sample: SampleKind::F32, ..Format::SPEECH };
    stage.change(&ear, Change::UserMode(user(2), Some(Mode::Pcm(speech))));
    stage.run(20);
    let speech = drain(&ear);
    assert!(speech.len() >= 19 && speech.iter().all(|sound| sound.f32().len() == 320));
    stage.change(&ear, Change::UserMode(user(2), None));
    stage.run(20);
    assert!(drain(&ear).iter().all(|sound| matches!(sound.content, Content::Opus(_))));
}

#[test]
fn users_are_chosen_and_ours_is_left_out() {
    let mut stage = Stage::new();
    let everyone = stage.listen(options());
    let with_echo = stage.listen(options().echo(true));
    let only = stage.listen(options().users(Users::Only([user(3)].into())));
    let all_but = stage.listen(options().users(Users::AllBut([user(3)].into())));
    let one_off = stage.listen(options().user_modes([(user(2), Mode::Off), (user(3), Mode::Opus)].into()));
    for id in 1..=4 {
        stage.speak(id, 10 * id as u32, 440.0, 0.1, SECONDS);
    }
    stage.run(20);
    let heard = |listener| {
        let mut users: Vec<u64> = drain(listener).iter().map(|sound| sound.users()[0].get()).collect();
        users.sort_unstable();
        users.dedup();
        users
    };
    assert_eq!(heard(&everyone), [2, 3, 4]);
    assert_eq!(heard(&with_echo), [1, 2, 3, 4]);
    assert_eq!(heard(&only), [3]);
    assert_eq!(heard(&all_but), [2, 4]);
    let sounds = drain(&one_off);
    assert!(sounds.iter().all(|sound| sound.users() != [user(2)]));
    assert!(sounds.iter().all(|sound| sound.f32().is_empty() == (sound.users() == [user(3)])));
    stage.change(&only, Change::Users(Users::Everyone));
    stage.run(20);
    assert_eq!(heard(&only), [2, 3, 4]);
}

#[test]
fn gains_wait_for_their_users_and_change_without_a_step() {
    let mut stage = Stage::new();
    let (plain, ear) = (stage.listen(options()), stage.listen(options()));
    stage.change(&ear, Change::Gain(user(2), 0.5));
    stage.speak(2, 20, 100.0, 0.4, SECONDS);
    stage.run(50);
    let (whole, half) = (drain(&plain), drain(&ear));
    for (whole, half) in whole.iter().zip(&half) {
        assert!(
            whole.f32().iter().zip(half.f32()).all(|(whole, half)| *half == whole * 0.5),
            "from the first sample on"
        );
    }
    stage.change(&ear, Change::Gain(user(2), 2.0));
    stage.run(10);
    let (whole, loud) = (drain(&plain), drain(&ear));
    for (whole, loud) in whole.iter().zip(&loud).skip(1) {
        assert!(whole.f32().iter().zip(loud.f32()).all(|(whole, loud)| *loud == whole * 2.0), "there within one frame");
    }
    let left: Vec<f32> =
        half[half.len() - 1..].iter().chain(&loud).flat_map(|sound| sound.f32().iter().step_by(2).copied()).collect();
    let step = left.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
    let slope = 0.4 * 2.0 * std::f32::consts::TAU * 100.0 / 48_000.0;
    assert!(step < 2.0 * slope, "a step of {step}");
}

#[test]
fn a_slow_listener_loses_sounds_of_its_own_only() {
    let mut stage = Stage::new();
    let (slow, quick) = (stage.listen(options().queue(Some(5))), stage.listen(options()));
    stage.speak(2, 20, 440.0, 0.5, SECONDS);
    stage.run(50);
    let heard = drain(&quick);
    assert_eq!((slow.delivered(), slow.lost()), (5, heard.len() as u64 - 5));
    assert_eq!((quick.delivered(), quick.lost()), (heard.len() as u64, 0));
    assert_eq!(stage.taps.lost(), slow.lost());
    let oldest = drain(&slow);
    assert_eq!(oldest.len(), 5);
    assert!(oldest.iter().zip(&heard).all(|(slow, quick)| slow.time == quick.time), "the newest are dropped");
    stage.run(1);
    assert_eq!(slow.delivered(), 6, "there is room again");
    let lost = slow.lost();
    stage.order(Order::End(slow));
    assert_eq!(stage.taps.lost(), lost, "what it lost stays counted");
}

#[tokio::test]
async fn clones_share_one_queue_and_none_waits_in_vain() {
    let mut stage = Stage::new();
    let ear = stage.listen(options());
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            tokio::spawn({
                let ear = ear.clone();
                async move { ear.next().await }
            })
        })
        .collect();
    // So that all of them wait.
    tokio::task::yield_now().await;
    stage.speak(2, 20, 440.0, 0.5, SECONDS);
    stage.run(20);
    let mut times = Vec::new();
    for sound in waiting {
        let sound = tokio::time::timeout(SECONDS, sound).await.expect("there are sounds").expect("no panic");
        times.push(sound.expect("it is on").time.0);
    }
    times.sort_unstable();
    times.dedup();
    assert_eq!(times.len(), 3, "each sound goes to one of them");
    while ear.try_next().is_some() {}
    let waiting = tokio::spawn({
        let ear = ear.clone();
        async move { ear.next().await }
    });
    tokio::task::yield_now().await;
    stage.order(Order::End(ear));
    assert!(tokio::time::timeout(SECONDS, waiting).await.expect("it is over").expect("no panic").is_none());
}

#[test]
fn a_new_stream_of_a_user_is_heard_like_the_old_one() {
    let mut stage = Stage::new();
    let ear = stage.listen(options().mode(Mode::Pcm(Format::SPEECH)).gains([(user(2), 0.0)].into()));
    stage.speak(2, 20, 440.0, 0.5, Duration::from_millis(400));
    stage.run(60);
    stage.inbound.update(stage.now, &Update::Detach, &mut stage.taps);
    assert!(!stage.inbound.can_hear());
    stage.attach();
    assert!(stage.inbound.can_hear());
    stage.speak(2, 77, 440.0, 0.5, SECONDS);
    stage.run(20);
    let heard = drain(&ear);
    let ssrcs =
        |ssrc| heard.iter().filter(|sound| matches!(sound.who, Who::User { ssrc: of, .. } if of == Ssrc(ssrc))).count();
    assert!(ssrcs(20) >= 18 && ssrcs(77) >= 15);
    assert!(heard.iter().all(|sound| sound.i16().len() == 320 && sound.i16().iter().all(|sample| *sample == 0)));
}
