//! Who is at the other end of a connection, as far as the connection itself proves it.
//!
//! A client certificate has been verified before it is read here. It refuses to guess: a certificate with several URI
//! names has no SPIFFE id, and an address proves nothing. What a peer may do is `access`'s.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_rustls::server::TlsStream;

use crate::accept::Socket;

/// How a SPIFFE id begins.
pub(crate) const SPIFFE: &str = "spiffe://";

/// The other end. Cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer(Arc<Proven>);

/// What is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proven {
    /// Its address, for messages.
    pub(crate) address: Option<SocketAddr>,
    /// User id of the process at the other end of a Unix socket, as the system says.
    pub(crate) uid: Option<u32>,
    /// SPIFFE id of its certificate.
    pub(crate) spiffe: Option<String>,
    /// DNS names of its certificate.
    pub(crate) dns: Vec<String>,
}

// === impl Peer ===

impl Peer {
    pub(crate) fn of_socket(socket: &Socket) -> Self {
        Self(Arc::new(Proven::of_socket(socket)))
    }

    pub(crate) fn of_tls(stream: &TlsStream<Socket>) -> Self {
        let (socket, session) = stream.get_ref();
        let mut proven = Proven::of_socket(socket);
        let shown = session.peer_certificates().and_then(|chain| chain.first());
        if let Some(shown) = shown
            && let Ok(certificate) = webpki::EndEntityCert::try_from(shown)
        {
            let mut uris = certificate.valid_uri_names();
            // By the SPIFFE standard an identity has exactly one.
            if let (Some(uri), None) = (uris.next(), uris.next())
                && uri.starts_with(SPIFFE)
            {
                proven.spiffe = Some(uri.to_owned());
            }
            proven.dns = certificate.valid_dns_names().map(str::to_ascii_lowercase).collect();
        }
        Self(Arc::new(proven))
    }

    pub(crate) fn proven(&self) -> &Proven {
        &self.0
    }
}

// === impl Proven ===

impl Proven {
    fn of_socket(socket: &Socket) -> Self {
        match socket {
            Socket::Tcp(stream) => Self { address: stream.peer_addr().ok(), ..Self::default() },
            Socket::Unix(stream) => {
                Self { uid: stream.peer_cred().ok().map(|cred| cred.uid()), ..Self::default() }
            }
        }
    }
}
