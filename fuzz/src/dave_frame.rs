use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use voice_dave::primitive::{
    Layout, MAX_ULEB128_LEN, MIN_TRAILER_LEN, OpenKey, ReplayWindow, SealKey, Trailer, read_uleb128, uleb128_len,
    write_uleb128,
};
use voice_dave::{Codec, Media, Opened, Opener, Refusal, SealError, Sealer, Secret};

use crate::input::Input;
use crate::start;

const CODECS: [Codec; 7] = [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::H265, Codec::Av1, Codec::Unknown];
/// What everybody seals with here.
static SECRET: Secret = Secret::new([7; Secret::LEN]);
static OTHER_SECRET: Secret = Secret::new([8; Secret::LEN]);
const LATER: Duration = Duration::from_secs(10);
const SILENCE: [u8; 3] = [0xF8, 0xFF, 0xFE];
/// What every sealed frame ends with.
const MARKER: [u8; 2] = [0xFA, 0xFA];
/// Of the authentication tag.
const TAG: usize = 8;

/// Media frames: opens anything, seals anything, and opens what it sealed.
///
/// The first byte chooses: what comes is to be opened, sealed, sealed by somebody who damages it, or serves the parts that
/// frames are made of.
///
/// # Panics
///
/// When an invariant does not hold.
pub fn dave_frame(data: &[u8]) {
    let mut input = Input::new(data);
    match input.below(8) {
        0 => open(&mut input),
        1 => stream(&mut input),
        2 => seal(&mut input),
        3 => damage(&mut input),
        4 => parse(input.rest()),
        5 => ranges(&mut input),
        _ => replay(&mut input),
    }
}

fn media(codec: Codec) -> Media {
    if codec == Codec::Opus { Media::Audio } else { Media::Video }
}

/// Opens a frame that came from anywhere, with zero to two secrets.
fn open(input: &mut Input) {
    let (now, choice) = (start(), input.byte());
    let mut opener = opener(now, choice);
    let media = if choice & 4 == 0 { Media::Audio } else { Media::Video };
    open_untrusted(&mut opener, now, media, choice & 8 != 0, input.rest());
}

/// The same with many short frames, one opener, and time that passes.
fn stream(input: &mut Input) {
    let (mut now, choice) = (start(), input.byte());
    let mut opener = opener(now, choice);
    let mut sealer = Sealer::new();
    sealer.install(&SECRET);
    while !input.is_empty() {
        let choice = input.byte();
        let media = if choice & 4 == 0 { Media::Audio } else { Media::Video };
        match choice & 3 {
            0 => now += Duration::from_millis(100) * u32::from(input.byte()),
            1 => opener.expect(now, if choice & 8 == 0 { &SECRET } else { &OTHER_SECRET }, now + LATER),
            2 => open_untrusted(&mut opener, now, media, choice & 8 != 0, input.bytes()),
            _ => {
                if choice & 8 != 0 {
                    opener.retire(now + Duration::from_millis(100) * u32::from(input.byte()));
                }
                let sealed = sealed(&mut sealer, Codec::Opus, input.bytes()).expect("audio can be sealed");
                open_untrusted(&mut opener, now, Media::Audio, false, &sealed);
            }
        }
    }
}

fn opener(now: Instant, choice: u8) -> Opener {
    let mut opener = Opener::new();
    if choice & 1 != 0 {
        opener.expect(now, &SECRET, now + LATER);
    }
    if choice & 2 != 0 {
        opener.expect(now, &OTHER_SECRET, now + LATER);
    }
    assert_eq!(opener.is_ready(now), choice & 3 != 0);
    opener
}

fn open_untrusted(opener: &mut Opener, now: Instant, media: Media, plain: bool, bytes: &[u8]) {
    let ready = opener.is_ready(now);
    let mut frame = bytes.to_vec();
    match opener.open(now, media, plain, &mut frame) {
        Opened::Sealed { len } => {
            assert!(ready, "opened without a secret");
            assert!(len < bytes.len(), "a sealed frame is longer than what it holds");
            assert!(bytes.ends_with(&MARKER));
        }
        opened => {
            assert_eq!(frame, bytes, "a frame that was not opened came to harm");
            match opened {
                Opened::Silence => assert!(media == Media::Audio && bytes == SILENCE),
                Opened::Plain => assert!(plain, "a plain frame passed that must not"),
                Opened::Refused(Refusal::Plain) => assert!(!plain),
                Opened::Refused(Refusal::NoSecret) => assert!(!ready),
                _ => {}
            }
        }
    }
}

/// Seals a frame of any codec and opens it.
fn seal(input: &mut Input) {
    let (now, codec) = (start(), CODECS[input.below(CODECS.len())]);
    let frame = input.rest();
    let (mut sealer, mut opener) = (Sealer::new(), Opener::new());
    let mut short = frame.to_vec();
    assert_eq!(sealer.seal(codec, &mut short, frame.len()), Err(SealError::NoSecret));
    assert!(sealer.install(&SECRET), "a new secret");
    assert!(!sealer.install(&SECRET), "a known secret");
    opener.expect(now, &SECRET, now);
    // Whatever the length of the buffer: it is too short, or it is not.
    let _ = sealer.seal(codec, &mut short, frame.len());

    let Some(once) = sealed(&mut sealer, codec, frame) else { return };
    let first = opened(&mut opener, now, codec, &once);
    let layout = Layout::new(codec, frame);
    assert_eq!(first, layout.media);
    assert!(layout.ranges.iter().all(|range| range.start < range.end && range.end <= layout.media.len()));
    assert!(layout.ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
    // H.26x start codes are brought to four bytes, AV1 loses the units that no receiver needs.
    if matches!(codec, Codec::Opus | Codec::Vp8 | Codec::Vp9 | Codec::Unknown) {
        assert_eq!(first, frame);
    }
    let mut again = once.clone();
    assert_eq!(opener.open(now, media(codec), true, &mut again), Opened::Refused(Refusal::Replayed));
    assert_eq!(again, once);

    let Some(twice) = sealed(&mut sealer, codec, &first) else { return };
    let second = opened(&mut opener, now, codec, &twice);
    assert!(twice != once, "a nonce was used twice");
    match codec {
        // A unit keeps its size when only the units behind it are lost, and is the last one only the next time.
        Codec::Av1 => {
            let Some(thrice) = sealed(&mut sealer, codec, &second) else { return };
            assert_eq!(opened(&mut opener, now, codec, &thrice), second);
        }
        // A unit of one byte at the very end counts as none.
        Codec::H264 | Codec::H265 => assert!(first.starts_with(&second), "{first:02x?} became {second:02x?}"),
        _ => assert_eq!(second, first),
    }
}

/// Seals a frame, changes a bit of what is authenticated, and must not open it.
fn damage(input: &mut Input) {
    let (now, codec, at) = (start(), CODECS[input.below(CODECS.len())], input.short());
    let (mut sealer, mut opener) = (Sealer::new(), Opener::new());
    sealer.install(&SECRET);
    opener.expect(now, &SECRET, now);
    let Some(original) = sealed(&mut sealer, codec, input.rest()) else { return };
    let mut frame = original.clone();
    let footer = usize::from(frame[frame.len() - MARKER.len() - 1]);
    let authenticated = frame.len() - footer + TAG;
    let bit = usize::from(at) % (authenticated * 8);
    frame[bit / 8] ^= 1 << (bit % 8);
    let damaged = frame.clone();
    let outcome = opener.open(now, media(codec), true, &mut frame);
    assert_eq!(outcome, Opened::Refused(Refusal::Unauthentic), "bit {bit}");
    assert_eq!(frame, damaged, "a refused frame came to harm");
    // The forgery did not use up the nonce.
    opened(&mut opener, now, codec, &original);
}

/// Numbers and trailers at the end of anything.
fn parse(bytes: &[u8]) {
    if let Some((value, len)) = read_uleb128(bytes) {
        let mut written = [0; MAX_ULEB128_LEN];
        let short = write_uleb128(value, &mut written).expect("there is room");
        assert_eq!(short, uleb128_len(value));
        // Padded numbers are read too.
        assert!(short <= len && len <= bytes.len());
        assert_eq!(read_uleb128(&written), Some((value, short)));
    }
    let Some(trailer) = Trailer::read(bytes) else { return };
    assert!(trailer.media_len + MIN_TRAILER_LEN < bytes.len(), "no room for a nonce");
    let mut end = 0;
    for range in trailer.ranges(bytes) {
        assert!(end <= range.start && range.start <= range.end && range.end <= trailer.media_len, "{range:?}");
        end = range.end;
    }
}

/// A frame of any nonce and any clear ranges.
fn ranges(input: &mut Input) {
    let nonce = u32::from(input.short()) << 16 | u32::from(input.short());
    let pairs = (0..input.below(96)).map(|_| (usize::from(input.byte()), usize::from(input.byte() % 32)));
    // Mostly in order, which everything else needs.
    let ranges: Vec<_> = pairs
        .scan(0, |end, (gap, len)| {
            let start = if gap == 255 { 0 } else { *end + gap % 16 };
            *end = start + len;
            Some(start..*end)
        })
        .collect();
    let media = input.rest();
    let key = [7; 16];
    let Some(mut frame) = SealKey::new(&key).seal_frame(nonce, media, &ranges) else { return };
    let trailer = Trailer::read(&frame).expect("a sealed frame");
    assert_eq!((trailer.nonce, trailer.media_len), (nonce, media.len()));
    assert_eq!(trailer.ranges(&frame).collect::<Vec<_>>(), ranges);
    for range in ranges {
        assert_eq!(frame[range.clone()], media[range]);
    }
    assert_eq!(OpenKey::new(&key).open_frame(&mut frame), Some(media.len()));
    assert_eq!(frame[..media.len()], *media);
}

/// Nonces in any order: none is accepted twice, and the newest always is.
fn replay(input: &mut Input) {
    let mut window = ReplayWindow::new();
    let (mut accepted, mut nonce) = (BTreeSet::new(), 0_u64);
    while !input.is_empty() {
        let step = u64::from(input.short());
        nonce = if step & 1 == 0 { nonce.saturating_add(step >> 1) } else { nonce.saturating_sub(step >> 1) };
        if window.may_accept(nonce) {
            assert!(accepted.insert(nonce), "{nonce} is accepted twice");
            window.accept(nonce);
        } else {
            assert!(accepted.last().is_some_and(|newest| nonce <= *newest), "the newest is refused");
        }
    }
}

/// The sealed frame; `None` when DAVE cannot carry it.
fn sealed(sealer: &mut Sealer, codec: Codec, frame: &[u8]) -> Option<Vec<u8>> {
    let most = Sealer::max_len(codec, frame.len());
    let mut buffer = frame.to_vec();
    buffer.resize(most, 0xA5);
    match sealer.seal(codec, &mut buffer, frame.len()) {
        Ok(len) => {
            assert!(len <= most, "{len} bytes, {most} were announced");
            buffer.truncate(len);
            assert!(buffer.ends_with(&MARKER));
            Some(buffer)
        }
        Err(SealError::Unsealable) => {
            assert!(
                !matches!(codec, Codec::Opus | Codec::Vp8 | Codec::Vp9 | Codec::Unknown),
                "{codec:?} has one range"
            );
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn opened(opener: &mut Opener, now: Instant, codec: Codec, sealed: &[u8]) -> Vec<u8> {
    let mut frame = sealed.to_vec();
    match opener.open(now, media(codec), false, &mut frame) {
        Opened::Sealed { len } => frame.truncate(len),
        outcome => panic!("what was sealed is {outcome:?}"),
    }
    frame
}
