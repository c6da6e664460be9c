/// Noise, counted instead of failed on. All counters since the gateway was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages of unknown opcodes, text and binary; passed on.
    pub unknown: u64,
    /// Unknown fields in payloads of known opcodes; passed over.
    pub unknown_fields: u64,
    /// Messages that could not be read.
    pub malformed: u64,
    /// Messages seen before: replays after a resume, and op 2 saying nothing new. Not passed on.
    pub duplicates: u64,
    /// Well-formed messages that make no sense now: a client's opcode from the server, op 4 before op 2, op 9 without a
    /// resume, an ack of no heartbeat of ours, anything while the WebSocket is closed or given up.
    pub unexpected: u64,
    /// Messages of the owner's that could not be sent: no session, or too many held back while it is down.
    pub unsent: u64,
    /// Outputs lost because the owner did not poll them.
    pub overflowed: u64,
}
