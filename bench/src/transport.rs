//! Transport encryption of one packet: our sealer and opener, the RustCrypto ciphers, and the bare AWS-LC call.

use std::time::Duration;

use aes_gcm::Aes256Gcm;
use aws_lc_rs::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, Tag, UnboundKey};
use chacha20::R20;
use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305, aead};
use voice_client::layer::crypto::{Backend, Key, MAX_OVERHEAD, Mode, Opener, Sealer};

use crate::row::{Figure, Row, Wanted};
use crate::suite::{Suite, repeat};

const KEY: [u8; 32] = [7; 32];
/// The RTP header, which stays clear and is authenticated.
const CLEAR: usize = 12;
const TAG: usize = 16;
/// The part of the nonce that ends a packet: a counter.
const COUNTER: usize = 4;
/// Packets that are opened in turn, so that no two in a row have the same nonce.
const PACKETS: u32 = 64;
const TIME: Duration = Duration::from_secs(2);

/// What no implementation on AWS-LC can do without.
trait Bare {
    fn seal(&self, counter: u32, clear: &[u8], text: &mut [u8]) -> Tag;
    fn open(&self, counter: u32, clear: &[u8], text_and_tag: &mut [u8]);
}

/// One prepared key.
struct Gcm(LessSafeKey);

/// A key per packet.
struct XChaCha([u8; 32]);

/// What differs from mode to mode.
struct Case {
    mode: Mode,
    name: &'static str,
    peer: &'static str,
    wanted: Wanted,
}

pub fn run(suite: &mut Suite) {
    let gcm =
        Case { mode: Mode::Aes256GcmRtpsize, name: "aes-256-gcm", peer: "aes-gcm", wanted: Wanted::OfLimit(1.25) };
    let xchacha = Case {
        mode: Mode::XChaCha20Poly1305Rtpsize,
        name: "xchacha20-poly1305",
        peer: "chacha20poly1305",
        wanted: Wanted::OfPeer(0.25),
    };
    let bare_gcm = Gcm(prepared(&AES_256_GCM, &KEY));
    for len in [160, 320] {
        seal(suite, &gcm, len, &Aes256Gcm::new(&KEY.into()), &bare_gcm);
        seal(suite, &xchacha, len, &XChaCha20Poly1305::new(&KEY.into()), &XChaCha(KEY));
    }
    for len in [160, 320] {
        open(suite, &gcm, len, &Aes256Gcm::new(&KEY.into()), &bare_gcm);
        open(suite, &xchacha, len, &XChaCha20Poly1305::new(&KEY.into()), &XChaCha(KEY));
    }
}

fn seal(suite: &mut Suite, case: &Case, len: usize, peer: &impl AeadInOut, bare: &impl Bare) {
    let name = format!("seal/{}/{len}", case.name);
    if !suite.wants(&name) {
        return;
    }
    let mut sealer = Sealer::new(case.mode, &Key::new(KEY), Backend::AwsLc);
    let mut packet = vec![0x5A; CLEAR + len + MAX_OVERHEAD];
    let mut ours = repeat(|| sealer.seal_rtp(&mut packet, CLEAR, len));

    let (mut packet, mut counter) = (vec![0x5A; CLEAR + len + TAG + COUNTER], 0);
    let mut peer = repeat(|| {
        counter += 1;
        seal_with(peer, counter, &mut packet);
        packet[0]
    });

    let (mut packet, mut counter) = (vec![0x5A; CLEAR + len], 0);
    let mut bare = repeat(|| {
        counter += 1;
        let (clear, text) = packet.split_at_mut(CLEAR);
        bare.seal(counter, clear, text)
    });
    let [ours, peer, bare] = suite.compare(&name, TIME, [&mut ours, &mut peer, &mut bare]);
    push(suite, name, case, [ours.median(), peer.median(), bare.median()]);
}

fn open(suite: &mut Suite, case: &Case, len: usize, peer: &impl AeadInOut, bare: &impl Bare) {
    let name = format!("open/{}/{len}", case.name);
    if !suite.wants(&name) {
        return;
    }
    let sealed: Vec<Vec<u8>> = (0..PACKETS)
        .map(|counter| {
            let mut packet = vec![0x5A; CLEAR + len + TAG + COUNTER];
            seal_with(peer, counter, &mut packet);
            packet
        })
        .collect();
    // Opening happens in place, so that each side copies a sealed packet first.
    let restored = || {
        let mut packet = vec![0; CLEAR + len + TAG + COUNTER];
        let mut next = 0;
        let sealed = &sealed;
        move |open: &mut dyn FnMut(u32, &mut [u8])| {
            let counter = next % PACKETS;
            next += 1;
            packet.copy_from_slice(&sealed[counter as usize]);
            open(counter, &mut packet);
            packet[CLEAR]
        }
    };

    let mut opener = Opener::new(case.mode, &Key::new(KEY), Backend::AwsLc);
    let mut with_packet = restored();
    let mut ours = repeat(|| {
        with_packet(&mut |_, packet| {
            opener.open(packet, CLEAR).expect("what the peer sealed opens");
        })
    });
    let mut with_packet = restored();
    let mut peer = repeat(|| with_packet(&mut |_, packet| open_with(peer, packet)));
    let mut with_packet = restored();
    let mut bare = repeat(|| {
        with_packet(&mut |counter, packet| {
            let (clear, rest) = packet.split_at_mut(CLEAR);
            bare.open(counter, clear, &mut rest[..len + TAG]);
        })
    });
    let [ours, peer, bare] = suite.compare(&name, TIME, [&mut ours, &mut peer, &mut bare]);
    push(suite, name, case, [ours.median(), peer.median(), bare.median()]);
}

fn push(suite: &mut Suite, name: String, case: &Case, [ours, peer, bare]: [f64; 3]) {
    suite.push(Row::new(name, Figure::Time(ours)).peer(case.peer, peer).limit(bare).wanted(case.wanted));
}

/// Seals a whole packet in place, as [`Sealer::seal_rtp`] does.
fn seal_with<C: AeadInOut>(cipher: &C, counter: u32, packet: &mut [u8]) {
    let (clear, rest) = packet.split_at_mut(CLEAR);
    let (text, end) = rest.split_at_mut(rest.len() - TAG - COUNTER);
    let (tag, suffix) = end.split_at_mut(TAG);
    suffix.copy_from_slice(&counter.to_le_bytes());
    let sealed = cipher.encrypt_inout_detached(&nonce::<C>(suffix), clear, text.into());
    tag.copy_from_slice(&sealed.expect("the text is short"));
}

/// Opens a whole packet in place, as [`Opener::open`] does.
fn open_with<C: AeadInOut>(cipher: &C, packet: &mut [u8]) {
    let (clear, rest) = packet.split_at_mut(CLEAR);
    let (text, end) = rest.split_at_mut(rest.len() - TAG - COUNTER);
    let (tag, suffix) = end.split_at_mut(TAG);
    let tag: &[u8] = tag;
    let tag = tag.try_into().expect("16 bytes");
    cipher.decrypt_inout_detached(&nonce::<C>(suffix), clear, text.into(), tag).expect("what was sealed opens");
}

fn nonce<C: AeadInOut>(suffix: &[u8]) -> aead::Nonce<C> {
    let mut nonce = aead::Nonce::<C>::default();
    nonce[..COUNTER].copy_from_slice(suffix);
    nonce
}

fn prepared(algorithm: &'static aws_lc_rs::aead::Algorithm, key: &[u8]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(algorithm, key).expect("32 bytes"))
}

impl Bare for Gcm {
    #[inline(always)]
    fn seal(&self, counter: u32, clear: &[u8], text: &mut [u8]) -> Tag {
        self.0.seal_in_place_separate_tag(gcm_nonce(counter), Aad::from(clear), text).expect("the text is short")
    }

    #[inline(always)]
    fn open(&self, counter: u32, clear: &[u8], text_and_tag: &mut [u8]) {
        self.0.open_in_place(gcm_nonce(counter), Aad::from(clear), text_and_tag).expect("what was sealed opens");
    }
}

impl XChaCha {
    /// The packet's own key: the counter is in the part of the nonce that it is derived from.
    #[inline(always)]
    fn subkey(&self, counter: u32) -> LessSafeKey {
        let mut head = [0; 16];
        head[..COUNTER].copy_from_slice(&counter.to_le_bytes());
        prepared(&CHACHA20_POLY1305, &chacha20::hchacha::<R20>((&self.0).into(), (&head).into()))
    }
}

impl Bare for XChaCha {
    #[inline(always)]
    fn seal(&self, counter: u32, clear: &[u8], text: &mut [u8]) -> Tag {
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        let key = self.subkey(counter);
        key.seal_in_place_separate_tag(nonce, Aad::from(clear), text).expect("the text is short")
    }

    #[inline(always)]
    fn open(&self, counter: u32, clear: &[u8], text_and_tag: &mut [u8]) {
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        self.subkey(counter).open_in_place(nonce, Aad::from(clear), text_and_tag).expect("what was sealed opens");
    }
}

fn gcm_nonce(counter: u32) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..COUNTER].copy_from_slice(&counter.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}
