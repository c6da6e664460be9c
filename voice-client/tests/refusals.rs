//! Everything that can stand in the way of a join: each failure names its stage, and what to do.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use loopback::{Config as Behaviour, Loopback, Options};
use support::{Link, PATIENCE, channel, config, guild, info, plain, until, user, within};
use tokio::net::TcpListener;
use voice_client::layer::crypto::Mode;
use voice_client::{
    Call, Cause, Client, Config, ConnectionInfo, Deadlines, JoinError, Missing, Stage, VoiceStateUpdate,
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
fn elsewhere(endpoint: &str) -> ConnectionInfo {
    ConnectionInfo {
        endpoint: endpoint.to_owned(),
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
        let (stage, cause, text) = refused(config, elsewhere(&closed.to_string())).await;
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
        let (stage, cause, text) = refused(hasty(config), elsewhere(&address.to_string())).await;
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
