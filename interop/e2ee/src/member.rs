use std::collections::{BTreeMap, BTreeSet};

use voice_dave::Codec;

/// Somebody in a call, whatever they run on. What a method is told comes from the voice gateway.
///
/// Anything that must not happen among friends is a panic.
pub trait Member {
    /// Who.
    fn user(&self) -> u64;
    /// What they run on, for messages.
    fn name(&self) -> &'static str;
    /// Op 25.
    fn external_sender(&mut self, package: &[u8]);
    /// Ops 11 and 13: everybody who is connected, themselves included.
    fn connected(&mut self, users: &BTreeSet<u64>);
    /// The payload of their latest op 26.
    fn key_package(&mut self) -> Vec<u8>;
    /// Op 27; the payload of the op 28 that they answer with.
    fn proposals(&mut self, payload: &[u8]) -> Option<Vec<u8>>;
    /// Op 29.
    fn commit(&mut self, transition: u16, commit: &[u8]);
    /// Op 30.
    fn welcome(&mut self, transition: u16, welcome: &[u8]);
    /// Op 21.
    fn prepare(&mut self, transition: u16, version: u16);
    /// Op 22.
    fn execute(&mut self, transition: u16);
    /// Op 24 with epoch 1: a new group of this version.
    fn start_over(&mut self, version: u16);

    /// The MLS epoch authenticator of their group; empty without one.
    fn authenticator(&mut self) -> Vec<u8>;
    /// The 30 digits that they show.
    fn privacy_code(&mut self) -> String;
    /// Everybody's public signature key, as they see it.
    fn keys(&mut self) -> BTreeMap<u64, Vec<u8>>;
    /// The 64 bytes that they have in common with another.
    fn pair_fingerprint(&mut self, other: u64) -> Vec<u8>;
    /// The 45 digits that they have in common with another.
    fn pair_code(&mut self, other: u64) -> String;

    /// One of their frames as it leaves; `None` when it must not.
    fn seal(&mut self, codec: Codec, frame: &[u8]) -> Option<Vec<u8>>;
    /// Another's frame as it comes; `None` when it is dropped.
    fn open(&mut self, from: u64, codec: Codec, frame: &[u8]) -> Option<Vec<u8>>;
}
