use mixer::Source;

use super::Resolved;
use super::question::Question;
#[cfg(feature = "hls")]
use crate::source::hls::Hls;
#[cfg(feature = "http")]
use crate::source::http::Http;
use crate::source::process::{Output, Process};

/// What hosts of videos answer at full speed.
#[cfg(feature = "http")]
const PART: u64 = 1 << 20;

/// A source of what was resolved, by its protocol.
pub(super) fn play_url(question: &Question, resolved: &Resolved) -> Box<dyn Source> {
    match &*resolved.protocol {
        #[cfg(feature = "http")]
        "http" | "https" => {
            let http = Http::new(resolved.url.clone()).ranges_of(PART);
            Box::new(resolved.headers.iter().fold(http, |http, (name, value)| http.header(name, value)))
        }
        #[cfg(feature = "hls")]
        "m3u8" | "m3u8_native" => {
            let hls = Hls::new(resolved.url.clone());
            Box::new(resolved.headers.iter().fold(hls, |hls, (name, value)| hls.header(name, value)))
        }
        _ => download(question, resolved),
    }
}

/// yt-dlp itself, downloading to its standard output, which works for every protocol; seeks read on, or
/// download it again.
fn download(question: &Question, resolved: &Resolved) -> Box<dyn Source> {
    // The page rather than the question, so that a search is not made again.
    let page = resolved.metadata.url.clone().unwrap_or_else(|| question.query.clone());
    let program = Question { query: page, ..question.clone() }.about_one(&["--output", "-"]);
    Box::new(Process::from_program(program).yields(Output::Media).rereads())
}
