//! MPEG-TS (ISO/IEC 13818-1): the one audio stream in a segment that is played, out of its packets.

use mpeg2ts_reader::demultiplex::{
    Demultiplex, DemuxContext, FilterChangeset, FilterRequest, NullPacketFilter, PatPacketFilter, PmtPacketFilter,
};
use mpeg2ts_reader::packet::Pid;
use mpeg2ts_reader::pes::{ElementaryStreamConsumer, PesContents, PesHeader, PesPacketFilter, PtsDts};
use mpeg2ts_reader::psi::pat::PAT_PID;
use mpeg2ts_reader::{StreamType, packet_filter_switch};

use super::HlsError;
use super::segment::{Kind, Stamp, Unpacked};

packet_filter_switch! {
    Filter<Context> {
        Pat: PatPacketFilter<Context>,
        Pmt: PmtPacketFilter<Context>,
        Audio: PesPacketFilter<Context, Audio>,
        Ignored: NullPacketFilter<Context>,
    }
}

#[derive(Default)]
#[allow(unreachable_pub, reason = "the macro's enum is public, and names it")]
pub struct Context {
    changes: FilterChangeset<Filter>,
    chosen: Option<(Pid, Kind)>,
    bytes: Vec<u8>,
    stamp: Option<Stamp>,
    undecodable: Option<String>,
}

impl DemuxContext for Context {
    type F = Filter;

    fn filter_changeset(&mut self) -> &mut FilterChangeset<Filter> {
        &mut self.changes
    }

    fn construct(&mut self, request: FilterRequest<'_, '_>) -> Filter {
        match request {
            FilterRequest::ByPid(PAT_PID) => Filter::Pat(PatPacketFilter::default()),
            FilterRequest::Pmt { pid, program_number } => Filter::Pmt(PmtPacketFilter::new(pid, program_number)),
            FilterRequest::ByStream { stream_type, stream_info, .. } => {
                let pid = stream_info.elementary_pid();
                match kind(stream_type) {
                    Ok(kind) if self.chosen.is_none_or(|(chosen, _)| chosen == pid) => {
                        self.chosen = Some((pid, kind));
                        return Filter::Audio(PesPacketFilter::new(Audio));
                    }
                    Ok(_) => {}
                    Err(Some(name)) => self.undecodable = Some(name.to_owned()),
                    Err(None) => {}
                }
                Filter::Ignored(NullPacketFilter::default())
            }
            _ => Filter::Ignored(NullPacketFilter::default()),
        }
    }
}

/// What a stream is; or what it is called that cannot be decoded, if it is audio.
fn kind(stream_type: StreamType) -> Result<Kind, Option<&'static str>> {
    match u8::from(stream_type) {
        0x0F => Ok(Kind::Adts),
        0x03 | 0x04 => Ok(Kind::Mpeg),
        0x11 => Err(Some("AAC in LATM")),
        0x1C => Err(Some("AAC without framing")),
        0x81 | 0xC1 => Err(Some("AC-3")),
        0x87 | 0xC2 => Err(Some("E-AC-3")),
        0x82 | 0x85 | 0x8A => Err(Some("DTS")),
        0x83 => Err(Some("TrueHD")),
        0xCF => Err(Some("AAC encrypted by SAMPLE-AES")),
        _ => Err(None),
    }
}

#[allow(unreachable_pub, reason = "the macro's enum is public, and names it")]
pub struct Audio;

impl ElementaryStreamConsumer<Context> for Audio {
    fn start_stream(&mut self, _context: &mut Context) {}

    fn begin_packet(&mut self, context: &mut Context, header: PesHeader<'_>) {
        match header.contents() {
            PesContents::Parsed(Some(parsed)) => {
                let pts = match parsed.pts_dts() {
                    Ok(PtsDts::PtsOnly(Ok(pts)) | PtsDts::Both { pts: Ok(pts), .. }) => Some(pts.value()),
                    _ => None,
                };
                if context.bytes.is_empty() {
                    context.stamp = pts.map(|ticks| Stamp { ticks, scale: 90_000 });
                }
                context.bytes.extend_from_slice(parsed.payload());
            }
            PesContents::Parsed(None) => {}
            PesContents::Payload(payload) => context.bytes.extend_from_slice(payload),
        }
    }

    fn continue_packet(&mut self, context: &mut Context, data: &[u8]) {
        context.bytes.extend_from_slice(data);
    }

    fn end_packet(&mut self, _context: &mut Context) {}

    fn continuity_error(&mut self, _context: &mut Context) {}
}

pub(super) fn unpack(segment: &[u8]) -> Result<Unpacked, HlsError> {
    let mut context = Context::default();
    let mut demux = Demultiplex::new(&mut context);
    demux.push(&mut context, segment);
    match (context.chosen, context.undecodable) {
        (Some((_, kind)), _) => Ok(Unpacked { kind, bytes: context.bytes, stamp: context.stamp }),
        (None, Some(codec)) => Err(HlsError::Codec { codec: codec.into() }),
        (None, None) => Err(HlsError::NoAudio),
    }
}
