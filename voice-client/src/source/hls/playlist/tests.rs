use super::*;

fn base() -> Url {
    Url::parse("http://host/dir/main.m3u8?x=1").unwrap()
}

fn chosen(text: &str, cap: Option<u64>) -> Result<String, HlsError> {
    match parse(format!("#EXTM3U\n{text}").as_bytes(), &base(), cap)? {
        Playlist::Choice(url) => Ok(url.path().to_owned()),
        Playlist::Media(_) => panic!("no choice"),
    }
}

fn media(text: &str) -> Result<Media, HlsError> {
    match parse(format!("#EXTM3U\n#EXT-X-TARGETDURATION:4\n{text}").as_bytes(), &base(), None)? {
        Playlist::Media(media) => Ok(media),
        Playlist::Choice(_) => panic!("no segments"),
    }
}

#[test]
fn audio_alone_comes_first_then_renditions_then_the_cheapest() {
    let video = "#EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=640x360,CODECS=\"avc1.4d401e,mp4a.40.2\"\nlow.m3u8\n\
                 #EXT-X-STREAM-INF:BANDWIDTH=4000000,RESOLUTION=1920x1080,CODECS=\"avc1.4d401e,mp4a.40.2\"\nhigh.m3u8\n";
    assert_eq!(chosen(video, None).unwrap(), "/dir/low.m3u8");
    let audio = "#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS=\"mp4a.40.5\"\na64.m3u8\n\
                 #EXT-X-STREAM-INF:BANDWIDTH=96000,CODECS=\"mp4a.40.2\"\na96.m3u8\n\
                 #EXT-X-STREAM-INF:BANDWIDTH=192000,CODECS=\"mp4a.40.2\"\na192.m3u8\n";
    assert_eq!(chosen(&format!("{video}{audio}"), None).unwrap(), "/dir/a192.m3u8");
    assert_eq!(chosen(&format!("{video}{audio}"), Some(100_000)).unwrap(), "/dir/a96.m3u8");
    assert_eq!(chosen(&format!("{video}{audio}"), Some(70_000)).unwrap(), "/dir/a64.m3u8");
    let group = "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"fr\",URI=\"fr.m3u8\"\n\
                 #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"en\",DEFAULT=YES,URI=\"en.m3u8\"\n\
                 #EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=640x360,CODECS=\"avc1.4d401e,mp4a.40.2\",AUDIO=\"a\"\nv.m3u8\n";
    assert_eq!(chosen(group, None).unwrap(), "/dir/en.m3u8");
    let dolby = "#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS=\"avc1.4d401e,ec-3\"\nv.m3u8\n";
    assert!(matches!(chosen(dolby, None), Err(HlsError::Codec { codec }) if codec.contains("ec-3")));
    assert_eq!(chosen("#EXT-X-STREAM-INF:BANDWIDTH=9\nv.m3u8\n", None).unwrap(), "/dir/v.m3u8");
}

#[test]
fn keys_and_init_sections_hold_until_the_next_and_ranges_go_on() {
    let media = media(
        "#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-MAP:URI=\"init.mp4\",BYTERANGE=\"100@0\"\n#EXTINF:4.0,\n#EXT-X-BYTERANGE:50@100\nall.mp4\n\
         #EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=0x0000000000000000000000000000000a\n#EXTINF:4.0,\n#EXT-X-BYTERANGE:60\nall.mp4\n\
         #EXTINF:3.5,\n#EXT-X-BYTERANGE:70\nall.mp4\n#EXT-X-KEY:METHOD=NONE\n#EXT-X-DISCONTINUITY\n#EXTINF:2,\n/other\n#EXT-X-ENDLIST\n",
    )
    .unwrap();
    assert!(media.is_complete && media.target == Duration::from_secs(4));
    let ranges: Vec<_> = media.segments.iter().map(|it| it.place.range).collect();
    assert_eq!(ranges, [Some((100, 150)), Some((150, 210)), Some((210, 280)), None]);
    let sequences: Vec<_> = media.segments.iter().map(|it| it.sequence).collect();
    assert_eq!(sequences, [7, 8, 9, 10]);
    assert!(media.segments.iter().all(|it| it.init.as_ref().unwrap().range == Some((0, 100))));
    let keys: Vec<_> =
        media.segments.iter().map(|it| it.key.as_ref().and_then(|key| key.iv).map(|iv| iv[15])).collect();
    assert_eq!(keys, [None, Some(10), Some(10), None]);
    assert!(media.segments[3].discontinuity && media.segments[3].place.url.path() == "/other");
    assert_eq!(media.segments[2].duration, Duration::from_millis(3_500));
}

#[test]
fn what_cannot_be_opened_is_named() {
    let with_key = |key: &str| media(&format!("#EXT-X-KEY:{key}\n#EXTINF:4,\ns.ts\n")).map(|_| ());
    assert!(
        matches!(with_key("METHOD=SAMPLE-AES,URI=\"k\""), Err(HlsError::Encryption { method }) if &*method == "SAMPLE-AES")
    );
    let drm = with_key("METHOD=AES-128,URI=\"skd://k\",KEYFORMAT=\"com.apple.streamingkeydelivery\"");
    assert!(matches!(drm, Err(HlsError::Encryption { method }) if method.contains("com.apple")));
    assert!(matches!(with_key("METHOD=AES-128,URI=\"k\",IV=0xzz"), Err(HlsError::Playlist { .. })));
    assert!(matches!(with_key("METHOD=AES-128,URI=\"file:///k\""), Err(HlsError::Playlist { .. })));
    assert!(matches!(parse(b"<html>", &base(), None), Err(HlsError::Playlist { .. })));
}
