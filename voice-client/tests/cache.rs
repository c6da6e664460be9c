//! Caches: read once, heard by many, wherever they are.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use opus::{Channels, Decoder};
use voice_client::source::cache::{Cache, CacheError, Form, Storage};
use voice_client::source::file::File;
use voice_client::source::pcm::Pcm;
use voice_client::source::{Chunk, Format, Info, Metadata, Source, SourceError};

const FORMS: [Form; 2] = [Form::Pcm, Form::OPUS];

fn storages() -> [Storage; 3] {
    [Storage::Memory, Storage::TemporaryFile, Storage::FileIn(std::env::temp_dir())]
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../voice-mixer/tests/fixtures").join(name)
}

/// Stereo noise that 16 bits can hold exactly.
fn noise(frames: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from((state >> 16) as i16) / 32_768.0
    };
    std::iter::repeat_with(next).take(frames * 2).collect()
}

/// Counts how often its source is read.
struct Counted<S> {
    source: S,
    reads: Arc<AtomicUsize>,
}

fn counted<S>(source: S) -> (Counted<S>, Arc<AtomicUsize>) {
    let reads = Arc::new(AtomicUsize::new(0));
    (Counted { source, reads: reads.clone() }, reads)
}

impl<S: Source> Source for Counted<S> {
    fn open(&mut self) -> Result<Info, SourceError> {
        self.source.open()
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.source.read(chunk)
    }

    fn seek(&mut self, _to: Duration) -> Result<Duration, SourceError> {
        panic!("a cache does not seek its source")
    }
}

/// An Opus packet, and how many samples at its beginning and end are no audio.
type Packet = (Vec<u8>, u32, u32);

/// Reads like a reader thread: only when the source is ready.
fn drain(source: &mut dyn Source) -> (Vec<f32>, Vec<Packet>, Result<(), SourceError>) {
    let (mut samples, mut packets, mut chunk) = (Vec::new(), Vec::new(), Chunk::new());
    loop {
        while !source.is_ready() {
            thread::yield_now();
        }
        chunk.clear();
        match source.read(&mut chunk) {
            Ok(true) => {}
            Ok(false) => return (samples, packets, Ok(())),
            Err(error) => return (samples, packets, Err(error)),
        }
        samples.extend_from_slice(chunk.samples());
        if !chunk.packet().is_empty() {
            packets.push((chunk.packet().to_vec(), chunk.cut().0, chunk.cut().1));
        }
    }
}

fn decode(packets: &[Packet]) -> Vec<f32> {
    let mut decoder = Decoder::new(48_000, Channels::Stereo).unwrap();
    let mut pcm = vec![0.0; 5_760 * 2];
    let mut samples = Vec::new();
    for (packet, skip, trim) in packets {
        let frames = decoder.decode_float(packet, &mut pcm, false).unwrap();
        samples.extend_from_slice(&pcm[*skip as usize * 2..(frames - *trim as usize) * 2]);
    }
    samples
}

fn cause(error: &SourceError) -> &CacheError {
    let SourceError::Other { cause, .. } = error else { panic!("{error:?}") };
    cause.downcast_ref().expect("a cache's own error")
}

#[test]
fn eight_tracks_at_eight_places_hear_what_was_read_once() {
    const FRAMES: usize = 200_000;
    let samples = noise(FRAMES);
    let reads_of_one = {
        let (mut source, reads) = counted(Pcm::samples(&samples, 48_000, 2));
        while source.read(&mut Chunk::new()).unwrap() {}
        reads.load(Ordering::Relaxed)
    };
    for storage in storages() {
        let (source, reads) = counted(Pcm::samples(&samples, 48_000, 2));
        let cache = Cache::new(source, Form::Pcm, storage.clone());
        assert!(!cache.is_complete() && cache.bytes() == 0 && reads.load(Ordering::Relaxed) == 0, "lazy");
        thread::scope(|scope| {
            for track in 0..8 {
                let (mut source, samples) = (cache.source(), &samples);
                scope.spawn(move || {
                    assert_eq!(source.open().unwrap().format, Format::Pcm { rate: 48_000, channels: 2 });
                    let frame = FRAMES / 8 * track + track;
                    let to = Duration::from_nanos((frame as u64 * 1_000_000_000).div_ceil(48_000));
                    let landed = source.seek(to).unwrap();
                    assert!(landed.abs_diff(to) < Duration::from_nanos(30_000));
                    let (heard, _, end) = drain(&mut source);
                    end.unwrap();
                    assert!(heard == samples[frame * 2..], "track {track} from {frame}: {} samples", heard.len());
                    // And once more, from what is cached.
                    source.seek(Duration::ZERO).unwrap();
                    assert!(drain(&mut source).0 == *samples);
                });
            }
        });
        assert_eq!(reads.load(Ordering::Relaxed), reads_of_one, "{storage:?}: read once");
        assert!(cache.is_complete());
        assert_eq!(cache.bytes(), FRAMES as u64 * 4);
        assert_eq!(cache.source().open().unwrap().duration, Some(cache.duration()));
        let mut source = cache.source();
        assert_eq!(source.seek(Duration::from_secs(3_600)).unwrap(), cache.duration());
        assert!(!source.read(&mut Chunk::new()).unwrap());
    }
}

#[test]
fn opus_is_kept_as_it_is_and_sought_with_preroll() {
    for name in ["opus.ogg", "long.ogg", "opus.webm"] {
        let (_, whole, _) = drain(&mut File::new(fixture(name)));
        for storage in storages() {
            let (source, reads) = counted(File::new(fixture(name)));
            let cache = Cache::new(source, Form::OPUS, storage);
            let mut source = cache.source();
            assert_eq!(source.open().unwrap().format, Format::Opus);
            let mut file = File::new(fixture(name));
            for millis in [900, 0, 300, 10, 650, 990] {
                let to = Duration::from_millis(millis);
                assert_eq!(source.seek(to).unwrap(), file.seek(to).unwrap(), "{name} at {to:?}");
                let (_, rest, end) = drain(&mut source);
                end.unwrap();
                let samples = voice_client::source::opus::samples(&whole[0].0).unwrap() as u32;
                let preroll = rest.iter().take_while(|packet| packet.1 == samples).count();
                let index = whole.len() - (rest.len() - preroll);
                assert_eq!(rest[preroll..], whole[index..], "{name} at {to:?}");
                assert!(preroll as u32 * samples >= 3_840.min(index as u32 * samples), "{preroll} of pre-roll");
            }
            assert_eq!(drain(&mut cache.source()).1, whole, "{name}");
            assert_eq!(reads.load(Ordering::Relaxed), whole.len() + 1, "{name}: read once");
            assert!(cache.bytes() < 20_000, "{}", cache.bytes());
        }
    }
}

#[test]
fn pcm_is_encoded_to_the_sample() {
    for frames in [1, 647, 648, 649, 960, 48_000, 50_001] {
        let tone = |n: usize| 0.5 * (TAU * 440.0 * n as f64 / 48_000.0).sin() as f32;
        let samples: Vec<f32> = (0..frames).flat_map(|n| [tone(n), tone(n)]).collect();
        let cache = Cache::new(Pcm::samples(&samples, 48_000, 2), Form::OPUS, Storage::Memory);
        cache.fill().unwrap();
        assert_eq!(cache.duration(), Duration::from_nanos((frames as u64 * 1_000_000_000 + 24_000) / 48_000));
        let heard = decode(&drain(&mut cache.source()).1);
        assert_eq!(heard.len(), samples.len());
        let inside = frames.saturating_sub(4_000) * 2;
        let error: f32 = heard.iter().zip(&samples).skip(4_000).take(inside).map(|(a, b)| (a - b).powi(2)).sum();
        let level: f32 = samples.iter().skip(4_000).take(inside).map(|a| a.powi(2)).sum();
        assert!(error <= level * 1e-3, "{frames} frames: {error} of {level}");
    }
    // At other rates and in other layouts, too; and it takes about as much as was asked for.
    let samples: Vec<f32> =
        (0..441_000).map(|n| 0.5 * (n as f32 * 0.06).sin() + 0.3 * (n as f32 * 0.31).sin()).collect();
    let cache = Cache::new(Pcm::samples(&samples, 44_100, 1), Form::Opus { bitrate: 32_000 }, Storage::Memory);
    cache.fill().unwrap();
    assert_eq!(cache.duration(), Duration::from_secs(10));
    assert!((20_000..80_000).contains(&cache.bytes()), "{}", cache.bytes());
}

#[test]
fn opus_is_decoded_once_when_pcm_is_asked_for() {
    let (_, packets, _) = drain(&mut File::new(fixture("opus.ogg")));
    let expected = decode(&packets);
    let cache = Cache::new(File::new(fixture("opus.ogg")), Form::Pcm, Storage::Memory);
    let (heard, _, end) = drain(&mut cache.source());
    end.unwrap();
    assert_eq!(heard.len(), expected.len());
    assert!(heard.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 0.6 / 32_768.0));
}

#[test]
fn what_fits_is_played_before_the_limit_is_an_error() {
    for (form, storage) in [(Form::Pcm, Storage::Memory), (Form::OPUS, Storage::TemporaryFile)] {
        let limit = if form == Form::Pcm { 200_000 } else { 20_000 };
        let cache = Cache::new(Pcm::samples(&noise(480_000), 48_000, 2), form, storage).limit(limit);
        for _ in 0..2 {
            let (samples, packets, end) = drain(&mut cache.source());
            let error = end.unwrap_err();
            assert!(matches!(cause(&error), CacheError::Full { limit: it } if *it == limit), "{error:?}");
            assert!(samples.len() > 90_000 || packets.len() > 20, "{} {}", samples.len(), packets.len());
        }
        assert!(cache.is_complete() && (limit..limit + 50_000).contains(&cache.bytes()), "{}", cache.bytes());
    }
}

#[test]
fn a_folder_that_cannot_be_written_to_is_a_typed_error() {
    let cache = Cache::new(Pcm::samples(&noise(10), 48_000, 2), Form::Pcm, Storage::FileIn("/nowhere/at/all".into()));
    let error = drain(&mut cache.source()).2.unwrap_err();
    assert!(matches!(cause(&error), CacheError::Storage { .. }), "{error:?}");
}

/// Yields a thousand frames when it is told to; then something else happens.
struct Told<F> {
    told: Receiver<()>,
    ready: Arc<AtomicBool>,
    chunks: usize,
    then: F,
}

impl<F: FnMut() -> Result<bool, SourceError> + Send> Source for Told<F> {
    fn open(&mut self) -> Result<Info, SourceError> {
        let title = Metadata::default().title("told");
        Ok(Info::new(Format::Pcm { rate: 48_000, channels: 2 }).metadata(title))
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        if self.chunks == 0 {
            return (self.then)();
        }
        self.chunks -= 1;
        self.told.recv().unwrap();
        chunk.set_metadata(Metadata::default().title(format!("part {}", self.chunks)));
        chunk.pcm(48_000, 2).extend([0.25; 2_000]);
        Ok(true)
    }

    fn seek(&mut self, _to: Duration) -> Result<Duration, SourceError> {
        panic!("a cache does not seek its source")
    }

    fn is_ready(&mut self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }
}

#[test]
fn a_reader_that_blocks_blocks_nobody_and_another_goes_on_for_it() {
    let (tell, told) = channel();
    let ready = Arc::new(AtomicBool::new(true));
    let source = Told { told, ready: ready.clone(), chunks: 3, then: || Ok(false) };
    let cache = Cache::new(source, Form::Pcm, Storage::Memory);
    let (mut first, mut second) = (cache.source(), cache.source());
    assert_eq!(first.open().unwrap().metadata.title.as_deref(), Some("told"));

    tell.send(()).unwrap();
    let mut chunk = Chunk::new();
    while chunk.samples().is_empty() {
        chunk.clear();
        assert!(first.read(&mut chunk).unwrap());
    }
    thread::scope(|scope| {
        let (begin, begun) = channel();
        let blocked = scope.spawn(move || {
            begin.send(()).unwrap();
            let mut chunk = Chunk::new();
            assert!(first.read(&mut chunk).unwrap());
            chunk.samples().len()
        });
        begun.recv().unwrap();
        // Once it waits in the source, nobody else is ready for more than is there.
        while cache.source().seek(Duration::ZERO).is_ok() && {
            let mut ahead = cache.source();
            let mut chunk = Chunk::new();
            assert!(ahead.read(&mut chunk).unwrap() && chunk.samples().len() == 2_000);
            ahead.is_ready()
        } {
            thread::yield_now();
        }
        let mut chunk = Chunk::new();
        assert!(second.is_ready() && second.read(&mut chunk).unwrap());
        assert_eq!(chunk.samples().len(), 2_000);
        assert_eq!(chunk.metadata().and_then(|it| it.title.as_deref()), Some("part 2"));
        assert!(!second.is_ready(), "it would have to wait");
        tell.send(()).unwrap();
        assert_eq!(blocked.join().unwrap(), 2_000);
    });
    // The one that drove is gone, and the other drives.
    ready.store(false, Ordering::Relaxed);
    let mut chunk = Chunk::new();
    assert!(second.is_ready() && second.read(&mut chunk).unwrap() && chunk.samples().len() == 2_000);
    assert!(!second.is_ready(), "its source waits");
    ready.store(true, Ordering::Relaxed);
    tell.send(()).unwrap();
    let (rest, _, end) = drain(&mut second);
    end.unwrap();
    assert_eq!(rest.len(), 2_000);
    assert_eq!(drain(&mut cache.source()).0.len(), 6_000);
}

#[test]
fn a_source_that_fails_or_panics_fails_for_everybody_after_what_came() {
    for form in FORMS {
        let fails: [fn() -> Result<bool, SourceError>; 2] =
            [|| Err(SourceError::other("radio", "off the air")), || panic!("out of tune")];
        for (then, words) in fails.into_iter().zip(["off the air", "panicked"]) {
            let (tell, told) = channel();
            (0..5).for_each(|_| tell.send(()).unwrap());
            let ready = Arc::new(AtomicBool::new(true));
            let cache = Cache::new(Told { told, ready, chunks: 5, then }, form, Storage::Memory);
            for _ in 0..2 {
                let (samples, packets, end) = drain(&mut cache.source());
                let heard = if form == Form::Pcm { samples } else { decode(&packets) };
                // A panic takes what the encoder had not let out with it.
                assert!(heard.len() == 10_000 || (words == "panicked" && heard.len() > 7_000), "{}", heard.len());
                let error = end.unwrap_err();
                assert!(error.to_string().contains(words), "{error}");
            }
            assert!(cache.fill().is_err());
        }
    }
    let cache = Cache::new(File::new("/nowhere/song.flac"), Form::Pcm, Storage::Memory);
    for _ in 0..2 {
        assert!(matches!(cache.source().open(), Err(SourceError::Open { .. })));
    }
}

#[test]
fn its_source_is_let_go_at_the_end() {
    struct Gone(Arc<Mutex<bool>>);
    impl Drop for Gone {
        fn drop(&mut self) {
            *self.0.lock().unwrap() = true;
        }
    }
    let gone = Arc::new(Mutex::new(false));
    let owned = Gone(gone.clone());
    let (_tell, told) = channel();
    let then = move || {
        let _owned = &owned;
        Ok(false)
    };
    let cache =
        Cache::new(Told { told, ready: Arc::new(AtomicBool::new(true)), chunks: 0, then }, Form::Pcm, Storage::Memory);
    cache.fill().unwrap();
    assert!(*gone.lock().unwrap());
    let mut source = cache.source().fresh().unwrap();
    assert!(source.is_ready() && !source.read(&mut Chunk::new()).unwrap(), "an empty source is an empty cache");
}
