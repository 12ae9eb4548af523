//! The bundles in `policies/`: each is built, loaded, and does what its cases say, in every mode.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test code fails loudly"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pdp_core::{
    Bundle, CompileOptions, DecideOptions, Decider, LoadLimits, Scratch, Source, run_cases,
};
use pdp_tests::engine::VARIANTS;

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert!(folders.len() >= 3, "the example bundles are there");
    folders
}

#[test]
fn every_case_of_every_bundle_holds_in_every_mode() {
    for folder in folders() {
        let source = Source::folder(&folder)
            .unwrap_or_else(|report| panic!("{}:\n{report}", folder.display()));
        for (variant, options) in VARIANTS {
            let options = CompileOptions { keep_source: true, ..options };
            let bytes = pdp_core::compile(&source, &options).unwrap();
            let decider =
                Decider::new(Arc::new(Bundle::load(&bytes, &LoadLimits::STANDARD).unwrap()));
            for all_policies in [false, true] {
                let options = DecideOptions { all_policies, ..DecideOptions::STANDARD };
                let results = run_cases(&decider, &mut Scratch::new(), &options);
                assert!(results.len() >= 20, "{}: {} cases", folder.display(), results.len());
                let cases = decider.bundle().unwrap().cases();
                let failed: Vec<String> = results
                    .iter()
                    .filter(|result| !result.passed())
                    .map(|result| {
                        format!(
                            "{}: {:?}: {:?}",
                            cases[result.case].name, result.failures, result.answer
                        )
                    })
                    .collect();
                let mode = format!("{variant}, all policies {all_policies}");
                assert!(failed.is_empty(), "{}: {mode}\n{}", folder.display(), failed.join("\n"));
            }
        }
    }
}

#[test]
fn no_bundle_has_warnings() {
    for folder in folders() {
        let source = Source::folder(&folder).unwrap();
        assert!(source.warnings().items.is_empty(), "{}:\n{}", folder.display(), source.warnings());
    }
}
