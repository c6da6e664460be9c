use voice_model::{RtpTime, Seq, Ssrc};

use crate::rtp::Header;

/// The counters of the stream that we send: which sequence number and timestamp the next packet gets.
///
/// The two move apart on purpose. A sequence number is used up by a packet that was sent, and by nothing else, so that
/// the receiver counts no losses that were none; time runs on, whatever is sent.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing {
    ssrc: Ssrc,
    seq: Seq,
    time: RtpTime,
}

impl Outgoing {
    /// A stream with the SSRC that the server gave (op 2). `seq` and `time` should be random (RFC 3550, section 5.1).
    pub const fn new(ssrc: Ssrc, seq: Seq, time: RtpTime) -> Self {
        Self { ssrc, seq, time }
    }

    /// The header of the next packet. The marker bit belongs on the first packet after a gap (RFC 3551, section 4.1).
    pub const fn header(&self, marker: bool) -> Header {
        let mut header = Header::new(self.seq, self.time, self.ssrc);
        header.marker = marker;
        header
    }

    /// The packet went out: its sequence number is used up.
    pub fn sent(&mut self) {
        self.seq = self.seq.next();
    }

    /// Time passed, in samples at 48 kHz: 960 for each 20 ms, over silence too.
    pub fn advance(&mut self, samples: u32) {
        self.time += samples;
    }

    /// The stream's SSRC.
    pub const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// The next packet's sequence number.
    pub const fn seq(&self) -> Seq {
        self.seq
    }

    /// The next packet's timestamp.
    pub const fn time(&self) -> RtpTime {
        self.time
    }
}

#[cfg(test)]
mod tests {
    use voice_model::{RtpTime, Seq, Ssrc};

    use super::Outgoing;

    #[test]
    fn a_packet_not_sent_uses_no_sequence_number() {
        let mut outgoing = Outgoing::new(Ssrc(7), Seq(u16::MAX), RtpTime(u32::MAX - 959));
        let first = outgoing.header(true);
        outgoing.advance(960);
        let second = outgoing.header(false);
        assert_eq!((first.seq, second.seq), (Seq(u16::MAX), Seq(u16::MAX)));
        assert_eq!((first.time, second.time), (RtpTime(u32::MAX - 959), RtpTime(0)));
        assert_eq!((first.marker, second.marker), (true, false));

        outgoing.sent();
        assert_eq!(outgoing.seq(), Seq(0));
        assert_eq!(outgoing.time(), RtpTime(0));
        assert_eq!(outgoing.header(false).ssrc, Ssrc(7));
    }
}
