use std::io::{self, Seek, SeekFrom, Write};

use voice_model::{CHANNELS, SAMPLE_RATE};

/// Bytes of the header, up to and with the length of the data.
const HEADER: u32 = 44;

/// Bytes of one sample of all channels.
const BLOCK: u32 = 2 * CHANNELS as u32;

/// The longest data: RIFF counts itself, all but its first 8 bytes, in 32 bits.
const MAX_DATA: u32 = (u32::MAX - (HEADER - 8)) / BLOCK * BLOCK;

/// Samples per channel converted at a time.
const CHUNK: usize = 960;

/// A WAV file of 16-bit PCM, 48 kHz, stereo (RIFF WAVE, format 1), that starts where the writer stands.
///
/// The header says how long the file is; it is written again by [`sync`](Self::sync) and [`finish`](Self::finish), so a
/// program that is killed leaves a file that is readable up to its last `sync`. Samples are clamped to -1 to 1.
#[derive(Debug)]
pub struct Wav<W> {
    out: W,
    start: u64,
    /// Bytes of data.
    data: u32,
    chunk: Vec<u8>,
}

/// Why audio could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WavError {
    /// The writer failed.
    #[error("writing the recording failed")]
    Io(#[from] io::Error),
    /// A WAV file cannot exceed 4 GiB: finish this one and begin another.
    #[error("the recording has reached the 4 GiB that a WAV file can hold; continue in another file")]
    Full,
}

impl<W: Write + Seek> Wav<W> {
    /// Writes the header of an empty file.
    pub fn new(mut out: W) -> Result<Self, WavError> {
        let start = out.stream_position()?;
        out.write_all(&header(0))?;
        Ok(Self { out, start, data: 0, chunk: Vec::with_capacity(CHUNK * BLOCK as usize) })
    }

    /// Samples per channel written so far.
    pub fn samples(&self) -> u64 {
        u64::from(self.data / BLOCK)
    }

    /// Appends interleaved samples, left and right; half a sample at the end is left out. All or, with
    /// [`WavError::Full`], nothing.
    pub fn write(&mut self, pcm: &[f32]) -> Result<(), WavError> {
        self.reserve((pcm.len() / CHANNELS) as u64)?;
        for part in pcm[..pcm.len() / CHANNELS * CHANNELS].chunks(CHUNK * CHANNELS) {
            self.chunk.clear();
            for sample in part {
                let scaled = (sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round() as i16;
                self.chunk.extend_from_slice(&scaled.to_le_bytes());
            }
            self.flush_chunk()?;
        }
        Ok(())
    }

    /// Appends `samples` per channel of silence. All or, with [`WavError::Full`], nothing.
    pub fn silence(&mut self, samples: u64) -> Result<(), WavError> {
        self.reserve(samples)?;
        let mut left = samples;
        while left > 0 {
            let part = left.min(CHUNK as u64);
            self.chunk.clear();
            self.chunk.resize(part as usize * BLOCK as usize, 0);
            self.flush_chunk()?;
            left -= part;
        }
        Ok(())
    }

    /// Makes the file whole as it is now, and flushes the writer.
    pub fn sync(&mut self) -> Result<(), WavError> {
        self.out.seek(SeekFrom::Start(self.start))?;
        self.out.write_all(&header(self.data))?;
        self.out.seek(SeekFrom::Start(self.start + u64::from(HEADER) + u64::from(self.data)))?;
        self.out.flush()?;
        Ok(())
    }

    /// Makes the file whole and gives the writer back.
    pub fn finish(mut self) -> Result<W, WavError> {
        self.sync()?;
        Ok(self.out)
    }

    fn reserve(&self, samples: u64) -> Result<(), WavError> {
        let room = u64::from((MAX_DATA - self.data) / BLOCK);
        if samples > room { Err(WavError::Full) } else { Ok(()) }
    }

    fn flush_chunk(&mut self) -> Result<(), WavError> {
        self.out.write_all(&self.chunk)?;
        self.data += self.chunk.len() as u32;
        Ok(())
    }
}

fn header(data: u32) -> [u8; HEADER as usize] {
    let mut header = [0; HEADER as usize];
    header[0..4].copy_from_slice(b"RIFF");
    header[4..8].copy_from_slice(&(HEADER - 8 + data).to_le_bytes());
    header[8..16].copy_from_slice(b"WAVEfmt ");
    header[16..20].copy_from_slice(&16_u32.to_le_bytes());
    header[20..22].copy_from_slice(&1_u16.to_le_bytes());
    header[22..24].copy_from_slice(&(CHANNELS as u16).to_le_bytes());
    header[24..28].copy_from_slice(&SAMPLE_RATE.to_le_bytes());
    header[28..32].copy_from_slice(&(SAMPLE_RATE * BLOCK).to_le_bytes());
    header[32..34].copy_from_slice(&(BLOCK as u16).to_le_bytes());
    header[34..36].copy_from_slice(&16_u16.to_le_bytes());
    header[36..40].copy_from_slice(b"data");
    header[40..44].copy_from_slice(&data.to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use std::io::{self, Cursor, Seek, SeekFrom, Write};

    use super::{MAX_DATA, Wav, WavError};

    /// The header's two lengths, and the samples.
    fn read(file: &[u8]) -> (u32, u32, Vec<i16>) {
        assert_eq!((&file[0..4], &file[8..16], &file[36..40]), (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..]));
        // 16 bytes of format: PCM, 2 channels, 48,000 Hz, 192,000 bytes a second, 4 a sample, 16 bits.
        assert_eq!(file[16..36], [16, 0, 0, 0, 1, 0, 2, 0, 0x80, 0xBB, 0, 0, 0, 0xEE, 2, 0, 4, 0, 16, 0]);
        let number = |at: usize| u32::from_le_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]]);
        let samples = file[44..].chunks(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        (number(4), number(40), samples)
    }

    #[test]
    fn an_empty_file_is_whole() {
        let file = Wav::new(Cursor::new(Vec::new())).expect("memory").finish().expect("memory").into_inner();
        assert_eq!(read(&file), (36, 0, vec![]));
    }

    #[test]
    fn samples_are_scaled_and_clamped() {
        let mut wav = Wav::new(Cursor::new(Vec::new())).expect("memory");
        wav.write(&[0.0, 1.0, -1.0, 2.0, -7.0, 0.5, f32::NAN, f32::INFINITY, 0.3]).expect("memory");
        wav.silence(2).expect("memory");
        assert_eq!(wav.samples(), 6);
        let file = wav.finish().expect("memory").into_inner();
        let max = i16::MAX;
        assert_eq!(read(&file), (36 + 24, 24, vec![0, max, -max, max, -max, 16_384, 0, max, 0, 0, 0, 0]));
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
    fn a_file_may_start_inside_another() {
        let mut out = Cursor::new(Vec::new());
        out.write_all(b"before").expect("memory");
        let mut wav = Wav::new(out).expect("memory");
        wav.silence(3).expect("memory");
        let file = wav.finish().expect("memory").into_inner();
        assert_eq!(&file[..6], b"before");
        assert_eq!(read(&file[6..]), (48, 12, vec![0; 6]));
    }

    /// A disk that forgets; it fails when `broken`.
    struct Void {
        position: u64,
        broken: bool,
    }

    impl Write for Void {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.broken {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            self.position += bytes.len() as u64;
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
    fn four_gibibytes_are_the_end() {
        let mut wav = Wav::new(Void { position: 0, broken: false }).expect("room");
        let most = u64::from(MAX_DATA / 4);
        assert!(matches!(wav.silence(most + 1), Err(WavError::Full)));
        assert!(matches!(wav.silence(u64::MAX), Err(WavError::Full)));
        wav.silence(most - 1).expect("room");
        assert!(matches!(wav.write(&[0.0; 4]), Err(WavError::Full)));
        wav.write(&[0.0; 2]).expect("room for one");
        assert!(matches!(wav.write(&[0.0; 2]), Err(WavError::Full)));
        assert_eq!(wav.samples(), most);
        let disk = wav.finish().expect("a header");
        assert_eq!(disk.position, 44 + 4 * most);
        assert!(disk.position - 8 <= u64::from(u32::MAX));
    }

    #[test]
    fn a_full_disk_is_told_with_its_cause() {
        let mut wav = Wav::new(Void { position: 0, broken: false }).expect("room");
        wav.out.broken = true;
        let Err(WavError::Io(cause)) = wav.write(&[0.0; 2]) else { panic!("the disk is full") };
        assert_eq!(cause.kind(), io::ErrorKind::StorageFull);
        assert_eq!(wav.samples(), 0);
    }
}
