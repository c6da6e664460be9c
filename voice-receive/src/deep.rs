//! Deep concealment, enhancement and DRED of libopus 1.6, which the crate `opus` does not expose.
//!
//! The only file with `unsafe`: calls into libopus with pointers that this file made, and lengths of the slices it was
//! given.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::ptr::{self, NonNull};

use opusic_sys as sys;
use voice_model::{CHANNELS, SAMPLE_RATE, Seq};

/// How far back a packet is asked for redundancy: a second, which is all that DRED holds.
const LONGEST: i32 = SAMPLE_RATE as i32;

/// A decoder of libopus with deep networks.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: NonNull<sys::OpusDecoder>,
    /// Made at first use.
    memory: Option<Memory>,
}

/// The deep redundancy of one packet.
#[derive(Debug)]
struct Memory {
    decoder: NonNull<sys::OpusDREDDecoder>,
    redundancy: NonNull<sys::OpusDRED>,
    /// Which packet's.
    of: Option<Seq>,
    /// How far it reaches back, and where it ends, in samples per channel before the packet.
    reach: u32,
    end: u32,
}

// SAFETY: the states are plain memory that libopus touches in calls only, and all calls go through `&mut self`.
unsafe impl Send for Decoder {}

impl Decoder {
    /// Complexity 5 conceals with a deep network, 7 and more also enhances SILK; `None` when there is no memory.
    pub(crate) fn new(complexity: u8) -> Option<Self> {
        // SAFETY: a legal rate and channel count; the error code may be left out.
        let state = unsafe { sys::opus_decoder_create(SAMPLE_RATE as i32, CHANNELS as c_int, ptr::null_mut()) };
        let decoder = Self { state: NonNull::new(state)?, memory: None };
        // SAFETY: the request takes one int, by value.
        unsafe {
            sys::opus_decoder_ctl(decoder.state.as_ptr(), sys::OPUS_SET_COMPLEXITY_REQUEST, c_int::from(complexity));
        }
        Some(decoder)
    }

    pub(crate) fn decode(&mut self, packet: &[u8], pcm: &mut [f32], redundancy: bool) -> Option<usize> {
        let data = if packet.is_empty() { ptr::null() } else { packet.as_ptr() };
        let (len, room) = (packet.len() as i32, (pcm.len() / CHANNELS) as c_int);
        // SAFETY: `data` has `len` bytes, or is null, which means a lost packet; `pcm` has room for `room` samples per
        // channel, and libopus writes no more.
        let samples = unsafe {
            sys::opus_decode_float(self.state.as_ptr(), data, len, pcm.as_mut_ptr(), room, redundancy.into())
        };
        usize::try_from(samples).ok()
    }

    pub(crate) fn reset(&mut self) {
        // SAFETY: the request takes nothing.
        unsafe { sys::opus_decoder_ctl(self.state.as_ptr(), sys::OPUS_RESET_STATE) };
        if let Some(memory) = &mut self.memory {
            memory.of = None;
        }
    }

    /// See [`Codec::recall`](crate::codec::Codec::recall).
    pub(crate) fn recall(&mut self, seq: Seq, packet: &[u8], before: u32, pcm: &mut [f32]) -> bool {
        if self.memory.is_none() {
            self.memory = Memory::new();
        }
        let Some(memory) = &mut self.memory else { return false };
        if memory.of != Some(seq) {
            memory.parse(packet);
            memory.of = Some(seq);
        }
        let samples = (pcm.len() / CHANNELS) as i32;
        // Reaching into what is silent, or not told, is guessing.
        if before > memory.reach || before <= memory.end {
            return false;
        }
        // SAFETY: the redundancy was parsed, which a reach above 0 tells; `pcm` has room for `samples` per channel.
        let decoded = unsafe {
            sys::opus_decoder_dred_decode_float(
                self.state.as_ptr(),
                memory.redundancy.as_ptr(),
                before as i32,
                pcm.as_mut_ptr(),
                samples,
            )
        };
        decoded == samples
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: made by `opus_decoder_create`, and not used again.
        unsafe { sys::opus_decoder_destroy(self.state.as_ptr()) };
    }
}

impl Memory {
    fn new() -> Option<Self> {
        // SAFETY: the error codes may be left out.
        let (decoder, redundancy) =
            unsafe { (sys::opus_dred_decoder_create(ptr::null_mut()), sys::opus_dred_alloc(ptr::null_mut())) };
        match (NonNull::new(decoder), NonNull::new(redundancy)) {
            (Some(decoder), Some(redundancy)) => Some(Self { decoder, redundancy, of: None, reach: 0, end: 0 }),
            (decoder, redundancy) => {
                // SAFETY: what was made is destroyed once.
                unsafe {
                    decoder.inspect(|decoder| sys::opus_dred_decoder_destroy(decoder.as_ptr()));
                    redundancy.inspect(|redundancy| sys::opus_dred_free(redundancy.as_ptr()));
                }
                None
            }
        }
    }

    /// Finds out how far the redundancy of a packet reaches, and keeps it.
    fn parse(&mut self, packet: &[u8]) {
        let mut end = 0;
        // SAFETY: `packet` has as many bytes as told; both states were made by libopus.
        let reach = unsafe {
            sys::opus_dred_parse(
                self.decoder.as_ptr(),
                self.redundancy.as_ptr(),
                packet.as_ptr(),
                packet.len() as i32,
                LONGEST,
                SAMPLE_RATE as i32,
                &mut end,
                0,
            )
        };
        self.reach = u32::try_from(reach).unwrap_or(0);
        self.end = u32::try_from(end).unwrap_or(0);
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: made by libopus, and not used again.
        unsafe {
            sys::opus_dred_decoder_destroy(self.decoder.as_ptr());
            sys::opus_dred_free(self.redundancy.as_ptr());
        }
    }
}

#[cfg(test)]
mod tests;
