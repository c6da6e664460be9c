//! Listeners over real sockets: their life, from before a session to after a call, and what they hear meanwhile.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use loopback::{Config as Behaviour, Cue};
use support::{PATIENCE, channel, config, event, guild, linked, pair, plain, until, user, within};
use voice_client::listen::{Format, ListenError, ListenOptions, Listener, Mode, Users, Why};
use voice_client::source::generate::Tone;
use voice_client::{Call, Client, Closed, Event};

fn options() -> ListenOptions {
    ListenOptions::default()
}

/// Hears so many more sounds.
async fn hears(listener: &Listener, what: &str, sounds: u64) {
    let before = listener.delivered() + listener.lost();
    until(what, async || Some(listener.delivered() + listener.lost()).filter(|heard| *heard >= before + sounds)).await;
}

/// A listener in this state.
async fn listener(call: &Call, state: &str) -> Listener {
    let listener = call.listen(options().paused(state == "paused")).unwrap();
    match state {
        "listening" | "paused" => {}
        "resumed" => listener.pause().and_then(|()| listener.resume()).unwrap(),
        "stopped" => {
            listener.pause().and_then(|()| listener.stop()).unwrap();
            within(PATIENCE, "the end", listener.stopped()).await;
        }
        "stopping" => listener.stop().unwrap(),
        _ => unreachable!("no such state: {state}"),
    }
    listener
}

/// What an order comes to.
async fn order(listener: &Listener, order: &str) -> Result<(), ListenError> {
    match order {
        "pause" => listener.pause(),
        "resume" => listener.resume(),
        "stop" => listener.stop(),
        "ready" => within(PATIENCE, "being ready", listener.ready()).await,
        "set_mode" => listener.set_mode(Mode::Opus),
        "set_user_mode" => listener.set_user_mode(user(7), Mode::Off),
        "set_users" => listener.set_users(Users::Everyone),
        "set_gain" => listener.set_gain(user(7), 2.0),
        _ => unreachable!("no such order: {order}"),
    }
}

const SETTERS: [&str; 4] = ["set_mode", "set_user_mode", "set_users", "set_gain"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_27_every_order_in_every_state() {
    use ListenError::{AlreadyPaused, AlreadyStopped, CallClosed, NotPaused};

    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (_talker, call) = pair(&server, &client, 1).await;
    //            state        pause                resume               stop                 ready                setters
    let table = [
        ("listening", [Ok(()), Err(NotPaused), Ok(()), Ok(()), Ok(())]),
        ("paused", [Err(AlreadyPaused), Ok(()), Ok(()), Ok(()), Ok(())]),
        ("resumed", [Ok(()), Err(NotPaused), Ok(()), Ok(()), Ok(())]),
        ("stopping", [Err(AlreadyStopped); 5]),
        ("stopped", [Err(AlreadyStopped); 5]),
    ];
    for (state, results) in table {
        for (name, expected) in ["pause", "resume", "stop", "ready"].into_iter().zip(results) {
            let listener = listener(&call, state).await;
            assert_eq!(order(&listener, name).await, expected, "{name} while {state}");
        }
        for name in SETTERS {
            let listener = listener(&call, state).await;
            assert_eq!(order(&listener, name).await, results[4], "{name} while {state}");
        }
    }
    let (on, paused) = (listener(&call, "listening").await, listener(&call, "paused").await);
    assert!(!on.is_paused() && paused.is_paused() && !on.is_stopped() && !paused.is_stopped());
    within(PATIENCE, "leaving", call.leave()).await;
    for listener in [on, paused] {
        for name in ["pause", "resume", "stop", "ready"].into_iter().chain(SETTERS) {
            assert_eq!(order(&listener, name).await, Err(CallClosed), "{name} when the call is over");
        }
        assert!(listener.is_stopped());
    }
    assert_eq!(call.listen(options()).map(|_| ()), Err(CallClosed));
    assert!(within(PATIENCE, "nothing", call.audio().next()).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_that_cannot_be_are_refused_and_say_what_can() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (_talker, call) = pair(&server, &client, 1).await;
    let refused = |options: ListenOptions| call.listen(options).map(|_| ()).unwrap_err();
    assert_eq!(refused(options().mix(true).mode(Mode::Opus)), ListenError::MixIsPcm);
    assert_eq!(refused(options().gains([(user(1), -0.1)].into())), ListenError::Gain(-0.1));
    assert_eq!(refused(options().continuous(true)), ListenError::ContinuousIsMix);
    let listener = call.listen(options()).unwrap();
    for gain in [4.1, f32::INFINITY, f32::NAN, -1.0] {
        let error = listener.set_gain(user(1), gain).unwrap_err();
        assert!(error.to_string().contains("0 (silent) to 4"), "{error}");
    }
    let mix = call.listen(options().mix(true)).unwrap();
    assert_eq!(mix.set_mode(Mode::Opus), Err(ListenError::MixIsPcm));
    assert_eq!(mix.set_mode(Mode::Pcm(Format::SPEECH)), Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_outcome_tells_why_and_what_was_lost() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, call) = pair(&server, &client, 1).await;
    let [stopped, dropped, left] = [(); 3].map(|()| call.listen(options().queue(Some(5))).unwrap());
    talker.play(Tone::new(440.0, 0.5, None));
    hears(&stopped, "more than it has room for", 10).await;

    let outcome = stopped.stopped();
    assert_eq!(stopped.stop(), Ok(()));
    let outcome = within(PATIENCE, "the end", outcome).await;
    assert!(matches!(outcome.why, Why::Stopped), "{outcome:?}");
    assert_eq!((outcome.delivered, outcome.lost), (stopped.delivered(), stopped.lost()));
    assert!(outcome.delivered == 5 && outcome.lost >= 5, "{outcome:?}");
    let mut rest = 0;
    while within(PATIENCE, "the rest", stopped.next()).await.is_some() {
        rest += 1;
    }
    assert_eq!(rest, 5, "what was heard can still be read");

    let (clone, outcome) = (dropped.clone(), dropped.stopped());
    drop(dropped);
    assert!(!clone.is_stopped(), "a clone is left");
    drop(clone);
    assert!(matches!(within(PATIENCE, "the end", outcome).await.why, Why::Stopped));

    // Somebody waits for the next sound when the call ends.
    let waiting = tokio::spawn({
        let (left, outcome) = (left.clone(), left.stopped());
        async move {
            while left.next().await.is_some() {}
            outcome.await
        }
    });
    within(PATIENCE, "leaving", call.leave()).await;
    let outcome = within(PATIENCE, "the end", waiting).await.unwrap();
    assert!(matches!(&outcome.why, Why::CallClosed(Closed::Left)), "{outcome:?}");
    assert_eq!(outcome.why.to_string(), "the call is over: left");
    assert!(call.stats().await.unwrap().received.consumer_lost >= 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_does_not_keep_a_call_that_nobody_has() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (_talker, call) = pair(&server, &client, 1).await;
    let listener = call.listen(options()).unwrap();
    drop(call);
    let outcome = within(PATIENCE, "the end", listener.stopped()).await;
    assert!(matches!(&outcome.why, Why::CallClosed(Closed::Left)), "{outcome:?}");
    assert!(listener.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ready_is_when_somebody_can_be_heard() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, call) = pair(&server, &client, 1).await;
    call.set_deaf(true);
    talker.play(Tone::new(440.0, 0.5, None));
    until("being deaf", async || Some(call.stats().await?.received.deafened).filter(|packets| *packets > 0)).await;
    let (waits, gives_up) = (call.listen(options()).unwrap(), call.listen(options()).unwrap());
    let wait = |listener: &Listener| {
        let listener = listener.clone();
        tokio::spawn(async move { listener.ready().await })
    };
    let (waiting, giving_up) = (wait(&waits), wait(&gives_up));
    // Orders are taken one after the other: when the later listener has stopped, both have been there.
    gives_up.stop().unwrap();
    within(PATIENCE, "the end", gives_up.stopped()).await;
    assert_eq!(within(PATIENCE, "the answer", giving_up).await.unwrap(), Err(ListenError::AlreadyStopped));
    assert!(!waiting.is_finished(), "nothing can be heard");
    call.set_deaf(false);
    assert_eq!(within(PATIENCE, "being ready", waiting).await.unwrap(), Ok(()));
    let sound = within(PATIENCE, "a sound", waits.next()).await.unwrap();
    assert_eq!(sound.users(), [talker.user()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_listeners_hear_the_same_user_each_in_its_own_way() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, call) = pair(&server, &client, 1).await;
    let opus = call.listen(options().mode(Mode::Opus)).unwrap();
    let speech = call.listen(options().mode(Mode::Pcm(Format::SPEECH))).unwrap();
    let mix = call.listen(options().mix(true).continuous(true)).unwrap();
    // Before anybody speaks.
    let silence = within(PATIENCE, "silence", mix.next()).await.unwrap();
    assert!(silence.users().is_empty() && silence.f32().len() == 1_920);
    assert_eq!(opus.delivered() + speech.delivered(), 0);
    speech.set_gain(talker.user(), 0.0).unwrap();
    // Orders and questions are taken one after the other.
    call.stats().await.unwrap();
    talker.play(Tone::new(440.0, 0.5, None));
    for _ in 0..20 {
        let packet = within(PATIENCE, "a packet", opus.next()).await.unwrap();
        assert!(packet.f32().is_empty() && packet.i16().is_empty());
        let pcm = within(PATIENCE, "pcm", speech.next()).await.unwrap();
        assert!(pcm.i16().len() == 320 && pcm.i16().iter().all(|sample| *sample == 0));
    }
    let spoken = until("somebody in the mix", async || mix.try_next().filter(|sound| !sound.users().is_empty())).await;
    assert_eq!(spoken.users(), [talker.user()]);

    // Nothing of what comes while it is paused.
    opus.pause().unwrap();
    hears(&speech, "what the other one does not", 10).await;
    while opus.try_next().is_some() {}
    let before = opus.delivered();
    hears(&speech, "what the other one does not", 10).await;
    assert_eq!(opus.delivered(), before);
    opus.resume().unwrap();
    hears(&opus, "after the pause", 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_survives_rejoins_resumes_and_moves() {
    let server = plain(Behaviour::default()).await;
    let (one, _) = linked(&server, user(1), config());
    let (other, _) = linked(&server, user(2), config());
    let talker = within(PATIENCE, "a join", one.join_channel(guild(1), channel(1))).await.unwrap();
    let call = within(PATIENCE, "a join", other.join_channel(guild(1), channel(1))).await.unwrap();
    let mut events = call.events();
    let listener = call.listen(options().mode(Mode::Pcm(Format::SPEECH))).unwrap();
    assert_eq!(within(PATIENCE, "being ready", listener.ready()).await, Ok(()));
    talker.play(Tone::new(440.0, 0.5, None));
    hears(&listener, "the talker", 20).await;

    let connected = async |events: &mut _| {
        event(events, "connected", |event| matches!(event, Event::Connected { .. }).then_some(())).await;
    };
    connected(&mut events).await;
    server.cue(Cue::Close { user: Some(user(2)), code: 4006, reason: String::new() }).await;
    connected(&mut events).await;
    hears(&listener, "after a rejoin", 50).await;
    server.cue(Cue::Sever { user: Some(user(2)) }).await;
    event(&mut events, "a resume", |event| matches!(event, Event::Reconnecting { .. }).then_some(())).await;
    hears(&listener, "after a resume", 50).await;
    within(PATIENCE, "a move", call.move_to(channel(2))).await.unwrap();
    within(PATIENCE, "a move", talker.move_to(channel(2))).await.unwrap();
    hears(&listener, "after a move", 50).await;
    assert!(!listener.is_stopped());
    while let Some(sound) = listener.try_next() {
        assert!(sound.users() == [user(1)] && sound.i16().len() == 320);
    }
}
