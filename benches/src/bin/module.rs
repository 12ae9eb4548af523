//! The same decisions natively and in modules under wasmtime: see `pdp_benches::module`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    pdp_benches::module::main(&args)
}
