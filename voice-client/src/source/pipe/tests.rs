use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use super::{Size, pipe};

const SMALL: Size = Size { ahead: 8, behind: 4 };

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap()
}

#[test]
fn bytes_come_out_as_they_went_in_however_small_the_pipe() {
    let (mut inlet, mut outlet) = pipe(0, SMALL);
    let sent: Vec<u8> = (0..10_000_u32).map(|n| (n % 251) as u8).collect();
    let expected = sent.clone();
    let runtime = runtime();
    runtime.spawn(async move {
        for part in sent.chunks(13) {
            inlet.write(part).await.unwrap();
        }
        inlet.end(Ok(()));
    });
    let mut got = Vec::new();
    outlet.read_to_end(&mut got).unwrap();
    assert_eq!(got, expected);
    assert_eq!(outlet.position(), 10_000);
    assert!(outlet.gauge().failure().is_none());
}

#[test]
fn what_was_just_read_can_be_read_again_and_what_lies_far_behind_cannot() {
    let (mut inlet, mut outlet) = pipe(100, Size { ahead: 64, behind: 4 });
    runtime().block_on(async { inlet.write(b"abcdefghijklmnop").await.unwrap() });
    let mut buffer = [0; 4];
    outlet.read_exact(&mut buffer).unwrap();
    assert_eq!(outlet.seek(SeekFrom::Start(100)).unwrap(), 100);
    outlet.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"abcd");
    assert_eq!(outlet.seek(SeekFrom::Current(6)).unwrap(), 110);
    outlet.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"klmn");
    assert!(outlet.seek(SeekFrom::Start(100)).is_err());
    assert!(outlet.seek(SeekFrom::Start(117)).is_err());
    assert_eq!(outlet.position(), 114);
}

#[test]
fn a_failure_comes_after_the_bytes_before_it() {
    let (mut inlet, mut outlet) = pipe(0, SMALL);
    runtime().block_on(async { inlet.write(b"abc").await.unwrap() });
    inlet.end(Err(Arc::new(std::io::Error::other("the cable was pulled"))));
    let gauge = outlet.gauge();
    assert!(gauge.is_ready(8) && gauge.failure().is_none());
    let mut buffer = [0; 3];
    outlet.read_exact(&mut buffer).unwrap();
    assert_eq!(gauge.failure().unwrap().to_string(), "the cable was pulled");
    assert_eq!(outlet.read(&mut buffer).unwrap_err().to_string(), "the cable was pulled");
}

#[test]
fn a_side_that_is_gone_stops_the_other() {
    let (inlet, mut outlet) = pipe(0, SMALL);
    drop(inlet);
    assert!(outlet.read(&mut [0; 4]).unwrap_err().to_string().contains("runtime"));

    let (mut inlet, outlet) = pipe(0, SMALL);
    let gauge = outlet.gauge();
    let runtime = runtime();
    let writer = runtime.spawn(async move { inlet.write(&[0; 100]).await });
    drop(outlet);
    assert!(runtime.block_on(writer).unwrap().is_err());
    runtime.block_on(gauge.unread());
}
