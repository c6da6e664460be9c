//! One tick of a call, as its clock thread does it: mix, encode or pass through, header, seal, and send.

use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::Outcome;
use crate::playing::{AHEAD, BareEncoder, FAR_AHEAD, Piece, Playing, to_nowhere};
use crate::row::{Figure, Row, Wanted};
use crate::source::PACKET;
use crate::suite::{Side, Suite, repeat};

/// Bytes of a passthrough packet on the wire: RTP header, tag and nonce are around it.
const ON_WIRE: usize = 12 + PACKET + 16 + 4;
const TIME: Duration = Duration::from_secs(3);
/// What mixing, clipping, sealing and keeping count may add to the encoder.
pub const ONE_TRACK: Wanted = Wanted::AboveLimit(4_000.0);
/// For small differences of long times.
const LONG: Duration = Duration::from_secs(10);

pub fn run(suite: &mut Suite) -> Outcome {
    for socket in [false, true] {
        for tracks in [1, 4, 16, 64] {
            pcm(suite, tracks, socket)?;
        }
        passthrough(suite, socket)?;
    }
    encryption(suite)?;
    one_more(suite, "tick/one-more-track", AHEAD, false, Some(600.0));
    one_more(suite, "tick/one-more-track/ramp", AHEAD, true, Some(1_000.0));
    one_more(suite, "tick/one-more-track/from-memory", FAR_AHEAD, false, None);
    Ok(())
}

fn pcm(suite: &mut Suite, tracks: usize, socket: bool) -> Outcome {
    let name = format!("tick/pcm-{tracks}{}", if socket { "/socket" } else { "" });
    if !suite.wants(&name) {
        return Ok(());
    }
    let piece = Piece::chord(tracks);
    let mut playing = Playing::pcm(tracks, &piece, AHEAD, false);
    let mut limit = BareEncoder::new(&piece)?;
    if socket {
        playing.socket = Some(to_nowhere()?);
        limit.socket = Some(to_nowhere()?);
    }
    let sides: [&mut dyn Side; 2] = [&mut |times| playing.run(times), &mut |times| limit.run(times)];
    let [ours, limit] = suite.compare(&name, TIME, sides);
    playing.check();
    let row = Row::new(name, Figure::Time(ours.median())).limit(limit.median());
    suite.push(if tracks == 1 && !socket { row.wanted(ONE_TRACK) } else { row });
    Ok(())
}

fn passthrough(suite: &mut Suite, socket: bool) -> Outcome {
    let name = format!("tick/passthrough{}", if socket { "/socket" } else { "" });
    if !suite.wants(&name) {
        return Ok(());
    }
    let mut playing = Playing::passthrough()?;
    let row = if socket {
        playing.socket = Some(to_nowhere()?);
        let bare = to_nowhere()?;
        let mut limit = repeat(|| bare.send(&[0x5A; ON_WIRE]));
        let [ours, limit] = suite.compare(&name, TIME, [&mut |times| playing.run(times), &mut limit]);
        Row::new(name, Figure::Time(ours.median())).limit(limit.median())
    } else {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32])?);
        let mut text = [0x5A; PACKET];
        let mut limit = repeat(|| {
            let nonce = Nonce::assume_unique_for_key([0; 12]);
            key.seal_in_place_separate_tag(nonce, Aad::from([0x80; 12]), &mut text).map(|tag| tag.as_ref()[0])
        });
        let [ours, limit] = suite.compare(&name, TIME, [&mut |times| playing.run(times), &mut limit]);
        Row::new(name, Figure::Time(ours.median())).limit(limit.median()).wanted(Wanted::AtMost(200.0))
    };
    playing.check();
    suite.push(row);
    Ok(())
}

/// What end-to-end encryption adds to a passthrough tick, sample by sample.
fn encryption(suite: &mut Suite) -> Outcome {
    let name = "tick/passthrough/dave";
    if !suite.wants(name) {
        return Ok(());
    }
    let (mut sealed, mut plain) = (Playing::passthrough()?, Playing::passthrough()?);
    sealed.seal();
    let sides: [&mut dyn Side; 2] = [&mut |times| sealed.run(times), &mut |times| plain.run(times)];
    let [with, without] = suite.compare(name, TIME, sides);
    sealed.check();
    plain.check();
    let more = with.beyond(&without).median();
    suite.push(Row::new(name, Figure::Time(more)).wanted(Wanted::AtMost(150.0)));
    Ok(())
}

/// What one more track costs: the difference between 16 and 64 of them, sample by sample.
fn one_more(suite: &mut Suite, name: &str, ahead: Duration, ramp: bool, wanted: Option<f64>) {
    if !suite.wants(name) {
        return;
    }
    let (few, many) = (16, 64);
    let [mut few_play, mut many_play] =
        [few, many].map(|tracks| Playing::pcm(tracks, &Piece::chord(tracks), ahead, ramp));
    let sides: [&mut dyn Side; 2] = [&mut |times| many_play.run(times), &mut |times| few_play.run(times)];
    let [many_samples, few_samples] = suite.compare(name, LONG, sides);
    few_play.check();
    many_play.check();
    let one = many_samples.beyond(&few_samples).median() / (many - few) as f64;
    suite.push(Row { wanted: wanted.map(Wanted::AtMost), ..Row::new(name, Figure::Time(one)) });
}
