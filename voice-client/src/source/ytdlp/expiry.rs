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
    match cause.downcast_ref() {
        Some(HlsError::Http { cause, .. }) => return is_refused(cause),
        // Its playlist may have been refused all the time.
        Some(HlsError::Stalled { .. }) => return true,
        _ => {}
    }
    let _ = cause;
    false
}

#[cfg(feature = "http")]
fn is_refused(error: &HttpError) -> bool {
    matches!(error, HttpError::Status { status: 401 | 403 | 404 | 410, .. })
}

#[cfg(all(test, feature = "hls"))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn refusals_and_stalls_are_signs_and_breaks_are_none() {
        let status = |status| HttpError::Status { status, body: "".into() };
        let hls = |cause| HlsError::Http { what: "segment 1".into(), cause };
        for code in [401, 403, 404, 410] {
            assert!(has_expired(&SourceError::other("x", status(code))), "{code}");
            assert!(has_expired(&SourceError::other("x", hls(status(code)))), "{code}");
        }
        assert!(has_expired(&SourceError::other("x", HlsError::Stalled { after: Duration::ZERO })));
        assert!(!has_expired(&SourceError::other("x", status(500))));
        assert!(!has_expired(&SourceError::other("x", hls(HttpError::Short))));
        assert!(!has_expired(&SourceError::other("x", HlsError::NoAudio)));
        assert!(!has_expired(&SourceError::Deserted));
    }
}
