//! IP discovery: how a client behind a NAT learns the address that the server sees (Discord's voice documentation,
//! "IP Discovery"). 74 bytes each way, big-endian: type (1 request, 2 response), length 70, SSRC, 64 bytes of
//! NUL-terminated address, port.
//!
//! ```text
//! client -> server   request(ssrc)          again every `retry`, while nothing comes
//! server -> client   response(ssrc, address)
//! ```

use std::net::{IpAddr, SocketAddr};

use discortp::discord::{IpDiscoveryPacket, IpDiscoveryType, MutableIpDiscoveryPacket};
use voice_model::Ssrc;

mod machine;

pub use machine::{Discovery, Output};

/// Bytes of a request and of a response.
pub const LEN: usize = 74;

/// What the length field says: the bytes after it.
const BODY_LEN: u16 = 70;

const ADDRESS_LEN: usize = 64;

/// What the server answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Response {
    /// The SSRC of the request.
    pub ssrc: Ssrc,
    /// Where the request came from, as the server sees it.
    pub address: SocketAddr,
}

/// A request for this SSRC.
pub fn request(ssrc: Ssrc) -> [u8; LEN] {
    packet(IpDiscoveryType::Request, ssrc, [0; ADDRESS_LEN], 0)
}

/// The SSRC of a request; `None` when it is none.
pub fn read_request(datagram: &[u8]) -> Option<Ssrc> {
    view(datagram, IpDiscoveryType::Request).map(|view| Ssrc(view.get_ssrc()))
}

/// The server's answer.
pub fn response(response: &Response) -> [u8; LEN] {
    let mut address = [0; ADDRESS_LEN];
    let text = response.address.ip().to_string();
    address[..text.len()].copy_from_slice(text.as_bytes());
    packet(IpDiscoveryType::Response, response.ssrc, address, response.address.port())
}

/// Reads an answer; `None` when it is none, or its address is no IPv4 or IPv6 address that ends in a NUL.
pub fn read_response(datagram: &[u8]) -> Option<Response> {
    let view = view(datagram, IpDiscoveryType::Response)?;
    let (text, _) = split_at_nul(view.get_address_raw())?;
    let ip: IpAddr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(Response { ssrc: Ssrc(view.get_ssrc()), address: SocketAddr::new(ip, view.get_port()) })
}

/// Whether a datagram has the shape of a request or a response.
pub(crate) fn is_discovery(datagram: &[u8]) -> bool {
    view(datagram, IpDiscoveryType::Request).or_else(|| view(datagram, IpDiscoveryType::Response)).is_some()
}

fn view(datagram: &[u8], kind: IpDiscoveryType) -> Option<IpDiscoveryPacket<'_>> {
    let view = IpDiscoveryPacket::new(datagram)?;
    (datagram.len() == LEN && view.get_length() == BODY_LEN && view.get_pkt_type() == kind).then_some(view)
}

fn packet(kind: IpDiscoveryType, ssrc: Ssrc, address: [u8; ADDRESS_LEN], port: u16) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    let mut view = MutableIpDiscoveryPacket::new(&mut bytes).expect("invariant: 74 bytes hold a discovery packet");
    view.set_pkt_type(kind);
    view.set_length(BODY_LEN);
    view.set_ssrc(ssrc.0);
    view.set_address(&address);
    view.set_port(port);
    bytes
}

fn split_at_nul(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == 0)?;
    Some(bytes.split_at(end))
}

#[cfg(test)]
mod tests;
