//! What the readers of foreign bytes make of a call, as text: the same source on the host and in a module has to say the
//! same.
//!
//! For tests alone: no artefact that is shipped has it. It keeps nothing, and judges nothing that the readers do not.

use std::fmt::Write;

use pdp_core::json::Arena;
use pdp_core::{Claim, DecideOptions, Decider, McpDenial, McpMode, Scratch};
use pdp_edge::mcp::{Cause, Item, ListFilter, Message, SseFilter, told};
use pdp_edge::{ClaimValue, Claims, HttpMessage, Router};

/// How long a list may be kept, in milliseconds.
const TTL_MS_MAX: u64 = 5_000;
const MODES: [McpMode; 4] = [McpMode::Mcp2026, McpMode::Coaz, McpMode::Hide, McpMode::ToolError];

/// A call, and what its server answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// The method.
    pub method: Vec<u8>,
    /// The host.
    pub host: Vec<u8>,
    /// Path and query.
    pub target: Vec<u8>,
    /// The identity in the peer's certificate.
    pub peer: Vec<u8>,
    /// The body; none if it is empty.
    pub body: Vec<u8>,
    /// The body of the server's answer.
    pub answer: Vec<u8>,
    /// The headers.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A token that says one thing whatever is asked.
struct Everybody;

// === impl Script ===

impl Script {
    /// As bytes: each part after its length, which is 32 bits, little-endian.
    pub fn bytes(&self) -> Vec<u8> {
        let Self { method, host, target, peer, body, answer, headers } = self;
        let mut bytes = Vec::new();
        let headers = headers.iter().flat_map(|(name, value)| [name, value]);
        for part in [method, host, target, peer, body, answer].into_iter().chain(headers) {
            let len = u32::try_from(part.len()).unwrap_or(u32::MAX);
            bytes.extend(len.to_le_bytes());
            bytes.extend(part);
        }
        bytes
    }

    /// From bytes; what is cut off is as good as empty.
    pub fn read(mut bytes: &[u8]) -> Self {
        let mut part = || {
            let Some((len, rest)) = bytes.split_first_chunk::<4>() else {
                return std::mem::take(&mut bytes).to_vec();
            };
            let len = usize::try_from(u32::from_le_bytes(*len)).unwrap_or(usize::MAX);
            let (part, rest) = rest.split_at(len.min(rest.len()));
            bytes = rest;
            part.to_vec()
        };
        let (method, host, target) = (part(), part(), part());
        let (peer, body, answer) = (part(), part(), part());
        let mut headers = Vec::new();
        loop {
            let (name, value) = (part(), part());
            if name.is_empty() && value.is_empty() {
                break;
            }
            headers.push((name, value));
        }
        Self { method, host, target, peer, body, answer, headers }
    }

    /// What the readers make of it, and what is decided then.
    pub fn said(&self, decider: &Decider) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = self.say(decider, &mut out);
        out
    }

    fn say(&self, decider: &Decider, out: &mut String) -> std::fmt::Result {
        let arena = Arena::new();
        let headers: Vec<(&[u8], &[u8])> =
            self.headers.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let body = Some(&self.body[..]).filter(|body| !body.is_empty());
        let method = String::from_utf8_lossy(&self.method);
        let read = Message::read(&method, &headers, body, &arena);
        writeln!(out, "message {read:?}")?;
        let (message, fault) = match &read {
            Ok(message) => (Some(message), None),
            Err(unread) => (unread.message.as_ref(), Some(unread.fault)),
        };
        let (reason, decision, headers) = ("not_permitted", "0", &headers[..]);
        let cause = Cause { message, fault, reason, refusal: None, decision, headers };
        for mode in MODES.map(Some) {
            writeln!(out, "told {:?}", told(&McpDenial { mode, ..McpDenial::default() }, &cause))?;
        }
        if let Some(filter) = message.and_then(|message| ListFilter::new(message, TTL_MS_MAX)) {
            let mut seen = String::new();
            let mut allowed = |item: Item<'_>| {
                seen.push_str(item.name);
                seen.push('\n');
                item.name.len().is_multiple_of(2)
            };
            writeln!(out, "list {}", filter.body(&self.answer, &mut allowed))?;
            let mut stream = SseFilter::new(filter);
            for piece in self.answer.chunks(1 + self.answer.len() % 37) {
                let fed = stream.feed(piece, &mut allowed);
                write!(out, "{}", String::from_utf8_lossy(&fed).escape_debug())?;
            }
            writeln!(out, "\nitems {seen:?}")?;
        }
        let call = HttpMessage {
            method: &self.method,
            host: &self.host,
            target: &self.target,
            headers,
            source_principal: &self.peer,
            source_ip: None,
            extensions: &[],
            body,
        };
        let Some(router) = Router::of(decider) else { return writeln!(out, "no routes") };
        match router.question(&call, &Everybody, &arena) {
            Err(refused) => writeln!(out, "refused {:?}", refused.refusal),
            Ok((matched, request)) => {
                writeln!(out, "route {:?} asks {request:?}", matched.route().path)?;
                let mut scratch = Scratch::new();
                let answer = decider
                    .decide_with(&mut scratch, &request, &DecideOptions::STANDARD)
                    .to_owned();
                writeln!(out, "answer {answer:?}")
            }
        }
    }
}

impl Claims for Everybody {
    fn claim(&self, claim: &Claim) -> Option<ClaimValue> {
        match claim.name.as_str() {
            "sub" => Some(ClaimValue::Text("priya".to_owned())),
            "scope" => Some(ClaimValue::Text("mcp:read mcp:write".to_owned())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "test code fails loudly")]

    use super::*;

    #[test]
    fn a_script_is_read_as_it_was_written() {
        let script = Script {
            method: b"POST".to_vec(),
            target: b"/mcp/s".to_vec(),
            body: b"{}".to_vec(),
            headers: vec![(b"a".to_vec(), b"".to_vec()), (b"b".to_vec(), vec![0xff; 300])],
            ..Script::default()
        };
        assert_eq!(Script::read(&script.bytes()), script);
        let bytes = script.bytes();
        for end in 0..bytes.len() {
            Script::read(&bytes[..end]);
        }
        assert_eq!(Script::read(&[0xff; 40]).method.len(), 36);
    }

    #[test]
    fn without_a_bundle_messages_are_read_all_the_same() {
        let script = Script {
            method: b"POST".to_vec(),
            body: br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#.to_vec(),
            answer: br#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"},{"name":"bb"}]}}"#
                .to_vec(),
            headers: vec![(b"content-type".to_vec(), b"application/json".to_vec())],
            ..Script::default()
        };
        let said = script.said(&Decider::no_bundle());
        assert!(said.contains("items \"a\\nbb\\n\""), "{said}");
        assert!(said.ends_with("no routes\n"), "{said}");
    }
}
