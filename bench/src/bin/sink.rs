//! Where media goes that nobody is to hear: answers IP discovery, and throws everything else away. It looks for packets every
//! now and then instead of waiting for each: waking somebody up is work of who sends, on one machine, and real packets go to
//! another. Ends with its input.

#![forbid(unsafe_code)]

use std::io::{Write, read_to_string, stdin, stdout};
use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

use voice_client::layer::udp::discovery::{self, Response};

/// Between two looks. What does not fit into the socket's buffer meanwhile is thrown away there.
const PAUSE: Duration = Duration::from_millis(20);

fn main() -> std::io::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_nonblocking(true)?;
    println!("media={}", socket.local_addr()?);
    stdout().flush()?;
    thread::spawn(move || {
        let mut datagram = [0; 2_048];
        loop {
            // Nothing there, or an answer that nobody took.
            let Ok((len, address)) = socket.recv_from(&mut datagram) else {
                thread::sleep(PAUSE);
                continue;
            };
            if let Some(ssrc) = discovery::read_request(&datagram[..len]) {
                let _ = socket.send_to(&discovery::response(&Response { ssrc, address }), address);
            }
        }
    });
    read_to_string(stdin()).map(drop)
}
