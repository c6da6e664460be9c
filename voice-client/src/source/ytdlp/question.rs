use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use super::ask::{YtDlpError, ask};
use super::json::{Found, Resolved};
use crate::source::process::Program;

/// One piece of plain HTTP if there is one, Opus above all, for it passes through; then whatever has sound.
pub(super) const FORMAT: &str =
    "ba[acodec=opus][protocol~='^https?$']/ba[protocol~='^https?$']/b[protocol~='^https?$']/ba/b";

/// Entries of a search or a playlist, at most.
const MAX_ENTRIES: usize = 5_000;

/// What is asked of yt-dlp, and how.
#[derive(Clone)]
pub(super) struct Question {
    pub(super) program: Program,
    pub(super) query: Arc<str>,
    pub(super) timeout: Duration,
}

impl Question {
    pub(super) async fn search(&self, n: usize) -> Result<Vec<Found>, YtDlpError> {
        let n = n.clamp(1, MAX_ENTRIES);
        let what = if is_search(&self.query) { self.query.to_string() } else { format!("ytsearch{n}:{}", self.query) };
        self.list(&what, n).await
    }

    pub(super) async fn playlist(&self, limit: usize) -> Result<Vec<Found>, YtDlpError> {
        self.list(&self.target(), limit.clamp(1, MAX_ENTRIES)).await
    }

    pub(super) async fn resolve(&self) -> Result<Resolved, YtDlpError> {
        let program = self.about_one(&["--dump-single-json"]);
        let first = ask(&program, self.timeout).await?.first();
        let first = first.ok_or_else(|| YtDlpError::NothingFound { query: self.query.clone() })?;
        first.into_resolved().ok_or_else(|| YtDlpError::Answer { reason: "it names no URL of audio".into() })
    }

    /// The program with these options, asked for the one piece that this is, in the best format.
    pub(super) fn about_one(&self, options: &[&str]) -> Program {
        let one = ["--format", FORMAT, "--no-playlist", "--playlist-items", "1"];
        self.asking(&[options, &one].concat(), &self.target())
    }

    async fn list(&self, what: &str, limit: usize) -> Result<Vec<Found>, YtDlpError> {
        let end = limit.to_string();
        let program = self.asking(&["--dump-single-json", "--flat-playlist", "--playlist-end", &end], what);
        let mut found = ask(&program, self.timeout).await?.found();
        found.truncate(limit);
        Ok(found)
    }

    fn asking(&self, options: &[&str], what: &str) -> Program {
        let mut program = self.program.clone();
        let own = ["--ignore-config", "--no-progress", "--no-warnings"];
        program.arguments = own.iter().chain(options).map(OsString::from).collect();
        program.arguments.extend(self.program.arguments.iter().cloned());
        program.arguments.extend(["--".into(), what.into()]);
        program
    }

    /// What yt-dlp is asked for when this is to be played.
    fn target(&self) -> String {
        let begins = |scheme: &str| self.query.get(..scheme.len()).is_some_and(|it| it.eq_ignore_ascii_case(scheme));
        if begins("http://") || begins("https://") || is_search(&self.query) {
            self.query.to_string()
        } else {
            format!("ytsearch1:{}", self.query)
        }
    }
}

/// Whether somebody searches in yt-dlp's own words: `ytsearch5:words`.
fn is_search(query: &str) -> bool {
    query.split_once(':').is_some_and(|(site, _)| {
        let site = site.trim_end_matches(|c: char| c.is_ascii_digit());
        let site = site.strip_suffix("all").unwrap_or(site);
        // Those that yt-dlp has, of which some have digits and more words in them; "research" is no site.
        site.len() > "search".len()
            && site.ends_with("search")
            && site != "research"
            && site.bytes().all(|byte| byte.is_ascii_lowercase())
    })
}

#[cfg(test)]
mod tests {
    use super::{Program, Question};

    #[test]
    fn nothing_but_web_pages_and_searches_is_asked_for() {
        for (query, target) in [
            ("https://example.com/a?b=c&d", "https://example.com/a?b=c&d"),
            ("HTTP://example.com", "HTTP://example.com"),
            ("never gonna", "ytsearch1:never gonna"),
            ("-J --exec rm", "ytsearch1:-J --exec rm"),
            ("--", "ytsearch1:--"),
            ("", "ytsearch1:"),
            ("file:///etc/passwd", "ytsearch1:file:///etc/passwd"),
            ("artist: title", "ytsearch1:artist: title"),
            ("research: a talk", "ytsearch1:research: a talk"),
            ("search:x", "ytsearch1:search:x"),
            ("scsearch3:x", "scsearch3:x"),
            ("ytsearchall:x", "ytsearchall:x"),
        ] {
            let program = Program::new("yt-dlp");
            let question = Question { program, query: query.into(), timeout: std::time::Duration::ZERO };
            assert_eq!(question.target(), target);
            let arguments = question.about_one(&[]).arguments;
            assert_eq!(arguments[arguments.len() - 2], "--", "{query}");
            assert_eq!(arguments[arguments.len() - 1], target);
        }
    }
}
