//! Winning a lost connection back over real sockets: afresh through the link, with new connection info, or not at all.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use loopback::{Config as Behaviour, Cue, Loopback};
use support::{PATIENCE, channel, config, event, guild, info, linked, member, plain, until, user, within};
use voice_client::source::generate::Tone;
use voice_client::{Call, Cause, Client, Closed, Config, Deadlines, Event, Events, Phase, Recovery, Retry, Track};

/// Gives up within a fraction of a second.
fn hasty() -> Config {
    let (short, long) = (Duration::from_millis(10), Duration::from_millis(200));
    let retry = Retry::default().first(short).longest(short).resumes(2).rejoins(2);
    config().retry(retry).deadlines(Deadlines::default().dial(long).ready(long).update_wait(long).updates(long))
}

async fn joined(server: &Loopback, client: &Client) -> Call {
    let info = info(server, user(1), guild(1), channel(1)).await;
    within(PATIENCE, "a join", client.join(info)).await.unwrap()
}

async fn connected(events: &mut Events) {
    event(events, "connected", |event| matches!(event, Event::Connected { .. }).then_some(())).await;
}

/// The next attempt that is no resume, and why.
async fn attempt(events: &mut Events) -> (Cause, Recovery) {
    event(events, "reconnecting", |event| match event {
        Event::Reconnecting { by: Recovery::Resume { .. }, .. } => None,
        Event::Reconnecting { cause, by } => Some((cause, by)),
        _ => None,
    })
    .await
}

async fn goes_on(track: &Track) {
    assert_ne!(track.phase(), Phase::Ended);
    let before = track.position();
    until("the track going on", || async { Some(track.position()).filter(|it| *it > before) }).await;
}

/// Ends a server for good: nobody else may hold it.
async fn shut_down(server: Arc<Loopback>) {
    Arc::into_inner(server).expect("the last handle").shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_refused_is_joined_afresh_through_the_link() {
    let server = plain(Behaviour::default().issued_only(true)).await;
    let (client, _) = linked(&server, user(1), config());
    let call = within(PATIENCE, "a join", client.join_channel(guild(1), channel(1))).await.unwrap();
    let mut events = call.events();
    connected(&mut events).await;
    let track = call.play(Tone::new(440.0, 0.5, None));
    goes_on(&track).await;
    let ssrc = member(&server, user(1)).await.unwrap().ssrc;

    server.cue(Cue::Close { user: Some(user(1)), code: 4006, reason: String::new() }).await;
    let (cause, by) = attempt(&mut events).await;
    assert!(matches!(cause, Cause::Closed { code: 4006, .. }), "{cause:?}");
    assert_eq!(by, Recovery::Rejoin { attempt: 1 });
    connected(&mut events).await;
    goes_on(&track).await;

    // A resume that is refused comes to the same.
    server.cue(Cue::RefuseResume { times: 1 }).await;
    server.cue(Cue::Sever { user: Some(user(1)) }).await;
    let (_, by) = attempt(&mut events).await;
    assert_eq!(by, Recovery::Rejoin { attempt: 2 });
    connected(&mut events).await;
    goes_on(&track).await;
    assert_ne!(member(&server, user(1)).await.unwrap().ssrc, ssrc);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_link_new_info_revives_the_call_and_its_tracks() {
    let first = plain(Behaviour::default()).await;
    let second = plain(Behaviour::default()).await;
    let client = Client::new(hasty().deadlines(Deadlines::default().dial(Duration::from_millis(200))));
    let call = joined(&first, &client).await;
    let mut events = call.events();
    connected(&mut events).await;
    let track = call.play(Tone::new(440.0, 0.5, None));
    let mut sink = call.opus_sink();
    goes_on(&track).await;

    shut_down(first).await;
    assert_eq!(attempt(&mut events).await.1, Recovery::AwaitUpdate);
    assert_eq!(call.is_closed(), None);
    let revived = joined(&second, &client).await;
    assert_eq!(client.calls().len(), 1, "the same call");
    connected(&mut events).await;
    goes_on(&track).await;
    within(PATIENCE, "a write", sink.write(&[0xF8, 0xFF, 0xFE])).await.unwrap();
    until("packets there", || async { member(&second, user(1)).await.filter(|it| it.received > 5) }).await;
    assert_eq!(within(PATIENCE, "leaving", revived.leave()).await, Closed::Left);
    assert_eq!(call.is_closed(), Some(Closed::Left));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_link_a_call_that_gets_no_info_ends_asking_for_it() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(hasty());
    let call = joined(&server, &client).await;
    server.cue(Cue::Close { user: None, code: 4009, reason: String::new() }).await;
    let closed = within(PATIENCE, "the end", call.closed()).await;
    assert!(matches!(&closed, Closed::InfoNeeded(_)), "{closed:?}");
    assert_eq!(closed.code(), Some(4009));
    assert!(closed.to_string().contains("connection info"), "{closed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_no_server_is_behind_any_more_is_given_up_after_some_attempts() {
    let server = plain(Behaviour::default()).await;
    let (client, _) = linked(&server, user(1), hasty());
    let call = within(PATIENCE, "a join", client.join_channel(guild(1), channel(1))).await.unwrap();
    let mut events = call.events();
    // Nobody gets in any more.
    server.cue(Cue::Withhold { user: None, op: 2, times: u32::MAX }).await;
    server.cue(Cue::Close { user: None, code: 4011, reason: String::new() }).await;
    for attempts in 1..=2 {
        assert_eq!(attempt(&mut events).await.1, Recovery::Rejoin { attempt: attempts });
    }
    let closed = within(PATIENCE, "the end", call.closed()).await;
    assert!(matches!(closed, Closed::Lost(_)), "{closed:?}");
    assert!(client.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_without_a_server_can_be_left() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let call = joined(&server, &client).await;
    let mut events = call.events();
    let _track = call.play(Tone::new(440.0, 0.5, None));
    shut_down(server).await;
    event(&mut events, "reconnecting", |event| matches!(event, Event::Reconnecting { .. }).then_some(())).await;
    assert_eq!(within(PATIENCE, "leaving", call.leave()).await, Closed::Left);
    assert!(client.calls().is_empty());
}
