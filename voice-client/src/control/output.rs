use std::net::SocketAddr;

use gateway::Endpoint;

use super::dave::Work;
use crate::error::{Closed, JoinError};
use crate::event::Event;
use crate::info::VoiceStateCommand;
use crate::media::Update;

/// Counts connections; what belongs to an older one is stale and ignored.
pub(crate) type Generation = u64;

/// What control asks of its owner, in this order.
#[derive(Debug)]
pub(crate) enum Output {
    /// Open a WebSocket to this endpoint, in place of any other.
    Dial { generation: Generation, endpoint: Endpoint },
    /// Send a text message.
    Text(String),
    /// Send a binary message.
    Binary(Vec<u8>),
    /// Close the WebSocket with this code, or abandon the dialing.
    HangUp { code: u16 },
    /// Open a media socket to this address, in place of any other.
    OpenUdp { generation: Generation, server: SocketAddr },
    /// Send a datagram of IP discovery.
    Datagram([u8; udp::discovery::LEN]),
    /// Have this work done where it may take milliseconds, and bring back what comes of it.
    Work(Work),
    /// Tell media.
    Update(Update),
    /// Tell the main gateway.
    MainGateway(VoiceStateCommand),
    /// Tell the application.
    Event(Event),
    /// The join that was asked for last is complete.
    Joined,
    /// The join that was asked for last failed.
    JoinFailed(JoinError),
    /// The call is over; nothing follows.
    Ended(Closed),
}
