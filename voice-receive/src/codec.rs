use voice_model::{SAMPLE_RATE, Seq};

#[cfg(feature = "deep")]
use crate::deep;

/// libopus, as far as one speaker needs it.
#[derive(Debug)]
pub(crate) enum Codec {
    Plain(opus::Decoder),
    #[cfg(feature = "deep")]
    Deep(deep::Decoder),
}

impl Codec {
    /// Of complexity 0, which is plain, or of one that only the feature `deep` has; `None` when there is no memory.
    pub(crate) fn new(complexity: u8) -> Option<Self> {
        #[cfg(feature = "deep")]
        if complexity > 0 {
            return deep::Decoder::new(complexity).map(Self::Deep);
        }
        let _ = complexity;
        opus::Decoder::new(SAMPLE_RATE, opus::Channels::Stereo).ok().map(Self::Plain)
    }

    /// Decodes a packet, or its redundancy, or conceals when it is empty. Returns samples per channel; `None` when libopus
    /// refuses.
    pub(crate) fn decode(&mut self, packet: &[u8], pcm: &mut [f32], redundancy: bool) -> Option<usize> {
        match self {
            Self::Plain(opus) => opus.decode_float(packet, pcm, redundancy).ok(),
            #[cfg(feature = "deep")]
            Self::Deep(deep) => deep.decode(packet, pcm, redundancy),
        }
    }

    /// Fills `pcm` with what began `before` samples per channel before `packet`, from its deep redundancy; false when it
    /// does not reach as far.
    pub(crate) fn recall(&mut self, seq: Seq, packet: &[u8], before: u32, pcm: &mut [f32]) -> bool {
        match self {
            Self::Plain(_) => {
                let _ = (seq, packet, before, pcm);
                false
            }
            #[cfg(feature = "deep")]
            Self::Deep(deep) => deep.recall(seq, packet, before, pcm),
        }
    }

    /// Forgets the stream so far.
    pub(crate) fn reset(&mut self) {
        match self {
            // Cannot fail on a decoder that was made; if it did, the next packet would only sound wrong at its start.
            Self::Plain(opus) => drop(opus.reset_state()),
            #[cfg(feature = "deep")]
            Self::Deep(deep) => deep.reset(),
        }
    }
}
