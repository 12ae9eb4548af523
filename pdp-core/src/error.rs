//! Why bundle bytes are refused.

use std::fmt;

/// Bundle bytes that are not a bundle this build can decide from. Nothing of them is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    pub(crate) kind: LoadErrorKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LoadErrorKind {
    TooLarge { bytes: u64, bundle_bytes_max: u64 },
    TooShort { bytes: u64 },
    NotABundle,
    Version { major: u16, supported: u16 },
    Length { stated: u64, actual: u64 },
    Digest { what: &'static str },
    Section { what: &'static str },
    Table { name: &'static str, why: &'static str },
    Host,
}

impl LoadError {
    #[cold]
    pub(crate) fn new(kind: LoadErrorKind) -> Self {
        Self { kind }
    }

    #[cold]
    pub(crate) fn table(name: &'static str, why: &'static str) -> Self {
        Self { kind: LoadErrorKind::Table { name, why } }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            LoadErrorKind::TooLarge { bytes, bundle_bytes_max } => {
                write!(
                    f,
                    "the bundle has {bytes} bytes, more than bundle_bytes_max ({bundle_bytes_max})"
                )
            }
            LoadErrorKind::TooShort { bytes } => {
                write!(f, "{bytes} bytes are too few for a bundle: the file is empty or cut off")
            }
            LoadErrorKind::NotABundle => f.write_str(
                "not a bundle: it does not begin with `PDPB`; bundles are made by `pdp build`",
            ),
            LoadErrorKind::Version { major, supported } => write!(
                f,
                "the bundle has format {major}, this build reads format {supported}; build it again with `pdp build`"
            ),
            LoadErrorKind::Length { stated, actual } => {
                write!(
                    f,
                    "the bundle says it has {stated} bytes but has {actual}: it is cut off or has bytes after its end"
                )
            }
            LoadErrorKind::Digest { what } => {
                write!(f, "the digest of {what} does not match its bytes: the bundle is damaged")
            }
            LoadErrorKind::Section { what } => write!(f, "the bundle is malformed: {what}"),
            LoadErrorKind::Table { name, why } => {
                write!(f, "the bundle's table `{name}` is malformed: {why}")
            }
            LoadErrorKind::Host => f.write_str("bundles are read on little-endian machines only"),
        }
    }
}

impl std::error::Error for LoadError {}
