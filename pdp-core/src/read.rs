//! From bytes to sections and tables: verify, then copy. Never panics, never allocates what the bytes do not hold.
//!
//! Copying takes nothing for granted, so that it may go on beside the digests; see `bundle` for when tables are believed.

use crate::error::{LoadError, LoadErrorKind};
use crate::format::{
    CODEC_FLAT, CODEC_JSON, CODEC_PACKED_JSON, ENTRY_BYTES, HEADER_BYTES, MAGIC, MAJOR,
    SECTION_ALIGN, SECTION_CASES, SECTION_COMPILED, SECTION_ROUTES, SECTION_SOURCE, SECTIONS_MAX,
    TABLE_ALIGN, TABLE_ENTRY_BYTES, align_up, digest,
};
use crate::limits::LoadLimits;
use crate::program::Tables;

/// The sections of a bundle, each where it must be.
#[derive(Debug)]
pub(crate) struct Sections<'b> {
    pub(crate) compiled: Section<'b>,
    pub(crate) source: Option<Section<'b>>,
    pub(crate) cases: Option<Section<'b>>,
    pub(crate) routes: Option<Section<'b>>,
}

/// A section and the digest that the section table states.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Section<'b> {
    pub(crate) bytes: &'b [u8],
    pub(crate) digest: [u8; 32],
}

/// Checks the container and hands out its sections. Their digests are for [`Sections::check`].
pub(crate) fn sections<'b>(
    bytes: &'b [u8],
    limits: &LoadLimits,
) -> Result<Sections<'b>, LoadError> {
    let err = LoadError::new;
    let actual = bytes.len() as u64;
    if actual > limits.bundle_bytes_max {
        return Err(err(LoadErrorKind::TooLarge {
            bytes: actual,
            bundle_bytes_max: limits.bundle_bytes_max,
        }));
    }
    if bytes.get(..4).is_some_and(|magic| magic != MAGIC) {
        return Err(err(LoadErrorKind::NotABundle));
    }
    let Some((header, _)) = bytes.split_at_checked(HEADER_BYTES) else {
        return Err(err(LoadErrorKind::TooShort { bytes: actual }));
    };
    let major = u16_at(header, 4);
    if major != MAJOR {
        return Err(err(LoadErrorKind::Version { major, supported: MAJOR }));
    }
    let stated = u64_at(header, 16);
    if stated != actual {
        return Err(err(LoadErrorKind::Length { stated, actual }));
    }
    let count = u32_at(header, 12) as usize;
    if u32_at(header, 8) as usize != HEADER_BYTES || u64_at(header, 24) != 0 || count > SECTIONS_MAX
    {
        return Err(err(LoadErrorKind::Section { what: "the header holds impossible values" }));
    }
    let table_end = HEADER_BYTES + count * ENTRY_BYTES;
    let (Some(table), Some(plain), Some(sum)) =
        (bytes.get(HEADER_BYTES..table_end), header.get(..32), header.get(32..64))
    else {
        return Err(err(LoadErrorKind::TooShort { bytes: actual }));
    };
    if digest(&[plain, table]) != sum {
        return Err(err(LoadErrorKind::Digest { what: "the header and section table" }));
    }
    let mut found = Found::default();
    let mut end = table_end;
    let mut last_id = 0;
    for entry in table.chunks_exact(ENTRY_BYTES) {
        let id = u32_at(entry, 0);
        if id <= last_id || u64_at(entry, 24) != 0 {
            return Err(err(LoadErrorKind::Section { what: "the section table is out of order" }));
        }
        last_id = id;
        let section = section(bytes, entry, &mut end)?;
        found.take(id, u32_at(entry, 4), section)?;
    }
    if end as u64 != actual {
        return Err(err(LoadErrorKind::Section { what: "bytes follow the last section" }));
    }
    let compiled = found
        .compiled
        .ok_or(err(LoadErrorKind::Section { what: "there is no compiled section" }))?;
    Ok(Sections { compiled, source: found.source, cases: found.cases, routes: found.routes })
}

impl Sections<'_> {
    /// Whether all sections are what their digests say.
    pub(crate) fn check(&self) -> Result<(), LoadError> {
        let Self { compiled, source, cases, routes } = self;
        for section in [Some(compiled), source.as_ref(), cases.as_ref(), routes.as_ref()] {
            if section.is_some_and(|section| digest(&[section.bytes]) != section.digest) {
                return Err(LoadError::new(LoadErrorKind::Digest { what: "a section" }));
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Found<'b> {
    compiled: Option<Section<'b>>,
    source: Option<Section<'b>>,
    cases: Option<Section<'b>>,
    routes: Option<Section<'b>>,
}

impl<'b> Found<'b> {
    fn take(&mut self, id: u32, codec: u32, section: Section<'b>) -> Result<(), LoadError> {
        match (id, codec) {
            (SECTION_COMPILED, CODEC_FLAT) => self.compiled = Some(section),
            (SECTION_SOURCE, CODEC_PACKED_JSON) => self.source = Some(section),
            (SECTION_CASES, CODEC_JSON) => self.cases = Some(section),
            (SECTION_ROUTES, CODEC_JSON) => self.routes = Some(section),
            _ => {
                return Err(LoadError::new(LoadErrorKind::Section {
                    what: "a section or codec is unknown",
                }));
            }
        }
        Ok(())
    }
}

/// The bytes of a section, which must follow `end` directly; moves `end` behind it.
fn section<'b>(bytes: &'b [u8], entry: &[u8], end: &mut usize) -> Result<Section<'b>, LoadError> {
    let misplaced =
        || LoadError::new(LoadErrorKind::Section { what: "a section is not where it must be" });
    let offset = usize::try_from(u64_at(entry, 8)).map_err(|_| misplaced())?;
    let length = usize::try_from(u64_at(entry, 16)).map_err(|_| misplaced())?;
    if align_up(*end, SECTION_ALIGN) != Some(offset) {
        return Err(misplaced());
    }
    let padding = bytes.get(*end..offset).ok_or_else(misplaced)?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(LoadError::new(LoadErrorKind::Section {
            what: "bytes between sections are not zero",
        }));
    }
    *end = offset.checked_add(length).ok_or_else(misplaced)?;
    let bytes = bytes.get(offset..*end).ok_or_else(misplaced)?;
    let digest = entry.get(32..).and_then(|rest| rest.first_chunk()).ok_or_else(misplaced)?;
    Ok(Section { bytes, digest: *digest })
}

/// Copies the tables out of the compiled section. What they say is not checked here.
pub(crate) fn tables(section: &[u8]) -> Result<Tables, LoadError> {
    if cfg!(target_endian = "big") {
        return Err(LoadError::new(LoadErrorKind::Host));
    }
    let malformed = |what| LoadError::new(LoadErrorKind::Section { what });
    let count = section.get(..4).map_or(0, |bytes| u32_at(bytes, 0)) as usize;
    let mut tables = Tables::default();
    let mut expected = Vec::new();
    tables.visit(|id, name, record_bytes, _| expected.push((id, name, record_bytes)));
    if count != expected.len() || section.get(4..8) != Some(&[0; 4]) {
        return Err(malformed("the compiled section does not list the tables of this format"));
    }
    let directory_end = 8 + count * TABLE_ENTRY_BYTES;
    let directory =
        section.get(8..directory_end).ok_or_else(|| malformed("the table directory is cut off"))?;
    let mut end = directory_end;
    for (entry, (id, name, record_bytes)) in directory.chunks_exact(TABLE_ENTRY_BYTES).zip(expected)
    {
        if u32_at(entry, 0) != id || u32_at(entry, 4) as usize != record_bytes {
            return Err(LoadError::table(name, "its id or record size is not that of this format"));
        }
        let cut_off = || LoadError::table(name, "it is not where it must be, or cut off");
        let offset = usize::try_from(u64_at(entry, 8)).map_err(|_| cut_off())?;
        let records = usize::try_from(u64_at(entry, 16)).map_err(|_| cut_off())?;
        if align_up(end, TABLE_ALIGN) != Some(offset) {
            return Err(cut_off());
        }
        let padding = section.get(end..offset).ok_or_else(cut_off)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(LoadError::table(name, "bytes before it are not zero"));
        }
        end = records
            .checked_mul(record_bytes)
            .and_then(|bytes| bytes.checked_add(offset))
            .ok_or_else(cut_off)?;
        let bytes = section.get(offset..end).ok_or_else(cut_off)?;
        if !tables.fill(id, record_bytes, bytes) {
            return Err(LoadError::table(name, "there is no memory for it"));
        }
    }
    if end != section.len() {
        return Err(malformed("bytes follow the last table"));
    }
    Ok(tables)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().map_or(0, u64::from_le_bytes)
}
