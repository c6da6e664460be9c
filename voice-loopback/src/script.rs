use model::{ChannelId, GuildId, UserId};

/// Misbehaviour on cue, for [`Server::cue`](crate::Server::cue).
///
/// Where a cue takes `Option<UserId>`, `None` means everyone; a user stands for all sessions of that user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cue {
    /// Close the WebSocket with this code. Whether the session can be resumed afterwards follows from the code, as
    /// [`gateway::close`] has it.
    Close {
        /// Whose.
        user: Option<UserId>,
        /// The close code, 1000 or above.
        code: u16,
        /// The text beside it.
        reason: String,
    },
    /// Drop the connection without a close frame. The session stays resumable.
    Sever {
        /// Whose.
        user: Option<UserId>,
    },
    /// The next `times` messages with this opcode are not sent. Zero ends an earlier cue, [`u32::MAX`] lasts.
    ///
    /// Useful ones: 8 (hello; `user` must be `None`, since nobody has identified yet), 2 (ready), 4 (session
    /// description; no media goes to a client that has none), 6 (heartbeat acknowledgement), 9 (resumed). Of DAVE: 22,
    /// for transitions that are never executed, and the binary ones: 25, 27, 29, 30.
    Withhold {
        /// Whose.
        user: Option<UserId>,
        /// The opcode.
        op: u64,
        /// How often.
        times: u32,
    },
    /// The next `times` IP discovery requests, of anybody, get no answer.
    IgnoreDiscovery {
        /// How often; zero ends an earlier cue, [`u32::MAX`] lasts.
        times: u32,
    },
    /// The next `times` keepalive pings, of anybody, get no answer.
    IgnorePings {
        /// How often; zero ends an earlier cue, [`u32::MAX`] lasts.
        times: u32,
    },
    /// The client's media address is gone, as when an address translator has forgotten it: no datagram comes from there, nor
    /// arrives there, ever again. Another address works once op 1 has named it.
    Rebind {
        /// Whose.
        user: Option<UserId>,
    },
    /// The session's transport key changes, and the client is not told: what either side seals, the other cannot open. The
    /// next session description has the new key.
    Rekey {
        /// Whose.
        user: Option<UserId>,
    },
    /// The next `times` resumes, of anybody, are refused with close code 4006.
    RefuseResume {
        /// How often; zero ends an earlier cue, [`u32::MAX`] lasts.
        times: u32,
    },
    /// Send a datagram of random bytes from the server's own address to the client's media address.
    Garbage {
        /// Whose.
        user: Option<UserId>,
        /// Bytes, cut to 65,507 (the largest UDP payload over IPv4).
        len: usize,
    },
    /// Send this text frame as it is.
    Text {
        /// To whom.
        user: Option<UserId>,
        /// The frame.
        text: String,
    },
    /// Send this binary frame as it is.
    Binary {
        /// To whom.
        user: Option<UserId>,
        /// The frame.
        frame: Vec<u8>,
    },
    /// Ask for a heartbeat at once (op 3 from the server).
    AskHeartbeat {
        /// Whom.
        user: Option<UserId>,
    },
    /// Send the session description (op 4) again, to those who have a WebSocket.
    Describe {
        /// To whom.
        user: Option<UserId>,
        /// With a new key, or with the one in use, whose nonces go on.
        fresh_key: bool,
    },
    /// Disconnect the user: a main-gateway VOICE_STATE_UPDATE with a null channel, then close code 4014.
    Kick {
        /// Whom.
        user: UserId,
    },
    /// Move the user: main-gateway VOICE_STATE_UPDATE with another channel and VOICE_SERVER_UPDATE with a new token,
    /// then close code 4014.
    Move {
        /// Whom.
        user: UserId,
        /// Where to.
        channel: ChannelId,
    },
    /// The guild's voice server changes: everyone there gets a VOICE_SERVER_UPDATE with a new token.
    ChangeEndpoint {
        /// Which guild.
        guild: GuildId,
        /// The endpoint announced from now on, to every guild; `None` keeps the present one.
        endpoint: Option<String>,
    },
    /// The guild's voice server goes away: everyone there gets a VOICE_SERVER_UPDATE with a null endpoint.
    NullEndpoint {
        /// Which guild.
        guild: GuildId,
    },
    /// Get the next `times` occasions for this trick wrong. Zero ends an earlier cue, [`u32::MAX`] lasts.
    Trick {
        /// At whose expense.
        user: Option<UserId>,
        /// Which one.
        trick: Trick,
        /// How often.
        times: u32,
    },
    /// Announce (op 29) the commit that led to the present epoch, or an earlier one, once more, as a new transition.
    StaleCommit {
        /// To whom; nobody who is not in an established group.
        user: Option<UserId>,
    },
    /// Send an RTP packet, as if from another member, whose payload is not end-to-end encrypted. It takes the sequence
    /// number and timestamp after the last ones forwarded.
    Plain {
        /// To whom; never to whom it pretends to be from.
        user: Option<UserId>,
        /// From whom it pretends to be.
        from: UserId,
        /// What stands where the Opus frame does, cut to 1,200 bytes.
        payload: Vec<u8>,
    },
}

/// What can be got wrong about end-to-end encryption, for [`Cue::Trick`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Trick {
    /// A bit of a commit (op 29) is flipped.
    CorruptCommit,
    /// A welcome (op 30) is one that can be opened, into another group than this call's.
    ForeignWelcome,
    /// The external sender (op 25) is another one than the one that signs.
    ForeignSender,
    /// Proposals (op 27) come twice: first signed by the sender of [`ForeignSender`](Self::ForeignSender), then as they
    /// should be.
    ForeignProposals,
    /// The others hear of this user (op 11) only after its key package was proposed to them (op 27).
    LateConnect,
    /// The execution of a transition (op 22) is told twice.
    DuplicateExecute,
}
