//! TLS of the listener: certificates from files, read again when they change, swapped under running connections.
//!
//! A new connection gets what is in force when it begins; old ones live on. Files that do not fit together are reported
//! and change nothing. It refuses to resume sessions, so that every connection shows a certificate that is checked now
//! and against the authorities of now.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::time::sleep;

use crate::text::shorten;

/// What both ends of a connection for gRPC agree on: HTTP/2 and nothing else.
pub(crate) const ALPN: &[u8] = b"h2";
/// The same for the listener that answers HTTP.
const ALPN_HTTP1: &[u8] = b"http/1.1";
/// Largest file of certificates or keys, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// How much of a library's own text is repeated.
const CAUSE_CHARS_MAX: usize = 200;

/// TLS for the listener, from PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// The server's certificate, and after it those that lead to its authority.
    pub certificate: PathBuf,
    /// The key of the certificate.
    pub key: PathBuf,
    /// Authorities of client certificates; with them a client without a certificate gets no connection. `None`:
    /// clients are not asked for one.
    pub client_ca: Option<PathBuf>,
    /// How often the files are looked at, in milliseconds, 10 at least.
    pub poll_ms: u32,
}

/// Why certificates and keys cannot be used.
#[derive(Debug)]
pub struct TlsError {
    path: PathBuf,
    cause: String,
}

/// What is in force, and the files it came from.
#[derive(Debug)]
pub(crate) struct Tls {
    config: TlsConfig,
    current: ArcSwap<Current>,
    /// What was read last, good or bad, so that each change is told once.
    seen: Mutex<Files>,
}

/// One reading of the files, for each of the listeners.
#[derive(Debug)]
struct Current {
    http2: Arc<ServerConfig>,
    http1: Arc<ServerConfig>,
}

/// The bytes of the files.
#[derive(PartialEq, Eq)]
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

// === impl TlsConfig ===

impl TlsConfig {
    /// Reads the files and says whether they fit together; [`crate::Server::bind`] does it as well.
    ///
    /// # Errors
    ///
    /// When they do not: which, and why.
    pub fn check(&self) -> Result<(), TlsError> {
        Tls::open(self.clone()).map(drop)
    }
}

// === impl Tls ===

impl Tls {
    /// Reads the files.
    pub(crate) fn open(config: TlsConfig) -> Result<Self, TlsError> {
        let files = Files::read(&config)?;
        let current = ArcSwap::from_pointee(files.current(&config)?);
        Ok(Self { config, current, seen: Mutex::new(files) })
    }

    /// What a new connection for gRPC gets.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().http2)
    }

    /// What a new connection for HTTP gets.
    pub(crate) fn current_http1(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().http1)
    }

    /// Looks at the files for ever, without holding up the thread that serves.
    pub(crate) async fn follow(self: Arc<Self>) {
        loop {
            sleep(Duration::from_millis(self.config.poll_ms.into())).await;
            let this = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || this.look()).await;
            let path = self.config.certificate.display();
            match looked {
                Ok(Ok(false)) => {}
                Ok(Ok(true)) => tracing::info!(certificate = %path, "certificates are read again"),
                Ok(Err(error)) => {
                    tracing::error!(%error, "new certificates are not used, the ones before stay in force");
                }
                // It is a fault of ours; what is in force stays.
                Err(_) => tracing::error!(certificate = %path, "reading certificates broke off"),
            }
        }
    }

    /// Takes up files that changed; says whether they did.
    pub(crate) fn look(&self) -> Result<bool, TlsError> {
        let files = Files::read(&self.config)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == files {
            return Ok(false);
        }
        let built = files.current(&self.config);
        *seen = files;
        self.current.store(Arc::new(built?));
        Ok(true)
    }
}

// === impl Files ===

impl Files {
    fn read(config: &TlsConfig) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: read(&config.certificate)?,
            key: read(&config.key)?,
            client_ca: config.client_ca.as_deref().map(read).transpose()?,
        })
    }

    fn current(&self, config: &TlsConfig) -> Result<Current, TlsError> {
        let http2 = self.server_config(config)?;
        let mut http1 = http2.clone();
        http1.alpn_protocols = vec![ALPN_HTTP1.to_vec()];
        Ok(Current { http2: Arc::new(http2), http1: Arc::new(http1) })
    }

    fn server_config(&self, config: &TlsConfig) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::new(&config.certificate, &error))?;
        let builder = match (&self.client_ca, &config.client_ca) {
            (Some(bytes), Some(path)) => {
                let roots = Arc::new(roots(path, bytes)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|error| TlsError::new(path, &error))?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let chain = certificates(&config.certificate, &self.certificate)?;
        let key = private_key(&config.key, &self.key)?;
        // Says as well when key and certificate are not a pair, which is how files look between two writes.
        let mut server = builder
            .with_single_cert(chain, key)
            .map_err(|error| TlsError::new(&config.certificate, &error))?;
        server.alpn_protocols = vec![ALPN.to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(server)
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Files")
    }
}

// === PEM ===

/// The bytes of a file of certificates or keys.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let read = || {
        if std::fs::metadata(path)?.len() > FILE_BYTES_MAX {
            return Err(io::Error::other(format!("more than {FILE_BYTES_MAX} bytes")));
        }
        std::fs::read(path)
    };
    read().map_err(|error| TlsError::new(path, &error))
}

/// The certificates in a file, one at least.
pub(crate) fn certificates(
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| TlsError::new(path, &error))?;
    if found.is_empty() {
        return Err(TlsError::new(path, &"it holds no certificate in PEM"));
    }
    Ok(found)
}

/// The first key in a file.
pub(crate) fn private_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| TlsError::new(path, &error))
}

/// The authorities in a file.
pub(crate) fn roots(path: &Path, pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, pem)? {
        roots.add(certificate).map_err(|error| TlsError::new(path, &error))?;
    }
    Ok(roots)
}

// === impl TlsError ===

impl TlsError {
    #[cold]
    pub(crate) fn new(path: &Path, cause: &dyn fmt::Display) -> Self {
        Self { path: path.to_owned(), cause: shorten(&cause.to_string(), CAUSE_CHARS_MAX) }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` cannot be used for TLS: {}; it must be a PEM file that fits the others",
            self.path.display(),
            self.cause
        )
    }
}

impl std::error::Error for TlsError {}
