use model::Ssrc;
use udp::rtcp::{self, Packet, ReportBlock};

/// What the server's receiver reports say of the stream that we send.
#[derive(Default)]
pub(super) struct Reports {
    ours: Option<Ssrc>,
    /// Loss in 1/256, smoothed: one bad report is no trend, and loss that has gone may come back.
    smooth: f32,
    percent: u8,
    news: Option<u8>,
}

/// How much of each report counts when loss grows and when it shrinks.
const RISE: f32 = 0.5;
const FALL: f32 = 0.125;

impl Reports {
    /// Reports on this stream are ours from now on. Loss is the path's, not the stream's: it is kept.
    pub(super) fn attach(&mut self, ours: Ssrc) {
        self.ours = Some(ours);
    }

    /// Takes an opened compound, clear bytes included.
    pub(super) fn handle(&mut self, compound: &[u8]) {
        let ours = self.ours;
        for packet in rtcp::read(compound) {
            let blocks = match &packet {
                Packet::ReceiverReport(report) => &report.reports,
                Packet::SenderReport(report) => &report.reports,
                _ => continue,
            };
            for block in blocks.iter().filter(|block| Some(block.ssrc) == ours) {
                self.handle_block(block);
            }
        }
    }

    fn handle_block(&mut self, block: &ReportBlock) {
        let lost = f32::from(block.fraction_lost);
        self.smooth += (lost - self.smooth) * if lost > self.smooth { RISE } else { FALL };
        let percent = (self.smooth * 100.0 / 256.0).round() as u8;
        if percent != self.percent {
            self.percent = percent;
            self.news = Some(percent);
        }
    }

    /// The loss to be prepared for, in percent, when it has changed.
    pub(super) fn poll(&mut self) -> Option<u8> {
        self.news.take()
    }
}

#[cfg(test)]
mod tests {
    use udp::rtcp::ReceiverReport;

    use super::*;

    fn report(reports: &mut Reports, ssrc: u32, fraction_lost: u8) -> Option<u8> {
        let block = ReportBlock {
            ssrc: Ssrc(ssrc),
            fraction_lost,
            lost: 0,
            highest_seq: 0,
            jitter: 0,
            last_sender_report: 0,
            delay: 0,
        };
        let mut compound = Vec::new();
        rtcp::write(&[Packet::ReceiverReport(ReceiverReport { ssrc: Ssrc(9), reports: vec![block] })], &mut compound);
        reports.handle(&compound);
        reports.poll()
    }

    #[test]
    fn loss_of_our_stream_is_followed_quickly_up_and_slowly_down() {
        let mut reports = Reports::default();
        assert_eq!(report(&mut reports, 1, 128), None, "no stream is ours yet");
        reports.attach(Ssrc(1));
        assert_eq!(report(&mut reports, 2, 128), None, "somebody else's");
        assert_eq!(report(&mut reports, 1, 51), Some(10), "half of 20 %");
        assert_eq!(report(&mut reports, 1, 51), Some(15));
        assert_eq!(report(&mut reports, 1, 0), Some(13));
        let falls: Vec<_> = (0..60).filter_map(|_| report(&mut reports, 1, 0)).collect();
        assert_eq!(falls.last(), Some(&0));
        assert!(falls.windows(2).all(|pair| pair[0] > pair[1]));
    }
}
