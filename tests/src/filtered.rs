//! An Envoy with the filter in it, before an upstream: two workers, tokens verified, what was decided in an access log.
//!
//! One bundle for many tests: a person may read, in the words of a table of routes; a server of tools, of which one is
//! judged by its arguments.
#![expect(clippy::unwrap_used, reason = "test code fails loudly")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::check::token::{SECRET, token};
use crate::envoy::{Answer, Envoy, cluster, config, jwt_authn, socket};
use crate::upstream::Upstream;
use crate::{desk, module, parts};

/// What [`Filtered`] is made of. What is not said is what most tests want.
#[derive(Debug)]
pub struct Plan {
    /// The filter's configuration.
    pub settings: Value,
    /// The module.
    pub module: PathBuf,
    /// Clusters beside the upstream's.
    pub clusters: Vec<Value>,
    /// What the connection manager has besides.
    pub manager: Value,
}

/// Envoy with the filter, before an upstream.
#[derive(Debug)]
pub struct Filtered {
    /// The proxy.
    pub envoy: Envoy,
    /// What stands behind it.
    pub upstream: Upstream,
}

const SCHEMA: &str = r#"
type Delegation = { subject?: User, chain: Set<User>, depth: Long, scopes: Set<String> };
entity User;
entity Doc;
action GET, POST, DELETE, connect, "tools/call", "tools/list" appliesTo {
  principal: User,
  resource: Doc,
  context: {
    path: String,
    tier?: String,
    groups?: Set<String>,
    ip?: ipaddr,
    until?: datetime,
    now: datetime,
    delegation: Delegation,
  },
};
action "s.pay" in ["tools/call"] appliesTo {
  principal: User,
  resource: Doc,
  context: {
    path: String,
    tier?: String,
    groups?: Set<String>,
    ip?: ipaddr,
    until?: datetime,
    now: datetime,
    delegation: Delegation,
    input: { amount: Long, to?: String },
  },
};
"#;

const ROUTES: &str = r#"
action = 'Action::"{method}"'
resource = 'Doc::"{template}"'

[[principal]]
claim = { namespace = "envoy.filters.http.jwt_authn", payload = "jwt", name = "sub" }
entity = 'User::"{value}"'

[context]
path = "path"
tier = { extension = "tier" }
ip = "source_ip"
until = { claim_time = { namespace = "envoy.filters.http.jwt_authn", payload = "jwt", name = "exp" } }
groups = { claim = { namespace = "envoy.filters.http.jwt_authn", payload = "jwt", name = "groups" } }

[scopes]
claim = { namespace = "envoy.filters.http.jwt_authn", payload = "jwt", name = "scope" }

[mcp]
server = { action = 'Action::"connect"', entity = 'Doc::"{server}"' }
tool = { action = 'Action::"tools/call"', list = 'Action::"tools/list"', own = 'Action::"{server}.{name}"', input = "input", entity = 'Doc::"{server}/{name}"' }

[[route]]
path = "/mcp"
mcp = { server = "s" }

[[route]]
path = "/hidden-mcp"
mcp = { server = "s", deny = { mode = "hide" } }

[[route]]
path = "/closed/{id}"
deny = { status = 404, body = "no such page\n", headers = { "x-why" = "closed" } }

[[route]]
path = "/local"

[[route]]
path = "/{rest...}"
strip = ["authorization"]
"#;

const POLICY: &str = r#"
@id("ann-gets") permit(principal == User::"ann", action == Action::"GET", resource == Doc::"/{rest...}")
when {
  context has tier && context.tier == "gold" && context has until && context.until == datetime("2100-01-01") &&
  context.now < context.until &&
  context has groups && context.groups == ["all", "staff"] &&
  context.delegation.scopes == ["openid", "docs:read"]
};
@id("ann-posts-anything") permit(principal == User::"ann", action == Action::"POST", resource == Doc::"/{rest...}");
@id("local") permit(principal, action == Action::"GET", resource == Doc::"/local")
when { context has ip && context.ip.isLoopback() };
@id("connect") permit(principal, action == Action::"connect", resource == Doc::"s");
@id("shown") permit(principal == User::"ann", action == Action::"tools/list", resource)
when { resource == Doc::"s/yes" || resource == Doc::"s/pay" };
@id("tool") permit(principal == User::"ann", action == Action::"tools/call", resource == Doc::"s/yes");
@id("little") permit(principal == User::"ann", action == Action::"s.pay", resource == Doc::"s/pay")
when { context.input.amount <= 100 };
"#;

/// The bundle, in a revision, with policies besides.
pub fn bundle(revision: u32, more: &str) -> Vec<u8> {
    let manifest = format!(
        "name = \"edge\"\nrevision = {revision}\nentities_complete = false\n\
         [context]\nnow = \"now\"\ndelegation = \"delegation\"\n"
    );
    let policy = format!("{POLICY}{more}");
    desk::compile(&[
        ("bundle.toml", &manifest),
        ("schema.cedarschema", SCHEMA),
        ("p.cedar", &policy),
        ("routes.toml", ROUTES),
    ])
    .unwrap_or_else(|report| unreachable!("cannot be compiled:\n{report}"))
}

/// Base64 with padding.
pub fn base64(bytes: &[u8]) -> String {
    let mut text = crate::check::token::base64url(bytes).replace('-', "+").replace('_', "/");
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

/// The header of somebody whose token is good.
pub fn bearer(subject: &str) -> String {
    format!("authorization: Bearer {}\r\n", token(subject, SECRET))
}

/// The filter of Envoy's that hosts the module.
pub fn filter(module: &Path, settings: &Value) -> Value {
    json!({
        "name": "pdp",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": "pdp",
                "root_id": "pdp",
                "failure_policy": "FAIL_RELOAD",
                "allow_on_headers_stop_iteration": true,
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": settings.to_string(),
                },
                "vm_config": {
                    "vm_id": "pdp",
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": { "local": { "filename": module } },
                },
            },
        },
    })
}

// === impl Plan ===

impl Plan {
    /// With this configuration of the filter.
    pub fn new(settings: Value) -> Self {
        Self { settings, module: module::filter(), clusters: Vec::new(), manager: json!({}) }
    }

    /// With the bundle in the configuration.
    pub fn inline(bytes: &[u8]) -> Self {
        Self::new(json!({ "bundle": base64(bytes) }))
    }

    /// With another key in the filter's configuration.
    pub fn with(mut self, key: &str, value: Value) -> Self {
        if let Some(settings) = self.settings.as_object_mut() {
            settings.insert(key.to_owned(), value);
        }
        self
    }

    /// With a server that the filter may call.
    pub fn beside(mut self, name: &str, server: &Upstream) -> Self {
        self.clusters.push(cluster(name, socket(server.address), false));
        self
    }

    /// Whether Envoy takes it; what it says if not.
    pub fn validate(self) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("envoy.json");
        let filters = [filter(&self.module, &self.settings)];
        std::fs::write(&file, config(1, &filters, &[], &[], json!({})).to_string()).unwrap();
        let output = Command::new(parts::envoy())
            .args(["--mode", "validate", "--log-level", "warning", "--config-path"])
            .arg(&file)
            .output()
            .unwrap();
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// Starts it.
    pub async fn start(self, upstream: Upstream) -> Filtered {
        let Plan { settings, module, mut clusters, manager } = self;
        clusters.push(cluster("upstream", socket(upstream.address), false));
        let route = |prefix: &str, metadata: Value| {
            json!({
                "match": { "prefix": prefix },
                "route": { "cluster": "upstream" },
                "metadata": { "filter_metadata": metadata },
            })
        };
        let routes = [
            route(
                "/sealed",
                json!({ "pdp": { "tier": "gold", "pdp.resource": "Doc::\"sealed\"" } }),
            ),
            route("/silver", json!({ "pdp": { "tier": "silver" } })),
            route("/other", json!({ "other": { "tier": "gold" } })),
            route("/wrong", json!({ "pdp": { "tier": "gold", "pdp.resource": 5 } })),
            route("/", json!({ "pdp": { "tier": "gold" } })),
        ];
        let envoy = Envoy::start(2, |port, folder| {
            let format =
                "%PROTOCOL% %RESPONSE_CODE% %FILTER_STATE(wasm.pdp:PLAIN)% %REQ(:PATH)%\n";
            let mut all = json!({ "access_log": [{
                "name": "envoy.access_loggers.file",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                    "path": folder.join("access.log"),
                    "log_format": { "text_format_source": { "inline_string": format } },
                },
            }] });
            if let (Some(all), Some(manager)) = (all.as_object_mut(), manager.as_object()) {
                all.extend(manager.clone());
            }
            let filters = [jwt_authn(), filter(&module, &settings)];
            config(port, &filters, &routes, &clusters, all)
        })
        .await;
        Filtered { envoy, upstream }
    }
}

// === impl Filtered ===

impl Filtered {
    /// Sends a `GET` as somebody.
    pub async fn get(&self, target: &str, headers: &str) -> Answer {
        self.envoy.get(target.as_bytes(), headers).await
    }

    /// Sends a message to a server of tools.
    pub async fn message(&self, path: &str, headers: &str, method: &str, params: Value) -> Answer {
        let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
        self.post(path, headers, body.to_string().as_bytes()).await
    }

    /// Sends a body of JSON.
    pub async fn post(&self, path: &str, headers: &str, body: &[u8]) -> Answer {
        let headers = format!("{headers}content-type: application/json\r\n");
        self.envoy.call(b"POST", path.as_bytes(), &headers, body).await
    }
}
