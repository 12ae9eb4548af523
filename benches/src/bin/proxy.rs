//! Deciding inside Envoy, beside what Envoy has of its own and beside asking the sidecar: see `pdp_benches::proxy`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    pdp_benches::proxy::main(&args)
}
