//! The program, from outside.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_voice-loopback"));
    command.env_remove("RUST_LOG").args(args);
    command
}

fn run(args: &[&str]) -> Output {
    program(args).output().expect("started")
}

/// The addresses that the program says it listens at.
fn listening(line: &str) -> (SocketAddr, SocketAddr) {
    let addresses = line.trim_end().strip_prefix("LISTENING ws=").and_then(|rest| rest.split_once(" udp="));
    let (ws, udp) = addresses.unwrap_or_else(|| panic!("no addresses: {line}"));
    (ws.parse().expect("an address"), udp.parse().expect("an address"))
}

/// A file in the system's directory for temporary ones, removed in the end.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("voice-loopback-{}-{name}.pem", std::process::id())))
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        _ = std::fs::remove_file(&self.0);
    }
}

/// The program at work, ended in the end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[test]
fn it_says_where_it_listens_and_ends_in_time() {
    let output = run(&["--ws", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--exit-after", "0"]);
    assert_eq!(output.status.code(), Some(0));
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    let (ws, udp) = listening(&stdout);
    assert!(ws.port() != 0 && udp.port() != 0);
    assert!(output.stderr.is_empty(), "quiet by default");
}

#[test]
fn without_tls_there_is_no_certificate_to_write() {
    let ca = Temporary::new("none");
    let args = ["--plain-ws", "--ca-out", ca.path(), "--ws", "127.0.0.1:0", "--udp", "127.0.0.1:0"];
    let output = program(&args).args(["--exit-after", "0"]).output().expect("started");
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no certificate"));
    assert!(!ca.0.exists());
}

#[tokio::test]
async fn clients_that_trust_the_certificate_are_served_as_the_flags_say() {
    let ca = Temporary::new("ca");
    let mode = "aead_xchacha20_poly1305_rtpsize";
    let args = ["--ws", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--ca-out", ca.path(), "--modes", mode];
    let child = program(&args).args(["--exit-after", "60"]).stdout(Stdio::piped()).spawn().expect("started");
    let mut running = Running(child);
    let mut line = String::new();
    let stdout = running.0.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let (ws, udp) = listening(&line);

    let joined = timeout(Duration::from_secs(10), async {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&ca.0).expect("PEM")).expect("an authority");
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tcp = TcpStream::connect(ws).await.expect("connected");
        let name = ServerName::try_from("localhost").expect("a name");
        let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.expect("trusted");
        let (mut websocket, _) = client_async("wss://localhost/?v=8", tls).await.expect("a WebSocket");
        let hello = websocket.next().await.expect("open").expect("hello");
        let identify = json!({ "op": 0, "d": {
            "server_id": "2", "user_id": "1", "session_id": "session", "token": "token",
            "max_dave_protocol_version": 1,
        }});
        websocket.send(Message::text(identify.to_string())).await.expect("sent");
        let ready = websocket.next().await.expect("open").expect("ready");
        [hello, ready].map(|it| serde_json::from_str::<Value>(it.to_text().expect("text")).expect("JSON"))
    });
    let [hello, ready] = joined.await.expect("in time");
    assert_eq!((&hello["op"], &hello["d"]["v"]), (&json!(8), &json!(8)));
    assert_eq!(ready["op"], 2);
    assert_eq!((&ready["d"]["modes"], &ready["d"]["port"]), (&json!([mode]), &json!(udp.port())));
}

#[test]
fn wrong_flags_and_failures_are_told_apart() {
    let output = run(&["--dave", "2"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--dave: 2 is not between 0 and 1"));

    let occupied = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = occupied.local_addr().expect("an address").to_string();
    let output = run(&["--ws", &address, "--udp", "127.0.0.1:0", "--exit-after", "0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&format!("cannot listen on {address} (TCP)")));

    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("--exit-after SECS"));
}
