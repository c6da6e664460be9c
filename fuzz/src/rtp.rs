use voice_udp::rtp::{self, Header};
use voice_udp::{Datagram, discovery, keepalive};

use crate::input::Input;

/// Datagrams as they come from a socket, and RTP bodies as they come out of the cipher: everything is told apart, and the
/// parts of a body are where they are said to be.
///
/// The first byte chooses what the P and X bits say of the body; the rest is the datagram, and the body behind its header.
///
/// # Panics
///
/// When an invariant does not hold.
pub fn rtp(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let datagram = input.rest();
    match Datagram::classify(datagram) {
        Datagram::Rtp(header) => {
            assert!((rtp::FIXED_LEN..=datagram.len()).contains(&header.clear_len()));
            let mut written = [0; rtp::FIXED_LEN];
            header.write(&mut written);
            assert_eq!(written, datagram[..rtp::FIXED_LEN], "a header is written as it was read");
            let words = rtp::extension_words(datagram, &header);
            assert_eq!(rtp::profile(datagram, &header).is_some(), header.extension);
            body(&header, words, &datagram[header.clear_len()..]);
            let header = Header { padding: flags & 1 != 0, extension: flags & 2 != 0, ..header };
            body(&header, usize::from(flags >> 2), &datagram[rtp::FIXED_LEN..]);
        }
        Datagram::Discovery => {
            let answer = discovery::read_response(datagram);
            assert!(answer.is_none() || discovery::read_request(datagram).is_none());
        }
        Datagram::Ping => assert!(keepalive::read_pong(datagram).is_none()),
        Datagram::Pong => assert!(keepalive::read_ping(datagram).is_none()),
        _ => {}
    }
}

fn body(header: &Header, words: usize, plaintext: &[u8]) {
    let Ok(body) = rtp::body(header, words, plaintext) else {
        assert!(header.padding || header.extension, "there is nothing to be wrong");
        return;
    };
    assert_eq!((body.extension.start, body.extension.end), (0, body.payload.start));
    assert_eq!(body.payload.end + body.padding, plaintext.len());
    assert_eq!((body.padding > 0, header.extension || words == 0 || body.extension.is_empty()), (header.padding, true));
    let extension = &plaintext[body.extension];
    let mut len = 0;
    for element in rtp::elements(extension) {
        assert!((1..=14).contains(&element.id) && (1..=16).contains(&element.data.len()));
        len += 1 + element.data.len();
    }
    assert!(len <= extension.len());
}
