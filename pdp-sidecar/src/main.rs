//! `pdp-sidecar`: serves a bundle file, and nothing else; there is no parser of policies in it.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use pdp_core::LoadLimits;
use pdp_grpc::{BundleFile, BundleSource};
use pdp_sidecar::{Failure, FailureKind, SettingsArgs};

/// Serve decisions from a bundle file, over gRPC and HTTP
///
/// Answers pdp.v1.Authorization, Envoy's ext_authz and the standard health service on --listen, AuthZEN on --http,
/// and operators on --admin. PATH is a file written by `pdp build`; it is watched, and what takes its place is checked
/// by its own cases and then served instead, whole. One line on standard output says that it is ready:
///   pdp: serving NAME revision N (DIGEST) on grpc://127.0.0.1:8170
/// SIGINT or SIGTERM ends it: no new connections, requests in flight finish. A second one ends it at once.
///
/// Every setting has one name: --tls-cert is tls_cert in the file of --config and PDP_TLS_CERT in the environment.
/// A flag wins over the environment, that over the file. Unknown names are refused, all problems are told at once.
#[derive(Debug, Parser)]
#[command(name = "pdp-sidecar", version, verbatim_doc_comment, after_long_help = AFTER)]
struct Cli {
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

const AFTER: &str = "\
Examples:
  pdp-sidecar agent-tools.pdpb
  pdp-sidecar --config /etc/pdp/sidecar.toml --check
  pdp-sidecar agent-tools.pdpb --listen unix:/run/pdp/pdp.sock --socket-mode 660

Exit codes:
   0  stopped by a signal; with --check: all is well
  64  settings are wrong, or dangerous and not said to be wanted
  65  PATH is no bundle, or one of its cases fails
  66  PATH, a certificate or a key does not exist or cannot be read
  69  an address cannot be listened on
  70  a fault of the program or the machine
  74  reading or writing broke off";

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let printed = error.print();
            return match (error.use_stderr(), printed) {
                (true, _) => FailureKind::Usage.code(),
                (false, Ok(())) => 0,
                (false, Err(_)) => FailureKind::Io.code(),
            }
            .into();
        }
    };
    match serve(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // If nobody listens there, the exit code still speaks.
            let _ = writeln!(io::stderr(), "error: {failure}");
            failure.kind.code().into()
        }
    }
}

fn serve(cli: &Cli) -> Result<(), Failure> {
    let launch = cli.settings.launch()?;
    let source = BundleFile::new(&launch.bundle, LoadLimits::STANDARD);
    let bundle = source.load().map_err(|text| {
        let kind = match launch.bundle.is_file() {
            true => FailureKind::Data,
            false => FailureKind::NoInput,
        };
        Failure { kind, text }
    })?;
    let mut out = io::stdout();
    if cli.settings.check() {
        pdp_sidecar::check(&launch, &bundle, &mut out)
    } else {
        pdp_sidecar::run(launch, bundle, Box::new(source), cli.json, &mut out)
    }
}
