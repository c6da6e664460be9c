//! Every container and codec: what comes out, how long it is, and where a seek lands.

use std::f64::consts::TAU;
use std::time::Duration;

use opus::{Channels, Decoder};
use voice_mixer::file::{Bytes, File};
use voice_mixer::{Art, Chunk, Format, Source, SourceError};

fn path(name: &str) -> String {
    format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).expect("the fixture is there")
}

/// An Opus packet, and how many samples at its beginning and end are no audio.
type Packet = (Vec<u8>, u32, u32);

/// Reads all of it: interleaved samples, and packets.
fn drain(source: &mut dyn Source) -> Result<(Vec<f32>, Vec<Packet>), SourceError> {
    let (mut samples, mut packets, mut chunk) = (Vec::new(), Vec::new(), Chunk::new());
    while source.read(&mut chunk)? {
        samples.extend_from_slice(chunk.samples());
        if !chunk.packet().is_empty() {
            let (skip, trim) = chunk.cut();
            packets.push((chunk.packet().to_vec(), skip, trim));
        }
        chunk.clear();
    }
    Ok((samples, packets))
}

/// Decodes packets, leaves out what is no audio.
fn decode(packets: &[Packet]) -> Vec<f32> {
    let mut decoder = Decoder::new(48_000, Channels::Stereo).expect("a decoder");
    let mut pcm = vec![0.0; 5_760 * 2];
    let mut samples = Vec::new();
    for (packet, skip, trim) in packets {
        let frames = decoder.decode_float(packet, &mut pcm, false).expect("a good packet");
        samples.extend_from_slice(&pcm[*skip as usize * 2..(frames - *trim as usize) * 2]);
    }
    samples
}

/// Amplitude of `frequency` in one channel of stereo: the projection on a sine and a cosine.
fn amplitude(samples: &[f32], channel: usize, rate: u32, frequency: f64) -> f64 {
    let frames = samples.len() / 2;
    let (mut sine, mut cosine) = (0.0, 0.0);
    for (n, frame) in samples.chunks_exact(2).enumerate() {
        let phase = TAU * frequency * n as f64 / f64::from(rate);
        sine += f64::from(frame[channel]) * phase.sin();
        cosine += f64::from(frame[channel]) * phase.cos();
    }
    2.0 * sine.hypot(cosine) / frames as f64
}

#[track_caller]
fn assert_tones(samples: &[f32], rate: u32, scale: f64, tolerance: f64) {
    // A whole number of periods of both tones, away from the edges.
    let middle = &samples[rate as usize / 20 * 2..];
    let middle = &middle[..rate as usize / 10 * 2];
    for (channel, frequency, expected) in [(0, 1_000.0, 0.5), (1, 440.0, 0.25), (0, 440.0, 0.0), (1, 1_000.0, 0.0)] {
        let (found, expected) = (amplitude(middle, channel, rate, frequency), expected * scale);
        assert!((found - expected).abs() < tolerance, "{frequency} Hz in channel {channel}: {found}, not {expected}");
    }
}

/// Frames and rate of each fixture that is decoded.
const DECODED: [(&str, u32, usize, f64); 7] = [
    ("stereo.wav", 44_100, 8_820, 0.001),
    ("stereo.aiff", 22_050, 4_410, 0.001),
    ("stereo.flac", 44_100, 22_050, 0.001),
    ("alac.m4a", 44_100, 8_820, 0.001),
    // Without its 1,024 frames of priming and the padding of the last packet; at 64 kbit/s the level wavers.
    ("aac.m4a", 44_100, 44_100, 0.05),
    ("stereo.mp3", 44_100, 44_100, 0.02),
    ("vorbis.ogg", 44_100, 44_100, 0.02),
];

#[test]
fn decoded_files_have_the_right_length_level_and_pitch() {
    for (name, rate, frames, tolerance) in DECODED {
        let mut file = File::new(path(name));
        let info = file.open().expect(name);
        assert_eq!(info.format, Format::Pcm { rate, channels: 2 }, "{name}");
        assert!(info.seekable, "{name}");
        let (samples, packets) = drain(&mut file).expect(name);
        assert!(packets.is_empty(), "{name}");
        assert_eq!(samples.len() / 2, frames, "{name}");
        let millis = info.duration.expect(name).as_secs_f64() * 1_000.0;
        assert!((millis - frames as f64 * 1_000.0 / f64::from(rate)).abs() < 22.0, "{name}: {millis}");
        // LAME encodes a little lower, against clipping.
        let scale = if name == "stereo.mp3" { 0.95 } else { 1.0 };
        assert_tones(&samples, rate, scale, tolerance);
    }
}

#[test]
fn decoded_files_seek_to_the_exact_sample() {
    for (name, rate, frames, tolerance) in DECODED {
        let whole = drain(&mut File::new(path(name))).expect(name).0;
        let mut file = Bytes::new(fixture(name));
        for frame in [0, 1, 1_151, 3_000, frames / 2, frames / 2 + 1, 7, frames - 1, frames / 3, frames - 1_025] {
            let to = Duration::from_nanos((frame as u64 * 1_000_000_000).div_ceil(u64::from(rate)));
            let landed = file.seek(to).expect(name);
            let error = (landed.as_secs_f64() - frame as f64 / f64::from(rate)).abs();
            assert!(error < 1e-8, "{name}: {landed:?} instead of frame {frame}");
            let (rest, _) = drain(&mut file).expect(name);
            let expected = &whole[frame * 2..];
            assert_eq!(rest.len(), expected.len(), "{name} from {frame}");
            let worst = rest.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // The lossless ones are the same bits; the others' decoders have seen enough to be close.
            let allowed = if tolerance < 0.01 { 0.0 } else { 0.002 };
            assert!(worst <= allowed, "{name} from {frame}: off by {worst}");
        }
    }
}

#[test]
fn chained_files_seek_to_the_exact_sample_of_the_whole() {
    let chained = fixture("chained.ogg");
    let mut source = Bytes::new(chained.clone());
    source.open().expect("it opens");
    let (whole, _) = drain(&mut source).expect("it plays");
    let one = 44_100 * 2;
    assert!(whole.len() > one + one / 2, "both streams: {} samples", whole.len());
    // The second and third are far enough from the beginning for a container to seek, if it could across streams.
    for (from, to) in [(1.5, 0.3), (1.5, 0.9), (1.5, 1.2), (0.2, 1.2)] {
        let mut source = Bytes::new(chained.clone());
        source.open().expect("it opens");
        let (mut read, mut chunk) = (0, Chunk::new());
        while read < (from * 88_200.0) as usize && source.read(&mut chunk).expect("it plays") {
            read += chunk.samples().len();
            chunk.clear();
        }
        let landed = source.seek(Duration::from_secs_f64(to)).expect("it seeks");
        assert_eq!(landed, Duration::from_secs_f64(to));
        let (rest, _) = drain(&mut source).expect("it plays");
        let start = 2 * (to * 44_100.0).round() as usize;
        assert_eq!(rest.len(), whole.len() - start, "from {from} s to {to} s");
        let same = rest.iter().zip(&whole[start..]).all(|(a, b)| (a - b).abs() < 1e-4);
        assert!(same, "from {from} s to {to} s");
    }
}

#[test]
fn a_seek_past_the_end_goes_to_the_end_and_back_again() {
    for name in
        ["stereo.wav", "stereo.flac", "aac.m4a", "alac.m4a", "stereo.mp3", "vorbis.ogg", "opus.ogg", "opus.webm"]
    {
        let mut file = File::new(path(name));
        let end = file.seek(Duration::from_secs(3_600)).expect(name);
        assert!(end <= Duration::from_millis(1_045), "{name}: {end:?}");
        assert!(end >= Duration::from_millis(200), "{name}: {end:?}");
        assert!(!file.read(&mut Chunk::new()).expect(name), "{name}");
        assert_eq!(file.seek(Duration::ZERO).expect(name), Duration::ZERO, "{name}");
        assert!(file.read(&mut Chunk::new()).expect(name), "{name}");
    }
}

const PACKETS: [(&str, u64, usize); 4] =
    [("opus.ogg", 960, 51), ("long.ogg", 2_880, 17), ("opus.webm", 960, 51), ("live.webm", 960, 51)];

#[test]
fn opus_files_come_out_as_packets() {
    for (name, samples, count) in PACKETS {
        let mut file = File::new(path(name));
        let info = file.open().expect(name);
        assert_eq!(info.format, Format::Opus, "{name}");
        let (pcm, packets) = drain(&mut file).expect(name);
        assert!(pcm.is_empty());
        assert_eq!(packets.len(), count, "{name}");
        assert!(packets.iter().all(|(packet, _, _)| voice_mixer::opus::samples(packet) == Ok(samples as usize)));
        assert_eq!(packets[0].1, 312, "{name}: pre-skip");
        assert!(packets[1..].iter().all(|(_, skip, _)| *skip == 0), "{name}");
        let audio = decode(&packets);
        // A live stream cannot know beforehand what its last packet will hold.
        let frames = if name == "live.webm" { 48_648 } else { 48_000 };
        assert_eq!(audio.len() / 2, frames, "{name}");
        assert_tones(&audio, 48_000, 1.0, 0.03);
    }
}

#[test]
fn opus_files_seek_to_the_exact_packet() {
    for (name, samples, count) in PACKETS {
        let whole = drain(&mut File::new(path(name))).expect(name).1;
        let mut file = Bytes::new(fixture(name));
        file.open().expect(name);
        for index in [0, 1, 3, count / 2, count - 1, 2, count - 3, 10] {
            // The middle of the audible part of this packet.
            let begin = (index as u64 * samples).saturating_sub(312);
            let to = Duration::from_micros((begin + samples / 4) * 1_000_000 / 48_000);
            let landed = file.seek(to).expect(name);
            let exact = Duration::from_nanos((begin * 1_000_000_000 + 24_000) / 48_000);
            assert_eq!(landed, exact, "{name}: packet {index}");
            let (_, rest) = drain(&mut file).expect(name);
            let preroll = rest.iter().take_while(|(_, skip, _)| u64::from(*skip) == samples).count();
            assert_eq!(rest.len() - preroll, whole.len() - index, "{name}: packet {index}");
            assert!(preroll as u64 * samples >= (3_840).min(index as u64 * samples), "{name}: {preroll} of pre-roll");
            assert!(rest[preroll..].iter().zip(&whole[index..]).all(|(a, b)| a.0 == b.0), "{name}: packet {index}");
            // What is decoded is what would have been heard here.
            let (sought, heard) = (decode(&rest), decode(&whole));
            let heard = &heard[begin as usize * 2..];
            assert_eq!(sought.len(), heard.len(), "{name}: packet {index}");
            let error: f32 = sought.iter().zip(heard).map(|(a, b)| (a - b).powi(2)).sum();
            let error = (error / sought.len() as f32).sqrt();
            assert!(error < 0.08, "{name}: packet {index} is off by {error}");
        }
    }
}

#[test]
fn tags_are_read() {
    for name in ["stereo.flac", "stereo.mp3", "vorbis.ogg", "opus.ogg", "aac.m4a"] {
        let info = File::new(path(name)).open().expect(name);
        assert!(info.tags.iter().any(|(_, value)| value == "Two tones"), "{name}: {:?}", info.tags);
    }
}

#[test]
fn a_missing_file_is_an_error_that_names_the_path() {
    let error = File::new("/nowhere/song.flac").open().expect_err("it does not exist");
    assert!(matches!(error, SourceError::Open { .. }));
    assert!(error.to_string().contains("/nowhere/song.flac"), "{error}");
    let error = File::new(env!("CARGO_MANIFEST_DIR")).open().expect_err("a directory is no audio");
    assert!(matches!(error, SourceError::Open { .. }), "{error}");
}

#[test]
fn an_empty_file_is_an_error() {
    let error = Bytes::named("empty.wav", Vec::new()).open().expect_err("there is nothing in it");
    assert!(matches!(error, SourceError::Empty { .. }));
    assert!(error.to_string().contains("empty.wav"));
}

#[test]
fn what_is_no_audio_is_an_error() {
    let text = "It was the best of times, it was the worst of times. ".repeat(400);
    let zeros = vec![0; 20_000];
    let page = b"<!DOCTYPE html><html><body>404</body></html>".to_vec();
    for (name, bytes) in [("text", text.into_bytes()), ("zeros", zeros), ("page", page), ("byte", vec![b'R'])] {
        let mut file = Bytes::new(bytes);
        let error = file.open().err().or_else(|| drain(&mut file).err()).expect(name);
        assert!(matches!(error, SourceError::NotAudio { .. }), "{name}: {error}");
    }
}

/// Wherever a file breaks off, what is there comes out, and then an end or a typed error.
#[test]
fn truncated_files_play_what_is_there() {
    for name in DECODED.iter().map(|(name, ..)| *name).chain(PACKETS.iter().map(|(name, ..)| *name)) {
        let bytes = fixture(name);
        for tenths in 1..10 {
            let mut file = Bytes::named(name, &bytes[..bytes.len() * tenths / 10]);
            let mut chunk = Chunk::new();
            let mut reads = 0;
            while let Ok(true) = file.read(&mut chunk) {
                chunk.clear();
                reads += 1;
                assert!(reads < 10_000, "{name} at {tenths} tenths does not end");
            }
        }
    }
    let bytes = fixture("stereo.flac");
    let error = drain(&mut Bytes::named("half.flac", &bytes[..bytes.len() / 2])).expect_err("half of it is missing");
    assert!(matches!(error, SourceError::Truncated { .. }), "{error}");
    assert!(error.to_string().contains("half.flac"));
    let bytes = fixture("stereo.wav");
    let error = drain(&mut Bytes::new(&bytes[..bytes.len() / 2 - 1])).expect_err("half of it is missing");
    assert!(matches!(error, SourceError::Truncated { at, .. } if at > Duration::from_millis(90)), "{error}");
}

#[test]
fn a_wave_file_from_a_pipe_has_no_length_and_ends_well() {
    let mut bytes = fixture("stereo.wav");
    let data = bytes.windows(4).position(|name| name == b"data").expect("a data chunk");
    bytes[4..8].fill(0xFF);
    bytes[data + 4..data + 8].fill(0xFF);
    let mut file = Bytes::new(bytes);
    assert_eq!(file.open().expect("a header").duration, None);
    let (samples, _) = drain(&mut file).expect("an end");
    assert_eq!(samples.len() / 2, 8_820);
    assert_eq!(file.seek(Duration::from_millis(100)).expect("it can seek"), Duration::from_millis(100));
    assert_eq!(drain(&mut file).expect("an end").0, samples[8_820..]);
}

#[test]
fn surround_comes_out_in_the_order_of_wave_files() {
    let (samples, _) = drain(&mut File::new(path("centre.flac"))).expect("a good file");
    assert_eq!(samples.len(), 4_800 * 6);
    for frame in samples.chunks_exact(6) {
        assert!([0, 1, 3, 4, 5].iter().all(|channel| frame[*channel] == 0.0), "{frame:?}");
    }
    assert!(samples.iter().any(|sample| *sample > 0.39));
}

/// Flipped bytes anywhere: no panic, no endless loop.
#[test]
fn damaged_files_end() {
    let mut state = 1_u32;
    for name in DECODED.iter().map(|(name, ..)| *name).chain(PACKETS.iter().map(|(name, ..)| *name)) {
        let bytes = fixture(name);
        for _ in 0..40 {
            let mut damaged = bytes.clone();
            for _ in 0..8 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let place = (state >> 8) as usize % if state & 1 == 0 { 400 } else { damaged.len() };
                damaged[place] ^= (state >> 3) as u8 | 1;
            }
            let mut file = Bytes::new(damaged);
            let mut chunk = Chunk::new();
            let mut reads = 0;
            while let Ok(true) = file.read(&mut chunk) {
                chunk.clear();
                reads += 1;
                assert!(reads < 100_000, "{name} does not end");
            }
            let _ = file.seek(Duration::from_millis(300));
        }
    }
}

#[test]
fn a_file_that_changes_while_it_plays_ends_with_an_error() {
    let place = std::env::temp_dir().join(format!("voice-mixer-{}.flac", std::process::id()));
    std::fs::write(&place, fixture("stereo.flac")).expect("a temporary file");
    let mut file = File::new(&place);
    assert!(file.read(&mut Chunk::new()).expect("the first packet"));
    std::fs::write(&place, b"something else").expect("a temporary file");
    // What was buffered may still play, and may be all of it.
    let _ = drain(&mut file);
    let second = file.seek(Duration::ZERO);
    std::fs::remove_file(&place).expect("it was ours");
    assert!(matches!(second, Err(SourceError::NotAudio { .. } | SourceError::Damaged { .. })), "{second:?}");
}

#[test]
fn every_file_can_be_had_afresh() {
    for name in ["stereo.flac", "opus.ogg"] {
        let mut file = File::new(path(name));
        let first = drain(&mut file).expect(name);
        let mut again = file.fresh().expect("a file can be read again");
        assert_eq!(drain(&mut *again).expect(name), first, "{name}");
        let mut again = Bytes::new(fixture(name)).fresh().expect("so can one in memory");
        assert_eq!(drain(&mut *again).expect(name), first, "{name}");
    }
}

#[test]
fn metadata_art_and_loudness_are_read() {
    for name in ["tagged.flac", "tagged.mp3", "tagged.m4a", "tagged.ogg"] {
        let info = File::new(path(name)).open().expect(name);
        let metadata = &info.metadata;
        assert_eq!(metadata.title.as_deref(), Some("Two tones"), "{name}: {info:?}");
        assert_eq!(metadata.artist.as_deref(), Some("Oscillator"), "{name}: {info:?}");
        assert_eq!(metadata.album.as_deref(), Some("Test signals"), "{name}: {info:?}");
        let Some(Art::Embedded { media_type, bytes }) = &metadata.art else {
            assert_eq!(name, "tagged.ogg", "{info:?}");
            continue;
        };
        assert_eq!(&**media_type, "image/png", "{name}");
        assert_eq!(bytes[..4], *b"\x89PNG", "{name}");
    }
    for (name, loudness) in [
        ("tagged.flac", Some(-11.0)),
        ("tagged.mp3", Some(-11.0)),
        ("tagged.ogg", Some(-13.0)),
        // ffmpeg does not write them to MP4.
        ("tagged.m4a", None),
        ("stereo.flac", None),
    ] {
        assert_eq!(File::new(path(name)).open().expect(name).loudness, loudness, "{name}");
    }
}

/// The tag's gain comes on top of the header's, which is not applied: what is heard is that much louder.
#[test]
fn the_gain_in_an_opus_header_counts_for_loudness() {
    let mut bytes = fixture("tagged.ogg");
    let head = bytes.windows(8).position(|name| name == b"OpusHead").expect("an Opus header");
    bytes[head + 16..head + 18].copy_from_slice(&(-1_280_i16).to_le_bytes());
    fix_first_page(&mut bytes);
    let info = Bytes::new(bytes).open().expect("an Ogg file");
    assert_eq!(info.loudness, Some(-8.0));
}

/// Computes the checksum of the first Ogg page anew (RFC 3533, section 6).
fn fix_first_page(bytes: &mut [u8]) {
    let segments = usize::from(bytes[26]);
    let len = 27 + segments + bytes[27..27 + segments].iter().map(|len| usize::from(*len)).sum::<usize>();
    bytes[22..26].fill(0);
    let crc = bytes[..len].iter().fold(0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| crc << 1 ^ if crc >> 31 == 1 { 0x04C1_1DB7 } else { 0 })
    });
    bytes[22..26].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn priming_is_cut_where_the_audio_begins() {
    let (samples, _) = drain(&mut File::new(path("aac.m4a"))).expect("a good file");
    // Correlated with what was encoded, the sound is where it was: not a frame of 1,024 later.
    let score = |shift: isize| -> f64 {
        let at = |n: usize| (TAU * 1_000.0 * (n as isize - shift) as f64 / 44_100.0).sin();
        (4_410..8_820).map(|n| f64::from(samples[2 * n]) * at(n)).sum()
    };
    let best = (-22..22).max_by(|a, b| score(*a).total_cmp(&score(*b))).expect("some shift");
    assert!((-1..=1).contains(&best), "off by {best}");
    let energy: f32 = samples[..2 * 64].iter().map(|sample| sample * sample).sum();
    assert!(energy > 0.5, "it sounds from the first frame on: {energy}");
}

/// As iTunes writes it: no edit list, but a comment.
#[test]
fn priming_is_read_from_an_itunes_comment() {
    let mut bytes = fixture("aac.m4a");
    let whole = drain(&mut Bytes::new(bytes.clone())).expect("a good file").0;
    let edts = bytes.windows(4).position(|name| name == b"edts").expect("an edit list");
    bytes[edts..edts + 4].copy_from_slice(b"free");
    assert_eq!(drain(&mut Bytes::new(bytes.clone())).expect("a good file").0.len() / 2, 46_080);

    let atom = |kind: &[u8; 4], content: &[u8]| [&(content.len() as u32 + 8).to_be_bytes()[..], kind, content].concat();
    let numbers = b" 00000000 00000400 0000037C 000000000000AC44 00000000 00000000 00000000 00000000";
    let data = atom(b"data", &[&[0, 0, 0, 1, 0, 0, 0, 0][..], numbers].concat());
    let mean = atom(b"mean", b"\0\0\0\0com.apple.iTunes");
    let comment = atom(b"----", &[mean, atom(b"name", b"\0\0\0\0iTunSMPB"), data].concat());
    // The list of comments is the last thing in the file: everything around it grows.
    for kind in [b"moov", b"udta", b"meta", b"ilst"] {
        let place = bytes.windows(4).rposition(|name| name == kind).expect("the box") - 4;
        let size = u32::from_be_bytes(bytes[place..place + 4].try_into().expect("four bytes"));
        assert_eq!(place + size as usize, bytes.len(), "{kind:?} is last");
        bytes[place..place + 4].copy_from_slice(&(size + comment.len() as u32).to_be_bytes());
    }
    bytes.extend_from_slice(&comment);
    assert_eq!(drain(&mut Bytes::new(bytes)).expect("a good file").0, whole);
}

/// Packets as DCA stores them.
fn dca(header: Option<&str>, packets: &[Packet]) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(json) = header {
        bytes.extend_from_slice(b"DCA1");
        bytes.extend_from_slice(&(json.len() as i32).to_le_bytes());
        bytes.extend_from_slice(json.as_bytes());
    }
    for (packet, _, _) in packets {
        bytes.extend_from_slice(&(packet.len() as i16).to_le_bytes());
        bytes.extend_from_slice(packet);
    }
    bytes
}

const DCA_HEADER: &str = r#"{"dca":{"version":1,"tool":{"name":"dca"}},"opus":{"mode":"music","sample_rate":48000,
    "frame_size":960,"abr":64000,"vbr":true,"channels":2},"info":{"title":"Two tones","artist":"Oscillator","album":"",
    "cover":null},"origin":{"source":"file","url":"https://example.com/tones"}}"#;

#[test]
fn dca_files_of_both_versions_play_and_seek() {
    for name in ["opus.ogg", "long.ogg"] {
        let packets = drain(&mut File::new(path(name))).expect(name).1;
        let samples = voice_mixer::opus::samples(&packets[0].0).expect("a good packet") as u64;
        // Long enough to have more than one place to begin at.
        let packets: Vec<Packet> = packets.iter().cycle().take(packets.len() * 20).cloned().collect();
        for header in [Some(DCA_HEADER), None] {
            let bytes = dca(header, &packets);
            assert!(bytes.len() > 150_000);
            let mut file = Bytes::new(bytes);
            let info = file.open().expect("a DCA file");
            assert_eq!(info.format, Format::Opus);
            assert!(info.seekable);
            assert_eq!(info.duration, Some(Duration::from_micros(samples * packets.len() as u64 * 1_000 / 48)));
            assert_eq!(info.metadata.title.is_some(), header.is_some());
            assert_eq!(info.metadata.url.as_deref(), header.map(|_| "https://example.com/tones"));
            assert_eq!(info.metadata.album, None);
            let bare = |packets: &[Packet]| packets.iter().map(|packet| packet.0.clone()).collect::<Vec<_>>();
            assert_eq!(bare(&drain(&mut file).expect("it plays").1), bare(&packets));
            for index in [0, 1, 2, 3, 4, 5, packets.len() / 2, 17, packets.len() - 1, packets.len() * 3 / 4] {
                let start = index as u64 * samples;
                let to = Duration::from_micros((start + samples / 3) * 1_000 / 48);
                let landed = file.seek(to).expect("it seeks");
                assert_eq!(landed, Duration::from_micros(start * 1_000 / 48), "{name}: packet {index}");
                let rest = drain(&mut file).expect("it plays").1;
                let preroll = rest.iter().take_while(|(_, skip, _)| u64::from(*skip) == samples).count();
                assert_eq!(preroll as u64, 3_840_u64.div_ceil(samples).min(index as u64), "{name}: packet {index}");
                assert!(rest[preroll..].iter().all(|(_, skip, trim)| (*skip, *trim) == (0, 0)));
                assert_eq!(bare(&rest), bare(&packets[index - preroll..]), "{name}: packet {index}");
            }
            assert_eq!(file.seek(Duration::from_secs(3_600)).ok(), info.duration);
            assert!(!file.read(&mut Chunk::new()).expect("the end"));
        }
    }
}

#[test]
fn hostile_dca_files_are_errors_that_name_the_place() {
    let packets = drain(&mut File::new(path("opus.ogg"))).expect("a good file").1;
    let open = |bytes: &[u8]| Bytes::named("song.dca", bytes).open().expect_err("a bad header").to_string();
    for length in [-1, i32::MIN, i32::MAX, 2 << 20] {
        let mut bytes = dca(Some(DCA_HEADER), &packets);
        bytes[4..8].copy_from_slice(&i32::to_le_bytes(length));
        let error = open(&bytes);
        assert!(error.contains("song.dca") && error.contains(&length.to_string()), "{error}");
    }
    assert!(open(b"DCA1\x05").contains("cut short"));
    assert!(open(b"DCA1\x05\0\0\0{}").contains("cut short"));
    assert!(open(b"DCA1\x02\0\0\0{]").contains("DCA header"));

    let good = dca(Some("{}"), &packets[..10]);
    for (tail, expected) in [
        (&[0, 0][..], "claims 0 bytes"),
        (&[0xFF, 0xFF, 1, 2], "claims -1 bytes"),
        (&[1], "breaks off"),
        (&[200, 0, 0xF8, 1], "breaks off"),
        (&[3, 0, 0xFF, 0xFF, 0xFF], "illegal Opus"),
    ] {
        let bytes = [&good, tail].concat();
        let mut file = Bytes::named("song.dca", bytes);
        assert_eq!(file.open().expect("its beginning is good").duration, Some(Duration::from_millis(200)));
        let (mut chunk, mut played) = (Chunk::new(), 0);
        let error = loop {
            match file.read(&mut chunk) {
                Ok(more) => assert!(more, "{tail:?} is no end"),
                Err(error) => break error,
            }
            played += 1;
        };
        assert_eq!(played, 10, "what is good is played");
        assert!(error.to_string().contains(expected), "{error}");
    }
}
