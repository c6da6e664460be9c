//! Joining over real sockets: by connection info, through a main-gateway link, and everything that can stand in the way.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use loopback::{Config as Behaviour, Loopback, Options};
use support::{Link, PATIENCE, channel, config, drain, guild, info, linked, member, plain, until, user, within};
use tokio::net::{TcpListener, TcpStream};
use voice_client::layer::crypto::Mode;
use voice_client::source::generate::Tone;
use voice_client::{
    ByteStream, Call, Cause, Client, Closed, Config, ConnectionInfo, Deadlines, Dialer, Dialing, Event, JoinError,
    Missing, Stage, VoiceServerUpdate, VoiceStateUpdate,
};

/// A join that has to fail: the stage, the cause and the text.
async fn refused(config: Config, info: ConnectionInfo) -> (Stage, Cause, String) {
    let client = Client::new(config);
    let error = within(PATIENCE, "a join's failure", client.join(info)).await.unwrap_err();
    assert!(client.calls().is_empty(), "a call that never was");
    let text = error.to_string();
    match error {
        JoinError::Failed { stage, cause } => (stage, cause, text),
        other => panic!("{other:?}"),
    }
}

/// Info whose endpoint is somewhere else than the server that gave it.
fn elsewhere(endpoint: impl ToString) -> ConnectionInfo {
    ConnectionInfo {
        endpoint: endpoint.to_string(),
        guild: guild(1),
        channel: channel(1),
        user: user(1),
        session: "session".to_owned(),
        token: "token".into(),
    }
}

fn hasty(config: Config) -> Config {
    config.deadlines(Deadlines::default().dial(Duration::from_millis(300)).updates(Duration::from_millis(300)))
}

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
    until("the track's start", || async { track.position().await.filter(|it| it.as_millis() >= 200) }).await;
    let before = track.position().await.unwrap();
    within(PATIENCE, "a move", client.join_channel(guild(1), channel(20))).await.unwrap();
    let moved = member(&server, user(1)).await.unwrap();
    assert_eq!(moved.channel, Some(channel(20)));
    assert_ne!(moved.ssrc, ssrc, "another session");
    assert_eq!(server.members().await.len(), 1, "the old one is over");
    until("the track going on", || async { track.position().await.filter(|it| *it > before) }).await;
    until("packets in the new channel", || async { member(&server, user(1)).await.filter(|it| it.received > 0) }).await;
    let events = drain(&mut events);
    assert!(!events.iter().any(|event| matches!(event, Event::TrackEnded { .. } | Event::Closed(_))), "{events:?}");
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Connected { .. })).count(), 2);
    assert_eq!(client.calls().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
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

/// The main gateway's answers to an earlier op 4 may come when a later one has been sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_superseded_joins_updates_do_not_complete_the_later_join() {
    let server = plain(Behaviour::default()).await;
    let (link, log, _commands) = Link::new();
    let client = Client::with_link(config(), user(1), link);
    let join = |id| {
        let client = client.clone();
        tokio::spawn(async move { client.join_channel(guild(1), channel(id)).await })
    };
    let asked = |id| {
        let log = log.clone();
        move || {
            let last = log.last();
            async move { last.filter(|it| it.channel == Some(channel(id))) }
        }
    };
    let first = join(10);
    until("the first op 4", asked(10)).await;
    let second = join(20);
    until("the second op 4", asked(20)).await;
    assert_eq!(within(PATIENCE, "the first join", first).await.unwrap().unwrap_err(), JoinError::Superseded);
    for id in [10, 20] {
        let updates = server.updates(user(1), guild(1), channel(id)).await;
        client.voice_state_update(&VoiceStateUpdate::from_json(&updates.state).unwrap());
        client.voice_server_update(&VoiceServerUpdate::from_json(&updates.server).unwrap());
        if id == 10 {
            // The call's task has dealt with the updates when it answers this.
            client.call(guild(1)).unwrap().stats().await.unwrap();
            assert!(!second.is_finished());
            assert!(server.members().await.is_empty(), "nobody asked for that channel any more");
        }
    }
    within(PATIENCE, "the second join", second).await.unwrap().unwrap();
    assert_eq!(member(&server, user(1)).await.and_then(|it| it.channel), Some(channel(20)));
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_main_gateway_that_does_not_answer_is_named() {
    let server = plain(Behaviour::default()).await;
    let (link, _, _commands) = Link::new();
    let client = Client::with_link(hasty(config()), user(1), link);
    let state = server.updates(user(1), guild(1), channel(10)).await.state;
    for missing in [Missing::Both, Missing::Server] {
        let joining = client.join_channel(guild(1), channel(10));
        let answering = async {
            if missing == Missing::Server {
                until("a call that joins", || async { client.call(guild(1)) }).await;
                client.voice_state_update(&VoiceStateUpdate::from_json(&state).unwrap());
            }
        };
        let (joined, ()) = within(PATIENCE, "a join's failure", async { tokio::join!(joining, answering) }).await;
        match joined.unwrap_err() {
            JoinError::Failed { stage: Stage::Updates, cause: Cause::NoUpdates { missing: found, .. } } => {
                assert_eq!(found, missing);
            }
            other => panic!("{other:?}"),
        }
        let error = within(PATIENCE, "no info", client.connection_info(guild(2), channel(20))).await.unwrap_err();
        assert!(matches!(error, JoinError::Failed { stage: Stage::Updates, .. }), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_is_missing_or_refuses_is_an_error() {
    let client = Client::new(config());
    let error = client.join_channel(guild(1), channel(10)).await.unwrap_err();
    assert_eq!(error, JoinError::NoLink);
    assert!(error.to_string().contains("with_link"), "{error}");
    assert_eq!(client.connection_info(guild(1), channel(10)).await.unwrap_err(), JoinError::NoLink);

    let (link, _, commands) = Link::new();
    drop(commands);
    let client = Client::with_link(config(), user(1), link);
    for error in [
        within(PATIENCE, "a refusal", client.join_channel(guild(1), channel(10))).await.unwrap_err(),
        within(PATIENCE, "a refusal", client.connection_info(guild(1), channel(10))).await.unwrap_err(),
    ] {
        assert!(matches!(error, JoinError::Failed { stage: Stage::Updates, cause: Cause::Link(_) }), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_cannot_be_reached_is_named() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let server = Loopback::start(Options::default()).await.unwrap();
    let ca = server.ca_pem().unwrap().as_bytes().to_vec();
    for config in [config(), Config::default().ca(Some(ca))] {
        let (stage, cause, text) = refused(config, elsewhere(closed)).await;
        assert!(matches!((stage, &cause), (Stage::Dial, Cause::Dial(_))), "{cause:?}");
        assert!(text.contains(&closed.to_string()) && text.contains("endpoint"), "what, and what to do: {text}");
    }
    let (stage, cause, text) = refused(config(), elsewhere("not an endpoint")).await;
    assert!(matches!((stage, &cause), (Stage::Dial, Cause::Endpoint(_))), "{cause:?}");
    assert!(text.contains("host:port"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tls_failure_says_what_to_look_at() {
    let server = Loopback::start(Options::default()).await.unwrap();
    let other = Loopback::start(Options::default()).await.unwrap();
    let without = Config::default();
    let wrong = Config::default().ca(other.ca_pem().map(Into::into));
    let garbage = Config::default().ca(Some(b"no certificate at all".to_vec()));
    for config in [without, wrong, garbage] {
        let info = info(&server, user(1), guild(1), channel(1)).await;
        let (stage, cause, text) = refused(config, info).await;
        assert!(matches!((stage, &cause), (Stage::Dial, Cause::Dial(_))), "{cause:?}");
        assert!(text.contains("CA"), "{text}");
    }
    let plain = plain(Behaviour::default()).await;
    let unencrypted = info(&plain, user(1), guild(1), channel(1)).await;
    let (stage, _, text) = refused(Config::default().ca(other.ca_pem().map(Into::into)), unencrypted).await;
    assert_eq!(stage, Stage::Dial);
    assert!(text.contains("TLS"), "{text}");

    // And the other way round.
    let encrypted = info(&server, user(1), guild(1), channel(1)).await;
    let (stage, _, text) = refused(config(), encrypted).await;
    assert_eq!(stage, Stage::Dial);
    assert!(text.contains("ws://"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_accepts_and_says_nothing_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = silent.accept().await {
            held.push(stream);
        }
    });
    let trusting = Loopback::start(Options::default()).await.unwrap();
    for config in [config(), Config::default().ca(trusting.ca_pem().map(Into::into))] {
        let (stage, cause, text) = refused(hasty(config), elsewhere(address)).await;
        assert_eq!(stage, Stage::Dial);
        assert_eq!(cause, Cause::TimedOut { deadline: Duration::from_millis(300) });
        assert!(text.contains("300ms") && text.contains("endpoint"), "what, and what to do: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_used_and_outdated_credentials_are_told_apart() {
    let server = plain(Behaviour::default().issued_only(true)).await;
    let code = |cause: &Cause| match cause {
        Cause::Closed { code, .. } => *code,
        other => panic!("{other:?}"),
    };
    let mut wrong = info(&server, user(1), guild(1), channel(1)).await;
    wrong.token = "no token of this server".into();
    let (stage, cause, text) = refused(config(), wrong).await;
    assert_eq!((stage, code(&cause)), (Stage::Ready, 4004));
    assert!(text.contains("4004"), "{text}");
    assert!(!text.contains("no token of this server"), "a token is never shown: {text}");

    let mut wrong = info(&server, user(1), guild(1), channel(1)).await;
    wrong.session = "another session".to_owned();
    let (stage, cause, _) = refused(config(), wrong).await;
    assert_eq!((stage, code(&cause)), (Stage::Ready, 4006));

    let used = info(&server, user(1), guild(1), channel(1)).await;
    let first: Call = within(PATIENCE, "a join", Client::new(config()).join(used.clone())).await.unwrap();
    within(PATIENCE, "leaving", first.leave()).await;
    let (stage, cause, text) = refused(config(), used).await;
    assert_eq!((stage, code(&cause)), (Stage::Ready, 4006));
    assert!(text.contains("4006"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn modes_without_a_common_one_are_both_listed() {
    let server = plain(Behaviour::default().modes([Mode::XChaCha20Poly1305Rtpsize])).await;
    let info = || info(&server, user(1), guild(1), channel(1));
    let (stage, cause, text) = refused(config().modes(vec![Mode::Aes256GcmRtpsize]), info().await).await;
    assert!(matches!((stage, cause), (Stage::Ready, Cause::NoCommonMode(_))));
    for name in ["aead_aes256_gcm_rtpsize", "aead_xchacha20_poly1305_rtpsize"] {
        assert!(text.contains(name), "{text}");
    }
    let call = within(PATIENCE, "a join", Client::new(config()).join(info().await)).await.unwrap();
    assert_eq!(call.stats().await.unwrap().mode, Some(Mode::XChaCha20Poly1305Rtpsize));
}

/// Dials one address, whatever it is asked for.
struct Detour {
    to: std::net::SocketAddr,
    dials: AtomicU32,
}

impl Dialer for Detour {
    fn dial(&self, host: &str, port: u16) -> Dialing {
        assert_eq!((host, port), ("voice.invalid", 8443));
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
