//! The ways to a served PDP: what a URL means, and a socket from it, bare or with TLS upon it.
//!
//! It refuses to fall back: who says `https` gets TLS with a verified server or no connection, and certificates given
//! for a way without TLS are an error rather than left unused.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tonic::codegen::{BoxFuture, Service};
use tonic::transport::{Channel, Endpoint, Uri};

use super::{ClientError, ClientOptions, UrlError};
use crate::tls::{self, TlsError};

/// How to get to a server, any number of times.
#[derive(Clone, Debug)]
pub(super) struct Way {
    endpoint: Endpoint,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Tcp { host: String, port: u16, tls: Option<(Arc<ClientConfig>, ServerName<'static>)> },
    Unix(PathBuf),
}

/// A socket of any kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// What an address that is never looked up is called.
const NOWHERE: &str = "http://localhost";

const NEEDS_CA: &str =
    "needs the authorities of the server's certificate; give their PEM file as `ca`";
const NO_TLS: &str =
    "has no TLS, but certificates are given; write `https://host:port`, or leave them out";
const NO_NAME: &str =
    "names a server that no certificate can have; give a DNS name or an IP address";

// === impl Way ===

impl Way {
    pub(super) fn of(url: &str, options: &ClientOptions) -> Result<Self, ClientError> {
        let wrong = |why| ClientError::Url(UrlError { url: url.to_owned(), why });
        let wants_tls =
            options.ca.is_some() || options.identity.is_some() || options.server_name.is_some();
        if let Some(path) = url.strip_prefix("unix://") {
            if !path.starts_with('/') || path.ends_with('/') {
                return Err(wrong(None));
            }
            if wants_tls {
                return Err(wrong(Some(NO_TLS)));
            }
            let endpoint = Endpoint::from_static(NOWHERE);
            return Ok(Self { endpoint, place: Place::Unix(PathBuf::from(path)) });
        }
        let (secure, rest) = match url.split_once("://") {
            Some(("http" | "grpc", rest)) => (false, rest),
            Some(("https" | "grpcs", rest)) => (true, rest),
            _ => return Err(wrong(None)),
        };
        // Only what this client keeps its word on: no path, no user.
        let parse = |scheme: &str| {
            format!("{scheme}://{rest}").parse::<Uri>().ok().filter(|uri| {
                uri.host().is_some_and(|host| !host.is_empty())
                    && matches!(uri.path(), "" | "/")
                    && uri.query().is_none()
                    && !rest.contains('@')
            })
        };
        let uri = parse("http").ok_or_else(|| wrong(None))?;
        // An address of the sixth version stands in brackets in a URL and nowhere else.
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let mut endpoint = Endpoint::from(uri);
        let tls = match (secure, &options.ca) {
            (false, _) if wants_tls => return Err(wrong(Some(NO_TLS))),
            (false, _) => None,
            (true, None) => return Err(wrong(Some(NEEDS_CA))),
            (true, Some(ca)) => {
                // The transport is not to speak TLS itself, but requests say that they came by it.
                let origin = parse("https").ok_or_else(|| wrong(None))?;
                endpoint = endpoint.origin(origin);
                let name = options.server_name.clone().unwrap_or_else(|| host.clone());
                let name = ServerName::try_from(name).map_err(|_| wrong(Some(NO_NAME)))?;
                Some((client_config(ca, options).map_err(ClientError::Tls)?, name))
            }
        };
        let endpoint = endpoint.connect_timeout(options.deadline);
        Ok(Self { endpoint, place: Place::Tcp { host, port, tls } })
    }

    pub(super) async fn connect(self) -> Result<Channel, tonic::transport::Error> {
        let Self { endpoint, place } = self;
        endpoint.connect_with_connector(place).await
    }
}

fn client_config(
    ca: &std::path::Path,
    options: &ClientOptions,
) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = tls::roots(ca, &tls::read(ca)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::new(ca, &error))?
        .with_root_certificates(roots);
    let mut config = match &options.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = tls::certificates(certificate, &tls::read(certificate)?)?;
            let key = tls::private_key(key, &tls::read(key)?)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| TlsError::new(certificate, &error))?
        }
    };
    config.alpn_protocols = vec![tls::ALPN.to_vec()];
    Ok(Arc::new(config))
}

// === impl Place ===

impl Place {
    async fn dial(self) -> io::Result<Box<dyn Stream>> {
        match self {
            Place::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            Place::Tcp { host, port, tls } => {
                let socket = TcpStream::connect((host, port)).await?;
                // Without this option a connection is slower, not wrong.
                let _ = socket.set_nodelay(true);
                match tls {
                    None => Ok(Box::new(socket)),
                    Some((config, name)) => {
                        let stream = TlsConnector::from(config).connect(name, socket).await?;
                        Ok(Box::new(stream))
                    }
                }
            }
        }
    }
}

impl Service<Uri> for Place {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = io::Error;
    type Future = BoxFuture<Self::Response, io::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Goes by what the URL said; the transport's own idea of it is the same or a stand-in.
    fn call(&mut self, _: Uri) -> Self::Future {
        let dialled = self.clone().dial();
        Box::pin(async move { Ok(TokioIo::new(dialled.await?)) }) as Pin<Box<_>>
    }
}
