//! From tables and texts to bundle bytes; the counterpart of `read`.

use crate::format::{
    CODEC_FLAT, CODEC_JSON, CODEC_PACKED_JSON, ENTRY_BYTES, HEADER_BYTES, MAGIC, MAJOR, MINOR,
    SECTION_ALIGN, SECTION_CASES, SECTION_COMPILED, SECTION_ROUTES, SECTION_SOURCE, TABLE_ALIGN,
    TABLE_ENTRY_BYTES, digest,
};
use crate::program::Tables;

/// Puts a bundle together. `source` is packed JSON, `cases` and `routes` are JSON.
pub(crate) fn bundle(
    tables: &Tables,
    source: Option<&[u8]>,
    cases: Option<&[u8]>,
    routes: Option<&[u8]>,
) -> Vec<u8> {
    let compiled = compiled(tables);
    let mut sections: Vec<(u32, u32, &[u8])> = vec![(SECTION_COMPILED, CODEC_FLAT, &compiled)];
    if let Some(source) = source {
        sections.push((SECTION_SOURCE, CODEC_PACKED_JSON, source));
    }
    if let Some(cases) = cases {
        sections.push((SECTION_CASES, CODEC_JSON, cases));
    }
    if let Some(routes) = routes {
        sections.push((SECTION_ROUTES, CODEC_JSON, routes));
    }
    let mut table = Vec::with_capacity(sections.len() * ENTRY_BYTES);
    let mut offset = HEADER_BYTES + sections.len() * ENTRY_BYTES;
    for (id, codec, bytes) in &sections {
        offset = offset.next_multiple_of(SECTION_ALIGN);
        table.extend_from_slice(&id.to_le_bytes());
        table.extend_from_slice(&codec.to_le_bytes());
        table.extend_from_slice(&(offset as u64).to_le_bytes());
        table.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        table.extend_from_slice(&[0; 8]);
        table.extend_from_slice(&digest(&[bytes]));
        offset += bytes.len();
    }
    let mut out = Vec::with_capacity(offset);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&MAJOR.to_le_bytes());
    out.extend_from_slice(&MINOR.to_le_bytes());
    out.extend_from_slice(&[64, 0, 0, 0]);
    // There are at most four sections.
    out.extend_from_slice(&u32::try_from(sections.len()).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(&(offset as u64).to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    let sum = digest(&[&out, &table]);
    out.extend_from_slice(&sum);
    out.extend_from_slice(&table);
    for (_, _, bytes) in &sections {
        out.resize(out.len().next_multiple_of(SECTION_ALIGN), 0);
        out.extend_from_slice(bytes);
    }
    out
}

fn compiled(tables: &Tables) -> Vec<u8> {
    let mut directory = Vec::new();
    let mut count = 0u32;
    tables.visit(|_, _, _, _| count += 1);
    let mut offset = 8 + count as usize * TABLE_ENTRY_BYTES;
    tables.visit(|id, _, record_bytes, bytes| {
        offset = offset.next_multiple_of(TABLE_ALIGN);
        directory.extend_from_slice(&id.to_le_bytes());
        directory.extend_from_slice(&u32::try_from(record_bytes).unwrap_or(0).to_le_bytes());
        directory.extend_from_slice(&(offset as u64).to_le_bytes());
        directory.extend_from_slice(&((bytes.len() / record_bytes) as u64).to_le_bytes());
        offset += bytes.len();
    });
    let mut out = Vec::with_capacity(offset);
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&directory);
    tables.visit(|_, _, _, bytes| {
        out.resize(out.len().next_multiple_of(TABLE_ALIGN), 0);
        out.extend_from_slice(bytes);
    });
    out
}
