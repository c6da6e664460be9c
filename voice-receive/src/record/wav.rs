use std::io::{self, Seek, SeekFrom, Write};

use voice_model::{CHANNELS, SAMPLE_RATE};

use crate::convert::to_i16;

/// Bytes of the header, up to and with the length of the data: RIFF, a chunk that becomes `ds64`, `fmt `, `data`.
pub(super) const HEADER: usize = 80;

/// Bytes of one sample of all channels.
pub(super) const BLOCK: u64 = 2 * CHANNELS as u64;

/// Samples per channel converted at a time.
const CHUNK: usize = 960;

/// Silence longer than this is left out of the file, which then has a hole there: read as zeros.
const HOLE: u64 = SAMPLE_RATE as u64;

/// A WAV file of 16-bit PCM, 48 kHz, stereo, that starts where the writer stands; RF64 beyond 4 GiB (EBU Tech 3306).
///
/// The header says how long the file is; it is written again by [`sync`](Self::sync) and [`finish`](Self::finish), so a
/// program that is killed leaves a file that is readable up to its last `sync`. Samples are clamped to -1 to 1.
#[derive(Debug)]
pub struct Wav<W> {
    out: W,
    start: u64,
    /// Bytes of data.
    data: u64,
    /// Bytes of data at the end that are a hole so far.
    hole: u64,
    chunk: Vec<u8>,
}

impl<W: Write + Seek> Wav<W> {
    /// Writes the header of an empty file.
    ///
    /// # Errors
    ///
    /// Those of the writer, as of every other method.
    pub fn new(mut out: W) -> io::Result<Self> {
        let start = out.stream_position()?;
        out.write_all(&header(0))?;
        Ok(Self { out, start, data: 0, hole: 0, chunk: Vec::with_capacity(CHUNK * BLOCK as usize) })
    }

    /// Samples per channel written so far.
    pub fn samples(&self) -> u64 {
        self.data / BLOCK
    }

    /// Bytes of the file so far.
    pub fn bytes(&self) -> u64 {
        HEADER as u64 + self.data
    }

    /// Bytes of the file if silence went on up to so many samples.
    pub(super) fn bytes_at(&self, samples: u64) -> u64 {
        HEADER as u64 + self.data.max(samples * BLOCK)
    }

    /// Appends interleaved samples, left and right; half a sample at the end is left out.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn write(&mut self, pcm: &[f32]) -> io::Result<()> {
        self.hole = 0;
        for part in pcm[..pcm.len() / CHANNELS * CHANNELS].chunks(CHUNK * CHANNELS) {
            self.chunk.clear();
            self.chunk.extend(part.iter().flat_map(|sample| to_i16(*sample).to_le_bytes()));
            self.flush_chunk()?;
        }
        Ok(())
    }

    /// Appends `samples` per channel of silence.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn silence(&mut self, samples: u64) -> io::Result<()> {
        if samples > HOLE {
            self.hole += samples * BLOCK;
            self.data += samples * BLOCK;
            self.out.seek(SeekFrom::Start(self.start + self.bytes()))?;
            return Ok(());
        }
        if samples == 0 {
            return Ok(());
        }
        self.hole = 0;
        let mut left = samples;
        while left > 0 {
            let part = left.min(CHUNK as u64);
            self.chunk.clear();
            self.chunk.resize((part * BLOCK) as usize, 0);
            self.flush_chunk()?;
            left -= part;
        }
        Ok(())
    }

    /// Makes the file whole as it is now, and flushes the writer.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn sync(&mut self) -> io::Result<()> {
        self.out.seek(SeekFrom::Start(self.start))?;
        // Nothing has been written at the end of a hole.
        self.out.write_all(&header(self.data - self.hole))?;
        self.out.seek(SeekFrom::Start(self.start + self.bytes()))?;
        self.out.flush()
    }

    /// Makes the file whole and gives the writer back.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        if self.hole > 0 {
            self.out.seek(SeekFrom::Start(self.start + self.bytes() - BLOCK))?;
            self.out.write_all(&[0; BLOCK as usize])?;
            self.hole = 0;
        }
        self.sync()?;
        Ok(self.out)
    }

    fn flush_chunk(&mut self) -> io::Result<()> {
        self.out.write_all(&self.chunk)?;
        self.data += self.chunk.len() as u64;
        Ok(())
    }
}

/// The header of a file with so many bytes of data.
pub(super) fn header(data: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let whole = data + HEADER as u64 - 8;
    header[8..12].copy_from_slice(b"WAVE");
    header[16..20].copy_from_slice(&28_u32.to_le_bytes());
    match (u32::try_from(whole), u32::try_from(data)) {
        (Ok(whole), Ok(data)) => {
            header[0..4].copy_from_slice(b"RIFF");
            header[4..8].copy_from_slice(&whole.to_le_bytes());
            header[12..16].copy_from_slice(b"JUNK");
            header[76..80].copy_from_slice(&data.to_le_bytes());
        }
        _ => {
            header[0..4].copy_from_slice(b"RF64");
            header[4..8].copy_from_slice(&[0xFF; 4]);
            header[12..16].copy_from_slice(b"ds64");
            header[20..28].copy_from_slice(&whole.to_le_bytes());
            header[28..36].copy_from_slice(&data.to_le_bytes());
            header[36..44].copy_from_slice(&(data / BLOCK).to_le_bytes());
            header[76..80].copy_from_slice(&[0xFF; 4]);
        }
    }
    header[48..52].copy_from_slice(b"fmt ");
    header[52..56].copy_from_slice(&16_u32.to_le_bytes());
    header[56..58].copy_from_slice(&1_u16.to_le_bytes());
    header[58..60].copy_from_slice(&(CHANNELS as u16).to_le_bytes());
    header[60..64].copy_from_slice(&SAMPLE_RATE.to_le_bytes());
    header[64..68].copy_from_slice(&(SAMPLE_RATE * BLOCK as u32).to_le_bytes());
    header[68..70].copy_from_slice(&(BLOCK as u16).to_le_bytes());
    header[70..72].copy_from_slice(&16_u16.to_le_bytes());
    header[72..76].copy_from_slice(b"data");
    header
}

#[cfg(test)]
mod tests {
    use std::io::{self, Cursor, Seek, SeekFrom, Write};

    use super::Wav;

    /// The header's two lengths, and the samples.
    fn read(file: &[u8]) -> (u32, u32, Vec<i16>) {
        assert_eq!((&file[0..4], &file[8..16], &file[72..76]), (&b"RIFF"[..], &b"WAVEJUNK"[..], &b"data"[..]));
        // 16 bytes of format: PCM, 2 channels, 48,000 Hz, 192,000 bytes a second, 4 a sample, 16 bits.
        assert_eq!(file[52..72], [16, 0, 0, 0, 1, 0, 2, 0, 0x80, 0xBB, 0, 0, 0, 0xEE, 2, 0, 4, 0, 16, 0]);
        let number = |at: usize| u32::from_le_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]]);
        let samples = file[80..].chunks(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        (number(4), number(76), samples)
    }

    #[test]
    fn an_empty_file_is_whole() {
        let file = Wav::new(Cursor::new(Vec::new())).expect("memory").finish().expect("memory").into_inner();
        assert_eq!(read(&file), (72, 0, vec![]));
    }

    #[test]
    fn samples_are_scaled_and_clamped() {
        let mut wav = Wav::new(Cursor::new(Vec::new())).expect("memory");
        wav.write(&[0.0, 1.0, -1.0, 2.0, -7.0, 0.5, f32::NAN, f32::INFINITY, 0.3]).expect("memory");
        wav.silence(2).expect("memory");
        assert_eq!(wav.samples(), 6);
        let file = wav.finish().expect("memory").into_inner();
        let max = i16::MAX;
        assert_eq!(read(&file), (72 + 24, 24, vec![0, max, -max, max, -max, 16_384, 0, max, 0, 0, 0, 0]));
    }

    #[test]
    fn a_killed_program_leaves_what_was_synced() {
        let mut wav = Wav::new(Cursor::new(Vec::new())).expect("memory");
        wav.silence(1000).expect("memory");
        wav.sync().expect("memory");
        wav.write(&[0.5; 20]).expect("memory");
        let killed = wav.out.get_ref().clone();
        assert_eq!(read(&killed).1, 4000);
        assert_eq!(read(&killed).2.len(), 2 * 1010);
        assert_eq!(read(&wav.finish().expect("memory").into_inner()).1, 4040);
    }

    #[test]
    fn long_silence_is_a_hole_and_reads_as_zeros() {
        let mut wav = Wav::new(Cursor::new(Vec::new())).expect("memory");
        wav.write(&[0.5; 2]).expect("memory");
        wav.silence(100_000).expect("memory");
        wav.sync().expect("memory");
        assert_eq!(read(wav.out.get_ref()), (76, 4, vec![16_384; 2]), "what is there so far");
        wav.write(&[-0.5; 2]).expect("memory");
        wav.silence(50_000).expect("memory");
        let file = wav.finish().expect("memory").into_inner();
        let (_, data, samples) = read(&file);
        assert_eq!((data, samples.len()), (4 * 150_002, 2 * 150_002));
        assert_eq!((samples[1], samples[2], samples[200_001], samples[200_002]), (16_384, 0, 0, -16_384));
        assert!(samples[200_004..].iter().all(|sample| *sample == 0));
    }

    #[test]
    fn a_file_may_start_inside_another() {
        let mut out = Cursor::new(Vec::new());
        out.write_all(b"before").expect("memory");
        let mut wav = Wav::new(out).expect("memory");
        wav.silence(3).expect("memory");
        let file = wav.finish().expect("memory").into_inner();
        assert_eq!(&file[..6], b"before");
        assert_eq!(read(&file[6..]), (84, 12, vec![0; 6]));
    }

    /// A disk that forgets all but the first bytes; it fails when `broken`.
    struct Void {
        head: [u8; 80],
        position: u64,
        length: u64,
        broken: bool,
    }

    const VOID: Void = Void { head: [0; 80], position: 0, length: 0, broken: false };

    impl Write for Void {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.broken {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            for (at, byte) in (self.position..80).zip(bytes) {
                self.head[at as usize] = *byte;
            }
            self.position += bytes.len() as u64;
            self.length = self.length.max(self.position);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Seek for Void {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            if let SeekFrom::Start(position) = to {
                self.position = position;
            }
            Ok(self.position)
        }
    }

    #[test]
    fn beyond_four_gibibytes_it_is_rf64() {
        let mut wav = Wav::new(VOID).expect("room");
        // The longest RIFF file: all but the first 8 bytes are counted in 32 bits.
        let most = (u64::from(u32::MAX) - 72) / 4;
        wav.silence(most - 1).expect("room");
        wav.write(&[0.0; 2]).expect("room");
        wav.sync().expect("room");
        assert_eq!(&wav.out.head[..4], b"RIFF");
        wav.write(&[0.0; 2]).expect("room");
        assert_eq!(wav.samples(), most + 1);
        let disk = wav.finish().expect("a header");
        assert_eq!(disk.length, 80 + 4 * (most + 1));
        let number = |at: usize| u64::from_le_bytes(disk.head[at..at + 8].try_into().expect("eight bytes"));
        assert_eq!((&disk.head[..4], &disk.head[12..16]), (&b"RF64"[..], &b"ds64"[..]));
        assert_eq!((disk.head[4..8].to_vec(), disk.head[76..80].to_vec()), (vec![0xFF; 4], vec![0xFF; 4]));
        assert_eq!((number(20), number(28), number(36)), (disk.length - 8, 4 * (most + 1), most + 1));
    }

    #[test]
    fn a_full_disk_is_told() {
        let mut wav = Wav::new(VOID).expect("room");
        wav.out.broken = true;
        let cause = wav.write(&[0.0; 2]).expect_err("the disk is full");
        assert_eq!((cause.kind(), wav.samples()), (io::ErrorKind::StorageFull, 0));
    }
}
