//! Playing in a certain way, and what can be changed meanwhile, as a second client hears it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use loopback::Config as Behaviour;
use support::ears::{heard, level, packets, pitched, steady, steps};
use support::{PATIENCE, config, event, pair, plain, sent, until, within};
use voice_client::effects::{ChannelMix, Effect, EffectError, LimiterSettings, Timescale, Volume};
use voice_client::layer::model::FRAME;
use voice_client::source::file::File;
use voice_client::source::generate::{Silence, Tone};
use voice_client::{
    Call, Client, Ducking, Event, GroupId, Loops, Phase, PlayOptions, Track, TrackEnd, TrackEvent, When,
};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A tone that is heard with an amplitude of 0.5, for ever.
fn tone() -> Tone {
    Tone::new(440.0, 0.5, None)
}

fn short(time: Duration) -> Tone {
    Tone::new(440.0, 0.5, Some(time))
}

async fn finished(track: &Track) {
    let end = within(PATIENCE, "its end", track.ended()).await;
    assert!(matches!(end, TrackEnd::Finished), "{end:?}");
}

/// Waits for the end of speech; returns how many packets there were that are not silence frames.
async fn spoken(call: &Call) -> u64 {
    let done = async || Some(sent(call).await).filter(|(_, silence)| *silence == 5);
    let (packets, silence) = until("the end of speech", done).await;
    packets - silence
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../voice-mixer/tests/fixtures").join(name)
}

fn left_only() -> Effect {
    Effect::ChannelMix(ChannelMix { right_to_right: 0.0, ..ChannelMix::default() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_track_begins_as_its_options_say() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, listener) = pair(&server, &client, 1).await;
    let (player, mut audio) = (talker.player(), listener.audio());
    let play = |options| player.play_with(tone(), options).unwrap();

    let track = play(PlayOptions::new().volume(0.2));
    steady(&mut audio, "a fifth of it", 0.08..0.12).await;
    track.stop();
    within(PATIENCE, "its end", track.ended()).await;

    let track = play(PlayOptions::new().paused().data("asked for by nobody".to_owned()));
    until("its being open", async || track.info()).await;
    assert!(matches!(track.phase(), Phase::Waiting | Phase::Paused));
    assert_eq!(track.data::<String>().unwrap().as_str(), "asked for by nobody");
    assert!(track.data::<u32>().is_none());
    assert_eq!((track.position(), player.tracks().len()), (Duration::ZERO, 1));
    track.resume();
    steady(&mut audio, "all of it", 0.45..0.55).await;
    track.stop();
    within(PATIENCE, "its end", track.ended()).await;

    let track = play(PlayOptions::new().effects([left_only()]));
    let one_side = async {
        loop {
            let [left, right] = level(&heard(&mut audio, "one side").await);
            if left > 0.4 && right < 0.05 {
                return;
            }
        }
    };
    within(PATIENCE, "sound on one side", one_side).await;
    track.stop();
    within(PATIENCE, "its end", track.ended()).await;

    let track = play(PlayOptions::new().timescale(Timescale { pitch: 1.5, ..Timescale::default() }));
    pitched(&mut audio, "a fifth higher", 660.0).await;
    track.stop();
    within(PATIENCE, "its end", track.ended()).await;
    assert!(player.tracks().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fade_in_rises_all_the_way() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, listener) = pair(&server, &client, 1).await;
    let mut audio = listener.audio();
    talker.player().play_with(tone(), PlayOptions::new().fade_in(ms(1_000))).unwrap();
    let mut rising = Vec::new();
    while rising.last().is_none_or(|last| *last < 0.48) {
        rising.push(level(&heard(&mut audio, "a rise").await)[0]);
        assert!(rising.len() < 1_000, "it never gets there: {rising:?}");
    }
    let low = rising.iter().filter(|level| (0.02..0.2).contains(*level)).count();
    let middle = rising.iter().filter(|level| (0.2..0.4).contains(*level)).count();
    assert!(low >= 8 && middle >= 8, "no steps on the way: {rising:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loops_repeat_without_a_gap_and_are_counted() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, _listener) = pair(&server, &client, 1).await;
    let track = talker.player().play_with(short(ms(200)), PlayOptions::new().loops(Loops::Times(2))).unwrap();
    let mut events = track.events();
    finished(&track).await;
    let mut looped = 0;
    while let Some(event) = within(PATIENCE, "its events", events.next()).await {
        looped += u32::from(event == TrackEvent::Looped);
    }
    assert_eq!((looped, track.played()), (2, ms(600)));
    // 30 frames, and one for what the encoder still held.
    assert_eq!(spoken(&talker).await, 31);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_track_follows_the_other_gapless_or_faded_into_each_other() {
    let server = plain(Behaviour::default()).await;
    for (crossfade, frames) in [(Duration::ZERO, 51), (ms(200), 41)] {
        let client = Client::new(config());
        let (talker, listener) = pair(&server, &client, 1).await;
        let (player, mut arrivals) = (talker.player(), listener.arrivals());
        let first = player.play_with(short(ms(500)), PlayOptions::new().paused()).unwrap();
        let second = player.play_with(short(ms(500)), PlayOptions::new().after(first.id(), crossfade)).unwrap();
        let mut events = talker.events();
        until("the second one being read", async || second.info()).await;
        first.resume();
        finished(&second).await;
        let order = event(&mut events, "an end", |event| match event {
            Event::TrackEnded { track, .. } => Some(format!("{track:?} ended")),
            Event::Track { track, event: TrackEvent::Started } if track == second.id() => Some("second started".into()),
            _ => None,
        });
        let expected = if crossfade.is_zero() { format!("{:?} ended", first.id()) } else { "second started".into() };
        let order = order.await;
        // Without a crossfade both happen in the same tick: the order is not told.
        assert!(order == expected || crossfade.is_zero(), "{order}");
        assert_eq!(spoken(&talker).await, frames as u64, "no gap");
        let all = packets(&mut arrivals, "both", frames + 5).await;
        assert!(steps(&all).iter().all(|step| *step > 0 && step % 960 == 0), "{:?}", steps(&all));
        within(PATIENCE, "leaving", talker.leave()).await;
        within(PATIENCE, "leaving", listener.leave()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loudness_by_tags_is_brought_to_where_it_is_wanted() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, listener) = pair(&server, &client, 1).await;
    let (player, mut audio) = (talker.player(), listener.audio());
    let file = File::new(fixture("tagged.flac"));
    let track = player.play_with(file, PlayOptions::new().paused()).unwrap();
    let info = until("its being open", async || track.info()).await;
    let tagged = info.loudness.expect("the file says how loud it is");
    track.stop();
    let mut peaks = Vec::new();
    for target in [tagged, tagged - 6.0, tagged - 12.0] {
        let options = PlayOptions::new().loudness(target).loops(Loops::Forever);
        let track = player.play_with(File::new(fixture("tagged.flac")), options).unwrap();
        until("its start", async || (!track.position().is_zero()).then_some(())).await;
        let mut peak = 0.0_f32;
        // What came before it is over after a second.
        for frame in 0..150 {
            let now = level(&heard(&mut audio, "the file").await)[0];
            if frame >= 50 {
                peak = peak.max(now);
            }
        }
        peaks.push(peak);
        track.stop();
        within(PATIENCE, "its end", track.ended()).await;
    }
    for pair in peaks.windows(2) {
        let decibels = 20.0 * (pair[1] / pair[0]).log10();
        assert!((-7.0..-5.0).contains(&decibels), "{decibels} dB: {peaks:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_out_of_range_is_refused_typed_and_changes_nothing() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, listener) = pair(&server, &client, 1).await;
    let (player, mut audio) = (talker.player(), listener.audio());
    let track = talker.play(tone());
    steady(&mut audio, "the tone", 0.45..0.55).await;
    let loud = [Effect::Volume(Volume { level: 0.1 }), Effect::Volume(Volume { level: f32::NAN })];
    let fast = Timescale { speed: 9.0, ..Timescale::default() };
    let refused = [
        player.play_with(tone(), PlayOptions::new().effects(loud.clone())).map(drop),
        player.play_with(tone(), PlayOptions::new().timescale(fast)).map(drop),
        player.set_effects(&loud),
        player.set_group_effects(GroupId::MUSIC, &loud),
        player.set_limiter(Some(LimiterSettings { ceiling_db: 3.0, ..LimiterSettings::default() })),
        track.set_effects(&loud),
        track.set_timescale(fast),
    ];
    for (n, refused) in refused.into_iter().enumerate() {
        let Err(EffectError::OutOfRange { parameter, value, .. }) = refused else { panic!("{n}: {refused:?}") };
        assert!(refused.unwrap_err().to_string().contains(parameter), "{n}: {parameter} {value}");
    }
    assert_eq!(player.tracks().len(), 1);
    let position = track.position();
    until("time", async || (track.position() > position + ms(300)).then_some(())).await;
    steady(&mut audio, "the same tone", 0.45..0.55).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volumes_and_effects_of_groups_and_of_everything_are_heard() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, listener) = pair(&server, &client, 1).await;
    let (player, mut audio) = (talker.player(), listener.audio());
    let track = player.play_with(tone(), PlayOptions::new().group(GroupId::EFFECTS)).unwrap();
    steady(&mut audio, "the tone", 0.45..0.55).await;
    player.set_group_volume(GroupId::MUSIC, 0.0, ms(20));
    player.set_group_volume(GroupId::EFFECTS, 0.5, ms(20));
    steady(&mut audio, "half of it", 0.22..0.28).await;
    player.set_group_effects(GroupId::EFFECTS, &[Effect::Volume(Volume { level: 2.0 })]).unwrap();
    steady(&mut audio, "all of it", 0.45..0.55).await;
    player.set_volume(0.2, ms(50));
    steady(&mut audio, "a fifth", 0.08..0.12).await;
    player.set_effects(&[Effect::Volume(Volume { level: 3.0 })]).unwrap();
    steady(&mut audio, "three fifths", 0.26..0.34).await;
    player.set_effects(&[]).unwrap();
    player.set_group_effects(GroupId::EFFECTS, &[]).unwrap();
    player.set_limiter(Some(LimiterSettings { ceiling_db: -20.0, ..LimiterSettings::default() })).unwrap();
    player.set_volume(1.0, ms(20));
    steady(&mut audio, "what the limiter lets through", 0.08..0.12).await;
    player.set_limiter(None).unwrap();
    steady(&mut audio, "half of it", 0.22..0.28).await;
    track.set_group(GroupId::SPEECH);
    steady(&mut audio, "all of it", 0.45..0.55).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn music_makes_room_for_speech_and_comes_back() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, listener) = pair(&server, &client, 1).await;
    let (player, mut audio) = (talker.player(), listener.audio());
    let ducking = Ducking::under(GroupId::SPEECH).to(0.2).hold(ms(100)).release(ms(200));
    player.set_ducking(GroupId::MUSIC, Some(ducking));
    talker.play(tone());
    steady(&mut audio, "music alone", 0.45..0.55).await;
    // Loud enough to trigger it, and hardly to be measured.
    let speech = Tone::new(440.0, 0.01, None);
    let speech = player.play_with(speech, PlayOptions::new().group(GroupId::SPEECH)).unwrap();
    steady(&mut audio, "music under speech", 0.07..0.13).await;
    speech.stop();
    steady(&mut audio, "music alone again", 0.45..0.55).await;
    player.set_ducking(GroupId::MUSIC, None);
    let speech = Tone::new(440.0, 0.01, None);
    let speech = player.play_with(speech, PlayOptions::new().group(GroupId::SPEECH)).unwrap();
    until("speech", async || (speech.position() > ms(300)).then_some(())).await;
    steady(&mut audio, "music beside speech", 0.43..0.57).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timers_of_the_player_need_nothing_that_plays() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, _listener) = pair(&server, &client, 1).await;
    let (player, mut events) = (talker.player(), talker.events());
    let cancelled = player.timer(When::After(ms(5)));
    player.cancel(cancelled);
    let (once, never) = (player.timer(When::After(ms(60))), player.timer(When::At(ms(1))));
    let often = player.timer(When::Every { period: FRAME, phase: ms(1) });
    let mut seen = Vec::new();
    while seen.len() < 8 || !seen.contains(&once) {
        seen.push(
            event(&mut events, "a timer", |event| if let Event::Timer(id) = event { Some(id) } else { None }).await,
        );
    }
    assert_eq!(seen[0], often);
    assert_eq!(seen.iter().filter(|id| **id == once).count(), 1);
    assert!(!seen.contains(&cancelled) && !seen.contains(&never), "{seen:?}");
    player.cancel(often);
    let last = player.timer(When::After(ms(100)));
    while event(&mut events, "the last timer", |event| if let Event::Timer(id) = event { Some(id) } else { None }).await
        != last
    {}
    talker.play(Silence::new(Some(ms(40))));
}
