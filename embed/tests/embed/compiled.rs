//! The artefacts, compiled once for all tests.
#![expect(unsafe_code, reason = "what is compiled ahead of time is taken as it is")]

use std::sync::{Arc, OnceLock};

use pdp_embed::{Exports, Limits, Runtime, Typed, read_artefact};

/// Limits for tests that are not about them: nobody is ended on a busy machine.
pub(crate) const PATIENT: Limits =
    Limits { call_epochs_max: 6_000, load_epochs_max: 6_000, ..Limits::STANDARD };

/// The module with plain exports.
pub(crate) fn exports(limits: Limits) -> Exports {
    static CODE: OnceLock<Vec<u8>> = OnceLock::new();
    let code = CODE.get_or_init(|| {
        let module = read_artefact("pdp-exports.wasm").unwrap_or_else(|why| panic!("{why}"));
        Exports::precompile(&Runtime::new(PATIENT).unwrap(), &module).unwrap()
    });
    let runtime = Arc::new(Runtime::new(limits).unwrap());
    // SAFETY: made above, in this process, and never written to since.
    unsafe { Exports::precompiled(&runtime, code) }.unwrap()
}

/// The component.
pub(crate) fn typed(limits: Limits) -> Typed {
    static CODE: OnceLock<Vec<u8>> = OnceLock::new();
    let code = CODE.get_or_init(|| {
        let component = read_artefact("pdp-component.wasm").unwrap_or_else(|why| panic!("{why}"));
        Typed::precompile(&Runtime::new(PATIENT).unwrap(), &component).unwrap()
    });
    let runtime = Arc::new(Runtime::new(limits).unwrap());
    // SAFETY: made above, in this process, and never written to since.
    unsafe { Typed::precompiled(&runtime, code) }.unwrap()
}
