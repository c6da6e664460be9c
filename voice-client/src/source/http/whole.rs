//! Small things, fetched whole: playlists, keys, segments.

use reqwest::{StatusCode, Url};

use super::HttpError;
use super::range::Part;
use super::request::{Requests, Wanted, check_encoding, is_passing};

/// Why there is no whole body.
#[derive(Debug)]
pub(in crate::source) enum Whole {
    Failed(HttpError),
    TooLong,
}

impl From<HttpError> for Whole {
    fn from(error: HttpError) -> Self {
        Self::Failed(error)
    }
}

impl Requests {
    /// A whole body of at most `max` bytes, and the address that it came from in the end; asked for again when something
    /// happens on the way.
    pub(in crate::source) async fn whole(
        &self,
        url: &Url,
        range: Option<Wanted>,
        max: usize,
    ) -> Result<(Vec<u8>, Url), Whole> {
        let mut failed = 0;
        loop {
            let error = match self.attempt(url, range, max).await {
                Ok(body) => return Ok(body),
                Err(Whole::Failed(error)) if is_passing(&error) => error,
                Err(error) => return Err(error),
            };
            failed += 1;
            if failed >= self.attempts.max(1) {
                return Err(Whole::Failed(error));
            }
            self.pause(failed).await;
        }
    }

    async fn attempt(&self, url: &Url, range: Option<Wanted>, max: usize) -> Result<(Vec<u8>, Url), Whole> {
        let mut response = self.send(url, range, &[]).await?;
        if !response.status().is_success() {
            return Err(self.refused(response).await.into());
        }
        check_encoding(response.headers())?;
        // Whoever sends all of it is taken at his word, and the part is cut out.
        let cut = range.filter(|_| response.status() != StatusCode::PARTIAL_CONTENT);
        let skip = cut.map_or(0, |cut| cut.start);
        let wanted = range.and_then(|range| range.end.map(|end| end.saturating_sub(range.start)));
        if let Some(range) = range.filter(|_| cut.is_none()) {
            Part::at(range.start, response.headers())?;
        }
        let end = response.url().clone();
        let (mut body, mut passed) = (Vec::new(), 0_u64);
        while let Some(bytes) = self.next(&mut response).await? {
            let bytes = bytes.as_ref();
            let drop = skip.saturating_sub(passed).min(bytes.len() as u64);
            passed += bytes.len() as u64;
            let bytes = &bytes[drop as usize..];
            let room = wanted.map_or(usize::MAX, |wanted| (wanted as usize).saturating_sub(body.len()));
            if body.len() + bytes.len().min(room) > max {
                return Err(Whole::TooLong);
            }
            body.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if bytes.len() >= room {
                break;
            }
        }
        match wanted {
            Some(wanted) if (body.len() as u64) < wanted => Err(HttpError::Short.into()),
            _ => Ok((body, end)),
        }
    }
}
