//! Envoy's questions over gRPC: what is allowed and denied, and that no bytes get anything but a well-formed answer.
//!
//! Messages are put together byte by byte from the numbers of Envoy's published definitions, not by the code that
//! reads them.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use std::sync::Arc;

use pdp_core::{Bundle, Datetime, LoadLimits};
use pdp_tests::desk;
use pdp_tests::rng::Rng;
use pdp_tests::served::Served;
use prost::Message;
use prost::bytes::{Buf, BufMut};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Status};

const MANIFEST: &str = "name = \"edge\"\nrevision = 1\nentities_complete = false\n";

const ROUTES: &str = r#"
action = 'Action::"{method}"'
resource = 'Doc::"{id}"'

[[principal]]
claim = { namespace = "envoy.filters.http.jwt_authn", payload = "jwt", name = "sub" }
entity = 'User::"{value}"'

[context]
path = "path"
note = "body"

[[route]]
path = "/docs/{id}"
strip = ["authorization"]

[[route]]
path = "/hidden/{id}"
deny = { status = 404, body = "gone", headers = { "x-why" = "no" } }
"#;

const POLICY: &str =
    r#"@id("p") permit(principal == User::"ann", action == Action::"GET", resource == Doc::"7");"#;

/// Bytes in, bytes out.
#[derive(Debug, Default)]
struct Raw;

#[derive(Clone, PartialEq, prost::Message)]
struct Answer {
    #[prost(message, optional, tag = "1")]
    status: Option<Code>,
    #[prost(message, optional, tag = "2")]
    denied: Option<Denied>,
    #[prost(message, optional, tag = "3")]
    ok: Option<Allowed>,
    #[prost(bytes = "vec", optional, tag = "4")]
    metadata: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Code {
    #[prost(int32, tag = "1")]
    code: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Denied {
    #[prost(message, optional, tag = "1")]
    status: Option<Code>,
    #[prost(message, repeated, tag = "2")]
    headers: Vec<Set>,
    #[prost(string, tag = "3")]
    body: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Allowed {
    #[prost(message, repeated, tag = "2")]
    headers: Vec<Set>,
    #[prost(string, repeated, tag = "5")]
    remove: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Set {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
    #[prost(int32, tag = "3")]
    append_action: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Header {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

struct Call<'a> {
    subject: &'a str,
    namespace: &'a str,
    path: &'a str,
    headers: &'a [(&'a str, &'a str)],
    extension: Option<&'a str>,
}

const CALL: Call<'_> = Call {
    subject: "ann",
    namespace: "envoy.filters.http.jwt_authn",
    path: "/docs/7?x=1",
    headers: &[],
    extension: None,
};

// === impl Call ===

impl Call<'_> {
    fn bytes(&self) -> Vec<u8> {
        let entry = |key: &str, value: &[u8]| [field(1, key.as_bytes()), field(2, value)].concat();
        let mut http =
            [field(2, b"GET"), field(4, self.path.as_bytes()), field(5, b"h:80")].concat();
        for (key, value) in self.headers {
            http.extend(field(3, &entry(key, value.as_bytes())));
        }
        let claims = field(1, &entry("sub", &field(3, self.subject.as_bytes())));
        let namespace = field(1, &entry("jwt", &field(5, &claims)));
        let metadata = field(1, &entry(self.namespace, &namespace));
        let mut attributes = [field(4, &field(2, &http)), field(11, &metadata)].concat();
        if let Some(key) = self.extension {
            attributes.extend(field(10, &entry(key, b"x")));
        }
        field(1, &attributes)
    }
}

/// A field that has a length.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    prost::encoding::encode_varint(bytes.len() as u64, &mut out);
    out.extend(bytes);
    out
}

// === impl Raw ===

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}

fn start(files: &[(&str, &str)]) -> Served {
    let bytes = desk::compile(files).unwrap();
    let bundle = Bundle::load(&bytes, &LoadLimits::STANDARD).unwrap();
    Served::start(Arc::new(bundle), Datetime(0), |_| {})
}

async fn connect(served: &Served) -> Grpc<Channel> {
    Grpc::new(Channel::from_shared(served.url()).unwrap().connect().await.unwrap())
}

/// The answer, which is never a gRPC error and never half of one.
async fn ask(client: &mut Grpc<Channel>, message: Vec<u8>) -> Answer {
    client.ready().await.unwrap();
    let path = "/envoy.service.auth.v3.Authorization/Check".parse().unwrap();
    let response = client.unary(Request::new(message), path, Raw).await.unwrap();
    let answer = Answer::decode(response.into_inner().as_slice()).unwrap();
    let code = answer.status.as_ref().unwrap().code;
    assert!(answer.metadata.is_some());
    match (&answer.ok, &answer.denied) {
        (Some(_), None) => assert_eq!(code, 0),
        (None, Some(denied)) => {
            assert_eq!(code, 7);
            assert!((400..600).contains(&denied.status.as_ref().unwrap().code));
        }
        _ => unreachable!("{answer:?}"),
    }
    answer
}

#[tokio::test]
async fn a_call_is_allowed_or_denied_as_the_bundle_says() {
    let served = start(&[("bundle.toml", MANIFEST), ("p.cedar", POLICY), ("routes.toml", ROUTES)]);
    let client = &mut connect(&served).await;

    let headers = &[("x-pdp-role", "admin"), ("X-PDP-Reason", "mine"), ("accept", "*/*")];
    let allowed = ask(client, Call { headers, ..CALL }.bytes()).await.ok.unwrap();
    assert_eq!(allowed.remove, ["authorization", "x-pdp-role"]);
    let set: Vec<_> = allowed.headers.iter().map(|set| set.header.clone().unwrap().key).collect();
    assert_eq!(set, ["x-pdp-decision-id", "x-pdp-reason"]);
    assert!(allowed.headers.iter().all(|set| set.append_action == 2));

    let partial = &[("x-envoy-auth-partial-body", "true")];
    for (call, reason) in [
        (Call { subject: "bob", ..CALL }, "not_permitted"),
        (Call { subject: "", ..CALL }, "identity_malformed"),
        (Call { namespace: "envoy.filters.http.lua", ..CALL }, "no_principal"),
        (Call { path: "/docs/8", ..CALL }, "not_permitted"),
        (Call { path: "/docs/../docs/7", ..CALL }, "path_ambiguous"),
        (Call { path: "/docs/%37", ..CALL }, "path_ambiguous"),
        (Call { path: "/elsewhere", ..CALL }, "no_route"),
        (Call { headers: partial, ..CALL }, "body_unreadable"),
        (Call { extension: Some("pdp.anything"), ..CALL }, "unknown_extension"),
    ] {
        let denied = ask(client, call.bytes()).await.denied.unwrap();
        assert_eq!(denied.status.unwrap().code, 403);
        let start = format!("{{\"reason\":\"{reason}\"");
        assert!(denied.body.starts_with(&start), "{} is not {reason}", denied.body);
    }
    assert!(ask(client, Call { extension: Some("theirs"), ..CALL }.bytes()).await.ok.is_some());

    let hidden = ask(client, Call { path: "/hidden/7", subject: "bob", ..CALL }.bytes()).await;
    let hidden = hidden.denied.unwrap();
    assert_eq!((hidden.status.unwrap().code, hidden.body.as_str()), (404, "gone"));
    assert_eq!(hidden.headers[0].header.clone().unwrap().key, "x-why");
    served.stop().await;
}

#[tokio::test]
async fn without_routes_every_call_is_denied() {
    let served = start(&[("bundle.toml", MANIFEST), ("p.cedar", POLICY)]);
    let client = &mut connect(&served).await;
    let denied = ask(client, CALL.bytes()).await.denied.unwrap();
    assert_eq!(denied.body, "{\"reason\":\"no_routes\"}");
    served.stop().await;
}

#[tokio::test]
async fn damaged_messages_get_a_well_formed_answer() {
    let served = start(&[("bundle.toml", MANIFEST), ("p.cedar", POLICY), ("routes.toml", ROUTES)]);
    let client = &mut connect(&served).await;
    let sound = Call { headers: &[("accept", "*/*"), ("x-pdp-a", "b")], ..CALL }.bytes();
    let mut rng = Rng::new(&[7]);
    let mut denied = 0;
    for _ in 0..5_000 {
        let mut message = sound.clone();
        for _ in 0..=rng.bits() % 3 {
            let at = (rng.bits() % message.len() as u64) as usize;
            match rng.bits() % 4 {
                0 => message[at] = rng.bits() as u8,
                1 => message[at] ^= 1 << (rng.bits() % 8),
                2 => message.truncate(at.max(1)),
                _ => message.insert(at, rng.bits() as u8),
            }
        }
        denied += u32::from(ask(client, message).await.denied.is_some());
    }
    // Some damage is to what nobody reads.
    assert!(denied > 2_500, "{denied}");
    served.stop().await;
}
