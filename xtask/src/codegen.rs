//! Generates Rust from the `.proto` files and commits it beside the sources, or checks that what is committed is fresh.
//!
//! The `.proto` files are compiled in pure Rust, so neither building nor generating needs `protoc`, and no crate has a
//! build script for it. Generated files are never edited by hand.

use std::fs;
use std::path::Path;

use crate::step::workspace;
use crate::usage;

const PROTO_ROOT: &str = "pdp-grpc/proto";
const PROTO_FILES: [&str; 1] = ["pdp/v1/authorization.proto"];
const GENERATED_FILE: &str = "pdp-grpc/src/generated/pdp.v1.rs";
/// What the code generator calls the file of package `pdp.v1`.
const OUTPUT_NAME: &str = "pdp.v1.rs";
/// The codec that the generated client names; the server, which is not generated, speaks it, too.
const CODEC_PATH: &str = "crate::codec::Wire";
const HEADER: &str = "\
//! Messages and client of the package `pdp.v1`.
//!
//! Generated from `proto/pdp/v1/authorization.proto` by `cargo xtask codegen`; never edited by hand, and as long as the
//! generator makes it. Other modules reach it through `crate::pb`.

";

/// Writes the generated file; with `--check`, writes nothing and fails when the committed one differs.
pub(crate) fn run(args: &[&str]) -> Result<(), String> {
    let check = match args {
        [] => false,
        ["--check"] => true,
        _ => return Err(usage("codegen")),
    };
    let workspace = workspace()?;
    let fresh = generate(&workspace)?;
    let committed_path = workspace.join(GENERATED_FILE);
    let committed = fs::read_to_string(&committed_path).unwrap_or_default();
    if committed == fresh {
        return Ok(());
    }
    if check {
        return Err(format!(
            "`{GENERATED_FILE}` is not what `{PROTO_ROOT}` generates; run `cargo xtask codegen` and commit the result"
        ));
    }
    fs::write(&committed_path, fresh)
        .map_err(|error| format!("cannot write `{GENERATED_FILE}`: {error}"))
}

fn generate(workspace: &Path) -> Result<String, String> {
    let descriptors = protox::compile(PROTO_FILES, [workspace.join(PROTO_ROOT)])
        .map_err(|error| format!("cannot compile the files in `{PROTO_ROOT}`: {error}"))?;
    // The generator only writes into folders, so it gets one of its own.
    let scratch = std::env::temp_dir().join(format!("pdp-codegen-{}", std::process::id()));
    fs::create_dir_all(&scratch)
        .map_err(|error| format!("cannot make `{}`: {error}", scratch.display()))?;
    let generated = tonic_prost_build::configure()
        .out_dir(&scratch)
        .codec_path(CODEC_PATH)
        // The server is ours: it reads questions without making messages of them.
        .build_server(false)
        // Almost every result is an answer, so its size is the size of what there is.
        .type_attribute(
            "pdp.v1.AuthorizeResult.result",
            "#[expect(clippy::large_enum_variant, reason = \"almost all are of the large variant\")]",
        )
        // `connect` helpers would choose time-outs and limits for their callers; ours are explicit.
        .build_transport(false)
        .emit_rerun_if_changed(false)
        .compile_fds(descriptors)
        .and_then(|()| fs::read_to_string(scratch.join(OUTPUT_NAME)));
    let removed = fs::remove_dir_all(&scratch);
    let generated =
        generated.map_err(|error| format!("cannot generate `{GENERATED_FILE}`: {error}"))?;
    removed.map_err(|error| format!("cannot remove `{}`: {error}", scratch.display()))?;
    Ok(format!("{HEADER}{generated}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn committed_code_is_what_the_proto_files_generate() {
        assert_eq!(super::run(&["--check"]), Ok(()));
    }
}
