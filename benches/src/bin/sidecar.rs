//! The sidecar over the wire, beside a bare tonic echo: see `pdp_benches::sidecar`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    pdp_benches::sidecar::main(&args)
}
