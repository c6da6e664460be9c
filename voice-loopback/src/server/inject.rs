use model::{RtpTime, Seq, Ssrc, UserId};
use udp::rtp::Header;

use super::Server;
use super::media::seal_for;

/// The longest payload made up, in bytes: with all overhead it fits a datagram.
const MAX_PAYLOAD: usize = 1_200;

impl Server {
    /// Sends a packet that nobody has sent, in the name of all sessions of `from`.
    pub(super) fn inject(&mut self, to: Option<UserId>, from: UserId, payload: &[u8]) {
        let payload = &payload[..payload.len().min(MAX_PAYLOAD)];
        let senders: Vec<Ssrc> = self.whom(Some(from)).map(|session| session.ssrc).collect();
        for ssrc in senders {
            let Some(sender) = self.sessions.get_mut(&ssrc) else { continue };
            // As if 20 ms after the last one.
            let (seq, time) = sender.reception.last().map_or((Seq(0), RtpTime(0)), |(seq, time)| (seq + 1, time + 960));
            let header = Header::new(seq + sender.made_up, time + 960 * u32::from(sender.made_up), ssrc);
            sender.made_up = sender.made_up.wrapping_add(1);
            let flags = sender.speaking.unwrap_or(0);
            let header = self.fill_template(&header, flags, payload, 0);
            for receiver in self.others(ssrc) {
                let receiver = self.sessions.get_mut(&receiver).filter(|it| to.is_none_or(|to| to == it.user));
                if let Some(receiver) = receiver {
                    seal_for(receiver, &header, &self.template, &mut self.outputs, &mut self.stats);
                }
            }
        }
    }
}
