use aws_lc_rs::cipher::{AES_128, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

/// Bytes in a block of AES.
const BLOCK: usize = 16;

/// AES-128 in CBC with PKCS7 padding (RFC 8216, section 4.3.2.4).
pub(super) fn open(secret: &[u8; 16], iv: [u8; BLOCK], mut bytes: Vec<u8>) -> Result<Vec<u8>, &'static str> {
    let context = DecryptionContext::Iv128(FixedLength::from(iv));
    let cipher = UnboundCipherKey::new(&AES_128, secret).and_then(PaddedBlockDecryptingKey::cbc_pkcs7);
    let cipher = cipher.map_err(|_| "the key is of no use")?;
    let length = cipher.decrypt(&mut bytes, context).map_err(|_| "the key or its IV is another one")?.len();
    bytes.truncate(length);
    Ok(bytes)
}

/// Whether the padding comes out right, which the last block and the one before tell.
pub(super) fn fits(secret: &[u8; 16], iv: [u8; BLOCK], bytes: &[u8]) -> bool {
    let Some((before, last)) = bytes.split_last_chunk::<BLOCK>() else { return false };
    let iv = before.last_chunk().copied().unwrap_or(iv);
    open(secret, iv, last.to_vec()).is_ok()
}
