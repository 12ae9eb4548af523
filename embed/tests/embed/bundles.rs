//! The bundles of `policies/`, and small ones of known size and answer.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pdp_core::{Bundle, CompileOptions, LoadLimits, Loose, Notation, Source};

/// A bundle with the requests that came with it.
pub(crate) struct Example {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) bundle: Arc<Bundle>,
}

/// Every folder of `policies/`.
pub(crate) fn examples() -> Vec<Example> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let mut folders: Vec<PathBuf> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert!(folders.len() >= 4, "the example bundles are there");
    folders.iter().map(|folder| Example::compile(folder)).collect()
}

/// One folder of `policies/`.
pub(crate) fn example(name: &str) -> Example {
    Example::compile(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies").join(name))
}

/// A bundle whose last policy alone says who may read, behind `others` that forbid what nobody asks; policies are named
/// by their place, so an answer tells which bundle gave it.
pub(crate) fn small(reader: &str, others: usize) -> Vec<u8> {
    let mut policies: String = (0..others)
        .map(|n| {
            format!(
                "forbid(principal == User::\"nobody {n}\", action, resource) when {{ context.n < {n} }};\n"
            )
        })
        .collect();
    policies.push_str(&format!(
        "permit(principal == User::\"{reader}\", action == Action::\"read\", resource);"
    ));
    let loose =
        Loose { policies: Notation::Cedar(&policies), schema: None, entities: "[]", links: None };
    pdp_core::compile(&Source::loose(&loose).unwrap(), &CompileOptions::STANDARD).unwrap()
}

/// May this user read?
pub(crate) fn reading(principal: &str) -> String {
    format!(
        r#"{{"principal": "User::\"{principal}\"", "action": "Action::\"read\"", "resource": "Doc::\"a\""}}"#
    )
}

// === impl Example ===

impl Example {
    fn compile(folder: &Path) -> Self {
        let name = folder.display().to_string();
        let source = Source::folder(folder).unwrap_or_else(|report| panic!("{name}:\n{report}"));
        let bytes = pdp_core::compile(&source, &CompileOptions::STANDARD).unwrap();
        let bundle = Arc::new(Bundle::load(&bytes, &LoadLimits::STANDARD).unwrap());
        Self { name, bytes, bundle }
    }

    /// The requests of its cases.
    pub(crate) fn requests(&self) -> impl Iterator<Item = &str> {
        assert!(self.bundle.cases().len() >= 20, "{} has cases", self.name);
        self.bundle.cases().iter().map(|case| case.request_json.as_str())
    }
}
