use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crypto::MAX_OVERHEAD;
use model::Ssrc;
use udp::discovery::{self, Response};
use udp::rtcp::{self, Packet, ReceiverReport};
use udp::rtp::{self, Element, Header};
use udp::{Datagram, keepalive};

use super::session::Session;
use super::{Output, Server, Stats};

/// How often each client gets a receiver report about its stream, as from Discord.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// The longest padding added to a forwarded packet; its length fits the padding's last byte (RFC 3550, section 5.1).
const MAX_PADDING: u64 = 32;

/// The server's own SSRC, as sender of reports; no client gets it.
const OWN_SSRC: Ssrc = Ssrc(0);

/// Id of the element that holds the audio level in Discord's packets (RFC 6464), one byte.
const AUDIO_LEVEL: u8 = 1;

/// Bytes of a header extension with two elements of one byte: header and one word.
const EXTENSION_LEN: usize = 8;

impl Server {
    pub(super) fn receive(&mut self, now: Instant, from: SocketAddr, datagram: &mut [u8]) {
        if self.misbehaviour.is_cut_off(from) {
            return;
        }
        match Datagram::classify(datagram) {
            Datagram::Rtp(header) => self.forward(now, &header, datagram),
            Datagram::Rtcp => self.take_report(now, datagram),
            Datagram::Discovery => self.answer_discovery(from, datagram),
            Datagram::Ping => self.answer_ping(from, datagram),
            _ => self.stats.swallowed += 1,
        }
    }

    /// Opens a packet with its sender's key and seals it anew for everybody else in the room.
    fn forward(&mut self, now: Instant, header: &Header, packet: &mut [u8]) {
        let Some(sender) = self.sessions.get_mut(&header.ssrc) else {
            self.stats.unknown_ssrc += 1;
            return;
        };
        let Some(len) = sender.transport.as_mut().and_then(|transport| {
            let clear_len = transport.clear_len(header);
            Some(clear_len + transport.opener.open(packet, clear_len)?.len())
        }) else {
            self.stats.not_authentic += 1;
            return;
        };
        // By now the extension's header is legible in every mode.
        let words = rtp::extension_words(&packet[..len], header);
        let plaintext = packet.get(header.clear_len()..len);
        let Some((plaintext, body)) = plaintext.and_then(|it| Some((it, rtp::body(header, words, it).ok()?))) else {
            self.stats.malformed += 1;
            return;
        };
        self.stats.received += 1;
        sender.reception.note(now, header.seq, header.time);
        sender.report_due.get_or_insert(now + REPORT_INTERVAL);
        sender.made_up = 0;
        let (room, flags) = (sender.room, sender.speaking.unwrap_or(0));

        // A packet that is all padding stays one: it uses up its sequence number.
        let padding = match body.payload.is_empty() {
            true => body.padding as u8,
            false if self.config.padding && self.rng.below(3) == 0 => 1 + self.rng.below(MAX_PADDING) as u8,
            false => 0,
        };
        let header = self.fill_template(header, flags, &plaintext[body.payload], padding);
        let members = room.and_then(|room| self.rooms.get(&room)).into_iter().flat_map(|room| &room.members);
        for receiver in members.filter(|member| **member != header.ssrc) {
            if let Some(receiver) = self.sessions.get_mut(receiver) {
                seal_for(receiver, &header, &self.template, &mut self.outputs, &mut self.stats);
            }
        }
    }

    /// Writes the packet to be sealed for each receiver: same stream, numbers and payload, our own extension and padding.
    /// Returns its header.
    pub(super) fn fill_template(&mut self, original: &Header, flags: u32, payload: &[u8], padding: u8) -> Header {
        let mut header = Header::new(original.seq, original.time, original.ssrc);
        header.marker = original.marker;
        header.payload_type = original.payload_type;
        header.extension = self.config.extension;
        header.padding = padding > 0;
        let template = &mut self.template;
        template.clear();
        template.resize(rtp::FIXED_LEN, 0);
        header.write(template);
        if header.extension {
            template.resize(rtp::FIXED_LEN + EXTENSION_LEN, 0);
            let elements =
                [Element { id: AUDIO_LEVEL, data: &[0xFF] }, Element { id: rtp::SPEAKING, data: &[flags as u8] }];
            rtp::write_extension(&elements, &mut template[rtp::FIXED_LEN..])
                .expect("invariant: two elements of one byte fill one word");
        }
        template.extend_from_slice(payload);
        if let Some(zeros) = padding.checked_sub(1) {
            template.resize(template.len() + usize::from(zeros), 0);
            template.push(padding);
        }
        header
    }

    /// RTCP of a client is opened and counted; its sender report comes back in the next receiver report.
    fn take_report(&mut self, now: Instant, datagram: &mut [u8]) {
        let ssrc = datagram.get(4..8).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        let Some(session) = ssrc.and_then(|ssrc| self.sessions.get_mut(&Ssrc(ssrc))) else {
            self.stats.unknown_ssrc += 1;
            return;
        };
        let opener = session.transport.as_mut().map(|transport| &mut transport.opener);
        let Some(plaintext) = opener.and_then(|opener| opener.open(datagram, rtcp::CLEAR_LEN)) else {
            self.stats.not_authentic += 1;
            return;
        };
        self.stats.rtcp_received += 1;
        let len = rtcp::CLEAR_LEN + plaintext.len();
        for packet in rtcp::read(&datagram[..len]) {
            let blocks = match packet {
                Packet::SenderReport(report) => {
                    session.reception.note_report(now, report.ntp, report.time);
                    self.stats.sender_reports += 1;
                    report.reports
                }
                Packet::ReceiverReport(report) => report.reports,
                _ => continue,
            };
            self.stats.report_blocks += blocks.len() as u64;
        }
    }

    /// Answers with the address that the request came from.
    fn answer_discovery(&mut self, from: SocketAddr, datagram: &[u8]) {
        let known = discovery::read_request(datagram).filter(|ssrc| self.sessions.contains_key(ssrc));
        let Some(ssrc) = known.filter(|_| !self.misbehaviour.ignores_discovery()) else {
            self.stats.discoveries_ignored += 1;
            return;
        };
        self.stats.discoveries += 1;
        let bytes = discovery::response(&Response { ssrc, address: from }).to_vec();
        self.outputs.push_back(Output::Datagram { to: from, bytes });
    }

    fn answer_ping(&mut self, from: SocketAddr, datagram: &[u8]) {
        let Some(counter) = keepalive::read_ping(datagram) else { return };
        if self.misbehaviour.ignores_ping() {
            self.stats.pings_ignored += 1;
            return;
        }
        self.stats.pings += 1;
        self.outputs.push_back(Output::Datagram { to: from, bytes: keepalive::pong(counter).to_vec() });
    }

    /// Tells every client, from time to time, how its stream arrives.
    pub(super) fn send_reports(&mut self, now: Instant) {
        for session in self.sessions.values_mut().filter(|session| session.described) {
            let Some(transport) = &mut session.transport else { continue };
            if session.report_due.is_none_or(|due| now < due) {
                continue;
            }
            session.report_due = Some(now + REPORT_INTERVAL);
            let Some(block) = session.reception.block(now, session.ssrc) else { continue };
            let report = ReceiverReport { ssrc: OWN_SSRC, reports: vec![block] };
            let mut bytes = Vec::with_capacity(64 + MAX_OVERHEAD);
            rtcp::write(&[Packet::ReceiverReport(report)], &mut bytes);
            let plaintext_len = bytes.len() - rtcp::CLEAR_LEN;
            bytes.resize(bytes.len() + MAX_OVERHEAD, 0);
            let Ok(len) = transport.sealer.seal_rtcp(&mut bytes, plaintext_len) else {
                self.stats.unsealed += 1;
                continue;
            };
            bytes.truncate(len);
            self.stats.reports_sent += 1;
            self.outputs.push_back(Output::Datagram { to: transport.address, bytes });
        }
    }
}

/// Seals the packet with the receiver's key and sends it there, once it has got op 4.
pub(super) fn seal_for(
    receiver: &mut Session,
    header: &Header,
    template: &[u8],
    outputs: &mut VecDeque<Output>,
    stats: &mut Stats,
) {
    let Some(transport) = receiver.transport.as_mut().filter(|_| receiver.described) else { return };
    let mut bytes = Vec::with_capacity(template.len() + MAX_OVERHEAD);
    bytes.extend_from_slice(template);
    bytes.resize(template.len() + MAX_OVERHEAD, 0);
    let clear_len = transport.clear_len(header);
    let plaintext_len = template.len() - clear_len;
    let Ok(len) = transport.sealer.seal_rtp(&mut bytes, clear_len, plaintext_len) else {
        stats.unsealed += 1;
        return;
    };
    bytes.truncate(len);
    receiver.forwarded += 1;
    stats.forwarded += 1;
    outputs.push_back(Output::Datagram { to: transport.address, bytes });
}
