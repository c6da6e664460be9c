use mixer::SourceError;

#[cfg(feature = "hls")]
use crate::source::hls::HlsError;
#[cfg(feature = "http")]
use crate::source::http::HttpError;

/// Whether a source has failed as one does whose address was good for some time only.
pub(super) fn has_expired(error: &SourceError) -> bool {
    let SourceError::Other { cause, .. } = error else { return false };
    #[cfg(feature = "http")]
    if let Some(error) = cause.downcast_ref() {
        return is_refused(error);
    }
    #[cfg(feature = "hls")]
    if let Some(HlsError::Http { cause, .. }) = cause.downcast_ref() {
        return is_refused(cause);
    }
    let _ = cause;
    false
}

#[cfg(feature = "http")]
fn is_refused(error: &HttpError) -> bool {
    matches!(error, HttpError::Status { status: 401 | 403 | 404 | 410, .. })
}
