use std::fmt;

/// Bytes of the authentication tag of every mode (Poly1305, RFC 8439, section 2.5; GCM as Discord uses it).
pub(crate) const TAG_LEN: usize = 16;

/// The most that sealing adds to a packet in any mode: a tag and the 24-byte nonce of `xsalsa20_poly1305_suffix`.
/// A buffer with this much room behind the plaintext suits them all.
pub const MAX_OVERHEAD: usize = TAG_LEN + 24;

/// How the packets of a session are encrypted (Discord's voice documentation, "Transport Encryption Modes").
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Mode {
    /// `aead_aes256_gcm_rtpsize`: preferred, offered by most servers.
    Aes256GcmRtpsize,
    /// `aead_xchacha20_poly1305_rtpsize`: always offered.
    XChaCha20Poly1305Rtpsize,
    /// `xsalsa20_poly1305`, retired: the nonce is the clear header, so no two packets may have the same one.
    XSalsa20Poly1305,
    /// `xsalsa20_poly1305_suffix`, retired: a 24-byte nonce ends the packet.
    XSalsa20Poly1305Suffix,
    /// `xsalsa20_poly1305_lite`, retired: a 4-byte nonce ends the packet.
    XSalsa20Poly1305Lite,
    /// `xsalsa20_poly1305_lite_rtpsize`, retired: as lite, with CSRCs and the extension's header in the clear.
    XSalsa20Poly1305LiteRtpsize,
}

impl Mode {
    /// What Discord speaks today, in order of preference.
    pub const DEFAULT: [Mode; 2] = [Mode::Aes256GcmRtpsize, Mode::XChaCha20Poly1305Rtpsize];

    const ALL: [Mode; 6] = [
        Mode::Aes256GcmRtpsize,
        Mode::XChaCha20Poly1305Rtpsize,
        Mode::XSalsa20Poly1305,
        Mode::XSalsa20Poly1305Suffix,
        Mode::XSalsa20Poly1305Lite,
        Mode::XSalsa20Poly1305LiteRtpsize,
    ];

    /// The name on the voice gateway, as in the `modes` of op 2 and the `mode` of ops 1 and 4.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Aes256GcmRtpsize => "aead_aes256_gcm_rtpsize",
            Mode::XChaCha20Poly1305Rtpsize => "aead_xchacha20_poly1305_rtpsize",
            Mode::XSalsa20Poly1305 => "xsalsa20_poly1305",
            Mode::XSalsa20Poly1305Suffix => "xsalsa20_poly1305_suffix",
            Mode::XSalsa20Poly1305Lite => "xsalsa20_poly1305_lite",
            Mode::XSalsa20Poly1305LiteRtpsize => "xsalsa20_poly1305_lite_rtpsize",
        }
    }

    /// The mode of this name; `None` for names that this crate does not know.
    pub fn from_name(name: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// Whether Discord has switched this mode off. Custom servers may still speak it.
    pub const fn is_retired(self) -> bool {
        !matches!(self, Mode::Aes256GcmRtpsize | Mode::XChaCha20Poly1305Rtpsize)
    }

    /// Whether the clear part of an RTP packet is 12 + 4 * CC bytes, + 4 when the X bit is set. In the other modes it
    /// is the 12 bytes of the fixed header, and CSRCs and the whole extension are encrypted.
    pub const fn is_rtpsize(self) -> bool {
        !matches!(self, Mode::XSalsa20Poly1305 | Mode::XSalsa20Poly1305Suffix | Mode::XSalsa20Poly1305Lite)
    }

    /// How many bytes sealing adds to a packet: the tag, and the nonce that ends the packet. At most [`MAX_OVERHEAD`].
    pub const fn overhead(self) -> usize {
        TAG_LEN + self.nonce_len()
    }

    /// Bytes of the nonce that travel at the packet's end.
    pub(crate) const fn nonce_len(self) -> usize {
        match self {
            Mode::XSalsa20Poly1305 => 0,
            Mode::XSalsa20Poly1305Suffix => 24,
            _ => 4,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Picks the first of `accepted` (in order of preference, see [`Mode::DEFAULT`]) that the server offered in op 2.
///
/// # Errors
///
/// When the two lists have nothing in common.
pub fn choose(offered: &[impl AsRef<str>], accepted: &[Mode]) -> Result<Mode, NoCommonMode> {
    let is_offered = |mode: &&Mode| offered.iter().any(|name| name.as_ref() == mode.name());
    accepted.iter().find(is_offered).copied().ok_or_else(|| NoCommonMode {
        offered: offered.iter().map(|name| name.as_ref().to_owned()).collect(),
        accepted: accepted.to_vec(),
    })
}

/// The server and we know no encryption mode in common, so no packet can be exchanged.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "no encryption mode in common: the server offers {offered:?}, we accept {:?}; {}",
    .accepted.iter().map(|mode| mode.name()).collect::<Vec<_>>(),
    self.advice()
)]
#[non_exhaustive]
pub struct NoCommonMode {
    /// The names that the server offered, in its order.
    pub offered: Vec<String>,
    /// The modes that were accepted, in our order.
    pub accepted: Vec<Mode>,
}

impl NoCommonMode {
    fn advice(&self) -> String {
        match self.offered.iter().find_map(|name| Mode::from_name(name)) {
            Some(mode) if mode.is_retired() => {
                format!("if this is not Discord and you trust its server, accept the retired mode {mode} by name")
            }
            Some(mode) => format!("accept {mode} too"),
            None => "this version knows none of the offered modes: update it".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_OVERHEAD, Mode, choose};

    #[test]
    fn names_round_trip() {
        for mode in Mode::ALL {
            assert_eq!(Mode::from_name(mode.name()), Some(mode));
            assert!(mode.overhead() <= MAX_OVERHEAD);
        }
        assert_eq!(Mode::from_name("plain"), None);
        assert_eq!(Mode::from_name("AEAD_AES256_GCM_RTPSIZE"), None);
        assert_eq!(MAX_OVERHEAD, Mode::XSalsa20Poly1305Suffix.overhead());
    }

    #[test]
    fn our_order_decides() {
        let offered = ["aead_xchacha20_poly1305_rtpsize", "future", "aead_aes256_gcm_rtpsize"];
        assert_eq!(choose(&offered, &Mode::DEFAULT), Ok(Mode::Aes256GcmRtpsize));
        assert_eq!(choose(&offered, &[Mode::XChaCha20Poly1305Rtpsize]), Ok(Mode::XChaCha20Poly1305Rtpsize));
    }

    #[test]
    fn retired_modes_only_on_request() {
        let offered = ["xsalsa20_poly1305_lite".to_owned(), "xsalsa20_poly1305".to_owned()];
        let error = choose(&offered, &Mode::DEFAULT).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no encryption mode in common: the server offers [\"xsalsa20_poly1305_lite\", \"xsalsa20_poly1305\"], we \
             accept [\"aead_aes256_gcm_rtpsize\", \"aead_xchacha20_poly1305_rtpsize\"]; if this is not Discord and you \
             trust its server, accept the retired mode xsalsa20_poly1305_lite by name"
        );
        assert_eq!(choose(&offered, &[Mode::XSalsa20Poly1305]), Ok(Mode::XSalsa20Poly1305));
    }

    #[test]
    fn advice_fits_the_lists() {
        let unknown = choose(&["future"], &Mode::DEFAULT).unwrap_err().to_string();
        assert!(unknown.ends_with("update it"), "{unknown}");
        let narrow = choose(&["aead_xchacha20_poly1305_rtpsize"], &[Mode::Aes256GcmRtpsize]).unwrap_err().to_string();
        assert!(narrow.ends_with("accept aead_xchacha20_poly1305_rtpsize too"), "{narrow}");
        let nothing: [&str; 0] = [];
        assert!(choose(&nothing, &Mode::DEFAULT).is_err());
        assert!(choose(&["aead_aes256_gcm_rtpsize"], &[]).is_err());
    }
}
