//! `pdp serve`: runs the sidecar on a folder or a built bundle, until a signal asks it to stop.
//!
//! Settings, serving and signals are `pdp-sidecar`'s; what is added here is that PATH may be a folder.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use pdp_core::Bundle;
use pdp_grpc::BundleSource;
use pdp_sidecar::{FailureKind, SettingsArgs};

use crate::exit::{self, Exit, Failure};
use crate::load;
use crate::render::Out;

/// Serve decisions over gRPC and HTTP
///
/// Answers `pdp.v1.Authorization`, Envoy's `ext_authz` and the standard health service, and AuthZEN over HTTP.
/// One line on standard output says that it is ready:
///   pdp: serving NAME revision N (DIGEST) on grpc://127.0.0.1:8170
/// Others say where AuthZEN is answered, and where health, metrics and status are.
/// PATH, a bundle folder or a built file, is watched: what changes there is compiled or read, checked by its own cases,
/// and then served instead, whole. What has errors is not; standard error says why, and the bundle before stays.
/// SIGINT or SIGTERM ends it: no new connections, requests in flight finish. A second one ends it at once.
///
/// Every setting has one name: --tls-cert is tls_cert in the file of --config and PDP_TLS_CERT in the environment.
/// A flag wins over the environment, that over the file. Unknown names are refused, all problems are told at once.
/// Only the file has `[[callers]]`, rules for who may ask about whom.
///
/// What callers state about delegation (on whose behalf, which actors, which scopes) counts only with
/// --trust-delegation; without, a request that states any of it is denied.
///
/// With --tls-cert and --tls-key connections are TLS, with --tls-client-ca only callers with a certificate get one.
/// The files are read again when they change; connections that are there live on. `--listen unix:/run/pdp.sock` listens
/// on a socket. An address that other machines reach needs TLS, or --plaintext-anywhere.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_long_help = exit::help(
    "pdp serve policies/agent-tools\n\
     pdp serve agent-tools.pdpb --listen 127.0.0.1:9000 --trust-delegation\n\
     pdp serve agent-tools.pdpb --listen unix:/run/pdp/pdp.sock --socket-mode 660\n\
     pdp serve agent-tools.pdpb --listen 0.0.0.0:8170 --tls-cert me.pem --tls-key me.key --tls-client-ca ca.pem\n\
     pdp serve --config /etc/pdp/sidecar.toml --check",
    &[
        (Exit::Ok, "stopped by a signal; with --check: all is well"),
        (Exit::Usage, "settings are wrong, or dangerous and not said to be wanted"),
        (Exit::Data, "the folder has errors, the file is no bundle, or a case of the bundle fails"),
        (Exit::NoInput, "PATH, a certificate or a key does not exist or cannot be used"),
        (Exit::Unavailable, "an address cannot be listened on"),
        (Exit::Io, "serving broke off"),
    ],
))]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    settings: SettingsArgs,
}

/// PATH as something that is watched.
struct Watched {
    path: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &ServeArgs, out: &mut Out) -> Result<Exit, Failure> {
    let launch = args.settings.launch()?;
    let loaded = load::load(&launch.bundle)?;
    // Beside the point of the output; if standard error is gone, serving goes on.
    let _ = write!(io::stderr(), "{}", loaded.warnings);
    let json = out.json();
    if args.settings.check() {
        pdp_sidecar::check(&launch, &loaded.bundle, out.stream())?;
    } else {
        let source = Box::new(Watched { path: launch.bundle.clone() });
        pdp_sidecar::run(launch, loaded.bundle, source, json, out.stream())?;
    }
    Ok(Exit::Ok)
}

// === impl Watched ===

impl BundleSource for Watched {
    fn path(&self) -> &Path {
        &self.path
    }

    fn load(&self) -> Result<Arc<Bundle>, String> {
        match load::load(&self.path) {
            Ok(loaded) => Ok(loaded.bundle),
            Err(failure) => Err(failure.text().unwrap_or_default()),
        }
    }
}

impl From<pdp_sidecar::Failure> for Failure {
    fn from(failure: pdp_sidecar::Failure) -> Self {
        let exit = match failure.kind {
            FailureKind::Usage => Exit::Usage,
            FailureKind::Data => Exit::Data,
            FailureKind::NoInput => Exit::NoInput,
            FailureKind::Unavailable => Exit::Unavailable,
            FailureKind::Internal => Exit::Internal,
            FailureKind::Io => Exit::Io,
        };
        Failure::new(exit, failure.text)
    }
}
