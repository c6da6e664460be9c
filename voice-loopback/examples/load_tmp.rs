#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)]
use std::time::{Duration, Instant};
use crypto::*; use futures_util::{SinkExt, StreamExt}; use model::*; use serde_json::*;
use tokio::net::TcpStream; use tokio_tungstenite::{client_async, tungstenite::Message};
use udp::rtp; use voice_loopback::*;
fn cpu() -> f64 { let s = std::fs::read_to_string("/proc/self/stat").unwrap(); let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect(); (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0 }
fn main() {
    let n: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let shared = std::env::args().nth(2).unwrap() == "shared";
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let lb = rt.block_on(Loopback::start(Options::default().plain(true))).unwrap();
    let mut keep = vec![]; let mut clients = vec![];
    for i in 1..=n { let (ws, c) = rt.block_on(async {
        let guild = if shared { 1 } else { i };
        let (mut ws, _) = client_async("ws://x/?v=8", TcpStream::connect(lb.ws_addr()).await.unwrap()).await.unwrap();
        ws.send(Message::text(json!({"op":0,"d":{"server_id":guild.to_string(),"user_id":i.to_string(),"session_id":"s","token":i.to_string()}}).to_string())).await.unwrap();
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap(); udp.connect(lb.udp_addr()).unwrap();
        let mut ssrc = 0;
        let key: Vec<u8> = loop { let m: Value = from_str(ws.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
            if m["op"] == 2 { ssrc = m["d"]["ssrc"].as_u64().unwrap() as u32;
                ws.send(Message::text(json!({"op":1,"d":{"protocol":"udp","data":{"address":"127.0.0.1","port":udp.local_addr().unwrap().port(),"mode":"aead_aes256_gcm_rtpsize"}}}).to_string())).await.unwrap(); }
            if m["op"] == 4 { break from_value(m["d"]["secret_key"].clone()).unwrap(); } };
        (ws, (udp, Ssrc(ssrc), Sealer::new(Mode::Aes256GcmRtpsize, &Key::new(key.try_into().unwrap()), Backend::AwsLc))) });
        keep.push(ws); clients.push(c); }
    let (start, c0) = (Instant::now(), cpu());
    let ticks = 250u32;
    for t in 0..ticks { for (i, (udp, ssrc, sealer)) in clients.iter_mut().enumerate() {
        let at = start + Duration::from_micros(u64::from(t) * 20_000 + i as u64 * 20_000 / n);
        if i % 10 == 0 { if let Some(d) = at.checked_duration_since(Instant::now()) { std::thread::sleep(d); } }
        let mut p = vec![7u8; 12 + 160 + 40]; rtp::Header::new(Seq(t as u16), RtpTime(t * 960), *ssrc).write(&mut p);
        let len = sealer.seal_rtp(&mut p, 12, 160).unwrap(); udp.send(&p[..len]).unwrap(); } }
    let wall = start.elapsed(); std::thread::sleep(Duration::from_millis(300));
    let s = rt.block_on(lb.stats());
    println!("{n} shared={shared}: sent {} received {} forwarded {} of {} wall {:?} cpu {:.2}s", u64::from(ticks) * n, s.received, s.forwarded, if shared { u64::from(ticks) * n * (n - 1) } else { 0 }, wall, cpu() - c0);
}
