//! Generates Rust from the `.proto` files and commits it beside the sources, or checks that what is committed is fresh.
//!
//! The `.proto` files are compiled in pure Rust, so neither building nor generating needs `protoc`, and no crate has a
//! build script for it. Generated files are never edited by hand.

use std::fs;
use std::path::Path;

use prost::Message;

use crate::step::workspace;
use crate::usage;

const PROTO_ROOT: &str = "pdp-grpc/proto";
const PROTO_FILES: [&str; 1] = ["pdp/v1/authorization.proto"];
const GENERATED_FILE: &str = "pdp-grpc/src/generated/pdp.v1.rs";
const DESCRIPTOR_FILE: &str = "pdp-grpc/src/generated/pdp.v1.bin";
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
    let (code, descriptors) = generate(&workspace)?;
    let mut stale = Vec::new();
    for (name, fresh) in [(GENERATED_FILE, code.as_bytes()), (DESCRIPTOR_FILE, &descriptors)] {
        let path = workspace.join(name);
        if fs::read(&path).unwrap_or_default() == fresh {
            continue;
        }
        stale.push(format!("`{name}`"));
        if !check {
            fs::write(&path, fresh).map_err(|error| format!("cannot write `{name}`: {error}"))?;
        }
    }
    if check && !stale.is_empty() {
        let stale = stale.join(" and ");
        return Err(format!(
            "{stale}: not what `{PROTO_ROOT}` generates; run `cargo xtask codegen` and commit the result"
        ));
    }
    Ok(())
}

/// Code, and the definitions as reflection tells them.
fn generate(workspace: &Path) -> Result<(String, Vec<u8>), String> {
    let descriptors = protox::compile(PROTO_FILES, [workspace.join(PROTO_ROOT)])
        .map_err(|error| format!("cannot compile the files in `{PROTO_ROOT}`: {error}"))?;
    let encoded = descriptors.encode_to_vec();
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
    Ok((format!("{HEADER}{generated}"), encoded))
}

#[cfg(test)]
mod tests {
    #[test]
    fn committed_code_is_what_the_proto_files_generate() {
        assert_eq!(super::run(&["--check"]), Ok(()));
    }
}
