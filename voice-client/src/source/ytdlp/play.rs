use mixer::Source;

use super::Resolved;
use super::question::Question;
use crate::source::process::{Output, Process};

/// A source of what was resolved: yt-dlp itself, downloading to its standard output, which works for every protocol, and
/// cannot seek.
pub(super) fn play_url(question: &Question, resolved: &Resolved) -> Box<dyn Source> {
    // The page rather than the question, so that a search is not made again.
    let page = resolved.metadata.url.clone().unwrap_or_else(|| question.query.clone());
    let program = Question { query: page, ..question.clone() }.about_one(&["--output", "-"]);
    Box::new(Process::from_program(program).yields(Output::Media))
}
