//! Where media goes that nobody is to hear: answers IP discovery, reads everything else, and throws it away. Ends with
//! its input.

#![forbid(unsafe_code)]

use std::io::{Write, read_to_string, stdin, stdout};
use std::net::UdpSocket;
use std::thread;

use voice_client::layer::udp::discovery::{self, Response};

fn main() -> std::io::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    println!("media={}", socket.local_addr()?);
    stdout().flush()?;
    thread::spawn(move || {
        let mut datagram = [0; 2_048];
        loop {
            // Errors are those of answers that nobody took.
            let Ok((len, address)) = socket.recv_from(&mut datagram) else { continue };
            if let Some(ssrc) = discovery::read_request(&datagram[..len]) {
                let _ = socket.send_to(&discovery::response(&Response { ssrc, address }), address);
            }
        }
    });
    read_to_string(stdin()).map(drop)
}
