use discortp::pnet::packet::Packet as _;
use discortp::rtcp::report::{MutableReportBlockPacket, MutableSenderInfoPacket, ReportBlockPacket, SenderInfoPacket};
use voice_model::{RtpTime, Ssrc};

use super::{ReceiverReport, SenderReport};

/// Bytes of an SSRC, of a sender's information and of a report block (RFC 3550, section 6.4.1).
const SSRC_LEN: usize = 4;
const INFO_LEN: usize = 20;
const BLOCK_LEN: usize = 24;

/// How one source is heard (RFC 3550, section 6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: Ssrc,
    /// Share of packets lost since the previous report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost so far, 24 bits with a sign: duplicates make it negative.
    pub lost: i32,
    /// Highest sequence number received, with the count of its wraps in the upper 16 bits.
    pub highest_seq: u32,
    /// Interarrival jitter in samples (RFC 3550, section 6.4.1 and appendix A.8).
    pub jitter: u32,
    /// Middle 32 bits of the NTP time of the source's latest sender report; 0 without one.
    pub last_sender_report: u32,
    /// Time since that report, in 1/65,536 s; 0 without one.
    pub delay: u32,
}

impl ReportBlock {
    fn read(bytes: &[u8]) -> Option<Self> {
        let view = ReportBlockPacket::new(bytes)?;
        Some(Self {
            ssrc: Ssrc(view.get_ssrc()),
            fraction_lost: view.get_fraction_lost(),
            // The sign bit is the 24th.
            lost: (view.get_cumulative_pkts_lost() << 8) as i32 >> 8,
            highest_seq: u32::from(view.get_cycles()) << 16 | u32::from(view.get_sequence()),
            jitter: view.get_interarrival_jitter(),
            last_sender_report: view.get_last_sr_timestamp(),
            delay: view.get_last_sr_delay(),
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut bytes = [0; BLOCK_LEN];
        let mut view = MutableReportBlockPacket::new(&mut bytes).expect("invariant: 24 bytes hold a report block");
        view.set_ssrc(self.ssrc.0);
        view.set_fraction_lost(self.fraction_lost);
        view.set_cumulative_pkts_lost(self.lost.clamp(-0x80_0000, 0x7F_FFFF) as u32 & 0xFF_FFFF);
        view.set_cycles((self.highest_seq >> 16) as u16);
        view.set_sequence(self.highest_seq as u16);
        view.set_interarrival_jitter(self.jitter);
        view.set_last_sr_timestamp(self.last_sender_report);
        view.set_last_sr_delay(self.delay);
        out.extend_from_slice(view.packet());
    }
}

pub(super) fn read_sender(count: usize, body: &[u8]) -> Option<SenderReport> {
    let (ssrc, rest) = read_ssrc(body)?;
    let (info, rest) = rest.split_at_checked(INFO_LEN)?;
    let info = SenderInfoPacket::new(info)?;
    Some(SenderReport {
        ssrc,
        ntp: u64::from(info.get_ntp_timestamp_second()) << 32 | u64::from(info.get_ntp_timestamp_fraction()),
        time: RtpTime(info.get_rtp_timestamp()),
        packets: info.get_pkt_count(),
        octets: info.get_byte_count(),
        reports: read_blocks(count, rest)?,
    })
}

pub(super) fn write_sender(report: &SenderReport, out: &mut Vec<u8>) {
    let mut bytes = [0; INFO_LEN];
    let mut info = MutableSenderInfoPacket::new(&mut bytes).expect("invariant: 20 bytes hold a sender's information");
    info.set_ntp_timestamp_second((report.ntp >> 32) as u32);
    info.set_ntp_timestamp_fraction(report.ntp as u32);
    info.set_rtp_timestamp(report.time.0);
    info.set_pkt_count(report.packets);
    info.set_byte_count(report.octets);
    out.extend_from_slice(&report.ssrc.0.to_be_bytes());
    out.extend_from_slice(info.packet());
    write_blocks(&report.reports, out);
}

pub(super) fn read_receiver(count: usize, body: &[u8]) -> Option<ReceiverReport> {
    let (ssrc, rest) = read_ssrc(body)?;
    Some(ReceiverReport { ssrc, reports: read_blocks(count, rest)? })
}

pub(super) fn write_receiver(report: &ReceiverReport, out: &mut Vec<u8>) {
    out.extend_from_slice(&report.ssrc.0.to_be_bytes());
    write_blocks(&report.reports, out);
}

pub(super) fn read_ssrc(bytes: &[u8]) -> Option<(Ssrc, &[u8])> {
    let (ssrc, rest) = bytes.split_first_chunk::<SSRC_LEN>()?;
    Some((Ssrc(u32::from_be_bytes(*ssrc)), rest))
}

/// What follows the blocks is the profile's own (RFC 3550, section 6.4.3), and skipped.
fn read_blocks(count: usize, bytes: &[u8]) -> Option<Vec<ReportBlock>> {
    bytes.get(..count * BLOCK_LEN)?.chunks_exact(BLOCK_LEN).map(ReportBlock::read).collect()
}

fn write_blocks(blocks: &[ReportBlock], out: &mut Vec<u8>) {
    for block in blocks.iter().take(super::MAX_COUNT) {
        block.write(out);
    }
}
