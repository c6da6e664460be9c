//! `talkers SPEAKERS SECONDS`: a voice server that knows just enough to have calls joined, each with so many speakers who talk
//! all at once once it reads a line, for so long; then it says `sent=N`. Speakers are spread over the 20 ms, as clocks of
//! different people are. Nothing is encrypted end to end, as in a stage channel.

#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{Write, stdin, stdout};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, accept};
use voice_client::layer::crypto::{Backend, Key, MAX_OVERHEAD, Mode, Sealer};
use voice_client::layer::udp::discovery::{self, Response};

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

const KEY: [u8; 32] = [9; 32];
const HEADER: usize = 12;
/// Bytes of Opus.
const FRAME_LEN: usize = 160;
const BEAT: Duration = Duration::from_millis(20);

/// Where each call's media goes, in the order of their SSRCs.
type Addresses = Arc<Mutex<Vec<SocketAddr>>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [speakers, seconds] = &arguments[..] else { return Err("talkers SPEAKERS SECONDS".into()) };
    let (speakers, seconds): (u32, u64) = (speakers.parse()?, seconds.parse()?);
    let (ws, media) = (TcpListener::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    println!("ws={}", ws.local_addr()?);
    stdout().flush()?;
    let (addresses, port) = (Addresses::default(), media.local_addr()?.port());
    let (known, answering) = (addresses.clone(), media.try_clone()?);
    thread::spawn(move || answer(&answering));
    thread::spawn(move || {
        for (number, stream) in (1..).zip(ws.incoming()) {
            let (Ok(stream), known) = (stream, known.clone()) else { return };
            thread::spawn(move || serve(stream, number, port, speakers, &known));
        }
    });
    stdin().read_line(&mut String::new())?;
    let addresses = addresses.lock().unwrap_or_else(PoisonError::into_inner).clone();
    println!("sent={}", talk(&media, &addresses, speakers, Duration::from_secs(seconds))?);
    Ok(())
}

/// IP discovery.
fn answer(media: &UdpSocket) {
    let mut datagram = [0; 2_048];
    while let Ok((len, address)) = media.recv_from(&mut datagram) {
        if let Some(ssrc) = discovery::read_request(&datagram[..len]) {
            let _ = media.send_to(&discovery::response(&Response { ssrc, address }), address);
        }
    }
}

/// One client's WebSocket.
fn serve(stream: TcpStream, ssrc: u32, port: u16, speakers: u32, addresses: &Addresses) -> Outcome {
    let mut socket = accept(stream)?;
    let mode = Mode::Aes256GcmRtpsize.name();
    let say = |message: Value, socket: &mut tokio_tungstenite::tungstenite::WebSocket<TcpStream>| {
        socket.send(Message::text(message.to_string()))
    };
    say(json!({"op": 8, "d": {"v": 8, "heartbeat_interval": 13_750}}), &mut socket)?;
    loop {
        let Message::Text(text) = socket.read()? else { continue };
        let message: Value = serde_json::from_str(&text)?;
        match message["op"].as_u64() {
            Some(0) => {
                let ready = json!({"ssrc": ssrc, "ip": "127.0.0.1", "port": port, "modes": [mode]});
                say(json!({"op": 2, "d": ready}), &mut socket)?;
            }
            Some(1) => {
                let data = &message["d"]["data"];
                let ip = data["address"].as_str().ok_or("no address")?;
                let address = format!("{ip}:{}", data["port"].as_u64().ok_or("no port")?).parse()?;
                addresses.lock().unwrap_or_else(PoisonError::into_inner).push(address);
                let described = json!({"mode": mode, "secret_key": KEY, "dave_protocol_version": 0});
                say(json!({"op": 4, "d": described}), &mut socket)?;
                for speaker in 0..speakers {
                    let user = (1_000_000 + speaker).to_string();
                    let speaking = json!({"user_id": user, "ssrc": 10_000 + speaker, "speaking": 1, "delay": 0});
                    say(json!({"op": 5, "d": speaking}), &mut socket)?;
                }
            }
            Some(3) => say(json!({"op": 6, "d": {"t": message["d"]["t"]}}), &mut socket)?,
            _ => {}
        }
    }
}

/// Everybody talks; how many packets that were.
fn talk(media: &UdpSocket, addresses: &[SocketAddr], speakers: u32, time: Duration) -> Outcome<u64> {
    let sealer = |_| Sealer::new(Mode::Aes256GcmRtpsize, &Key::new(KEY), Backend::AwsLc);
    let mut sealers: Vec<Sealer> = addresses.iter().map(sealer).collect();
    let mut packet = vec![0; HEADER + FRAME_LEN + MAX_OVERHEAD];
    let (start, mut sent, mut beat) = (Instant::now(), 0, 0_u32);
    while BEAT * beat < time {
        for speaker in 0..speakers {
            let due = start + BEAT * beat + BEAT * speaker / speakers;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            for (address, sealer) in addresses.iter().zip(&mut sealers) {
                packet[..2].copy_from_slice(&[0x80, 0x78]);
                packet[2..4].copy_from_slice(&(beat as u16).to_be_bytes());
                packet[4..8].copy_from_slice(&(beat * 960).to_be_bytes());
                packet[8..HEADER].copy_from_slice(&(10_000 + speaker).to_be_bytes());
                // 20 ms of CELT, full band, stereo; what is in it nobody decodes.
                packet[HEADER..HEADER + FRAME_LEN].fill(0x5A);
                packet[HEADER] = 0xFC;
                let len = sealer.seal_rtp(&mut packet, HEADER, FRAME_LEN)?;
                sent += u64::from(media.send_to(&packet[..len], address).is_ok());
            }
        }
        beat += 1;
    }
    Ok(sent)
}
