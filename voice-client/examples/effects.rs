//! One song, every effect, one after the other while it plays: nothing clicks, nothing stops.
//!
//! ```text
//! cargo run -p voice-client --example effects [FILE | URL | WORDS TO SEARCH FOR]
//! ```
//!
//! Shows level, strongest tone, and the loudness of each octave from 60 Hz up as a listener in the call hears them.
#![allow(clippy::print_stdout)]

#[path = "support/stage.rs"]
mod stage;

use stage::{Ears, Result, Sound, Stage, argument_or, ms, promise};
use tokio::time::Instant;
use voice_client::effects::{
    ChannelMix, Compressor, Distortion, Effect, Equalizer, HighPass, Karaoke, LowPass, Reverb, Rotation, Timescale,
    Tremolo, Vibrato, Volume,
};
use voice_client::{Call, Loops, Phase, PlayOptions};

#[tokio::main]
async fn main() -> Result<()> {
    let mut stage = Stage::open().await?;
    let (call, mut ears) = stage.join().await?;
    play(&call, &mut ears).await?;
    stage.close().await;
    Ok(())
}

async fn play(call: &Call, ears: &mut Ears) -> Result<()> {
    let options = PlayOptions::new().loops(Loops::Forever);
    let track = call.player().play_with(argument_or("arpeggio-48k-stereo.flac"), options)?;
    ears.until("the song", |sound| !sound.is_silent()).await?;
    show("as it is", &hear(ears).await);

    for (name, effect) in effects() {
        track.set_effects(&[effect])?;
        let heard = hear(ears).await;
        show(name, &heard);
        promise(!heard.is_silent() && track.phase() == Phase::Playing, "the song plays on with every effect")?;
    }

    // As many as you like, in this order; here for a whole group. No effects at all remove them.
    track.set_effects(&[])?;
    let dull = [Effect::LowPass(LowPass::default()), Effect::Reverb(Reverb::default())];
    call.player().set_group_effects(voice_client::GroupId::MUSIC, &dull)?;
    show("low-pass, then reverb", &hear(ears).await);
    call.player().set_group_effects(voice_client::GroupId::MUSIC, &[])?;

    // Speed and pitch are a track's own: a source is read faster or slower for them.
    let timescales = [
        ("speed 1.5", Timescale { speed: 1.5, ..Timescale::default() }),
        ("pitch 1.5", Timescale { pitch: 1.5, ..Timescale::default() }),
        ("rate 0.75 (both)", Timescale { rate: 0.75, ..Timescale::default() }),
    ];
    for (name, timescale) in timescales {
        track.set_timescale(timescale)?;
        let (from, start) = (track.played(), Instant::now());
        let heard = hear(ears).await;
        let pace = (track.played() - from).as_secs_f64() / start.elapsed().as_secs_f64();
        println!("{name:22} {heard}  {:5.0} Hz  {}  pace {pace:.1}", heard.pitch(), heard.bands());
        let wanted = f64::from(timescale.speed * timescale.rate);
        promise((pace / wanted - 1.0).abs() < 0.25, "the source is played at the pace that was asked for")?;
    }

    // What cannot be is refused with a reason, and changes nothing.
    let refused = track.set_effects(&[Effect::Volume(Volume { level: 9.0 })]);
    println!("\n{}", refused.err().map_or("not refused".into(), |error| error.to_string()));
    track.stop();
    track.ended().await;
    Ok(())
}

/// Each effect in a setting that can be heard.
fn effects() -> Vec<(&'static str, Effect)> {
    let mut gains = [0.0; Equalizer::BANDS];
    gains[..5].fill(0.5);
    let crossed = ChannelMix { left_to_left: 0.0, left_to_right: 1.0, right_to_left: 1.0, right_to_right: 0.0 };
    // Half of sin(6x): cosine and tangent are left out.
    let (cos_scale, tan_scale, tan_offset) = (0.0, 0.0, 1.0);
    let bent = Distortion { sin_scale: 6.0, cos_scale, tan_scale, tan_offset, scale: 0.5, ..Distortion::default() };
    vec![
        ("volume", Effect::Volume(Volume { level: 0.25 })),
        ("equalizer: bass", Effect::Equalizer(Equalizer { gains })),
        ("karaoke", Effect::Karaoke(Karaoke::default())),
        ("tremolo", Effect::Tremolo(Tremolo { frequency: 6.0, depth: 0.9 })),
        ("vibrato", Effect::Vibrato(Vibrato { frequency: 8.0, depth: 0.9 })),
        ("rotation", Effect::Rotation(Rotation { hz: 0.5 })),
        ("distortion", Effect::Distortion(bent)),
        ("channel mix: swapped", Effect::ChannelMix(crossed)),
        ("low-pass", Effect::LowPass(LowPass::default())),
        ("high-pass", Effect::HighPass(HighPass { frequency: 1_000.0 })),
        ("compressor", Effect::Compressor(Compressor { threshold_db: -30.0, makeup_db: 6.0, ..Compressor::default() })),
        ("reverb", Effect::Reverb(Reverb { room: 0.8, ..Reverb::default() })),
    ]
}

/// A moment, after what is on its way already.
async fn hear(ears: &mut Ears) -> Sound {
    ears.listen(ms(100)).await;
    ears.listen(ms(400)).await
}

fn show(name: &str, heard: &Sound) {
    println!("{name:22} {heard}  {:5.0} Hz  {}", heard.pitch(), heard.bands());
}
