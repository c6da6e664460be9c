use std::time::{Duration, Instant};

use voice_model::SILENCE_FRAME;

use super::{MAX_SECRETS, OpenStats, Opened, Opener, Refusal};
use crate::codec::{Codec, Media};
use crate::frame::SealKey;
use crate::ratchet::Ratchet;
use crate::seal::Sealer;
use crate::secret::Secret;

const AUDIO: &[u8] = b"some audio, 20 milliseconds";
const DAY: Duration = Duration::from_secs(86_400);

#[expect(clippy::disallowed_methods, reason = "time in these tests starts anywhere")]
fn start() -> Instant {
    Instant::now()
}

fn secret(number: u8) -> Secret {
    Secret::new([number; Secret::LEN])
}

/// A frame as the speaker sends it after so many.
fn frame(number: u8, count: u64) -> Vec<u8> {
    let mut ratchet = Ratchet::new(&secret(number));
    ratchet.advance_to((count >> 24) as u32);
    SealKey::new(&ratchet.key()).seal_frame(count as u32, AUDIO, &[]).expect("sealed")
}

/// Opens a frame, and looks that one which is refused stays as it is.
fn open(opener: &mut Opener, now: Instant, frame: &[u8]) -> Result<(), Refusal> {
    let mut opened = frame.to_vec();
    match opener.open(now, Media::Audio, false, &mut opened) {
        Opened::Sealed { len } => {
            assert_eq!(&opened[..len], AUDIO);
            Ok(())
        }
        Opened::Refused(refusal) => {
            assert_eq!(opened, frame);
            Err(refusal)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_sealed_passes_when_it_may() {
    let (now, mut opener) = (start(), Opener::new());
    let mut silence = SILENCE_FRAME;
    let mut plain = *b"plain";
    assert_eq!(opener.open(now, Media::Audio, false, &mut silence), Opened::Silence);
    assert_eq!(opener.open(now, Media::Video, false, &mut silence), Opened::Refused(Refusal::Plain));
    assert_eq!(opener.open(now, Media::Video, true, &mut silence), Opened::Plain);
    assert_eq!(opener.open(now, Media::Audio, false, &mut plain), Opened::Refused(Refusal::Plain));
    assert_eq!(opener.open(now, Media::Audio, true, &mut plain), Opened::Plain);
    assert_eq!(opener.open(now, Media::Audio, true, &mut []), Opened::Plain);
    assert_eq!((silence, &plain), (SILENCE_FRAME, b"plain"));
    // A sealed frame is never taken for a plain one.
    let mut sealed = frame(1, 1);
    assert_eq!(opener.open(now, Media::Audio, true, &mut sealed), Opened::Refused(Refusal::NoSecret));
    assert_eq!(sealed, frame(1, 1));
    let stats = OpenStats { silence: 1, plain: 3, refused_plain: 2, no_secret: 1, ..OpenStats::default() };
    assert_eq!(opener.stats(), stats);
}

#[test]
fn sealed_silence_opens_to_silence() {
    let (now, mut opener, mut sealer) = (start(), Opener::new(), Sealer::new());
    opener.expect(now, &secret(1), now);
    sealer.install(&secret(1));
    let mut buffer = [0; 32];
    buffer[..3].copy_from_slice(&SILENCE_FRAME);
    let len = sealer.seal(Codec::Opus, &mut buffer, 3).expect("sealed");
    assert_ne!(buffer[..3], SILENCE_FRAME);
    assert_eq!(opener.open(now, Media::Audio, false, &mut buffer[..len]), Opened::Sealed { len: 3 });
    assert_eq!(buffer[..3], SILENCE_FRAME);
}

#[test]
fn each_changed_bit_is_refused_and_leaves_the_frame_as_it_is() {
    let (now, mut opener) = (start(), Opener::new());
    opener.expect(now, &secret(1), now);
    let good = frame(1, 1);
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&mut opener, now, &bad).is_err(), "bit {bit}");
    }
    assert_eq!(open(&mut opener, now, &good), Ok(()));
    assert_eq!(open(&mut opener, now, &good), Err(Refusal::Replayed));
}

#[test]
fn frames_come_in_any_order_and_once() {
    let (now, mut opener) = (start(), Opener::new());
    opener.expect(now, &secret(1), now);
    for (count, wanted) in [
        (3, Ok(())),
        (1, Ok(())),
        (3, Err(Refusal::Replayed)),
        (2, Ok(())),
        (1, Err(Refusal::Replayed)),
        (0, Ok(())),
        (1_500, Ok(())),
        (499, Err(Refusal::Replayed)),
        (500, Ok(())),
        (500, Err(Refusal::Replayed)),
    ] {
        assert_eq!(open(&mut opener, now, &frame(1, count)), wanted, "{count}");
    }
}

#[test]
fn older_secrets_end_when_they_are_told_to() {
    let (now, mut opener) = (start(), Opener::new());
    let seconds = |seconds| now + Duration::from_secs(seconds);
    opener.expect(now, &secret(1), now);
    opener.expect(now, &secret(2), seconds(10));
    opener.expect(seconds(5), &secret(3), seconds(15));
    for (count, number) in [(1, 1), (1, 2), (1, 3), (2, 2), (2, 1), (2, 3)] {
        assert_eq!(open(&mut opener, seconds(9), &frame(number, count)), Ok(()), "{number}");
    }
    assert_eq!(open(&mut opener, seconds(10), &frame(1, 3)), Ok(()));
    assert_eq!(open(&mut opener, seconds(11), &frame(1, 4)), Err(Refusal::Unauthentic));
    assert_eq!(open(&mut opener, seconds(11), &frame(2, 3)), Ok(()));
    assert_eq!(opener.secrets.len(), 2, "erased");
    assert_eq!(open(&mut opener, seconds(16), &frame(2, 4)), Err(Refusal::Unauthentic));
    assert_eq!(open(&mut opener, seconds(16), &frame(3, 3)), Ok(()));
    assert!(opener.is_ready(seconds(1_000)));

    opener.retire(seconds(20));
    opener.retire(seconds(30));
    assert!(opener.is_ready(seconds(20)) && !opener.is_ready(seconds(21)));
    assert_eq!(open(&mut opener, seconds(21), &frame(3, 4)), Err(Refusal::NoSecret));
    assert!(opener.secrets.is_empty());
}

#[test]
fn a_known_secret_changes_nothing() {
    let (now, mut opener) = (start(), Opener::new());
    let seconds = |seconds| now + Duration::from_secs(seconds);
    opener.expect(now, &secret(1), now);
    assert_eq!(open(&mut opener, now, &frame(1, 1)), Ok(()));
    opener.expect(now, &secret(1), now);
    assert_eq!(open(&mut opener, now, &frame(1, 1)), Err(Refusal::Replayed));
    opener.expect(now, &secret(2), seconds(10));
    opener.expect(seconds(1), &secret(1), seconds(2));
    opener.expect(seconds(1), &secret(2), seconds(2));
    assert_eq!(open(&mut opener, seconds(9), &frame(1, 2)), Ok(()));
    assert_eq!(open(&mut opener, seconds(11), &frame(1, 3)), Err(Refusal::Unauthentic), "no longer than said at first");
}

/// Nonces begin anew with each secret, so the first frames of the next one look like repeats.
#[test]
fn a_frame_of_a_secret_that_is_yet_to_come_is_no_replay() {
    let (now, mut opener) = (start(), Opener::new());
    opener.expect(now, &secret(1), now);
    (1..=5).for_each(|count| assert_eq!(open(&mut opener, now, &frame(1, count)), Ok(())));
    assert_eq!(open(&mut opener, now, &frame(2, 1)), Err(Refusal::Unauthentic));
    assert_eq!(open(&mut opener, now, &frame(1, 1)), Err(Refusal::Replayed));
    opener.expect(now, &secret(2), now + Duration::from_secs(10));
    assert_eq!(open(&mut opener, now, &frame(2, 1)), Ok(()));
    assert_eq!(open(&mut opener, now, &frame(2, 1)), Err(Refusal::Replayed));
    assert_eq!(open(&mut opener, now, &frame(1, 1)), Err(Refusal::Replayed));
}

#[test]
fn generations_no_speaker_can_have_reached_cost_nothing() {
    let (now, mut opener) = (start(), Opener::new());
    opener.expect(now, &secret(1), now);
    assert_eq!(open(&mut opener, now, &frame(1, 1 << 24)), Err(Refusal::Implausible));
    // 2^24 frames at 170 a second: 98,690 s.
    assert_eq!(open(&mut opener, now + Duration::from_secs(98_689), &frame(1, 1 << 24)), Err(Refusal::Implausible));
    assert_eq!(open(&mut opener, now + Duration::from_secs(98_690), &frame(1, 1 << 24)), Ok(()));

    // In a year 319 generations can be reached, but none more than 250 ahead.
    let mut opener = Opener::new();
    opener.expect(now, &secret(1), now);
    assert_eq!(open(&mut opener, now + 365 * DAY, &frame(1, 251 << 24)), Err(Refusal::Implausible));
    assert_eq!(open(&mut opener, now + 365 * DAY, &frame(1, 250 << 24)), Ok(()));
    // 300 would be 44 while 0 is kept.
    assert_eq!(open(&mut opener, now + 365 * DAY, &frame(1, 300 << 24)), Err(Refusal::Unauthentic));
    assert_eq!(open(&mut opener, now + 366 * DAY, &frame(1, 300 << 24)), Ok(()));
}

#[test]
fn old_generations_last_10_s() {
    let (now, mut opener) = (start(), Opener::new());
    opener.expect(now, &secret(1), now);
    let later = now + 3 * DAY;
    let second = Duration::from_secs(1);
    let count = 1 << 24;
    assert_eq!(open(&mut opener, later, &frame(1, count - 3)), Ok(()));
    assert_eq!(open(&mut opener, later, &frame(1, count + 1)), Ok(()));
    assert_eq!(open(&mut opener, later + 10 * second, &frame(1, count - 2)), Ok(()));
    assert_eq!(open(&mut opener, later + 10 * second, &frame(1, count)), Ok(()));
    assert_eq!(open(&mut opener, later + 11 * second, &frame(1, count - 1)), Err(Refusal::Unauthentic));
    assert_eq!(open(&mut opener, later + 11 * second, &frame(1, count + 2)), Ok(()));
    assert_eq!(open(&mut opener, later + 11 * second, &frame(1, 2 * count)), Ok(()), "a generation later");
    assert_eq!(open(&mut opener, later + 11 * second, &frame(1, 2 * count - 1)), Ok(()), "and one of before");
}

#[test]
fn the_wire_begins_anew_after_32_bits_and_the_generation_goes_on() {
    let (now, mut opener) = (start(), Opener::new());
    opener.expect(now, &secret(1), now);
    let mut later = now + 1_000 * DAY;
    for generation in [200_u64, 255, 256, 257, 400, 512] {
        later += DAY;
        assert_eq!(open(&mut opener, later, &frame(1, generation << 24)), Ok(()), "{generation}");
    }
    // Generation 0 again would be 768 now: too far ahead. A frame of another secret begins there, though.
    later += DAY;
    assert_eq!(open(&mut opener, later, &frame(1, 1)), Err(Refusal::Unauthentic));
    assert_eq!(open(&mut opener, later, &frame(2, 1)), Err(Refusal::Unauthentic));
}

#[test]
fn forged_generations_are_not_kept() {
    let (now, mut opener) = (start(), Opener::new());
    opener.expect(now, &secret(1), now);
    let later = now + 30 * DAY;
    for generation in 0..20 {
        assert_eq!(open(&mut opener, later, &frame(9, generation << 24)), Err(Refusal::Unauthentic));
    }
    assert_eq!(open(&mut opener, later, &frame(1, 7)), Ok(()));
    assert_eq!(open(&mut opener, later, &frame(1, 1 << 24)), Ok(()));
}

#[test]
fn one_secret_too_many_pushes_the_oldest_out() {
    let (now, mut opener) = (start(), Opener::new());
    let retire = now + DAY;
    for number in 0..MAX_SECRETS as u8 {
        opener.expect(now, &secret(number), retire);
        assert_eq!(open(&mut opener, now, &frame(0, u64::from(number))), Ok(()));
    }
    assert_eq!(open(&mut opener, now, &frame(1, 1)), Ok(()));
    opener.expect(now, &secret(100), retire);
    assert_eq!(opener.secrets.len(), MAX_SECRETS);
    assert_eq!(open(&mut opener, now, &frame(0, 50)), Err(Refusal::Unauthentic));
    for number in (1..MAX_SECRETS as u8).chain([100]) {
        assert_eq!(open(&mut opener, now, &frame(number, 2)), Ok(()), "{number}");
    }
}

#[test]
fn debug_tells_no_secret() {
    let (now, mut opener) = (start(), Opener::new());
    opener.expect(now, &secret(7), now);
    let text = format!("{opener:?}");
    assert!(text.contains("secrets: 1") && !text.contains("[7, 7"), "{text}");
}

#[test]
fn a_speaker_takes_little_memory() {
    assert!(size_of::<super::Expected>() <= 384, "{}", size_of::<super::Expected>());
    assert!(size_of::<Opener>() <= 256, "{}", size_of::<Opener>());
}

#[test]
fn who_falls_silent_keeps_no_secret_that_is_over() {
    let (now, mut opener) = (start(), Opener::new());
    let retire = now + Duration::from_secs(10);
    opener.expect(now, &secret(1), retire);
    opener.expect(now, &secret(2), retire);
    opener.expire(retire);
    assert_eq!(opener.secrets.len(), 2, "the last moment that it is good for");
    opener.expire(retire + Duration::from_nanos(1));
    assert_eq!(opener.secrets.len(), 1);
    assert_eq!(open(&mut opener, retire + DAY, &frame(2, 0)), Ok(()));
}
