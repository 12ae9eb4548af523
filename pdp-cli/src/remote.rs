//! The other end of `pdp decide --server`: one connection to a running server, asked question by question.
//!
//! Nothing is retried and nothing is decided here when the server does not answer: no answer is a failure, never an
//! allow and never a deny.

use std::path::PathBuf;
use std::time::Duration;

use pdp_core::{OwnedAnswer, Request};
use pdp_grpc::{Client, ClientError, ClientOptions};
use tokio::runtime::{Builder, Runtime};

use crate::exit::{Exit, Failure};

/// A connection, and what drives it.
pub(crate) struct Remote {
    runtime: Runtime,
    client: Client,
}

/// What TLS takes, as PEM files; nothing for a server without TLS.
#[derive(Debug, Default)]
pub(crate) struct TlsFiles {
    /// Authorities of the server's certificate.
    pub(crate) ca: Option<PathBuf>,
    /// Our certificate and its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

/// Why a question has no answer.
#[derive(Debug)]
pub(crate) enum AskError {
    /// The question is to blame; the next one may fare better.
    Request(String),
    /// The server, or the way to it, is to blame.
    Server(Failure),
}

/// For connecting, and for each answer.
const DEADLINE_MS: u64 = 5_000;
/// gRPC's INVALID_ARGUMENT: the server understood the call and refuses this question.
const INVALID_ARGUMENT: i32 = 3;
/// gRPC's RESOURCE_EXHAUSTED: this question, or its answer, is too large.
const RESOURCE_EXHAUSTED: i32 = 8;

// === impl Remote ===

impl Remote {
    /// Connects, for so long as [`DEADLINE_MS`] says.
    pub(crate) fn connect(url: &str, files: TlsFiles) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
            Failure::new(Exit::Internal, format!("the runtime of the client cannot start: {error}"))
        })?;
        let within = ClientOptions::within(Duration::from_millis(DEADLINE_MS));
        let options = ClientOptions { ca: files.ca, identity: files.identity, ..within };
        let client = runtime.block_on(Client::connect_with(url, &options)).map_err(|error| {
            let exit = match error {
                ClientError::Url(_) => Exit::Usage,
                ClientError::Tls(_) => Exit::NoInput,
                _ => Exit::Unavailable,
            };
            Failure::new(exit, error.to_string())
        })?;
        Ok(Self { runtime, client })
    }

    /// Asks one question.
    pub(crate) fn ask(&mut self, request: &Request<'_>) -> Result<OwnedAnswer, AskError> {
        self.runtime.block_on(self.client.authorize(request)).map_err(AskError::from)
    }
}

// === impl AskError ===

impl From<ClientError> for AskError {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Request(_) => Self::Request(error.to_string()),
            ClientError::Refused(refused)
                if matches!(refused.code(), INVALID_ARGUMENT | RESOURCE_EXHAUSTED) =>
            {
                Self::Request(error.to_string())
            }
            _ => Self::Server(Failure::new(Exit::Unavailable, error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> (Exit, String) {
        match Remote::connect(url, TlsFiles::default()) {
            Ok(_) => (Exit::Ok, String::new()),
            Err(failure) => (failure.exit(), failure.text().unwrap_or_default()),
        }
    }

    #[test]
    fn a_wrong_url_is_a_wrong_flag() {
        for url in ["127.0.0.1:8170", "unix:x", "http://127.0.0.1:8170/x", ""] {
            let (exit, text) = refused(url);
            assert_eq!(exit, Exit::Usage, "{url}: {text}");
            assert!(text.contains("expected one like `http://127.0.0.1:8170`"), "{text}");
        }
        let (exit, text) = refused("https://127.0.0.1:8170");
        assert_eq!(exit, Exit::Usage);
        assert!(text.contains("needs the authorities"), "{text}");
    }

    #[test]
    fn nobody_there_is_unavailable() {
        for url in ["http://127.0.0.1:1", "grpc://127.0.0.1:1"] {
            let (exit, text) = refused(url);
            assert_eq!(exit, Exit::Unavailable);
            assert!(text.starts_with(&format!("error: cannot connect to `{url}`")), "{text}");
        }
    }
}
