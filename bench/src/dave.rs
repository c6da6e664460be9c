//! End-to-end encryption of one Opus frame: our sealer and opener, davey's session, and the bare AWS-LC call.

use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use davey::{DaveSession, MediaType};
use voice_client::layer::dave::{Codec, Media, Opened, Opener, Sealer, Secret};

use crate::Outcome;
use crate::pair::Pair;
use crate::row::{Figure, Row, Wanted};
use crate::suite::{Suite, repeat};

/// Bytes of Opus: 64 kbit/s in the middle.
const LENGTHS: [usize; 3] = [80, 160, 320];
/// Frames sealed at a time for being opened: each can be opened only once.
const BATCH: u64 = 256;
const TIME: Duration = Duration::from_secs(2);
const SECRET: [u8; Secret::LEN] = [7; _];
const PEER: &str = "davey";

pub fn run(suite: &mut Suite) -> Outcome {
    for len in LENGTHS {
        seal(suite, len)?;
    }
    for len in LENGTHS {
        open(suite, len);
    }
    Ok(())
}

/// The bar is about frames of 160 bytes.
fn wanted(row: Row, len: usize, most: f64) -> Row {
    if len == 160 { row.wanted(Wanted::OfPeer(most)) } else { row }
}

fn seal(suite: &mut Suite, len: usize) -> Outcome {
    let name = format!("dave-seal/{len}");
    if !suite.wants(&name) {
        return Ok(());
    }
    let mut sealer = Sealer::new();
    sealer.install(&Secret::new(SECRET));
    let mut buffer = vec![0x5A; Sealer::max_len(Codec::Opus, len)];
    let mut ours = repeat(|| sealer.seal(Codec::Opus, &mut buffer, len).expect("there is a secret"));

    let mut session = Pair::<DaveSession>::established().founder;
    let (frame, mut sealed) = (vec![0x5A; len], Vec::new());
    let mut peer = repeat(|| {
        session.encrypt_into(MediaType::AUDIO, davey::Codec::OPUS, &frame, &mut sealed).expect("there is a key");
    });

    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &SECRET)?);
    let mut text = vec![0x5A; len];
    let mut bare = repeat(|| {
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut text).map(|tag| tag.as_ref()[0])
    });
    let [ours, peer, bare] = suite.compare(&name, TIME, [&mut ours, &mut peer, &mut bare]);
    let row = Row::new(name, Figure::Time(ours.median())).peer(PEER, peer.median()).limit(bare.median());
    suite.push(wanted(row, len, 0.35));
    Ok(())
}

fn open(suite: &mut Suite, len: usize) {
    let name = format!("dave-open/{len}");
    if !suite.wants(&name) {
        return;
    }
    let secret = Secret::new(SECRET);
    let (now, mut sealer, mut opener) = (Instant::now(), Sealer::new(), Opener::new());
    sealer.install(&secret);
    opener.expect(now, &secret, now);
    let ours = |frames: &mut [Vec<u8>]| {
        for frame in &mut *frames {
            frame.clear();
            frame.resize(Sealer::max_len(Codec::Opus, len), 0x5A);
            let sealed = sealer.seal(Codec::Opus, frame, len).expect("there is a secret");
            frame.truncate(sealed);
        }
        let start = Instant::now();
        for frame in frames {
            assert_eq!(opener.open(now, Media::Audio, false, frame), Opened::Sealed { len });
        }
        start.elapsed()
    };

    let Pair { mut founder, mut joiner } = Pair::<DaveSession>::established();
    let speaker = founder.user_id();
    let (text, mut opened) = (vec![0x5A; len], vec![0; 2 * len]);
    let peer = |frames: &mut [Vec<u8>]| {
        for frame in &mut *frames {
            founder.encrypt_into(MediaType::AUDIO, davey::Codec::OPUS, &text, frame).expect("there is a key");
        }
        let start = Instant::now();
        for frame in frames {
            let length = joiner.decrypt_into(speaker, MediaType::AUDIO, frame, &mut opened);
            assert_eq!(length.expect("what was sealed opens"), len);
        }
        start.elapsed()
    };
    let [ours, peer] = suite.compare(&name, TIME, [&mut in_batches(ours), &mut in_batches(peer)]);
    let row = Row::new(name, Figure::Time(ours.median())).peer(PEER, peer.median());
    suite.push(wanted(row, len, 0.5));
}

/// A side whose `batch` takes so many buffers, prepares them, and says how long the rest took.
fn in_batches(mut batch: impl FnMut(&mut [Vec<u8>]) -> Duration) -> impl FnMut(u64) -> Duration {
    let mut frames = vec![Vec::new(); BATCH as usize];
    move |times| {
        let (mut left, mut time) = (times, Duration::ZERO);
        while left > 0 {
            let count = left.min(BATCH);
            time += batch(&mut frames[..count as usize]);
            left -= count;
        }
        time
    }
}
