//! End-to-end encryption, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use loopback::Config as Behaviour;
use support::{PATIENCE, channel, config, encrypted, event, guild, info, pair, user, within};
use voice_client::source::generate::Tone;
use voice_client::{
    Cause, Client, Closed, CodeError, E2ee, EncryptionEvent, Event, Identity, IdentityError, JoinError, KeyFolder,
    KeyStore, Stage, State, SystemEntropy,
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_see_the_same_codes_and_everything_is_sealed() {
    let server = encrypted(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, listener) = pair(&server, &client, 1).await;
    let mut audio = listener.audio();
    let [one, other] = [&talker, &listener].map(|call| within(PATIENCE, "an encrypted group", call.encrypted()));
    let (one, other) = (one.await.expect("it goes on"), other.await.expect("it goes on"));
    assert_eq!((one.state, one.version()), (State::On { version: 1 }, 1));
    assert_eq!((one.epoch, &one.privacy_code), (Some(1), &other.privacy_code));
    assert_eq!(one.privacy_code.as_ref().map(String::len), Some(30));
    assert_eq!(one.members, other.members);
    assert_eq!(one.members.keys().copied().collect::<Vec<_>>(), [user(1), user(2)]);

    let codes = (talker.verification_code(user(2)).await, listener.verification_code(user(1)).await);
    assert_eq!(codes.0, codes.1);
    assert_eq!(codes.0.map(|code| code.len()), Ok(45));
    assert_eq!(talker.verification_code(user(3)).await, Err(CodeError::NotAMember(user(3))));

    talker.play(Tone::new(440.0, 0.5, Some(SECOND)));
    let heard = async {
        let mut loud = 0;
        while loud < 40 {
            let frame = audio.next().await.expect("the call goes on");
            assert_eq!(frame.user, user(1));
            loud += usize::from(frame.pcm.iter().any(|sample| sample.abs() > 0.2));
        }
    };
    within(PATIENCE, "forty frames of tone", heard).await;
    let (sent, received) = (talker.stats().await.unwrap(), listener.stats().await.unwrap());
    assert!(sent.sent.packets >= 40 && sent.sent.packets == sent.sent.sealed, "{:?}", sent.sent);
    assert_eq!((received.received.opened, received.received.plain), (received.received.packets, 0));
    assert_eq!(received.encryption, listener.encryption());

    // Alone again, there is no group; what is known of it when the call is over stays known.
    listener.leave().await;
    let mut events = talker.events();
    let pending = |event| matches!(event, Event::Encryption(EncryptionEvent::State(State::Pending))).then_some(());
    // The first one is that of the beginning.
    event(&mut events, "pending at first", pending).await;
    event(&mut events, "pending again", pending).await;
    assert_eq!(talker.encryption().privacy_code, None);
    assert_eq!(listener.encryption().privacy_code, one.privacy_code);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_must_be_encrypted_says_why_it_is_not_joined() {
    let server = encrypted(Behaviour::default().stage(true)).await;
    let client = Client::new(config().e2ee(E2ee::Required));
    let info = info(&server, user(1), guild(1), channel(1)).await;
    let error = within(PATIENCE, "the join", client.join(info)).await.unwrap_err();
    let expected = JoinError::Failed { stage: Stage::Description, cause: Cause::NotEncrypted };
    assert_eq!(error, expected);
    assert!(error.to_string().contains("E2ee::Allowed"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_encryption_is_refused() {
    let server = encrypted(Behaviour::default()).await;
    let client = Client::new(config().e2ee(E2ee::Off));
    let info = info(&server, user(1), guild(1), channel(1)).await;
    let error = within(PATIENCE, "the join", client.join(info)).await.unwrap_err();
    let JoinError::Failed { cause, .. } = error else { panic!("{error}") };
    assert_eq!(Closed::Lost(cause).code(), Some(4_017));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_identity_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let keys = KeyFolder::new(folder.path().join("keys"));
    let identity = Identity::open(&keys, "bot", &SystemEntropy).unwrap();
    let again = Identity::open(&keys, "bot", &SystemEntropy).unwrap();
    assert_eq!(identity.public_key(), again.public_key());

    let server = encrypted(Behaviour::default()).await;
    let known = [(user(1), identity.public_key().to_vec())].into();
    let bot = Client::new(config().identity(Some(again)));
    let friend = Client::new(config().known_keys(known));
    let (guild, channel) = (guild(1), channel(1));
    let bot = bot.join(info(&server, user(1), guild, channel).await).await.unwrap();
    let friend = friend.join(info(&server, user(2), guild, channel).await).await.unwrap();
    let mut events = friend.events();
    let verified = event(&mut events, "the bot's key", |event| match event {
        Event::Encryption(EncryptionEvent::Verified(member)) => Some(member),
        _ => None,
    });
    let member = verified.await;
    assert_eq!((member.user, &member.key[..]), (user(1), identity.public_key()));
    assert!(bot.is_closed().is_none());
}

#[cfg(unix)]
#[test]
fn keys_are_their_owners_own_and_never_written_over() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let keys = KeyFolder::new(folder.path());
    Identity::open(&keys, "bot", &SystemEntropy).unwrap();
    let path = folder.path().join("bot.key");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");

    let before = std::fs::read(&path).unwrap();
    let error = keys.save("bot", &[1; 32]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists, "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);

    std::fs::write(&path, b"something else").unwrap();
    let error = Identity::open(&keys, "bot", &SystemEntropy).unwrap_err();
    assert!(matches!(error, IdentityError::NotAKey { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"something else", "it may be precious to somebody");

    for name in ["", "..", "a/b", "a b"] {
        let error = Identity::open(&keys, name, &SystemEntropy).unwrap_err();
        assert!(matches!(error, IdentityError::Store(_)), "{error}");
    }
}
