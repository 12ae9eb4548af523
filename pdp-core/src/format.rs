//! The bundle file: a container whose every byte is accounted for.
//!
//! All numbers are little endian. The file is a header, a section table and the sections.
//!
//! | bytes | header |
//! |---|---|
//! | 0..4 | `PDPB` |
//! | 4..6 | format, major: a reader of another major refuses the file; rebuilding is `pdp build`'s work |
//! | 6..8 | format, minor |
//! | 8..12 | length of this header, 64 |
//! | 12..16 | number of sections |
//! | 16..24 | length of the file |
//! | 24..32 | flags, zero |
//! | 32..64 | SHA-256 of bytes 0..32 and of the section table |
//!
//! | bytes | section table entry, 64 bytes, ascending by id |
//! |---|---|
//! | 0..4 | section id |
//! | 4..8 | codec |
//! | 8..16 | offset in the file, a multiple of 64 |
//! | 16..24 | length |
//! | 24..32 | zero |
//! | 32..64 | SHA-256 of the section |
//!
//! Sections follow in the order of the table, each at the next multiple of 64; the bytes between are zero; the last
//! one ends the file. A reader checks lengths against its limit before it allocates, the header's digest before it
//! believes the table, each section's digest before it believes anything of it.
//!
//! | id | section | codec |
//! |---|---|---|
//! | 1 | compiled: what decides, and what a signature covers; its digest is the bundle's digest, unless there are routes | 1, flat tables |
//! | 2 | source: policy texts and spans, which deciding never touches; may be stripped | 3, packed JSON |
//! | 3 | cases: requests with the answers their authors expect | 2, JSON |
//! | 4 | reserved for signatures over the bundle's digest | |
//! | 5 | routes: which HTTP call is which question | 2, JSON |
//!
//! Routes decide what is asked, so they are part of what a bundle's digest says: with a routes section it is the SHA-256
//! of the digests of sections 1 and 5, one after the other.
//!
//! The flat tables of the compiled section: a `u32` count, a zero `u32`, then an entry for each table, ascending by
//! id: `u32` id, `u32` bytes a record, `u64` offset in the section (a multiple of 8), `u64` number of records; then the
//! records as `program` lays them out. Bytes between tables are zero.
//!
//! Packed JSON is as `pack` has it.
//!
//! Why flat tables and not a codec: bincode, which a format like this used to reach for, is unmaintained
//! (RUSTSEC-2025-0141); its maintained successor wincode keeps its layout but decodes element by element, where a
//! table of fixed records is copied whole, needs no allocation per entry, and has nothing in it that could ask for
//! memory it does not fill. The format is version 0: it may change with any release until it says 1.

use sha2::{Digest, Sha256};

pub(crate) const MAGIC: [u8; 4] = *b"PDPB";
pub(crate) const MAJOR: u16 = 0;
#[cfg(feature = "compile")]
pub(crate) const MINOR: u16 = 1;
pub(crate) const HEADER_BYTES: usize = 64;
pub(crate) const ENTRY_BYTES: usize = 64;
pub(crate) const SECTION_ALIGN: usize = 64;
pub(crate) const TABLE_ENTRY_BYTES: usize = 24;
pub(crate) const TABLE_ALIGN: usize = 8;
/// More sections than any version knows are a lie.
pub(crate) const SECTIONS_MAX: usize = 16;

pub(crate) const SECTION_COMPILED: u32 = 1;
pub(crate) const SECTION_SOURCE: u32 = 2;
pub(crate) const SECTION_CASES: u32 = 3;
pub(crate) const SECTION_ROUTES: u32 = 5;
pub(crate) const CODEC_FLAT: u32 = 1;
pub(crate) const CODEC_JSON: u32 = 2;
pub(crate) const CODEC_PACKED_JSON: u32 = 3;

/// SHA-256.
pub(crate) fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The next multiple of `align`, if it can be told.
pub(crate) fn align_up(at: usize, align: usize) -> Option<usize> {
    at.checked_next_multiple_of(align)
}
