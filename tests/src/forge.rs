//! Takes a bundle file apart and puts it together again, with digests that match whatever is in it by then.
//!
//! So that a test reaches what lies behind the digests: a reader that believes what a digest covers can be lied to by
//! whoever computes digests. Knows the layout of the container and of the table directory from the prose of
//! `pdp-core/src/format.rs`, and nothing of what the tables mean.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use sha2::{Digest, Sha256};

/// Length of the file's header, and of an entry of its section table.
pub const ENTRY_BYTES: usize = 64;
/// Length of an entry of the table directory.
pub const DIRECTORY_ENTRY_BYTES: usize = 24;

/// A bundle in parts.
#[derive(Clone, Debug)]
pub struct Forge {
    header: Vec<u8>,
    /// Id, codec and bytes of each section.
    pub sections: Vec<(u32, u32, Vec<u8>)>,
}

/// A table of the compiled section.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its number.
    pub id: u32,
    /// Bytes of one record.
    pub record_bytes: usize,
    /// Its records.
    pub bytes: Vec<u8>,
}

// === impl Forge ===

impl Forge {
    /// Takes apart what a compiler made.
    pub fn open(bytes: &[u8]) -> Self {
        let entries = bytes[ENTRY_BYTES..].chunks(ENTRY_BYTES).take(u32_at(bytes, 12) as usize);
        let sections = entries.map(|entry| {
            let (start, len) = (u64_at(entry, 8), u64_at(entry, 16));
            (u32_at(entry, 0), u32_at(entry, 4), bytes[start..start + len].to_vec())
        });
        Self { header: bytes[..32].to_vec(), sections: sections.collect() }
    }

    /// Puts the parts together.
    pub fn close(&self) -> Vec<u8> {
        let mut table = Vec::new();
        let mut end = ENTRY_BYTES + self.sections.len() * ENTRY_BYTES;
        for (id, codec, bytes) in &self.sections {
            let start = end.next_multiple_of(64);
            table.extend(id.to_le_bytes());
            table.extend(codec.to_le_bytes());
            table.extend((start as u64).to_le_bytes());
            table.extend((bytes.len() as u64).to_le_bytes());
            table.extend([0; 8]);
            table.extend(Sha256::digest(bytes));
            end = start + bytes.len();
        }
        let mut out = self.header.clone();
        out[12..16].copy_from_slice(&u32::try_from(self.sections.len()).unwrap().to_le_bytes());
        out[16..24].copy_from_slice(&(end as u64).to_le_bytes());
        let sum = Sha256::new().chain_update(&out).chain_update(&table).finalize();
        out.extend(sum);
        out.extend(table);
        for (_, _, bytes) in &self.sections {
            out.resize(out.len().next_multiple_of(64), 0);
            out.extend(bytes);
        }
        out
    }

    /// What decides.
    pub fn compiled(&mut self) -> &mut Vec<u8> {
        &mut self.sections[0].2
    }

    /// The tables of what decides.
    pub fn tables(&self) -> Vec<Table> {
        let section = &self.sections[0].2;
        let entries = section[8..].chunks(DIRECTORY_ENTRY_BYTES).take(u32_at(section, 0) as usize);
        let tables = entries.map(|entry| {
            let record_bytes = u32_at(entry, 4) as usize;
            let (start, records) = (u64_at(entry, 8), u64_at(entry, 16));
            let bytes = section[start..start + records * record_bytes].to_vec();
            Table { id: u32_at(entry, 0), record_bytes, bytes }
        });
        tables.collect()
    }

    /// Replaces what decides by other tables.
    pub fn set_tables(&mut self, tables: &[Table]) {
        let mut section = u32::try_from(tables.len()).unwrap().to_le_bytes().to_vec();
        section.extend([0; 4]);
        let mut end = 8 + tables.len() * DIRECTORY_ENTRY_BYTES;
        for table in tables {
            let start = end.next_multiple_of(8);
            section.extend(table.id.to_le_bytes());
            section.extend(u32::try_from(table.record_bytes).unwrap().to_le_bytes());
            section.extend((start as u64).to_le_bytes());
            section.extend(((table.bytes.len() / table.record_bytes) as u64).to_le_bytes());
            end = start + table.bytes.len();
        }
        for table in tables {
            section.resize(section.len().next_multiple_of(8), 0);
            section.extend(&table.bytes);
        }
        self.sections[0].2 = section;
    }
}

/// A file whose header and section table say something else by now, with every digest made to match.
pub fn reseal(bytes: &mut [u8]) {
    let sections = u32_at(bytes, 12) as usize;
    let end = (ENTRY_BYTES + sections.saturating_mul(ENTRY_BYTES)).min(bytes.len());
    for at in (ENTRY_BYTES..end).step_by(ENTRY_BYTES).filter(|at| at + ENTRY_BYTES <= end) {
        let start = u64_at(bytes, at + 8);
        let section = bytes.get(start..start.saturating_add(u64_at(bytes, at + 16)));
        if let Some(sum) = section.map(Sha256::digest) {
            bytes[at + 32..at + 64].copy_from_slice(&sum);
        }
    }
    let (header, table) = (&bytes[..32], &bytes[ENTRY_BYTES..end]);
    let sum = Sha256::new().chain_update(header).chain_update(table).finalize();
    bytes[32..64].copy_from_slice(&sum);
}

/// The number at a place.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> usize {
    usize::try_from(u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap()
}
