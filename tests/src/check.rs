//! Envoy's questions: a client for `ext_authz`, what it asks and what it is told.
//!
//! Messages are put together field by field from the numbers of Envoy's published definitions, not by the code that
//! reads them. Every answer is checked for being whole: nothing here takes a gRPC error or half an answer.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use std::collections::BTreeMap;

use prost::Message;
use prost::bytes::{Buf, BufMut};
use serde_json::{Value, json};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::served::Served;

pub mod json;
pub mod question;
pub mod token;

/// The filter whose claims tests believe.
pub const JWT: &str = "envoy.filters.http.jwt_authn";

/// A call that a proxy asks about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Check {
    /// The method.
    pub method: String,
    /// The host.
    pub host: String,
    /// Path and query.
    pub target: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Headers as a proxy sends them that keeps repeated ones apart; values are raw.
    pub header_map: Vec<(String, Vec<u8>)>,
    /// How long the proxy says the body is; 0 if it does not.
    pub size: u8,
    /// The body as text; the wire allows any bytes here too.
    pub body: Vec<u8>,
    /// The body as bytes.
    pub raw_body: Vec<u8>,
    /// What the direct peer's certificate proved.
    pub source_principal: String,
    /// The direct peer's address.
    pub source_ip: String,
    /// What the proxy's operator configured.
    pub extensions: Vec<(String, Vec<u8>)>,
    /// What filters of the proxy say, by their names.
    pub metadata: BTreeMap<String, Value>,
}

/// An answer that is whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Whether the call passes.
    pub allowed: bool,
    /// The status of a denied call, else 0.
    pub status: i32,
    /// Headers that are set, on the call or on the denial.
    pub headers: Vec<(String, String)>,
    /// Headers that are taken away.
    pub remove: Vec<String>,
    /// What a denied caller reads.
    pub body: String,
    /// What the proxy may log.
    pub metadata: BTreeMap<String, String>,
}

/// Asks a sidecar.
#[derive(Debug)]
pub struct Client(Grpc<Channel>);

// === impl Check ===

impl Check {
    /// `GET` of a target.
    pub fn get(target: &str) -> Self {
        let (method, host) = ("GET".to_owned(), "h:80".to_owned());
        Self { method, host, target: target.to_owned(), ..Self::default() }
    }

    /// The same with claims of a verified token.
    pub fn claims(mut self, claims: Value) -> Self {
        self.metadata.insert(JWT.to_owned(), json!({ "jwt": claims }));
        self
    }

    /// The same with a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with a setting of the proxy's operator.
    pub fn extension(mut self, name: &str, value: &str) -> Self {
        self.extensions.push((name.to_owned(), value.as_bytes().to_owned()));
        self
    }

    /// The same as a message of the Model Context Protocol, of revision 2025-11-25, whose headers need not say more.
    pub fn message(self, method: &str, params: Value) -> Self {
        let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
        Self { method: "POST".to_owned(), body: body.to_string().into_bytes(), ..self }
            .header("content-type", "application/json")
            .header("mcp-protocol-version", "2025-11-25")
    }

    /// As a message.
    pub fn bytes(&self) -> Vec<u8> {
        let mut http = [
            field(2, self.method.as_bytes()),
            field(4, self.target.as_bytes()),
            field(5, self.host.as_bytes()),
        ]
        .concat();
        for (name, value) in &self.headers {
            http.extend(field(3, &entry(name, value.as_bytes())));
        }
        if self.size > 0 {
            http.extend([9 << 3, self.size]);
        }
        for (number, body) in [(11, &self.body), (12, &self.raw_body)] {
            if !body.is_empty() {
                http.extend(field(number, body));
            }
        }
        let pairs = self
            .header_map
            .iter()
            .map(|(name, value)| field(1, &[field(1, name.as_bytes()), field(3, value)].concat()));
        if !self.header_map.is_empty() {
            http.extend(field(13, &pairs.collect::<Vec<_>>().concat()));
        }
        let mut source = Vec::new();
        if !self.source_ip.is_empty() {
            source.extend(field(1, &field(1, &field(2, self.source_ip.as_bytes()))));
        }
        if !self.source_principal.is_empty() {
            source.extend(field(4, self.source_principal.as_bytes()));
        }
        let mut attributes = [field(1, &source), field(4, &field(2, &http))].concat();
        for (name, value) in &self.extensions {
            attributes.extend(field(10, &entry(name, value)));
        }
        let filters = self.metadata.iter();
        let filters = filters.map(|(name, value)| field(1, &entry(name, &fields(value))));
        attributes.extend(field(11, &filters.collect::<Vec<_>>().concat()));
        field(1, &attributes)
    }
}

/// A field that has a length.
pub fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 4);
    prost::encoding::encode_varint(u64::from(number << 3 | 2), &mut out);
    prost::encoding::encode_varint(bytes.len() as u64, &mut out);
    out.extend(bytes);
    out
}

/// An entry of a map.
fn entry(key: &str, value: &[u8]) -> Vec<u8> {
    [field(1, key.as_bytes()), field(2, value)].concat()
}

/// An object as a `google.protobuf.Struct`.
fn fields(object: &Value) -> Vec<u8> {
    let members = object.as_object().unwrap().iter();
    members.map(|(key, member)| field(1, &entry(key, &value(member)))).collect::<Vec<_>>().concat()
}

/// A `google.protobuf.Value`, whose numbers are all floating point.
fn value(of: &Value) -> Vec<u8> {
    match of {
        Value::Null => vec![1 << 3, 0],
        Value::Number(number) => {
            [&[2 << 3 | 1], number.as_f64().unwrap().to_le_bytes().as_slice()].concat()
        }
        Value::String(text) => field(3, text.as_bytes()),
        Value::Bool(boolean) => vec![4 << 3, u8::from(*boolean)],
        Value::Object(_) => field(5, &fields(of)),
        Value::Array(elements) => {
            let elements = elements.iter().map(|element| field(1, &value(element)));
            field(6, &elements.collect::<Vec<_>>().concat())
        }
    }
}

// === impl Client ===

impl Client {
    /// Connects.
    pub async fn connect(served: &Served) -> Self {
        Self(Grpc::new(Channel::from_shared(served.url()).unwrap().connect().await.unwrap()))
    }

    /// The answer to a call.
    pub async fn ask(&mut self, check: &Check) -> Told {
        self.send(check.bytes()).await
    }

    /// The answer to any bytes.
    pub async fn send(&mut self, message: Vec<u8>) -> Told {
        self.0.ready().await.unwrap();
        let path = "/envoy.service.auth.v3.Authorization/Check".parse().unwrap();
        let response = self.0.unary(Request::new(message), path, Raw).await.unwrap();
        Told::read(Answer::decode(response.into_inner().as_slice()).unwrap())
    }
}

impl Told {
    fn read(answer: Answer) -> Self {
        let code = answer.status.as_ref().unwrap().code;
        let metadata = answer.metadata.clone().unwrap().fields.into_iter();
        let metadata = metadata.map(|(key, text)| (key, text.text.unwrap())).collect();
        let set = |headers: &[HeaderOption]| {
            let set = headers.iter().map(|option| {
                assert_eq!(option.append_action, 2, "it replaces what the caller sent");
                let header = option.header.clone().unwrap();
                (header.key, header.value)
            });
            set.collect()
        };
        let told = match (&answer.ok, &answer.denied) {
            (Some(ok), None) => Self {
                allowed: true,
                status: 0,
                headers: set(&ok.headers),
                remove: ok.remove.clone(),
                body: String::new(),
                metadata,
            },
            (None, Some(denied)) => Self {
                allowed: false,
                status: denied.status.as_ref().unwrap().code,
                headers: set(&denied.headers),
                remove: Vec::new(),
                body: denied.body.clone(),
                metadata,
            },
            _ => unreachable!("{answer:?}"),
        };
        assert_eq!(code, if told.allowed { 0 } else { 7 }, "gRPC's codes");
        // Some protocols say within a good answer that something is denied.
        let statuses = [200].into_iter().chain(400..600);
        assert!(told.allowed || statuses.into_iter().any(|it| it == told.status), "{told:?}");
        assert_eq!(told.id().len(), 26, "{told:?}");
        told
    }

    /// Its name in the decision log.
    pub fn id(&self) -> &str {
        &self.metadata["decision_id"]
    }

    /// Why.
    pub fn reason(&self) -> &str {
        &self.metadata["reason"]
    }

    /// What made the call no question, if it was none, else why.
    pub fn cause(&self) -> &str {
        self.metadata.get("refusal").map_or(self.reason(), String::as_str)
    }
}

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
    #[prost(message, optional, tag = "4")]
    metadata: Option<Struct>,
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
    headers: Vec<HeaderOption>,
    #[prost(string, tag = "3")]
    body: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Allowed {
    #[prost(message, repeated, tag = "2")]
    headers: Vec<HeaderOption>,
    #[prost(string, repeated, tag = "5")]
    remove: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HeaderOption {
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

#[derive(Clone, PartialEq, prost::Message)]
struct Struct {
    #[prost(btree_map = "string, message", tag = "1")]
    fields: BTreeMap<String, Text>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Text {
    #[prost(string, optional, tag = "3")]
    text: Option<String>,
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
