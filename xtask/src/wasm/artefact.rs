//! What is built, as data: feature, file, what it may import, what it must export, and how much it may weigh.
//!
//! A component is a module in an envelope; the envelope is made here, in this process. The budgets are the measured
//! sizes with a tenth to spare: what makes a module heavier is noticed. The goals stand beside them.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use wasmparser::{Encoding, Parser, Payload, Validator};
use wit_component::ComponentEncoder;

/// One artefact.
#[derive(Debug)]
pub(super) struct Artefact {
    /// The feature of `pdp-wasm`.
    pub(super) feature: &'static str,
    /// Its name in `target/wasm/`.
    pub(super) file: &'static str,
    form: Form,
    /// Functions or interfaces that it must export.
    exports: &'static [&'static str],
    /// What is shipped has one.
    budget: Option<Budget>,
}

/// What a host gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A module that imports nothing.
    Module,
    /// A component that imports nothing.
    Component,
    /// A module that imports what a proxy has for filters, and nothing else.
    Filter,
}

/// Bytes that an artefact may have.
#[derive(Clone, Copy, Debug)]
struct Budget {
    raw_max: usize,
    gzip_max: usize,
}

/// What an artefact weighs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weight {
    raw: usize,
    gzip: usize,
    budget: Option<Budget>,
}

/// What is in an artefact, as far as it matters here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Contents {
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
    is_component: bool,
}

/// What they should weigh at most.
const GOAL: Budget = Budget { raw_max: 350_000, gzip_max: 150_000 };

const PLAIN: &[&str] = &[
    "memory",
    "pdp_abi",
    "pdp_alloc",
    "pdp_free",
    "pdp_load",
    "pdp_authorize",
    "pdp_answer",
    "pdp_filter",
    "pdp_info",
    "pdp_text_at",
    "pdp_text_len",
];
const PROXY: &[&str] =
    &["memory", "proxy_abi_version_0_2_1", "proxy_on_configure", "proxy_on_request_headers"];

/// Everything that is built, in this order; what is only for tests comes last.
pub(super) const ARTEFACTS: [Artefact; 5] = [
    Artefact {
        feature: "exports",
        file: "pdp-exports.wasm",
        form: Form::Module,
        exports: PLAIN,
        budget: Some(Budget { raw_max: 573_000, gzip_max: 212_000 }),
    },
    Artefact {
        feature: "component",
        file: "pdp-component.wasm",
        form: Form::Component,
        exports: &["pdp:decision/engine@1.0.0"],
        budget: Some(Budget { raw_max: 611_000, gzip_max: 225_000 }),
    },
    Artefact {
        feature: "filter",
        file: "pdp-filter.wasm",
        form: Form::Filter,
        exports: PROXY,
        budget: Some(Budget { raw_max: 810_000, gzip_max: 300_000 }),
    },
    Artefact {
        feature: "crash",
        file: "pdp-filter-crash.wasm",
        form: Form::Filter,
        exports: PROXY,
        budget: None,
    },
    Artefact {
        feature: "probe",
        file: "pdp-probe.wasm",
        form: Form::Module,
        exports: &["memory", "pdp_load", "pdp_probe"],
        budget: None,
    },
];

// === impl Artefact ===

impl Artefact {
    /// What a host gets of the module that the compiler made.
    pub(super) fn finish(&self, module: &[u8]) -> Result<Vec<u8>, String> {
        let failed = |error| format!("cannot make a component of `{}`: {error:#}", self.feature);
        match self.form {
            Form::Module | Form::Filter => Ok(module.to_vec()),
            Form::Component => ComponentEncoder::default()
                .validate(true)
                .module(module)
                .and_then(|encoder| encoder.encode())
                .map_err(failed),
        }
    }

    /// That it is of its form, imports nothing, and exports what hosts ask for.
    pub(super) fn check(&self, bytes: &[u8]) -> Result<(), String> {
        let file = self.file;
        let contents = Contents::of(bytes).map_err(|error| format!("`{file}`: {error}"))?;
        if contents.is_component != (self.form == Form::Component) {
            return Err(format!("`{file}` is not a {:?}", self.form));
        }
        let (may, what) = match self.form {
            Form::Module | Form::Component => (None, "nothing"),
            Form::Filter => (Some("env.proxy_"), "only what a proxy has for filters"),
        };
        let foreign = |name: &&String| may.is_none_or(|may| !name.starts_with(may));
        let foreign: Vec<&str> =
            contents.imports.iter().filter(foreign).map(String::as_str).collect();
        if !foreign.is_empty() {
            return Err(format!("`{file}` imports {}; it must import {what}", foreign.join(", ")));
        }
        match self.exports.iter().find(|name| !contents.exports.contains(**name)) {
            Some(name) => Err(format!("`{file}` does not export `{name}`")),
            None => Ok(()),
        }
    }

    /// Whether it is for tests alone.
    pub(super) fn is_for_tests(&self) -> bool {
        self.budget.is_none()
    }

    /// What it weighs, as it is and on the way to a host.
    pub(super) fn weigh(&self, bytes: &[u8]) -> Weight {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        // Writing to memory cannot fail.
        let gzip = packed.write_all(bytes).and_then(|()| packed.finish()).unwrap_or_default();
        Weight { raw: bytes.len(), gzip: gzip.len(), budget: self.budget }
    }
}

// === impl Contents ===

impl Contents {
    /// Reads imports and exports of what stands outermost.
    fn of(bytes: &[u8]) -> Result<Self, String> {
        let bad = |error: wasmparser::BinaryReaderError| error.to_string();
        Validator::new().validate_all(bytes).map_err(bad)?;
        let (mut contents, mut depth) = (Self::default(), 0_u32);
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(bad)? {
                Payload::Version { encoding, .. } => {
                    if depth == 0 {
                        contents.is_component = encoding == Encoding::Component;
                    }
                    depth += 1;
                }
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ImportSection(section) if depth == 1 => {
                    for import in section.into_imports() {
                        let import = import.map_err(bad)?;
                        contents.imports.insert(format!("{}.{}", import.module, import.name));
                    }
                }
                Payload::ExportSection(section) if depth == 1 => {
                    for export in section {
                        contents.exports.insert(export.map_err(bad)?.name.to_owned());
                    }
                }
                Payload::ComponentImportSection(section) if depth == 1 => {
                    for import in section {
                        contents.imports.insert(import.map_err(bad)?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 1 => {
                    for export in section {
                        contents.exports.insert(export.map_err(bad)?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(contents)
    }
}

// === impl Weight ===

impl Weight {
    /// Whether it is within its budget.
    pub(super) fn fits(&self) -> bool {
        self.budget.is_none_or(|budget| self.raw <= budget.raw_max && self.gzip <= budget.gzip_max)
    }
}

/// `512 KB (budget 620, goal 350), gzip 190 KB (budget 230, goal 150)`.
impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kb = |bytes: usize| bytes.div_ceil(1_000);
        let Self { raw, gzip, budget } = *self;
        let Some(Budget { raw_max, gzip_max }) = budget else {
            return write!(f, "{} KB, for tests", kb(raw));
        };
        write!(f, "{} KB (budget {}, goal {}), ", kb(raw), kb(raw_max), kb(GOAL.raw_max))?;
        write!(f, "gzip {} KB (budget {}, goal {})", kb(gzip), kb(gzip_max), kb(GOAL.gzip_max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with no sections.
    const EMPTY: &[u8] = b"\0asm\x01\0\0\0";
    /// A module that imports the function `f` of `env`.
    const NEEDY: &[u8] =
        b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x09\x01\x03env\x01f\0\0\x07\x05\x01\x01g\0\0";

    fn exports() -> &'static Artefact {
        &ARTEFACTS[0]
    }

    #[test]
    fn imports_and_exports_are_read() {
        let contents = Contents::of(NEEDY);
        let names = |name: &str| BTreeSet::from([name.to_owned()]);
        let expected =
            Contents { imports: names("env.f"), exports: names("g"), is_component: false };
        assert_eq!(contents, Ok(expected));
        assert_eq!(Contents::of(EMPTY), Ok(Contents::default()));
        assert!(Contents::of(b"\0asm").is_err());
    }

    #[test]
    fn what_imports_or_lacks_an_export_is_refused() {
        let error = exports().check(NEEDY).err().unwrap_or_default();
        assert_eq!(error, "`pdp-exports.wasm` imports env.f; it must import nothing");
        let error = exports().check(EMPTY).err().unwrap_or_default();
        assert_eq!(error, "`pdp-exports.wasm` does not export `memory`");
        let error = exports().check(b"\0asm\x0d\0\x01\0").err().unwrap_or_default();
        assert_eq!(error, "`pdp-exports.wasm` is not a Module");
    }

    #[test]
    fn a_module_that_is_no_component_is_not_made_one() {
        let error = ARTEFACTS[1].finish(NEEDY).err().unwrap_or_default();
        assert!(error.starts_with("cannot make a component of `component`: "), "{error}");
    }

    #[test]
    fn weight_is_held_to_the_budget() {
        let raw_max = exports().budget.map_or(0, |budget| budget.raw_max);
        let weight = exports().weigh(&vec![0; raw_max]);
        assert!(weight.fits() && weight.gzip < 10_000, "{weight}");
        assert!(!exports().weigh(&vec![0; raw_max + 1]).fits());
        let heavy = Weight { raw: 1, gzip: 2, budget: Some(Budget { raw_max: 1, gzip_max: 1 }) };
        assert!(!heavy.fits());
        assert_eq!(heavy.to_string(), "1 KB (budget 1, goal 350), gzip 1 KB (budget 1, goal 150)");
        let for_tests = Weight { budget: None, ..heavy };
        assert!(for_tests.fits());
        assert_eq!(for_tests.to_string(), "1 KB, for tests");
    }

    #[test]
    fn a_filter_may_import_what_a_proxy_has_and_nothing_else() {
        let filter = ARTEFACTS.iter().find(|artefact| artefact.form == Form::Filter);
        let error = filter.map(|filter| filter.check(NEEDY).err().unwrap_or_default());
        let expected =
            "`pdp-filter.wasm` imports env.f; it must import only what a proxy has for filters";
        assert_eq!(error.as_deref(), Some(expected));
    }
}
