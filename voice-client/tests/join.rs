//! Joining over real sockets: by connection info and through a main-gateway link; moving, and changing one's mind.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use loopback::{Config as Behaviour, Cue, Loopback, Options};
use serde_json::Value;
use support::{
    Commands, Link, PATIENCE, channel, config, drain, guild, info, linked, member, plain, until, user, within,
};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use voice_client::layer::crypto::Mode;
use voice_client::source::generate::Tone;
use voice_client::{
    ByteStream, Client, Closed, Config, Deadlines, Dialer, Dialing, Event, JoinError, Stage, VoiceServerUpdate,
    VoiceStateUpdate,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_info_joins_over_tls_with_the_servers_ca() {
    let server = Loopback::start(Options::default()).await.unwrap();
    let client = Client::new(Config::default().ca(server.ca_pem().map(Into::into)));
    let info = info(&server, user(1), guild(2), channel(3)).await;
    let call = within(PATIENCE, "a join", client.join(info.clone())).await.unwrap();
    assert_eq!((call.user(), call.guild()), (user(1), guild(2)));

    let member =
        until("the server's word", || async { member(&server, user(1)).await.filter(|it| it.described) }).await;
    assert_eq!((member.guild, member.channel, member.connected), (guild(2), Some(channel(3)), true));
    assert_eq!(member.mode, Some(Mode::Aes256GcmRtpsize));
    assert!(client.call(guild(2)).is_some() && client.call(guild(3)).is_none());

    // The info of the session that is up: nothing happens.
    within(PATIENCE, "the same join", client.join(info)).await.unwrap();
    assert_eq!(server.members().await.len(), 1);
    assert_eq!(server.members().await[0].ssrc, member.ssrc);
    assert_eq!(within(PATIENCE, "leaving", call.leave()).await, Closed::Left);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_channel_that_the_call_is_in_is_no_join_and_another_one_is_a_move_that_keeps_tracks() {
    let server = plain(Behaviour::default().issued_only(true)).await;
    let (client, commands) = linked(&server, user(1), config());
    let call = within(PATIENCE, "a join", client.join_channel(guild(1), channel(10))).await.unwrap();
    let ssrc = member(&server, user(1)).await.unwrap().ssrc;
    let sent = commands.all().len();

    within(PATIENCE, "the same channel", client.join_channel(guild(1), channel(10))).await.unwrap();
    within(PATIENCE, "the same channel", call.move_to(channel(10))).await.unwrap();
    assert_eq!(member(&server, user(1)).await.unwrap().ssrc, ssrc, "the same session");
    assert_eq!(commands.all().len(), sent, "nothing was asked of the main gateway");

    let mut events = call.events();
    let track = call.play(Tone::new(440.0, 0.5, None));
    until("the track's start", || async { Some(track.position()).filter(|it| it.as_millis() >= 200) }).await;
    let before = track.position();
    within(PATIENCE, "a move", client.join_channel(guild(1), channel(20))).await.unwrap();
    let moved = member(&server, user(1)).await.unwrap();
    assert_eq!(moved.channel, Some(channel(20)));
    assert_ne!(moved.ssrc, ssrc, "another session");
    assert_eq!(server.members().await.len(), 1, "the old one is over");
    until("the track going on", || async { Some(track.position()).filter(|it| *it > before) }).await;
    until("packets in the new channel", || async { member(&server, user(1)).await.filter(|it| it.received > 0) }).await;
    let events = drain(&mut events);
    assert!(!events.iter().any(|event| matches!(event, Event::TrackEnded { .. } | Event::Closed(_))), "{events:?}");
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Connected { .. })).count(), 2);
    assert_eq!(client.calls().len(), 1);
}

/// On one thread, so that all three are asked for before the first one can be complete.
#[tokio::test]
async fn of_concurrent_joins_the_last_one_counts() {
    let server = plain(Behaviour::default()).await;
    let (client, _) = linked(&server, user(1), config());
    let join = |id| client.join_channel(guild(1), channel(id));
    let all = async { tokio::join!(join(10), join(20), join(30)) };
    let (first, second, last) = within(PATIENCE, "three joins", all).await;
    assert_eq!(first.unwrap_err(), JoinError::Superseded);
    assert_eq!(second.unwrap_err(), JoinError::Superseded);
    let call = last.unwrap();
    assert_eq!(member(&server, user(1)).await.and_then(|it| it.channel), Some(channel(30)));
    assert_eq!(client.calls().len(), 1);
    assert_eq!(call.is_closed(), None);
}

/// Passes the main gateway's answer on as it comes: first where the user is, then, when that is somewhere, the server.
async fn answer(server: &Loopback, client: &Client, place: Option<u64>) {
    let mut updates = server.updates(user(1), guild(1), channel(place.unwrap_or(1))).await;
    if place.is_none() {
        updates.state["channel_id"] = Value::Null;
    }
    client.voice_state_update(&VoiceStateUpdate::from_json(&updates.state).unwrap());
    if place.is_some() {
        client.voice_server_update(&VoiceServerUpdate::from_json(&updates.server).unwrap());
    }
}

/// Resolves when the client has asked to be in that channel.
async fn asked(commands: &Commands, place: u64) {
    until("op 4", || async { commands.last().filter(|it| it.channel == Some(channel(place))) }).await;
}

/// The answers to an earlier op 4 may come when a later one has been sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_updates_of_an_earlier_join_do_not_complete_a_later_one() {
    let server = plain(Behaviour::default().issued_only(true)).await;
    let detour = Arc::new(Detour { to: server.ws_addr(), dials: AtomicU32::new(0) });
    let (link, commands, _queue) = Link::new();
    let client = Client::with_link(config().dialer(Some(detour.clone())), user(1), link);
    let join = |place| {
        let client = client.clone();
        tokio::spawn(async move { client.join_channel(guild(1), channel(place)).await })
    };
    let first = join(10);
    asked(&commands, 10).await;
    let second = join(20);
    asked(&commands, 20).await;
    assert_eq!(within(PATIENCE, "the first join", first).await.unwrap().unwrap_err(), JoinError::Superseded);
    assert_eq!(
        commands.all().iter().map(|it| it.channel.map(|it| it.get())).collect::<Vec<_>>(),
        [None, Some(10), None, Some(20)]
    );

    answer(&server, &client, Some(10)).await;
    answer(&server, &client, None).await;
    // The call's task has dealt with the updates when it answers this.
    client.call(guild(1)).unwrap().stats().await.unwrap();
    assert_eq!(detour.dials.load(Ordering::Relaxed), 0, "nobody asked for that channel any more");
    answer(&server, &client, Some(20)).await;
    within(PATIENCE, "the second join", second).await.unwrap().unwrap();
    assert_eq!(member(&server, user(1)).await.and_then(|it| it.channel), Some(channel(20)));
    assert_eq!(detour.dials.load(Ordering::Relaxed), 1, "with fresh updates of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_info_of_an_earlier_request_is_not_mixed_into_a_later_one() {
    let server = plain(Behaviour::default().issued_only(true)).await;
    let (link, commands, _queue) = Link::new();
    let client = Client::with_link(config(), user(1), link);
    let ask = |place| {
        let client = client.clone();
        tokio::spawn(async move { client.connection_info(guild(1), channel(place)).await })
    };
    let first = ask(10);
    asked(&commands, 10).await;
    let second = ask(20);
    asked(&commands, 20).await;
    assert_eq!(within(PATIENCE, "the first request", first).await.unwrap().unwrap_err(), JoinError::Superseded);
    for place in [Some(10), None, Some(20)] {
        answer(&server, &client, place).await;
    }
    let info = within(PATIENCE, "the second request", second).await.unwrap().unwrap();
    within(PATIENCE, "a join", Client::new(config()).join(info)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_fails_leaves_the_call_where_it_is() {
    let server = plain(Behaviour::default()).await;
    let (link, commands, _queue) = Link::new();
    let impatient = config().deadlines(Deadlines::default().updates(Duration::from_millis(300)));
    let client = Client::with_link(impatient, user(1), link);
    let joining = async {
        tokio::join!(client.join_channel(guild(1), channel(10)), async {
            asked(&commands, 10).await;
            answer(&server, &client, Some(10)).await;
        })
    };
    let call = within(PATIENCE, "a join", joining).await.0.unwrap();
    let before = member(&server, user(1)).await;
    let track = call.play(Tone::new(440.0, 0.5, None));

    // The main gateway says nothing to a full channel.
    let error = within(PATIENCE, "a move's failure", call.move_to(channel(20))).await.unwrap_err();
    assert!(matches!(error, JoinError::Failed { stage: Stage::Updates, .. }), "{error:?}");
    until("the track going on", || async { Some(track.position()).filter(|it| !it.is_zero()) }).await;
    assert_eq!(member(&server, user(1)).await.map(|it| it.ssrc), before.map(|it| it.ssrc));
    call.set_mute(true);
    asked(&commands, 10).await;
    let sent = commands.all().len();
    within(PATIENCE, "a move to where it is", call.move_to(channel(10))).await.unwrap();
    assert_eq!(commands.all().len(), sent, "nothing was asked of the main gateway");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_many_guilds_do_not_know_of_each_other() {
    let server = plain(Behaviour::default().issued_only(true)).await;
    let (client, _) = linked(&server, user(1), config());
    let mut joins = JoinSet::new();
    for id in 1..=10 {
        let client = client.clone();
        joins.spawn(async move { client.join_channel(guild(id), channel(id)).await.unwrap() });
    }
    let calls = within(PATIENCE, "all joins", joins.join_all()).await;
    assert_eq!((client.calls().len(), server.members().await.len()), (10, 10));
    assert!(server.members().await.iter().all(|it| it.channel.map(|it| it.get()) == Some(it.guild.get())));
    let (left, rest) = calls.split_first().unwrap();
    within(PATIENCE, "leaving", left.leave()).await;
    assert_eq!(client.calls().len(), 9);
    until("its leaving", || async { (server.members().await.len() == 9).then_some(()) }).await;
    assert!(client.call(left.guild()).is_none() && rest.iter().all(|call| client.call(call.guild()).is_some()));
}

/// A join that nobody waits for any more has no handle left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_join_leaves() {
    let server = plain(Behaviour::default()).await;
    server.cue(Cue::Withhold { user: None, op: 4, times: u32::MAX }).await;
    let client = Client::new(config());
    let info = info(&server, user(1), guild(1), channel(1)).await;
    tokio::select! {
        joined = client.join(info) => panic!("{joined:?}"),
        _ = until("identify", || async { member(&server, user(1)).await }) => {}
    }
    until("an empty server", || async { server.members().await.is_empty().then_some(()) }).await;
    assert!(client.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_ends_a_join_and_the_next_one_is_a_new_call() {
    let server = plain(Behaviour::default()).await;
    let (client, commands) = linked(&server, user(1), config());
    server.cue(Cue::Withhold { user: None, op: 4, times: 1 }).await;
    let joining = async {
        tokio::join!(client.join_channel(guild(1), channel(10)), async {
            until("identify", || async { member(&server, user(1)).await }).await;
            client.call(guild(1)).unwrap().leave().await
        })
    };
    let (joined, closed) = within(PATIENCE, "leaving", joining).await;
    assert_eq!((joined.unwrap_err(), closed), (JoinError::Left, Closed::Left));
    assert_eq!(commands.last().map(|it| it.channel), Some(None));
    assert!(client.calls().is_empty());
    for _ in 0..3 {
        let call = within(PATIENCE, "a join", client.join_channel(guild(1), channel(10))).await.unwrap();
        assert_eq!(server.members().await.len(), 1);
        assert_eq!(within(PATIENCE, "leaving", call.leave()).await, Closed::Left);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_info_alone_is_good_for_another_node() {
    let server = plain(Behaviour::default().issued_only(true)).await;
    let (here, _) = linked(&server, user(1), config());
    let info = within(PATIENCE, "info", here.connection_info(guild(1), channel(10))).await.unwrap();
    assert!(here.calls().is_empty() && server.members().await.is_empty(), "nothing was joined");
    assert_eq!((info.user, info.guild, info.channel), (user(1), guild(1), channel(10)));

    let there = Client::new(config());
    let call = within(PATIENCE, "a join elsewhere", there.join(info)).await.unwrap();
    assert_eq!(member(&server, user(1)).await.and_then(|it| it.channel), Some(channel(10)));
    // Of the same channel once more, and it is fresh.
    let info = within(PATIENCE, "info again", here.connection_info(guild(1), channel(10))).await.unwrap();
    within(PATIENCE, "a join with it", there.join(info)).await.unwrap();
    assert_eq!(call.is_closed(), None);
}

/// Dials one address, whatever it is asked for.
struct Detour {
    to: std::net::SocketAddr,
    dials: AtomicU32,
}

impl Dialer for Detour {
    fn dial(&self, host: &str, port: u16) -> Dialing {
        assert!([("voice.invalid", 8443), ("127.0.0.1", self.to.port())].contains(&(host, port)), "{host}:{port}");
        self.dials.fetch_add(1, Ordering::Relaxed);
        let to = self.to;
        Box::pin(async move { Ok(Box::new(TcpStream::connect(to).await?) as Box<dyn ByteStream>) })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dialer_of_your_own_is_used() {
    let server = plain(Behaviour::default()).await;
    let detour = Arc::new(Detour { to: server.ws_addr(), dials: AtomicU32::new(0) });
    let client = Client::new(Config::default().dialer(Some(detour.clone())));
    let mut info = info(&server, user(1), guild(1), channel(1)).await;
    info.endpoint = "voice.invalid:8443".to_owned();
    let call = within(PATIENCE, "a join", client.join(info)).await.unwrap();
    assert_eq!(detour.dials.load(Ordering::Relaxed), 1);
    within(PATIENCE, "leaving", call.leave()).await;
}
