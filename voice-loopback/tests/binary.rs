//! The program, from outside.

use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output};

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_voice-loopback")).args(args).output().expect("started")
}

#[test]
fn it_says_where_it_listens_and_ends_in_time() {
    let ca = std::env::temp_dir().join(format!("voice-loopback-{}.pem", std::process::id()));
    let ca_out = ca.to_str().expect("UTF-8");
    let output = run(&["--ws", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--ca-out", ca_out, "--exit-after", "0"]);
    assert_eq!(output.status.code(), Some(0));
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    let [line] = stdout.lines().collect::<Vec<_>>()[..] else { panic!("one line: {stdout}") };
    let addresses = line.strip_prefix("LISTENING ws=").and_then(|rest| rest.split_once(" udp="));
    let (ws, udp) = addresses.expect("both addresses");
    assert_ne!(ws.parse::<SocketAddr>().expect("an address").port(), 0);
    assert_ne!(udp.parse::<SocketAddr>().expect("an address").port(), 0);
    assert!(output.stderr.is_empty(), "quiet by default");
    let pem = std::fs::read_to_string(&ca).expect("the CA was written");
    std::fs::remove_file(&ca).expect("removed");
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"));
}

#[test]
fn wrong_flags_and_failures_are_told_apart() {
    let output = run(&["--dave", "1"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("only --dave 0"));

    let occupied = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = occupied.local_addr().expect("an address").to_string();
    let output = run(&["--ws", &address, "--udp", "127.0.0.1:0", "--exit-after", "0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&address));

    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("--exit-after SECS"));
}
