//! A loaded bundle: verified tables, and what people ask about them.
//!
//! Loading is the only way in: container, digests, tables, ids, and nothing of a bundle that fails any of it is kept or
//! shown. Afterwards it never changes. It refuses to decide (`decide`) and to explain itself at length
//! (`listing`).

use std::sync::OnceLock;
#[cfg(not(target_family = "wasm"))]
use std::thread;

use crate::cases::{self, Case};
use crate::error::{LoadError, LoadErrorKind};
use crate::format;
use crate::handy::Handy;
use crate::ids::PolicyIx;
use crate::limits::{BundleLimits, LoadLimits};
use crate::origin::{self, Origins};
use crate::pack;
use crate::program::{META_SCHEMA, MetaRec, POLICY_FORBID, Span, Tables};
use crate::read;
use crate::routes::{self, Routes};
use crate::verify;

/// A bundle that passed every check of loading.
#[derive(Debug)]
pub struct Bundle {
    tables: Tables,
    meta: MetaRec,
    digest: [u8; 32],
    /// The same in hexadecimal, which every answer over a wire names.
    digest_hex: String,
    bytes: u64,
    /// The source section, unpacked and read when somebody asks.
    source: Option<Vec<u8>>,
    origins: OnceLock<Option<Origins>>,
    cases: Vec<Case>,
    /// Length of the section that the cases were read from.
    cases_bytes: u64,
    routes: Option<Routes>,
    /// Length of the section that the routes were read from.
    routes_bytes: u64,
}

/// Where a policy stands in its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicySource<'b> {
    /// File, relative to the bundle's folder.
    pub file: &'b str,
    /// Line in that file, counted from 1.
    pub line: u32,
    /// The policy's text; for a template link the template's.
    pub text: &'b str,
}

/// How much of a bundle a part of it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionSize {
    /// The part: a table of the compiled section, or another section.
    pub name: &'static str,
    /// Its bytes.
    pub bytes: u64,
    /// Its records or cases; 1 where it has neither.
    pub records: u64,
}

// === impl Bundle ===

impl Bundle {
    /// Verifies and loads bundle bytes.
    ///
    /// # Errors
    ///
    /// Anything about the bytes that is not as a bundle of this format must be: damaged, cut off, too long, made by
    /// another format, or referring to what it does not contain.
    pub fn load(bytes: &[u8], limits: &LoadLimits) -> Result<Self, LoadError> {
        let sections = read::sections(bytes, limits)?;
        let tables = || {
            let tables = read::tables(sections.compiled.bytes)?;
            verify::tables(&tables)?;
            Ok(tables)
        };
        let mut tables = beside(bytes.len(), || sections.check(), tables)?;
        let meta = tables.meta.first().copied().ok_or(LoadError::table("meta", "it is empty"))?;
        tables.handy = Handy::new(&tables, &meta);
        let cases = match sections.cases {
            Some(cases) => cases::read(cases.bytes).map_err(|_| {
                LoadError::new(LoadErrorKind::Section { what: "the cases cannot be read" })
            })?,
            None => Vec::new(),
        };
        let routes = match sections.routes {
            Some(routes) => Some(routes::read(routes.bytes).ok_or_else(|| {
                LoadError::new(LoadErrorKind::Section { what: "the routes cannot be read" })
            })?),
            None => None,
        };
        let digest = match sections.routes {
            Some(routes) => format::digest(&[&sections.compiled.digest, &routes.digest]),
            None => sections.compiled.digest,
        };
        Ok(Self {
            tables,
            meta,
            digest,
            digest_hex: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            bytes: bytes.len() as u64,
            source: sections.source.map(|source| source.bytes.to_vec()),
            origins: OnceLock::new(),
            cases,
            cases_bytes: sections.cases.map_or(0, |cases| cases.bytes.len() as u64),
            routes,
            routes_bytes: sections.routes.map_or(0, |routes| routes.bytes.len() as u64),
        })
    }

    /// The manifest's name.
    pub fn name(&self) -> &str {
        self.text(self.meta.name)
    }

    /// The manifest's revision.
    pub fn revision(&self) -> u64 {
        self.meta.revision
    }

    /// What the bundle decides, as a number: SHA-256 of the compiled section, or where there are routes of its digest
    /// and theirs.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// [`Bundle::digest`] in lower-case hexadecimal.
    pub fn digest_hex(&self) -> &str {
        &self.digest_hex
    }

    /// Length of the bundle's bytes.
    pub fn bytes_len(&self) -> u64 {
        self.bytes
    }

    /// At most so many bytes of memory a module takes with this bundle in it, after bundles of its size were swapped: its
    /// own, and at the worst moment the bytes as they came, the tables made of them and the tables before. Measured in the
    /// module with plain exports; a filter that reads its bundle from its configuration holds that, too.
    pub fn module_memory_bytes(&self) -> u64 {
        MODULE_BYTES.saturating_add(self.bytes.saturating_mul(13) / 4)
    }

    /// Limits on deciding.
    pub fn limits(&self) -> &BundleLimits {
        &self.meta.limits
    }

    /// Whether requests can be validated.
    pub fn has_schema(&self) -> bool {
        self.meta.flags & META_SCHEMA != 0
    }

    /// Static policies and template links together.
    pub fn policy_count(&self) -> usize {
        self.tables.policies.len()
    }

    /// Entities in the store, the schema's actions not counted.
    pub fn entity_count(&self) -> usize {
        self.meta.stored_entities as usize
    }

    /// All policies, in bundle order.
    pub fn policies(&self) -> impl Iterator<Item = PolicyIx> + use<> {
        (0u32..).map(PolicyIx).take(self.tables.policies.len())
    }

    /// A policy's id.
    pub fn policy_id(&self, ix: PolicyIx) -> &str {
        self.tables.policies.get(ix.index()).map_or("", |policy| self.text(policy.id))
    }

    /// Whether a policy is a forbid.
    pub fn is_forbid(&self, ix: PolicyIx) -> bool {
        self.tables.policies.get(ix.index()).is_some_and(|policy| policy.flags & POLICY_FORBID != 0)
    }

    /// Annotations of a policy that are obligations, as (key, value).
    pub fn obligations(&self, ix: PolicyIx) -> impl Iterator<Item = (&str, &str)> + use<'_> {
        let all = &self.tables.obligations;
        let from = all.partition_point(|obligation| obligation.policy < ix.0);
        let run = all
            .get(from..)
            .unwrap_or_default()
            .iter()
            .take_while(move |obligation| obligation.policy == ix.0);
        run.map(|obligation| (self.text(obligation.key), self.text(obligation.value)))
    }

    /// Text and place of a policy, unless the source section was stripped.
    pub fn policy_source(&self, ix: PolicyIx) -> Option<PolicySource<'_>> {
        self.origins()?.policy(ix)
    }

    /// The cases that came with the bundle.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// Which HTTP call is which question, if the bundle says so.
    pub fn routes(&self) -> Option<&Routes> {
        self.routes.as_ref()
    }

    /// How each policy will be found and run, as text for people.
    pub fn listing(&self) -> String {
        crate::listing::text(self)
    }

    /// What each part of the bundle takes.
    pub fn sections(&self) -> Vec<SectionSize> {
        let mut sizes = Vec::new();
        self.tables.visit(|_, name, record_bytes, bytes| {
            let (len, records) = (bytes.len() as u64, (bytes.len() / record_bytes) as u64);
            sizes.push(SectionSize { name, bytes: len, records });
        });
        if let Some(source) = &self.source {
            sizes.push(SectionSize { name: "source", bytes: source.len() as u64, records: 1 });
        }
        if self.cases_bytes > 0 {
            let records = self.cases.len() as u64;
            sizes.push(SectionSize { name: "cases", bytes: self.cases_bytes, records });
        }
        if let Some(routes) = &self.routes {
            let records = routes.routes.len() as u64;
            sizes.push(SectionSize { name: "routes", bytes: self.routes_bytes, records });
        }
        sizes
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.tables
    }

    pub(crate) fn meta(&self) -> &MetaRec {
        &self.meta
    }

    /// Where everything came from; `None` without a source section.
    pub(crate) fn origins(&self) -> Option<&Origins> {
        let read = || origin::read(&pack::unpack(self.source.as_deref()?)?);
        self.origins.get_or_init(read).as_ref()
    }

    pub(crate) fn text(&self, span: Span) -> &str {
        std::str::from_utf8(span.of(&self.tables.texts)).unwrap_or("")
    }
}

/// What a module takes without a bundle, and a page or two by which memory grows at once.
const MODULE_BYTES: u64 = 19 << 16;

/// Digests are taken on a thread of their own from this size on, where they take longer than to start one.
#[cfg(not(target_family = "wasm"))]
const TWO_THREADS_BYTES: usize = 1 << 20;

/// The tables, if the digests are right. Of a large bundle both are worked on at once; of two errors the digests' is told,
/// and tables whose bytes are not those of the digest are dropped, whatever they hold.
#[cfg(not(target_family = "wasm"))]
fn beside(
    bytes: usize,
    digests: impl Fn() -> Result<(), LoadError> + Sync,
    tables: impl FnOnce() -> Result<Tables, LoadError>,
) -> Result<Tables, LoadError> {
    if bytes < TWO_THREADS_BYTES {
        digests()?;
        return tables();
    }
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, &digests);
        let tables = tables();
        match thread {
            Ok(thread) => {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            }
            // Some hosts have no threads.
            Err(_) => digests()?,
        }
        tables
    })
}

/// The tables, if the digests are right. A module has no threads.
#[cfg(target_family = "wasm")]
fn beside(
    _: usize,
    digests: impl Fn() -> Result<(), LoadError>,
    tables: impl FnOnce() -> Result<Tables, LoadError>,
) -> Result<Tables, LoadError> {
    digests()?;
    tables()
}
