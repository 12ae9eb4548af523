//! Why the process cannot start or go on, and the exit code that says so; the codes follow `sysexits.h`.

use std::fmt;

use pdp_grpc::ServeError;

/// Why a sidecar does not serve.
#[derive(Debug)]
pub struct Failure {
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// What is wrong, where, and what to do.
    pub text: String,
}

/// What an exit code tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Settings are wrong, or dangerous and not said to be wanted.
    Usage,
    /// The bundle was read and refused.
    Data,
    /// A bundle, certificate or key does not exist or cannot be read.
    NoInput,
    /// An address cannot be listened on.
    Unavailable,
    /// A fault of ours, or of the machine.
    Internal,
    /// Reading or writing broke off.
    Io,
}

// === impl Failure ===

impl Failure {
    pub(crate) fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    pub(crate) fn serving(error: &ServeError) -> Self {
        let kind = match error {
            ServeError::Config(_) => FailureKind::Usage,
            ServeError::Tls(_) => FailureKind::NoInput,
            ServeError::Listen(_) => FailureKind::Unavailable,
            _ => FailureKind::Io,
        };
        Self::new(kind, error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

// === impl FailureKind ===

impl FailureKind {
    /// The number the shell sees.
    pub const fn code(self) -> u8 {
        match self {
            FailureKind::Usage => 64,
            FailureKind::Data => 65,
            FailureKind::NoInput => 66,
            FailureKind::Unavailable => 69,
            FailureKind::Internal => 70,
            FailureKind::Io => 74,
        }
    }
}
