//! Folders in memory, and what is in an Ogg file.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Cursor, Seek, SeekFrom, Write};
use std::rc::Rc;

use voice_receive::record::Folder;

/// Files in memory, by name. `room` is how many bytes the disk takes.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    pub(crate) files: Rc<RefCell<BTreeMap<String, Vec<u8>>>>,
    pub(crate) room: Option<Rc<RefCell<usize>>>,
}

pub(crate) struct MemoryFile {
    name: String,
    memory: Memory,
    position: u64,
}

impl Memory {
    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        self.files.borrow().get(name).cloned().unwrap_or_else(|| panic!("no {name} in {:?}", self.names()))
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.files.borrow().keys().cloned().collect()
    }
}

impl Folder for Memory {
    type File = MemoryFile;

    fn create(&mut self, name: &str) -> io::Result<MemoryFile> {
        self.files.borrow_mut().insert(name.to_owned(), Vec::new());
        Ok(MemoryFile { name: name.to_owned(), memory: self.clone(), position: 0 })
    }
}

impl Write for MemoryFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(room) = &self.memory.room {
            let mut room = room.borrow_mut();
            *room = room.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        }
        let mut files = self.memory.files.borrow_mut();
        let mut cursor = Cursor::new(files.get_mut(&self.name).expect("created"));
        cursor.set_position(self.position);
        cursor.write_all(bytes)?;
        self.position = cursor.position();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for MemoryFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = match to {
            SeekFrom::Start(position) => position,
            SeekFrom::Current(step) => self.position.checked_add_signed(step).expect("inside"),
            SeekFrom::End(_) => unreachable!("writers know where they are"),
        };
        Ok(self.position)
    }
}

/// A page of Ogg.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) flags: u8,
    pub(crate) granule: u64,
    pub(crate) number: u32,
    pub(crate) packets: Vec<Vec<u8>>,
    pub(crate) sum: u32,
    pub(crate) right_sum: u32,
}

/// The pages of a file; `None` for what is not one.
pub(crate) fn pages(mut file: &[u8]) -> Option<Vec<Page>> {
    let mut pages = Vec::new();
    while !file.is_empty() {
        let segments = *file.get(26)? as usize;
        let table = file.get(27..27 + segments)?;
        let len = 27 + segments + table.iter().map(|len| usize::from(*len)).sum::<usize>();
        let (page, rest) = (file.get(..len)?, &file[len..]);
        if &page[..5] != b"OggS\0" {
            return None;
        }
        let (mut packets, mut packet, mut at) = (Vec::new(), Vec::new(), 27 + segments);
        for len in table {
            packet.extend_from_slice(&page[at..at + usize::from(*len)]);
            at += usize::from(*len);
            if *len < 255 {
                packets.push(std::mem::take(&mut packet));
            }
        }
        let number = |at: usize| u32::from_le_bytes(page[at..at + 4].try_into().expect("four bytes"));
        let mut zeroed = page.to_vec();
        zeroed[22..26].fill(0);
        pages.push(Page {
            flags: page[5],
            granule: u64::from(number(6)) | u64::from(number(10)) << 32,
            number: number(18),
            packets,
            sum: number(22),
            right_sum: checksum(&zeroed),
        });
        file = rest;
    }
    Some(pages)
}

/// A page with one short packet.
pub(crate) fn page(flags: u8, granule: u64, serial: u32, number: u32, packet: &[u8]) -> Vec<u8> {
    let mut page = b"OggS\0".to_vec();
    page.push(flags);
    page.extend(granule.to_le_bytes());
    page.extend(serial.to_le_bytes());
    page.extend(number.to_le_bytes());
    page.extend([0, 0, 0, 0, 1, packet.len() as u8]);
    page.extend(packet);
    let sum = checksum(&page);
    page[22..26].copy_from_slice(&sum.to_le_bytes());
    page
}

/// Ogg's checksum, bit by bit.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte) << 24, |sum, _| sum << 1 ^ if sum >> 31 == 1 { 0x04C1_1DB7 } else { 0 })
    })
}

/// The audio packets of a file with the places where they begin; the 80 ms that players skip are left out.
pub(crate) fn packets(file: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut all = Vec::new();
    for page in pages(file).expect("an Ogg file").into_iter().skip(2) {
        let samples = |packet: &[u8]| opus::packet::get_nb_samples(packet, 48_000).expect("a packet") as u64;
        let mut at = page.granule - page.packets.iter().map(|packet| samples(packet)).sum::<u64>();
        for packet in page.packets {
            let next = at + samples(&packet);
            if let Some(at) = at.checked_sub(3_840) {
                all.push((at, packet));
            }
            at = next;
        }
    }
    all
}

/// The samples of a FLAC file, decoded by symphonia, interleaved.
pub(crate) fn flac(file: Vec<u8>) -> Vec<i16> {
    use voice_mixer::{Chunk, Source, file::Bytes};
    let (mut source, mut chunk, mut samples) = (Bytes::new(file), Chunk::new(), Vec::new());
    source.open().expect("a FLAC file");
    loop {
        chunk.clear();
        if !source.read(&mut chunk).expect("a whole file") {
            return samples;
        }
        samples.extend(chunk.samples().iter().map(|value| (value * 32_768.0).round() as i16));
    }
}
