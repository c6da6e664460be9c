use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::Error;

/// The port of an endpoint that names none (RFC 6455, section 3: that of `wss`).
const DEFAULT_PORT: u16 = 443;

/// Longest host name (RFC 1035, section 2.3.4).
const MAX_HOST: usize = 253;

/// Where a voice server listens, as VOICE_SERVER_UPDATE names it: `host:port`, `host` (port 443) or `[address]:port`.
///
/// Its port is part of it (443, 2048 and 8443 have been seen), and it is good for one session: never cache it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// Host name or IP address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The WebSocket to open: `wss` when `secure`, else `ws`; gateway version 8.
    pub fn url(&self, secure: bool) -> String {
        let scheme = if secure { "wss" } else { "ws" };
        format!("{scheme}://{self}/?v=8")
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some((address, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
            let address: Ipv6Addr = address.parse().ok()?;
            let port = if rest.is_empty() { DEFAULT_PORT } else { port(rest.strip_prefix(':')?)? };
            return Some(Self { host: address.to_string(), port });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, digits)) => (host, port(digits)?),
            None => (text, DEFAULT_PORT),
        };
        is_host(host).then(|| Self { host: host.to_owned(), port })
    }
}

fn port(digits: &str) -> Option<u16> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|&port| plain && port != 0)
}

/// Only what can stand in a URL as it is, so that no endpoint can smuggle in a path, a user or another host.
fn is_host(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    (1..=MAX_HOST).contains(&host.len()) && host.bytes().all(allowed)
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text).ok_or_else(|| Error::Endpoint(text.chars().take(MAX_HOST).collect()))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;
    use proptest::prelude::{any, proptest};
    use proptest::prop_assert_eq;

    #[test]
    fn the_three_forms() {
        let cases = [
            ("rotterdam1234.discord.media:8443", "rotterdam1234.discord.media", 8443),
            ("us-east1.discord.gg", "us-east1.discord.gg", 443),
            ("127.0.0.1:9443", "127.0.0.1", 9443),
            ("[::1]:9443", "::1", 9443),
            ("[2001:db8::7]", "2001:db8::7", 443),
        ];
        for (text, host, port) in cases {
            let endpoint: Endpoint = text.parse().expect(text);
            assert_eq!((endpoint.host(), endpoint.port()), (host, port));
        }
    }

    #[test]
    fn urls_ask_for_version_8() {
        let endpoint: Endpoint = "voice.example:2048".parse().expect("valid");
        assert_eq!(endpoint.url(true), "wss://voice.example:2048/?v=8");
        assert_eq!(endpoint.url(false), "ws://voice.example:2048/?v=8");
        let endpoint: Endpoint = "[::1]:80".parse().expect("valid");
        assert_eq!(endpoint.url(true), "wss://[::1]:80/?v=8");
    }

    #[test]
    fn nonsense_is_refused() {
        let long = "a".repeat(254);
        for text in [
            "",
            ":443",
            "host:",
            "host:0",
            "host:65536",
            "host:+80",
            "host:x",
            "a:b:c",
            "::1",
            "[::1",
            "[::1]x",
            "[::1]:",
            "[host]:1",
            "wss://host",
            "host/path",
            "user@host",
            "host?v=4",
            "host#",
            "ho st",
            "h\u{f6}st",
            "host\n",
            &long,
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in any::<String>()) {
            if let Ok(endpoint) = text.parse::<Endpoint>() {
                prop_assert_eq!(endpoint.to_string().parse::<Endpoint>(), Ok(endpoint));
            }
        }

        #[test]
        fn display_is_read_back(host in "[a-z0-9.-]{1,40}|\\[[0-9a-f]{1,4}::[0-9a-f]{1,4}\\]", port in 1..=u16::MAX) {
            let endpoint: Endpoint = format!("{host}:{port}").parse().expect("valid");
            prop_assert_eq!(endpoint.to_string().parse::<Endpoint>(), Ok(endpoint));
        }
    }
}
