//! A web server on the loopback interface that does what it is told, and a player that reads a source to its end.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its share")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use voice_client::layer::mixer::prefetch::{self, Reader, Step};
use voice_client::source::{Chunk, Source, SourceError};

/// How one path is served.
#[derive(Clone)]
pub struct Page {
    /// Of HTTP; 0 is not HTTP at all.
    pub status: u16,
    pub body: Arc<[u8]>,
    pub headers: Vec<(String, String)>,
    pub ranges: bool,
    /// Says how long it is.
    pub length: bool,
    /// Without a length, ends with the connection, not with an empty chunk.
    pub closes: bool,
    pub etag: Option<String>,
    /// Breaks off after so many bytes of each body, as often as this says.
    pub breaks: Option<(usize, u32)>,
    /// Says nothing more after so many bytes.
    pub stall: Option<usize>,
    /// What is served after the first request.
    pub then: Option<Box<Page>>,
}

impl Page {
    pub fn new(body: impl Into<Arc<[u8]>>) -> Self {
        Self {
            status: 200,
            body: body.into(),
            headers: Vec::new(),
            ranges: true,
            length: true,
            closes: false,
            etag: Some("\"one\"".into()),
            breaks: None,
            stall: None,
            then: None,
        }
    }

    pub fn status(status: u16, body: &str) -> Self {
        Self { status, ranges: false, etag: None, ..Self::new(body.as_bytes()) }
    }

    pub fn redirect(to: &str) -> Self {
        Self::status(302, "elsewhere").header("Location", to)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// What was asked for: the path and the headers, names in small letters.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    pub headers: HashMap<String, String>,
}

#[derive(Clone)]
pub struct Server {
    pub url: String,
    pages: Arc<Mutex<HashMap<String, Page>>>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { url, pages: Arc::default(), requests: Arc::default() };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = serving.clone();
                tokio::spawn(async move {
                    let _ = server.serve(stream).await;
                });
            }
        });
        server
    }

    pub fn put(&self, path: &str, page: Page) -> String {
        self.pages.lock().unwrap().insert(path.into(), page);
        format!("{}{path}", self.url)
    }

    pub fn requests(&self, path: &str) -> Vec<Request> {
        self.requests.lock().unwrap().iter().filter(|it| it.path == path).cloned().collect()
    }

    fn take(&self, path: &str) -> Option<Page> {
        let mut pages = self.pages.lock().unwrap();
        let page = pages.get(path)?.clone();
        if let Some(then) = &page.then {
            pages.insert(path.into(), (**then).clone());
        }
        if let Some((_, left)) = pages.get_mut(path).and_then(|page| page.breaks.as_mut()) {
            *left = left.saturating_sub(1);
        }
        Some(page)
    }

    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
        let headers: HashMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        self.requests.lock().unwrap().push(Request { path: path.clone(), headers: headers.clone() });
        let page = self.take(&path).unwrap_or_else(|| Page::status(404, "no such page\nhere"));
        self.answer(&mut stream, &page, &headers).await
    }

    async fn answer(
        &self,
        stream: &mut TcpStream,
        page: &Page,
        headers: &HashMap<String, String>,
    ) -> std::io::Result<()> {
        let mut body = &page.body[..];
        let mut status = page.status;
        let mut head = String::new();
        let same = headers.get("if-range").is_none_or(|tag| Some(tag) == page.etag.as_ref());
        let range = headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        if let Some((start, last)) = range.filter(|_| page.ranges && same) {
            let start: usize = start.parse().unwrap();
            let end = last.parse::<usize>().map_or(body.len(), |last| (last + 1).min(body.len()));
            if start >= body.len() {
                (status, body) = (416, &[]);
                head += &format!("Content-Range: bytes */{}\r\n", page.body.len());
            } else {
                body = &body[start..end];
                status = 206;
                head += &format!("Content-Range: bytes {start}-{}/{}\r\n", end - 1, page.body.len());
            }
        }
        if page.length {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        if let Some(etag) = &page.etag {
            head += &format!("ETag: {etag}\r\n");
        }
        for (name, value) in &page.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let chunked = !page.length && !page.closes;
        if chunked {
            head += "Transfer-Encoding: chunked\r\n";
        }
        if page.status == 0 {
            // As SHOUTcast 1 does.
            stream.write_all(format!("ICY 200 OK\r\n{head}\r\n").as_bytes()).await?;
            stream.write_all(body).await?;
            return stream.shutdown().await;
        }
        stream.write_all(format!("HTTP/1.1 {status} It\r\nConnection: close\r\n{head}\r\n").as_bytes()).await?;
        let cut =
            page.breaks.filter(|(_, left)| *left > 0).map(|(at, _)| at).or(page.stall).filter(|at| *at < body.len());
        for part in body[..cut.unwrap_or(body.len())].chunks(7_000) {
            if chunked {
                stream.write_all(format!("{:x}\r\n", part.len()).as_bytes()).await?;
            }
            stream.write_all(part).await?;
            if chunked {
                stream.write_all(b"\r\n").await?;
            }
        }
        match cut {
            // Until the client has enough of it.
            Some(_) if page.stall.is_some() => drop(stream.read_u8().await),
            Some(_) => {}
            None if chunked => stream.write_all(b"0\r\n\r\n").await?,
            None => {}
        }
        stream.shutdown().await
    }
}

/// All that a source yields: PCM, packets, and the titles with the sample they come with.
#[derive(Default, Debug, PartialEq)]
pub struct Heard {
    pub samples: Vec<f32>,
    pub packets: Vec<Vec<u8>>,
    pub titles: Vec<(usize, String)>,
}

/// Reads a source to its end, as a reader thread does: never before it is ready.
pub async fn drain(source: Box<dyn Source>) -> (Heard, Result<(), SourceError>) {
    let (heard, end, _) = drain_and_keep(source).await;
    (heard, end)
}

pub async fn drain_and_keep(mut source: Box<dyn Source>) -> (Heard, Result<(), SourceError>, Box<dyn Source>) {
    let (mut heard, mut chunk) = (Heard::default(), Chunk::new());
    loop {
        while !source.is_ready() {
            tokio::task::yield_now().await;
        }
        chunk.clear();
        // The runtime has other threads, which fetch meanwhile.
        match tokio::task::block_in_place(|| source.open().and_then(|_| source.read(&mut chunk))) {
            Ok(true) => {}
            Ok(false) => return (heard, Ok(()), source),
            Err(error) => return (heard, Err(error), source),
        }
        if let Some(title) = chunk.metadata().and_then(|it| it.title.as_deref()) {
            heard.titles.push((heard.samples.len(), title.into()));
        }
        heard.samples.extend_from_slice(chunk.samples());
        if !chunk.packet().is_empty() {
            heard.packets.push(chunk.packet().to_vec());
        }
    }
}

/// A reader over the source, as the driver makes it.
pub fn reader(source: Box<dyn Source>) -> (Reader, prefetch::Feed) {
    prefetch::pipe(source, prefetch::Config::default())
}

/// Steps a reader until it waits, has a full ring, or ends.
pub fn step(reader: &mut Reader) -> Step {
    loop {
        match tokio::task::block_in_place(|| reader.step()) {
            Step::Progress => {}
            step => return step,
        }
    }
}

/// A file of the mixer's fixtures.
pub fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/../voice-mixer/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Noise that compresses badly, mono at 48 kHz, as a WAVE file.
pub fn wav(frames: u32) -> Vec<u8> {
    let mut state = 1_u32;
    let samples = (0..frames).flat_map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 16) as i16 / 4).to_le_bytes()
    });
    let data: Vec<u8> = samples.collect();
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + data.len() as u32).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    wav.extend([1, 0, 1, 0]);
    wav.extend(48_000_u32.to_le_bytes());
    wav.extend(96_000_u32.to_le_bytes());
    wav.extend([2, 0, 16, 0]);
    wav.extend(b"data");
    wav.extend((data.len() as u32).to_le_bytes());
    wav.extend(data);
    wav
}
