//! A page about the effects: one song, and what each of them makes of it. Rendered by the mixer's own code, without a call
//! or a codec in between.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use voice_client::effects::{
    Chain, ChannelMix, Compressor, Distortion, Effect, EffectError, Equalizer, HighPass, Karaoke, Limiter,
    LimiterSettings, LowPass, Reverb, Rotation, Stretch, Timescale, Tremolo, Vibrato, Volume,
};

use super::analysis::{level_db, mono, seconds};
use super::report::{decibels, escape};
use super::{plot, spectrum};

/// Points of a spectrum.
const POINTS: usize = 120;
/// Pixels of a spectrogram.
const SPECTROGRAM: (usize, usize) = (480, 130);
/// Less than this of a difference, in dB of full scale, is no effect.
const UNNOTICED_DB: f64 = -60.0;

/// What is done to the song.
enum Treatment {
    Effect(Effect),
    Timescale(Timescale),
    /// So much louder first, as a factor: it would clip.
    Limiter(f32, LimiterSettings),
}

/// The page, and what is wrong with it. `song` is interleaved stereo at 48 kHz; `save` keeps a sound under a name and says
/// where, relative to the page.
pub(crate) fn page(
    song: &[f32],
    name: &str,
    mut save: impl FnMut(&str, &[f32]) -> Result<String, Box<dyn Error>>,
) -> Result<(String, Vec<String>), Box<dyn Error>> {
    let before = spectrum::average(&mono(song), POINTS);
    let (mut cards, mut failures) = (String::new(), Vec::new());
    for (title, parameters, treatment) in treatments() {
        let after = treatment.render(song)?;
        let change: Vec<f32> = song.iter().zip(&after).map(|(before, after)| before - after).collect();
        if level_db(&change) < UNNOTICED_DB && song.len() == after.len() {
            failures.push(format!("the effect {title} changes nothing"));
        }
        let file = save(&title.to_lowercase().replace([' ', '-'], "_"), &after)?;
        let mut figures = decibels(level_db(&after) - level_db(song));
        if after.len() != song.len() {
            let _ = write!(figures, ", {:.2} s", seconds(after.len() / 2));
        }
        let _ = write!(
            cards,
            concat!(
                r#"<section class="card"><div class="head"><h2>{title}</h2><span class="figures">{figures}</span></div>"#,
                r#"<p>{parameters}</p>{spectra}{sound}</section>"#
            ),
            title = escape(title),
            figures = figures,
            parameters = escape(parameters),
            spectra = plot::spectra(&before, &spectrum::average(&mono(&after), POINTS)),
            sound = sound("heard", &after, &file),
        );
    }
    let file = save("song", song)?;
    let page = format!(
        concat!(
            r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Effects, before and after</title>"#,
            r#"<meta name="viewport" content="width=device-width"><style>{css}</style></head><body>"#,
            r#"<header><div><h1>Effects, before and after</h1><p class="key">What each effect makes of one song: its average "#,
            r#"spectrum <b class="sent">before</b> and <b class="heard">after</b>, the spectrogram after it, and both sides as "#,
            r#"waveforms. <a href="report.html">Back to the report</a></p></div></header><main>"#,
            r#"<section class="card song"><div class="head"><h2>The song as it is</h2><span class="format">{name}, {length:.2} s</span></div>"#,
            r#"{song}</section><div class="effects">{cards}</div>"#,
            r#"<footer>Levels are RMS against the song's. Parameters that are not named have their defaults.</footer>"#,
            r#"</main><script>{js}</script></body></html>"#
        ),
        css = include_str!("report.css"),
        name = escape(name),
        length = seconds(song.len() / 2),
        song = sound("sent", song, &file),
        cards = cards,
        js = include_str!("report.js"),
    );
    Ok((page, failures))
}

/// Spectrogram, waveforms and player.
fn sound(class: &str, pcm: &[f32], file: &str) -> String {
    let (width, height) = SPECTROGRAM;
    let side = |side: usize| pcm.iter().skip(side).step_by(2).copied().collect::<Vec<f32>>();
    format!(
        concat!(
            r#"<div class="spectrogram"><img src="{}" alt="Spectrogram"></div><div class="sides"><div><span>left</span>{}</div>"#,
            r#"<div><span>right</span>{}</div></div><audio controls preload="none" src="{}" data-starts="0"></audio>"#
        ),
        spectrum::data_url(&mono(pcm), width, height),
        plot::thumbnail(class, &side(0)),
        plot::thumbnail(class, &side(1)),
        escape(file),
    )
}

/// Each effect, in a setting that can be seen and heard.
fn treatments() -> Vec<(&'static str, &'static str, Treatment)> {
    let mut gains = [0.0; Equalizer::BANDS];
    gains[..4].fill(0.6);
    gains[6..10].fill(-0.2);
    let leftmost = ChannelMix { left_to_left: 0.5, left_to_right: 0.0, right_to_left: 0.5, right_to_right: 0.0 };
    let bent = Distortion {
        sin_scale: 6.0,
        cos_scale: 0.0,
        tan_offset: 1.0,
        tan_scale: 0.0,
        scale: 0.5,
        ..Distortion::default()
    };
    let squeezed = Compressor { threshold_db: -36.0, ratio: 8.0, makeup_db: 9.0, ..Compressor::default() };
    let limits = LimiterSettings { look_ahead: Duration::from_millis(5), ..LimiterSettings::default() };
    let paced = |speed, pitch, rate| Treatment::Timescale(Timescale { speed, pitch, rate });
    let effect = Treatment::Effect;
    vec![
        ("Volume", "level 0.25", effect(Effect::Volume(Volume { level: 0.25 }))),
        (
            "Equalizer",
            "25 to 100 Hz at gain 0.6, 400 Hz to 1.6 kHz at -0.2",
            effect(Effect::Equalizer(Equalizer { gains })),
        ),
        ("Karaoke", "the defaults", effect(Effect::Karaoke(Karaoke::default()))),
        ("Tremolo", "frequency 4 Hz, depth 0.9", effect(Effect::Tremolo(Tremolo { frequency: 4.0, depth: 0.9 }))),
        ("Vibrato", "frequency 6 Hz, depth 1", effect(Effect::Vibrato(Vibrato { frequency: 6.0, depth: 1.0 }))),
        ("Rotation", "0.7 turns per second", effect(Effect::Rotation(Rotation { hz: 0.7 }))),
        (
            "Distortion",
            "sin_scale 6, cos_scale 0, tan_offset 1, tan_scale 0, scale 0.5: half of sin(6x)",
            effect(Effect::Distortion(bent)),
        ),
        ("Channel mix", "half of both sides to the left", effect(Effect::ChannelMix(leftmost))),
        ("Low-pass", "smoothing 20: 380 Hz", effect(Effect::LowPass(LowPass::default()))),
        ("High-pass", "1,000 Hz", effect(Effect::HighPass(HighPass { frequency: 1_000.0 }))),
        ("Compressor", "threshold -36 dB, ratio 8, makeup 9 dB", effect(Effect::Compressor(squeezed))),
        ("Reverb", "room 0.8, wet 0.6", effect(Effect::Reverb(Reverb { room: 0.8, wet: 0.6, ..Reverb::default() }))),
        ("Timescale speed", "speed 1.5: faster, as high as before", paced(1.5, 1.0, 1.0)),
        ("Timescale pitch", "pitch 1.5: a fifth higher, as fast as before", paced(1.0, 1.5, 1.0)),
        ("Timescale rate", "rate 0.75: slower and lower, as a record", paced(1.0, 1.0, 0.75)),
        ("Limiter", "the song 12 dB louder, ceiling -1 dB, 5 ms ahead", Treatment::Limiter(4.0, limits)),
    ]
}

impl Treatment {
    /// What it makes of interleaved stereo.
    fn render(&self, song: &[f32]) -> Result<Vec<f32>, EffectError> {
        let mut pcm = song.to_vec();
        match self {
            Self::Effect(effect) => Chain::new(std::slice::from_ref(effect))?.process(&mut pcm),
            Self::Timescale(timescale) => pcm = stretched(song, &mut Stretch::new(*timescale)?),
            Self::Limiter(louder, settings) => {
                pcm.iter_mut().for_each(|sample| *sample *= louder);
                let mut limiter = Limiter::new(*settings)?;
                let delay = 2 * limiter.delay();
                pcm.resize(pcm.len() + delay, 0.0);
                limiter.process(&mut pcm);
                pcm.drain(..delay);
            }
        }
        Ok(pcm)
    }
}

fn stretched(song: &[f32], stretch: &mut Stretch) -> Vec<f32> {
    let (mut rest, mut pcm) = (song, Vec::new());
    let mut frames = [0.0; 2 * 960];
    loop {
        let ended = rest.is_empty();
        let mut source = |out: &mut [f32]| {
            let (now, later) = rest.split_at(out.len().min(rest.len()));
            out[..now.len()].copy_from_slice(now);
            rest = later;
            now.len() / 2
        };
        let rendered = stretch.render(&mut frames, &mut source, ended).frames;
        pcm.extend_from_slice(&frames[..2 * rendered]);
        if ended && 2 * rendered < frames.len() {
            return pcm;
        }
    }
}

/// The song that the page is about, of those in `folder`.
pub(crate) fn song(folder: &Path) -> std::path::PathBuf {
    folder.join("arpeggio-48k-stereo.flac")
}

#[cfg(test)]
mod tests {
    use super::page;

    fn song() -> Vec<f32> {
        // Two tones per side, and none of them alike.
        let tone = |index: usize, hz: f32| (index as f32 * hz * std::f32::consts::TAU / 48_000.0).sin();
        let left = |index| 0.2 * tone(index, 220.0) + 0.1 * tone(index, 2_500.0);
        let right = |index| 0.2 * tone(index, 330.0) + 0.1 * tone(index, 90.0);
        (0..48_000).flat_map(|index| [left(index), right(index)]).collect()
    }

    #[test]
    fn every_effect_has_its_card_and_its_sound() {
        let mut saved = Vec::new();
        let (page, failures) = page(&song(), "<two tones>", |name, pcm| {
            assert!(!pcm.is_empty() && pcm.iter().all(|sample| sample.is_finite()), "{name}");
            saved.push((name.to_owned(), pcm.len()));
            Ok(format!("{name}.wav"))
        })
        .expect("parameters within their ranges");
        assert!(failures.is_empty(), "{failures:?}");
        assert_eq!(saved.len(), 17);
        assert!(saved.contains(&("timescale_speed".into(), 2 * 32_000)), "{saved:?}");
        assert_eq!(page.matches("<audio").count(), saved.len());
        assert!(page.contains("&lt;two tones&gt;") && !page.contains("http"));
    }

    #[test]
    fn an_effect_on_silence_is_none() {
        let (_, failures) = page(&[0.0; 9_600], "nothing", |name, _| Ok(name.into())).expect("parameters in range");
        assert!(failures.len() > 10, "{failures:?}");
    }
}
