//! Callers that the filter knows by their certificates, in a real Envoy: another listener of the same Envoy is the client.
#![expect(clippy::unwrap_used, reason = "test code fails loudly")]

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use pdp_tests::desk;
use pdp_tests::envoy::{Envoy, cluster, config, socket, until};
use pdp_tests::filtered::{base64, filter};
use pdp_tests::module;
use pdp_tests::upstream::Upstream;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use serde_json::{Value, json};

const ROUTES: &str = r#"
action = 'Action::"{method}"'
resource = 'Doc::"{template}"'

[[principal]]
spiffe = "spiffe://shop.example/"
entity = 'Service::"{value}"'

[[route]]
path = "/{rest...}"
"#;

const POLICY: &str = r#"permit(principal == Service::"orders", action, resource);"#;

fn bundle() -> Vec<u8> {
    let manifest = "name = \"edge\"\nrevision = 1\nentities_complete = false\n";
    desk::compile(&[("bundle.toml", manifest), ("p.cedar", POLICY), ("routes.toml", ROUTES)])
        .unwrap()
}

/// An authority, and the names that it certified.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        // Another name than what it certifies, which would be taken for its own issuer.
        params.distinguished_name.push(DnType::CommonName, "the authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// A certificate and its key, as Envoy's configuration has them.
    fn certify(&self, names: &[SanType]) -> Value {
        let mut params = CertificateParams::new([]).unwrap();
        params.subject_alt_names = names.to_vec();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        json!({
            "certificate_chain": { "inline_string": certificate.pem() },
            "private_key": { "inline_string": key.serialize_pem() },
        })
    }
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

fn transport(which: &str, context: &Value) -> Value {
    let mut context = context.clone();
    let kind =
        format!("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{which}TlsContext");
    context.as_object_mut().unwrap().insert("@type".to_owned(), json!(kind));
    json!({ "name": "envoy.transport_sockets.tls", "typed_config": context })
}

/// A listener with the filter behind TLS, and one before it that shows the certificate of `client`, if it has one.
fn settings(
    (port, secure): (u16, u16),
    module: &Path,
    upstream: SocketAddr,
    authority: &Authority,
    client: Option<Value>,
) -> Value {
    let trusted = json!({ "trusted_ca": { "inline_string": authority.0.pem() } });
    let settings = json!({ "bundle": base64(&bundle()) });
    let route = |name: &str| json!({ "match": { "prefix": "/" }, "route": { "cluster": name } });
    let mut inner =
        config(secure, &[filter(module, &settings)], &[route("upstream")], &[], json!({}));
    let mut listener = inner["static_resources"]["listeners"][0].take();
    listener["filter_chains"][0]["transport_socket"] = transport(
        "Downstream",
        &json!({
            // Whoever shows a certificate shows a good one.
            "require_client_certificate": false,
            "common_tls_context": {
                "tls_certificates": [authority.certify(&[dns("shop.example")])],
                "validation_context": trusted,
            },
        }),
    );
    let mut to_secure =
        cluster("secure", socket(SocketAddr::from(([127, 0, 0, 1], secure))), false);
    let certificates: Vec<Value> = client.into_iter().collect();
    to_secure["transport_socket"] = transport(
        "Upstream",
        &json!({ "common_tls_context": {
            "tls_certificates": certificates,
            "validation_context": trusted,
        } }),
    );
    let clusters = [cluster("upstream", socket(upstream), false), to_secure];
    let mut all = config(port, &[], &[route("secure")], &clusters, json!({}));
    all["static_resources"]["listeners"].as_array_mut().unwrap().push(listener);
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_who_its_certificate_names() {
    let authority = Authority::new();
    let table = [
        (Some(vec![uri("spiffe://shop.example/orders")]), 200, "permitted"),
        (Some(vec![uri("spiffe://shop.example/other")]), 403, "not_permitted"),
        (Some(vec![uri("spiffe://shop.example/")]), 403, "identity_malformed"),
        (Some(vec![uri("spiffe://elsewhere.example/orders")]), 403, "no_principal"),
        (Some(vec![dns("orders")]), 403, "no_principal"),
        // The first of two counts, as for the sidecar.
        (
            Some(vec![uri("spiffe://shop.example/other"), uri("spiffe://shop.example/orders")]),
            403,
            "not_permitted",
        ),
        (None, 403, "no_principal"),
    ];
    for (names, expected, said) in table {
        let client = names.as_ref().map(|names| authority.certify(names));
        let upstream = Upstream::echo().await;
        let secure = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let module = module::filter();
        let envoy = Envoy::start(1, |port, _| {
            settings((port, secure), &module, upstream.address, &authority, client)
        })
        .await;
        let forged = "x-forwarded-client-cert: URI=spiffe://shop.example/orders\r\n";
        // The listener behind may begin to listen after the one before it.
        let answer = until("the listener with TLS", async || {
            let answer = envoy.get(b"/a", forged).await;
            (answer.status != 503).then_some(answer)
        })
        .await;
        assert_eq!(answer.status, expected, "{names:?}: {answer:?} {}", envoy.log());
        assert!(answer.body.contains(said), "{names:?}: {answer:?}");
        assert_eq!(upstream.arrived().len(), usize::from(expected == 200));
    }
}
