//! Questions as calls: a route table by which a call can ask whatever HTTP can carry, and the call that asks it.
//!
//! Who asks, for whom and with which scopes are claims, action and resource are what the proxy's operator says, the context is claims and the
//! peer's address. What there is no place for in a call, it does not try to carry: inner actors, entities,
//! records, sets of anything but strings, times between two seconds, decimals, empty ids.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use pdp_core::{Datetime, Request, Uid, Value};
use serde_json::json;

use super::{Check, JWT};

/// From here on, JSON's numbers are not certainly integers.
const LONGS_BELOW: u64 = 1 << 53;

/// A table for some questions.
#[derive(Debug)]
pub struct Table {
    /// Its text, as `routes.toml` has it.
    pub toml: String,
    behalf: Option<String>,
    /// The key of the context that holds the peer's address.
    ip: Option<String>,
    /// Keys of the context that hold times.
    times: BTreeSet<String>,
}

// === impl Table ===

impl Table {
    /// The table by which most of these questions can be asked.
    pub fn new(requests: &[Request<'_>]) -> Self {
        let first = requests.first().unwrap();
        let mut behalves: BTreeMap<&str, usize> = BTreeMap::new();
        let (mut principals, mut keys, mut ip) = (BTreeSet::new(), BTreeSet::new(), None);
        let mut times = BTreeSet::new();
        for request in requests {
            principals.insert(request.principal.entity_type);
            if let Some(uid) = request.on_behalf_of {
                *behalves.entry(uid.entity_type).or_default() += 1;
            }
            for (key, value) in request.context {
                match value {
                    Value::Ip(_) => ip = Some((*key).to_owned()),
                    Value::Datetime(_) => _ = times.insert((*key).to_owned()),
                    _ => _ = keys.insert(*key),
                }
            }
        }
        let of =
            |name: &str| format!("{{ namespace = \"{JWT}\", payload = \"jwt\", name = {name:?} }}");
        let claim = |name: &str| format!("claim = {}", of(name));
        let mut toml = format!(
            "action = '{}'\nresource = '{}::\"{{id}}\"'\n[[route]]\npath = \"/{{id...}}\"\n",
            text(first.action),
            first.resource.entity_type
        );
        for ty in principals {
            let claim = claim(&format!("principal {ty}"));
            writeln!(toml, "[[principal]]\n{claim}\nentity = '{ty}::\"{{value}}\"'").unwrap();
        }
        let behalf = behalves.into_iter().max_by_key(|(_, count)| *count);
        let behalf = behalf.map(|(ty, _)| ty.to_owned());
        if let Some(ty) = &behalf {
            let claim = claim("behalf");
            writeln!(toml, "[on_behalf_of]\n{claim}\nentity = '{ty}::\"{{value}}\"'").unwrap();
        }
        writeln!(toml, "[scopes]\n{}", claim("scope")).unwrap();
        toml.push_str("[context]\n");
        if let Some(key) = &ip {
            writeln!(toml, "{key:?} = \"source_ip\"").unwrap();
        }
        for key in &times {
            let of = of(&format!("context {key}"));
            writeln!(toml, "{key:?} = {{ claim_time = {of} }}").unwrap();
        }
        for key in keys.into_iter().filter(|key| ip.as_deref() != Some(*key)) {
            if times.contains(key) {
                continue;
            }
            writeln!(toml, "{key:?} = {{ {} }}", claim(&format!("context {key}"))).unwrap();
        }
        Self { toml, behalf, ip, times }
    }

    /// The call that asks a question, if one can.
    pub fn call(&self, request: &Request<'_>) -> Option<Check> {
        let carried = request.actors.is_empty()
            && request.entities.is_empty()
            && !request.principal.id.is_empty();
        if !carried {
            return None;
        }
        let mut claims = serde_json::Map::new();
        let principal = format!("principal {}", request.principal.entity_type);
        claims.insert(principal, request.principal.id.into());
        if let Some(uid) = request.on_behalf_of {
            if self.behalf.as_deref() != Some(uid.entity_type) || uid.id.is_empty() {
                return None;
            }
            claims.insert("behalf".to_owned(), uid.id.into());
        }
        // Two as a text and others as a list: both are ways of the world.
        match request.scopes {
            [] => {}
            [_, _] => _ = claims.insert("scope".to_owned(), request.scopes.join(" ").into()),
            scopes => _ = claims.insert("scope".to_owned(), json!(scopes)),
        }
        let mut check = Check::get("/x");
        for (key, value) in request.context {
            let of_claim = match value {
                Value::String(text) => json!(text),
                Value::Bool(value) => json!(value),
                Value::Long(value) if value.unsigned_abs() < LONGS_BELOW => json!(value),
                Value::Datetime(Datetime(ms)) if ms % 1_000 == 0 => json!(ms / 1_000),
                Value::Set(values) => {
                    let texts = values.iter().map(|value| match value {
                        Value::String(text) => Some(json!(text)),
                        _ => None,
                    });
                    json!(texts.collect::<Option<Vec<_>>>()?)
                }
                Value::Ip(ip) => {
                    let whole = if ip.is_ipv4() { 32 } else { 128 };
                    if self.ip.as_deref() != Some(*key) || ip.prefix() != whole {
                        return None;
                    }
                    check.source_ip = ip.addr().to_string();
                    continue;
                }
                _ => return None,
            };
            let is_time = matches!(value, Value::Datetime(_));
            if self.ip.as_deref() == Some(*key) || self.times.contains(*key) != is_time {
                return None;
            }
            claims.insert(format!("context {key}"), of_claim);
        }
        let resource = match braced(request.resource.id) {
            false => text(request.resource),
            // Braces would be a placeholder; they go where a placeholder is filled from.
            true => {
                let id = request.resource.id;
                let (slash, rest) = id.strip_prefix('/').map_or(("", id), |rest| ("/", rest));
                check.target = format!("/{}", escaped(rest)?);
                format!("{}::\"{slash}{{id}}\"", request.resource.entity_type)
            }
        };
        let action = (!braced(request.action.id)).then(|| text(request.action))?;
        let check = check.extension("pdp.action", &action).extension("pdp.resource", &resource);
        Some(check.claims(claims.into()))
    }
}

fn braced(id: &str) -> bool {
    id.contains(['{', '}'])
}

/// An entity as Cedar writes it.
fn text(uid: Uid<'_>) -> String {
    format!("{}::{:?}", uid.entity_type, uid.id)
}

/// An id as the rest of a path; `None` if no path would be taken that says it.
fn escaped(id: &str) -> Option<String> {
    let taken = |segment: &str| !matches!(segment, "" | "." | "..");
    if !id.split('/').all(taken) {
        return None;
    }
    let mut path = String::new();
    for byte in id.bytes() {
        match byte {
            b'/' => path.push('/'),
            b'\\' | b';' | b'?' | b'#' | b'%' | 0..=31 | 127 => return None,
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                path.push(byte.into());
            }
            byte => write!(path, "%{byte:02X}").unwrap(),
        }
    }
    Some(path)
}
