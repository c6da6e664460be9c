//! RTCP of both directions: what the server's reports say of the stream that we send, and our own reports, every 5 s: how
//! much we sent and how we hear others (RFC 3550, section 6.4), and a source description with an empty CNAME, as from the
//! official client.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crypto::{Backend, Key, MAX_OVERHEAD, Sealer};
use model::{RtpTime, SAMPLE_RATE, Seq, Ssrc};
use udp::rtcp::{self, CNAME, Chunk, Item, Packet, ReceiverReport, Reception, ReportBlock, SenderReport, SenderTime};

use super::{OwnStream, Session};
use crate::stats::SendQuality;

/// Time between two of our reports, as from the official client.
const INTERVAL: Duration = Duration::from_secs(5);
/// Report blocks of one packet: its count has 5 bits.
const MAX_BLOCKS: usize = 31;
/// Streams that are kept account of; more than any channel has.
const MAX_SOURCES: usize = 4_096;
/// Sender reports that an answer may still come to.
const UNDER_WAY: usize = 4;
/// How much of each report counts when loss grows and when it shrinks.
const RISE: f32 = 0.5;
const FALL: f32 = 0.125;

/// What is known from reports, and what goes into ours.
#[derive(Default)]
pub(super) struct Reports {
    ours: Option<Ssrc>,
    /// Kept for as long as the key stays, whatever happens to the session: its nonces must never begin again.
    sealer: Option<(Key, Sealer)>,
    due: Option<Instant>,
    /// Something was sent or heard in this session.
    begun: bool,
    /// Our packets when the last report was made.
    told: u64,
    /// Middle 32 bits of the NTP time of our latest sender reports, and when they were made.
    made: [Option<(u32, Instant)>; UNDER_WAY],
    sources: BTreeMap<u32, Reception>,
    /// The source whose turn it is, when there are more than fit.
    turn: u32,
    /// Loss in 1/256, smoothed: one bad report is no trend, and loss that has gone may come back.
    smooth: f32,
    percent: u8,
    news: Option<u8>,
    quality: Option<SendQuality>,
    compound: Vec<u8>,
}

impl Reports {
    /// Reports on this stream are ours from now on. Loss is the path's, not the stream's: it is kept.
    pub(super) fn attach(&mut self, now: Instant, session: &Session, backend: Backend) {
        let is_known = |(key, sealer): &(Key, Sealer)| *key == session.key && sealer.mode() == session.mode;
        if !self.sealer.as_ref().is_some_and(is_known) {
            self.sealer = Some((session.key.clone(), Sealer::new(session.mode, &session.key, backend)));
        }
        if self.ours.replace(session.ssrc) != Some(session.ssrc) {
            (self.begun, self.told, self.made) = (false, 0, [None; UNDER_WAY]);
        }
        self.due.get_or_insert(now + INTERVAL);
    }

    /// There is no session, and nothing to report on.
    pub(super) fn detach(&mut self) {
        (self.ours, self.due) = (None, None);
        self.sources.clear();
    }

    /// Takes note of an authentic RTP packet.
    pub(super) fn heard(&mut self, now: Instant, ssrc: Ssrc, seq: Seq, time: RtpTime) {
        self.source(ssrc).note(now, seq, time);
    }

    /// This stream is over.
    pub(super) fn forget(&mut self, ssrc: Ssrc) {
        self.sources.remove(&ssrc.0);
    }

    /// Takes an opened compound, clear bytes included.
    pub(super) fn handle(&mut self, now: Instant, compound: &[u8]) {
        for packet in rtcp::read(compound) {
            let blocks = match packet {
                Packet::ReceiverReport(report) => report.reports,
                Packet::SenderReport(report) => {
                    self.source(report.ssrc).note_report(now, report.ntp, report.time);
                    report.reports
                }
                _ => continue,
            };
            let ours = self.ours;
            for block in blocks.iter().filter(|block| Some(block.ssrc) == ours) {
                self.handle_block(now, block);
            }
        }
    }

    fn source(&mut self, ssrc: Ssrc) -> &mut Reception {
        if self.sources.len() >= MAX_SOURCES && !self.sources.contains_key(&ssrc.0) {
            self.sources.pop_first();
        }
        self.sources.entry(ssrc.0).or_default()
    }

    fn handle_block(&mut self, now: Instant, block: &ReportBlock) {
        let lost = f32::from(block.fraction_lost);
        self.smooth += (lost - self.smooth) * if lost > self.smooth { RISE } else { FALL };
        let percent = (self.smooth * 100.0 / 256.0).round() as u8;
        if percent != self.percent {
            self.percent = percent;
            self.news = Some(percent);
        }
        let known = self.quality.and_then(|quality| quality.round_trip);
        self.quality = Some(SendQuality {
            at: now,
            fraction_lost: lost / 256.0,
            lost: block.lost,
            jitter: Duration::from_secs_f64(f64::from(block.jitter) / f64::from(SAMPLE_RATE)),
            round_trip: self.round_trip(now, block).or(known),
        });
    }

    /// From one of our sender reports to this block, without the time that the other side kept it (RFC 3550, section
    /// 6.4.1).
    fn round_trip(&self, now: Instant, block: &ReportBlock) -> Option<Duration> {
        let mut made = self.made.iter().flatten();
        let (_, at) = made.find(|(ntp, _)| *ntp == block.last_sender_report && *ntp != 0)?;
        let kept = Duration::from_secs_f64(f64::from(block.delay) / 65_536.0);
        now.saturating_duration_since(*at).checked_sub(kept)
    }

    /// The loss to be prepared for, in percent, when it has changed.
    pub(super) fn poll_loss(&mut self) -> Option<u8> {
        self.news.take()
    }

    /// What the latest report said of the stream that we send.
    pub(super) fn quality(&self) -> Option<SendQuality> {
        self.quality
    }

    /// What the latest sender report of a stream said of its clock.
    pub(super) fn sender_time(&self, ssrc: Ssrc) -> Option<SenderTime> {
        self.sources.get(&ssrc.0)?.sender_time()
    }

    /// When a report of ours is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Whether a report is due; says so once.
    pub(super) fn poll_due(&mut self, now: Instant) -> bool {
        let is_due = self.due.is_some_and(|due| due <= now);
        if is_due {
            // After a long pause one follows, not one for each interval.
            self.due = Some(now + INTERVAL);
        }
        is_due
    }

    /// The report, sealed; `None` as long as there is nothing to report, and when the mode has no nonce for it.
    pub(super) fn make(&mut self, now: Instant, ntp: u64, own: Option<OwnStream>) -> Option<&[u8]> {
        let ssrc = self.ours?;
        let own = own.filter(|own| own.ssrc == ssrc);
        let sent = own.filter(|own| own.packets > self.told);
        let reports = self.blocks(now);
        self.begun |= sent.is_some() || !reports.is_empty();
        if !self.begun {
            return None;
        }
        let report = match sent {
            Some(own) => {
                self.told = own.packets;
                self.made.rotate_right(1);
                self.made[0] = Some(((ntp >> 16) as u32, now));
                // Both counts are modulo 2^32.
                let (packets, octets) = (own.packets as u32, own.octets as u32);
                Packet::SenderReport(SenderReport { ssrc, ntp, time: own.time_at(now), packets, octets, reports })
            }
            None => Packet::ReceiverReport(ReceiverReport { ssrc, reports }),
        };
        let items = vec![Item { kind: CNAME, text: Vec::new() }];
        let description = Packet::SourceDescription(vec![Chunk { ssrc, items }]);
        self.compound.clear();
        rtcp::write(&[report, description], &mut self.compound);
        let plaintext = self.compound.len() - rtcp::CLEAR_LEN;
        self.compound.resize(self.compound.len() + MAX_OVERHEAD, 0);
        let (_, sealer) = self.sealer.as_mut()?;
        let len = sealer.seal_rtcp(&mut self.compound, plaintext).ok()?;
        self.compound.get(..len)
    }

    /// Those that were heard since their last block; they take turns when they are too many.
    fn blocks(&mut self, now: Instant) -> Vec<ReportBlock> {
        let (first, then) = (self.sources.range(self.turn..), self.sources.range(..self.turn));
        let heard = first.chain(then).filter(|(_, source)| source.is_heard()).map(|(ssrc, _)| *ssrc);
        let heard: Vec<u32> = heard.take(MAX_BLOCKS).collect();
        self.turn = heard.last().map_or(0, |last| last.wrapping_add(1));
        heard.into_iter().filter_map(|ssrc| self.sources.get_mut(&ssrc)?.block(now, Ssrc(ssrc))).collect()
    }
}

#[cfg(test)]
mod tests;
