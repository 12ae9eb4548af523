//! Certificates for tests, made anew each time, in a folder of their own.

use std::path::PathBuf;

use pdp_grpc::{ClientOptions, TlsConfig};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType,
    date_time_ymd,
};
use tempfile::TempDir;

use crate::support::SOON;

/// An authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A folder of PEM files.
pub(crate) struct Pki {
    pub(crate) folder: TempDir,
    pub(crate) authority: Authority,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key, in PEM.
    pub(crate) fn issue(&self, names: &[SanType], expired: bool) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = names.to_vec();
        if expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

/// A URI name.
pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// A DNS name.
pub(crate) fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

impl Pki {
    /// With a server's certificate for `127.0.0.1`.
    pub(crate) fn new() -> Self {
        let this = Self { folder: tempfile::tempdir().unwrap(), authority: Authority::new("ours") };
        this.write("ca.pem", &this.authority.pem());
        this.renew();
        this
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Another certificate for the server.
    pub(crate) fn renew(&self) {
        let local = SanType::IpAddress([127, 0, 0, 1].into());
        let (certificate, key) = self.authority.issue(&[local], false);
        self.write("server.pem", &certificate);
        self.write("server.key", &key);
    }

    /// Writes a client's certificate by an authority and gives the client's options.
    pub(crate) fn client_of(
        &self,
        authority: &Authority,
        names: &[SanType],
        expired: bool,
    ) -> ClientOptions {
        let name = format!("{names:?}{expired}").replace(|c: char| !c.is_ascii_alphanumeric(), "");
        let (pem, key) = (format!("{name}.pem"), format!("{name}.key"));
        let issued = authority.issue(names, expired);
        self.write(&pem, &issued.0);
        self.write(&key, &issued.1);
        ClientOptions { identity: Some((self.path(&pem), self.path(&key))), ..self.nameless() }
    }

    pub(crate) fn client(&self, names: &[SanType]) -> ClientOptions {
        self.client_of(&self.authority, names, false)
    }

    /// A client without a certificate.
    pub(crate) fn nameless(&self) -> ClientOptions {
        ClientOptions { ca: Some(self.path("ca.pem")), ..ClientOptions::within(SOON) }
    }

    /// The server's side; `mutual` asks clients for certificates.
    pub(crate) fn server(&self, mutual: bool) -> TlsConfig {
        TlsConfig {
            certificate: self.path("server.pem"),
            key: self.path("server.key"),
            client_ca: mutual.then(|| self.path("ca.pem")),
            poll_ms: 10,
        }
    }
}
