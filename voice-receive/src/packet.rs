use voice_model::{MAX_PACKET_SAMPLES, SAMPLE_RATE, SILENCE_FRAME};

/// Longest Opus packet taken: three frames of the 1,275 bytes that one may have (RFC 6716, section 3.2.1).
pub const MAX_PACKET_BYTES: usize = 3 * 1275;

/// Samples per channel in a packet; `None` when it is no Opus packet (RFC 6716, section 3.4).
pub(crate) fn samples(packet: &[u8]) -> Option<u32> {
    let samples = opus::packet::get_nb_samples(packet, SAMPLE_RATE).ok()?;
    (1..=MAX_PACKET_SAMPLES).contains(&samples).then_some(samples as u32)
}

/// Whether the sender may stop after this packet without anything being lost: Discord's silence frame, or a packet
/// without content, as discontinuous transmission sends them (RFC 6716, section 2.1.9).
pub(crate) fn is_quiet(packet: &[u8]) -> bool {
    packet == SILENCE_FRAME || packet.len() <= 2
}

/// Samples per channel of the audio before this packet that it carries again for error correction; 0 when it carries
/// none. Only SILK frames can: their header has one such flag per channel (RFC 6716, sections 3.1 and 4.2.3).
pub(crate) fn redundancy(packet: &[u8]) -> u32 {
    let (Some(&toc), Some(&head)) = (packet.first(), first_frame(packet).and_then(<[u8]>::first)) else { return 0 };
    if toc >> 3 >= 16 {
        return 0;
    }
    let Ok(length) = opus::packet::get_samples_per_frame(packet, SAMPLE_RATE) else { return 0 };
    let silk_frames = (length / 960).max(1);
    let mid = head >> (7 - silk_frames) & 1;
    let side = if toc & 4 == 0 { 0 } else { head >> (6 - 2 * silk_frames) & 1 };
    if mid | side == 0 { 0 } else { length as u32 }
}

/// The bytes from the first frame on, `None` when there is none or it is empty (RFC 6716, section 3.2).
fn first_frame(packet: &[u8]) -> Option<&[u8]> {
    let (&toc, rest) = packet.split_first()?;
    match toc & 3 {
        0 | 1 => Some(rest),
        2 => {
            let (length, rest) = frame_length(rest)?;
            (length > 0).then_some(rest)
        }
        _ => {
            let (&count, mut rest) = rest.split_first()?;
            if count & 0x40 != 0 {
                // A padding length of 255 goes on in the next byte.
                while rest.first()? == &255 {
                    rest = &rest[1..];
                }
                rest = &rest[1..];
            }
            if count & 0x80 == 0 {
                return Some(rest);
            }
            let mut first = None;
            for _ in 1..count & 0x3F {
                let (length, after) = frame_length(rest)?;
                first.get_or_insert(length);
                rest = after;
            }
            (first != Some(0)).then_some(rest)
        }
    }
}

/// One or two bytes of frame length, and what follows them (RFC 6716, section 3.2.1).
fn frame_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match *bytes {
        [short @ 0..252, ref rest @ ..] => Some((usize::from(short), rest)),
        [low, high, ref rest @ ..] => Some((usize::from(low) + 4 * usize::from(high), rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};
    use voice_model::SILENCE_FRAME;

    use super::{first_frame, is_quiet, redundancy, samples};

    fn encoder(bandwidth: opus::Bandwidth, channels: opus::Channels, fec: bool) -> opus::Encoder {
        let mut encoder = opus::Encoder::new(48_000, channels, opus::Application::Voip).expect("an encoder");
        encoder.set_bitrate(opus::Bitrate::Bits(32_000)).expect("a legal bitrate");
        encoder.set_max_bandwidth(bandwidth).expect("a legal bandwidth");
        encoder.set_inband_fec(fec).expect("a legal setting");
        encoder.set_packet_loss_perc(30).expect("a legal share");
        encoder
    }

    fn encode(encoder: &mut opus::Encoder, channels: usize, samples: usize) -> Vec<Vec<u8>> {
        let wave = |at: usize| 0.4 * (at as f32 * 0.03).sin();
        (0..12)
            .map(|packet| {
                let pcm: Vec<f32> = (packet * samples..(packet + 1) * samples)
                    .flat_map(|at| std::iter::repeat_n(wave(at), channels))
                    .collect();
                encoder.encode_vec_float(&pcm, 3000).expect("a packet")
            })
            .collect()
    }

    #[test]
    fn lengths_are_those_of_rfc_6716() {
        for (packet, wanted) in [
            (&SILENCE_FRAME[..], Some(960)),
            (&[0xE0], Some(120)),         // CELT, 2.5 ms
            (&[0x18, 0], Some(2880)),     // SILK, 60 ms
            (&[0x19, 0, 0], Some(5760)),  // two of them
            (&[0x1B, 3, 0], None),        // three of them
            (&[0xE3, 48, 0], Some(5760)), // 48 frames of 2.5 ms
            (&[0xE3], None),
            (&[0xE3, 0], None),
            (&[], None),
        ] {
            assert_eq!(samples(packet), wanted, "{packet:02x?}");
        }
    }

    #[test]
    fn silence_and_contentless_packets_are_quiet() {
        assert!(is_quiet(&SILENCE_FRAME) && is_quiet(&[0x08]) && is_quiet(&[0x0B, 1]));
        assert!(!is_quiet(&[0xF8, 0xFF, 0xFD]));
    }

    #[test]
    fn redundancy_is_seen_where_the_encoder_put_it() {
        for (channels, count) in [(opus::Channels::Mono, 1), (opus::Channels::Stereo, 2)] {
            for bandwidth in [opus::Bandwidth::Wideband, opus::Bandwidth::Fullband] {
                for length in [480, 960, 1920, 2880] {
                    let packets = encode(&mut encoder(bandwidth, channels, true), count, length);
                    let mut found = 0;
                    for packet in &packets {
                        let frame = opus::packet::get_samples_per_frame(packet, 48_000).expect("a packet") as u32;
                        let samples = redundancy(packet);
                        assert!(samples == 0 || samples == frame && packet[0] >> 3 < 16);
                        found += u32::from(samples > 0);
                    }
                    // The encoder leaves it out where it hears no speech, and has none in a CELT frame.
                    assert!(found >= 6 || bandwidth == opus::Bandwidth::Fullband, "{count} {bandwidth:?} {length}");

                    let packets = encode(&mut encoder(bandwidth, channels, false), count, length);
                    assert!(packets.iter().all(|packet| redundancy(packet) == 0), "{count} {bandwidth:?} {length}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_first_frame_is_where_libopus_finds_it(packet in prop::collection::vec(any::<u8>(), 0..400)) {
            redundancy(&packet);
            if let Ok(parsed) = opus::packet::parse(&packet)
                && let Some(first) = parsed.frames.first().filter(|frame| !frame.is_empty())
            {
                let found = first_frame(&packet).expect("a frame");
                assert_eq!(found[..first.len()], **first);
                assert_eq!(found.as_ptr(), first.as_ptr());
            }
        }
    }
}
