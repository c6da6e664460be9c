//! DAVE's binary frames, both directions (DAVE protocol, "Voice Gateway Opcodes").
//!
//! A v8 server sends `u16 seq, u8 op, payload`; clients, and servers before v8, send `u8 op, payload`. All numbers are
//! big-endian and unsigned. What MLS wrote stays opaque here.

const EXTERNAL_SENDER: u8 = 25;
const KEY_PACKAGE: u8 = 26;
const PROPOSALS: u8 = 27;
const COMMIT_WELCOME: u8 = 28;
const ANNOUNCE_COMMIT: u8 = 29;
const WELCOME: u8 = 30;

/// A binary message of the voice gateway, in either direction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// Op 25, server: the external sender of the group's proposals.
    ExternalSender(Vec<u8>),
    /// Op 26, client: a bare MLS key package.
    KeyPackage(Vec<u8>),
    /// Op 27, server: the operation byte (0 append, 1 revoke), then the vector of proposals or references.
    Proposals(Vec<u8>),
    /// Op 28, client: a commit and, with additions, its welcome.
    CommitWelcome(Vec<u8>),
    /// Op 29, server: the commit that won.
    AnnounceCommit {
        /// Names the transition in ops 22, 23 and 31.
        transition: u16,
        /// An MLSMessage.
        commit: Vec<u8>,
    },
    /// Op 30, server: how a new member gets into the group.
    Welcome {
        /// Names the transition in ops 22, 23 and 31.
        transition: u16,
        /// A bare MLS welcome.
        welcome: Vec<u8>,
    },
    /// Any other opcode, kept as it came.
    Unknown {
        /// The opcode.
        op: u8,
        /// What followed it.
        payload: Vec<u8>,
    },
}

impl Message {
    /// The opcode.
    pub const fn op(&self) -> u8 {
        match self {
            Self::ExternalSender(_) => EXTERNAL_SENDER,
            Self::KeyPackage(_) => KEY_PACKAGE,
            Self::Proposals(_) => PROPOSALS,
            Self::CommitWelcome(_) => COMMIT_WELCOME,
            Self::AnnounceCommit { .. } => ANNOUNCE_COMMIT,
            Self::Welcome { .. } => WELCOME,
            Self::Unknown { op, .. } => *op,
        }
    }
}

/// A binary frame ended before its fixed fields did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a binary message of {len} bytes is too short for its header")]
pub struct ParseError {
    /// Length of the frame, in bytes.
    pub len: usize,
}

/// Reads what a v8 server sends: sequence number, opcode, payload.
///
/// # Errors
///
/// When the frame is shorter than its fixed fields.
pub fn read_server(frame: &[u8]) -> Result<(u16, Message), ParseError> {
    let short = ParseError { len: frame.len() };
    let (seq, rest) = split_u16(frame).ok_or(short)?;
    Ok((seq, read_message(rest).ok_or(short)?))
}

/// Reads what a client sends, or a server before v8: opcode, payload.
///
/// # Errors
///
/// When the frame is shorter than its fixed fields.
pub fn read_client(frame: &[u8]) -> Result<Message, ParseError> {
    read_message(frame).ok_or(ParseError { len: frame.len() })
}

/// Writes what a v8 server sends.
pub fn write_server(seq: u16, message: &Message) -> Vec<u8> {
    let mut frame = seq.to_be_bytes().to_vec();
    write_message(message, &mut frame);
    frame
}

/// Writes what a client sends, or a server before v8.
pub fn write_client(message: &Message) -> Vec<u8> {
    let mut frame = Vec::new();
    write_message(message, &mut frame);
    frame
}

fn split_u16(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u16::from_be_bytes(*number), rest))
}

fn read_message(bytes: &[u8]) -> Option<Message> {
    let (&op, payload) = bytes.split_first()?;
    Some(match op {
        EXTERNAL_SENDER => Message::ExternalSender(payload.to_vec()),
        KEY_PACKAGE => Message::KeyPackage(payload.to_vec()),
        PROPOSALS => Message::Proposals(payload.to_vec()),
        COMMIT_WELCOME => Message::CommitWelcome(payload.to_vec()),
        ANNOUNCE_COMMIT => {
            let (transition, commit) = split_u16(payload)?;
            Message::AnnounceCommit { transition, commit: commit.to_vec() }
        }
        WELCOME => {
            let (transition, welcome) = split_u16(payload)?;
            Message::Welcome { transition, welcome: welcome.to_vec() }
        }
        op => Message::Unknown { op, payload: payload.to_vec() },
    })
}

fn write_message(message: &Message, frame: &mut Vec<u8>) {
    frame.push(message.op());
    match message {
        Message::ExternalSender(payload)
        | Message::KeyPackage(payload)
        | Message::Proposals(payload)
        | Message::CommitWelcome(payload)
        | Message::Unknown { payload, .. } => frame.extend_from_slice(payload),
        Message::AnnounceCommit { transition, commit: payload } | Message::Welcome { transition, welcome: payload } => {
            frame.extend_from_slice(&transition.to_be_bytes());
            frame.extend_from_slice(payload);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Message, ParseError, read_client, read_server, write_client, write_server};
    use proptest::prelude::{Strategy, any, prop_oneof, proptest};
    use proptest::{prop_assert, prop_assert_eq};

    #[test]
    fn case_11_sequence_and_transition_are_unsigned() {
        let frame = [0x01, 0x80, 29, 0x00, 0x80, 0xAA];
        let (seq, message) = read_server(&frame).expect("whole");
        assert_eq!(seq, 0x0180);
        assert_eq!(message, Message::AnnounceCommit { transition: 0x0080, commit: vec![0xAA] });

        let (seq, message) = read_server(&[0xFF, 0xFE, 30, 0x80, 0x00]).expect("whole");
        assert_eq!(seq, 0xFFFE);
        assert_eq!(message, Message::Welcome { transition: 0x8000, welcome: vec![] });
    }

    #[test]
    fn server_frames_have_a_sequence_number_and_client_frames_none() {
        let proposals = Message::Proposals(vec![0, 1, 2]);
        assert_eq!(write_server(0x0102, &proposals), [1, 2, 27, 0, 1, 2]);
        assert_eq!(write_client(&Message::KeyPackage(vec![9])), [26, 9]);
        assert_eq!(write_client(&Message::CommitWelcome(vec![8, 7])), [28, 8, 7]);
    }

    #[test]
    fn truncated_frames_are_errors() {
        for frame in [&[][..], &[1], &[1, 2], &[1, 2, 29], &[1, 2, 29, 0], &[1, 2, 30, 0]] {
            assert_eq!(read_server(frame), Err(ParseError { len: frame.len() }));
        }
        for frame in [&[][..], &[29, 1], &[30]] {
            assert_eq!(read_client(frame), Err(ParseError { len: frame.len() }));
        }
    }

    fn message() -> impl Strategy<Value = Message> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..64);
        prop_oneof![
            bytes().prop_map(Message::ExternalSender),
            bytes().prop_map(Message::KeyPackage),
            bytes().prop_map(Message::Proposals),
            bytes().prop_map(Message::CommitWelcome),
            (any::<u16>(), bytes()).prop_map(|(transition, commit)| Message::AnnounceCommit { transition, commit }),
            (any::<u16>(), bytes()).prop_map(|(transition, welcome)| Message::Welcome { transition, welcome }),
            (31..=255_u8, bytes()).prop_map(|(op, payload)| Message::Unknown { op, payload }),
        ]
    }

    proptest! {
        #[test]
        fn messages_survive_the_wire(seq in any::<u16>(), message in message()) {
            prop_assert_eq!(read_server(&write_server(seq, &message)), Ok((seq, message.clone())));
            prop_assert_eq!(read_client(&write_client(&message)), Ok(message));
        }

        #[test]
        fn whatever_is_read_is_written_back(frame in proptest::collection::vec(any::<u8>(), 0..64)) {
            match read_server(&frame) {
                Ok((seq, message)) => prop_assert_eq!(write_server(seq, &message), frame),
                Err(_) => prop_assert!(frame.len() < 5),
            }
        }
    }
}
