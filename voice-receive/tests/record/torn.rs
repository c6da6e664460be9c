//! Files of a program that was killed, at every byte.

use std::io::Cursor;

use proptest::prelude::{ProptestConfig, any, proptest};
use voice_model::{RtpTime, Seq, Ssrc, UserId};
use voice_receive::record::repair::{self, RepairError, Repaired};
use voice_receive::record::{Format, Recorder, Settings};

use super::files::{Memory, flac, packets, pages};
use super::people::{captured, duration, stamped};

const SECONDS: u64 = 6;

/// A file as it is after so many bytes of writing, and how many samples had been spoken then.
fn recording(format: Format) -> Vec<u8> {
    let memory = Memory::default();
    let mut settings = Settings::default();
    settings.format = format;
    let mut recorder = Recorder::new(memory.clone(), settings);
    let user = UserId::new(5).expect("not zero");
    let mut opus = opus::Encoder::new(48_000, opus::Channels::Stereo, opus::Application::Audio).expect("an encoder");
    for number in 0..50 * SECONDS {
        let at = duration(number as f64 * 960.0);
        let frame = match format {
            Format::OggOpus => stamped(number * 960),
            _ => {
                let pcm: Vec<f32> =
                    (0..960).flat_map(|at| [0.3 * ((number * 960 + at) as f32 * 0.05).sin(); 2]).collect();
                opus.encode_vec_float(&pcm, 1_275).expect("a packet")
            }
        };
        recorder.push(at, user, Ssrc(1), Seq(number as u16), RtpTime(960 * number as u32), &frame);
        recorder.tick(at).expect("memory");
    }
    // Killed: never finished.
    let file = memory.file(&format!("5.{}", format.extension()));
    drop(recorder);
    file
}

/// Cuts the file there and repairs it.
fn repaired(
    file: &[u8],
    cut: usize,
    repair: fn(&mut Cursor<Vec<u8>>) -> Result<Repaired, RepairError>,
) -> Result<(Vec<u8>, Repaired), RepairError> {
    let mut file = Cursor::new(file[..cut].to_vec());
    let repaired = repair(&mut file)?;
    let mut file = file.into_inner();
    file.truncate(repaired.bytes as usize);
    // Whole now: nothing changes any more.
    let mut again = Cursor::new(file.clone());
    let twice = repair(&mut again).expect("a whole file");
    assert_eq!((again.into_inner(), twice.bytes, twice.samples), (file.clone(), repaired.bytes, repaired.samples));
    // Damage in the middle stays.
    assert!(twice.torn == 0 || twice.torn <= repaired.torn);
    Ok((file, repaired))
}

#[test]
fn a_killed_recording_holds_all_but_its_last_second() {
    let least = (SECONDS - 1) * 48_000;
    let ogg = recording(Format::OggOpus);
    let (file, found) = repaired(&ogg, ogg.len(), repair::ogg).expect("an Ogg file");
    assert!(found.samples >= least && found.torn == 0, "{found:?}");
    assert_eq!(pages(&file).expect("pages").last().map(|page| page.flags), Some(4));
    let wav = recording(Format::Wav);
    let header = u32::from_le_bytes(wav[76..80].try_into().expect("four bytes"));
    assert!(u64::from(header) / 4 >= least, "readable without repair: {header}");
    assert!(repaired(&wav, wav.len(), repair::wav).expect("a WAV file").1.samples >= least);
    let whole = recording(Format::Flac);
    assert!(repaired(&whole, whole.len(), repair::flac).expect("a FLAC file").1.samples >= least);
}

#[test]
fn ogg_survives_a_cut_at_every_byte() {
    let file = recording(Format::OggOpus);
    let all = packets(&file);
    let headers = 28 + 19 + 100;
    for cut in 0..file.len() {
        match repaired(&file, cut, repair::ogg) {
            Ok((file, found)) => {
                let pages = pages(&file).expect("pages");
                assert!(pages.iter().all(|page| page.sum == page.right_sum));
                assert_eq!(pages.last().map(|page| page.flags), Some(4), "cut at {cut}");
                let mut kept = packets(&file);
                // Only what players skip, when nothing else was written.
                if let Some((_, silence)) = kept.pop() {
                    assert_eq!(silence.len(), 3);
                }
                assert_eq!(kept, all[..kept.len()]);
                assert!(kept.iter().all(|(at, packet)| captured(packet) == Some(*at)));
                assert_eq!(found.samples, kept.len() as u64 * 960);
                // A page is no longer than a tick, and so much is torn.
                assert!(found.torn < 60 * 14 + 100, "{found:?}");
            }
            Err(RepairError::Empty(_)) => assert!(cut < headers, "{cut}"),
            Err(error) => panic!("cut at {cut}: {error}"),
        }
    }
}

/// Damages as many bytes with zeros, as a disk does that loses power.
fn zeroed(file: &[u8], at: usize, bytes: usize) -> Vec<u8> {
    let mut file = file.to_vec();
    file[at..at + bytes].fill(0);
    file
}

#[test]
fn what_is_behind_damage_is_kept() {
    let whole = recording(Format::OggOpus);
    let all = packets(&whole);
    for at in [200, 300, 2_000, whole.len() / 2] {
        let damaged = zeroed(&whole, at, 512);
        let (file, found) = repaired(&damaged, damaged.len(), repair::ogg).expect("an Ogg file");
        assert_eq!(found.samples, all.last().map_or(0, |(at, _)| at + 960), "as long as it was");
        assert!((512..512 + 2_200).contains(&found.torn), "{found:?}");
        assert_eq!(file[..damaged.len()], damaged);
    }
    // Nothing valid is behind it.
    let damaged = zeroed(&whole, whole.len() - 512, 512);
    let (file, found) = repaired(&damaged, damaged.len(), repair::ogg).expect("an Ogg file");
    assert!(file.len() < damaged.len() && found.torn >= 512, "{found:?}");

    let whole = recording(Format::Flac);
    let length = repaired(&whole, whole.len(), repair::flac).expect("a FLAC file").1.samples;
    for at in [42, 50, whole.len() / 3, whole.len() / 2] {
        let damaged = zeroed(&whole, at, 4_096);
        let (file, found) = repaired(&damaged, damaged.len(), repair::flac).expect("a FLAC file");
        assert_eq!((found.samples, file.len()), (length, damaged.len() - (whole.len() - file.len())));
        assert!((4_096..3 * 17_000).contains(&found.torn), "{found:?}");
        assert_eq!(file[42..], damaged[42..file.len()]);
    }
}

#[test]
fn ogg_of_others_is_not_touched() {
    let whole = recording(Format::OggOpus);
    let (finished, _) = repaired(&whole, whole.len(), repair::ogg).expect("an Ogg file");
    let with = |from: &[u8], to: &[u8]| {
        // Another file with the same length, whose checksum is right again.
        let mut file = finished.clone();
        let at = file.windows(from.len()).position(|it| it == from).expect("there");
        file[at..at + to.len()].copy_from_slice(to);
        let page = pages(&file).expect("pages").into_iter().take(2).collect::<Vec<_>>();
        file[22..26].copy_from_slice(&page[0].right_sum.to_le_bytes());
        file[47 + 22..47 + 26].copy_from_slice(&page[1].right_sum.to_le_bytes());
        file
    };
    for (what, foreign) in [
        ("another encoder", with(b"libopus", b"lavcopu")),
        ("no title", with(b"TITLE=", b"TOTAL=")),
        ("another pre-skip", with(&3_840_u16.to_le_bytes(), &312_u16.to_le_bytes())),
        ("a chain", [finished.clone(), finished.clone()].concat()),
        ("two streams", {
            let mut other = with(b"TITLE=5", b"TITLE=6");
            other.extend(super::files::page(0, 48_000, 99, 2, &[1, 2, 3]));
            other
        }),
        ("damaged tags", zeroed(&finished, 60, 40)),
    ] {
        let mut file = Cursor::new(foreign.clone());
        let error = repair::ogg(&mut file).err().map(|error| error.to_string());
        assert!(matches!(&error, Some(text) if text.contains("no Ogg Opus file of a recorder")), "{what}: {error:?}");
        assert_eq!(file.into_inner(), foreign, "{what}");
    }
    // A page that says nothing of the time is none of ours, and no time to go on from.
    let mut odd = whole.clone();
    odd.extend(super::files::page(0, u64::MAX, 5, 9_999, &[1, 2, 3]));
    let (_, found) = repaired(&odd, odd.len(), repair::ogg).expect("an Ogg file");
    assert_eq!(found.torn, (odd.len() - whole.len()) as u64);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn wav_and_flac_survive_a_cut_anywhere(at in any::<proptest::sample::Index>()) {
        static FILES: std::sync::OnceLock<[Vec<u8>; 2]> = std::sync::OnceLock::new();
        let [wav, whole] = FILES.get_or_init(|| [Format::Wav, Format::Flac].map(recording));
        let cut = 80 + at.index(wav.len() - 79);
        let (file, found) = repaired(wav, cut, repair::wav).expect("a WAV file");
        assert_eq!((found.samples, file.len()), ((cut as u64 - 80) / 4, 80 + found.samples as usize * 4));
        assert_eq!(file[80..], wav[80..file.len()]);
        let cut = 42 + at.index(whole.len() - 41);
        let (file, found) = repaired(whole, cut, repair::flac).expect("a FLAC file");
        assert_eq!(file[42..], whole[42..file.len()]);
        assert!(found.torn < 17_000);
        if found.samples > 0 {
            let samples = flac(file);
            assert_eq!(samples.len() as u64, 2 * found.samples);
        }
    }
}

#[test]
fn what_is_not_ours_is_left_alone() {
    for (bytes, repair) in [
        (b"RIFF\0\0\0\0WAVEfmt ".to_vec(), repair::wav as fn(&mut Cursor<Vec<u8>>) -> Result<Repaired, RepairError>),
        (b"OggS".to_vec(), repair::ogg),
        (b"fLaC".to_vec(), repair::flac),
    ] {
        let mut short = Cursor::new(bytes.clone());
        assert!(matches!(repair(&mut short), Err(RepairError::Empty(_))));
        let mut foreign = Cursor::new([bytes, vec![7; 500]].concat());
        let before = foreign.get_ref().clone();
        assert!(matches!(repair(&mut foreign), Err(RepairError::Foreign(_) | RepairError::Empty(_))));
        assert_eq!(foreign.into_inner(), before);
    }
    assert_eq!(repair::lines(&mut &b"{}\n{\"a\":1}\n{\"b\""[..]).expect("memory"), 11);
}
