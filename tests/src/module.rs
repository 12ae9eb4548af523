//! The filter as a module, built by `cargo xtask wasm` before the tests that load it.
#![expect(clippy::panic, reason = "test code fails loudly")]

use std::path::{Path, PathBuf};

/// The module that is shipped.
pub fn filter() -> PathBuf {
    found("pdp-filter.wasm")
}

/// The same, with a header that makes it panic.
pub fn filter_that_crashes() -> PathBuf {
    found("pdp-filter-crash.wasm")
}

fn found(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm").join(name);
    match path.canonicalize() {
        Ok(path) => path,
        Err(error) => panic!("`target/wasm/{name}`: {error}; run `cargo xtask wasm --all`"),
    }
}
