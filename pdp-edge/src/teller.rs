//! What becomes of a call that was judged: which headers it goes on with, or what its caller is told.
//!
//! The same for every proxy, so that a bundle means the same behind each. A denied caller learns the reason, a code for
//! what was in the way of a question, and the decision's id, never a policy's name; or what the route has to say; where
//! calls are messages, in the words of their protocol. What a call comes with under names that begin with `x-pdp-` is
//! never the upstream's to see.

use pdp_core::{Bundle, Route};

use crate::mcp::{Cause, Fault, Message, told};

/// By what a caller is told: the route, if the call takes one, and what the call says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Teller<'c> {
    /// The route.
    pub route: Option<&'c Route>,
    /// The message that it is, as far as it was read.
    pub message: Option<&'c Message<'c>>,
    /// What is wrong with the message.
    pub fault: Option<Fault>,
    /// The headers of the call.
    pub headers: &'c [(&'c [u8], &'c [u8])],
}

/// How a call goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Headers that it gets, in place of any it has of the same name.
    pub set: [(&'static str, String); 2],
    /// Headers that it loses, in lower case.
    pub remove: Vec<String>,
}

/// What a caller gets instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// The status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// What denied calls get unless their route says otherwise.
const FORBIDDEN: u16 = 403;
const OURS: &[u8] = b"x-pdp-";

/// A bundle's name and revision, as logs of proxies have it.
pub fn label(bundle: &Bundle) -> String {
    format!("{}@{}", bundle.name(), bundle.revision())
}

// === impl Teller ===

impl Teller<'_> {
    /// For a call that is allowed.
    pub fn passed(&self, reason: &str, decision: &str) -> Passed {
        let set = [("x-pdp-decision-id", decision.to_owned()), ("x-pdp-reason", reason.to_owned())];
        let mut remove = self.route.map_or(Vec::new(), |route| route.strip.clone());
        for (name, _) in self.headers {
            let ours = name.get(..OURS.len()).is_some_and(|start| start.eq_ignore_ascii_case(OURS));
            if !ours {
                continue;
            }
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            // A proxy may remove after it sets, and what is set replaces what was there.
            if !set.iter().any(|(ours, _)| *ours == name) && !remove.contains(&name) {
                remove.push(name);
            }
        }
        Passed { set, remove }
    }

    /// For a call that is denied: as the route says, or with the reason; where calls are messages, in the words of their
    /// protocol.
    pub fn stopped(&self, reason: &str, refusal: Option<&str>, decision: &str) -> Stopped {
        if let Some(mcp) = self.route.and_then(|route| route.mcp.as_ref()) {
            let Teller { message, fault, headers, .. } = *self;
            let cause = Cause { message, fault, reason, refusal, decision, headers };
            let told = told(&mcp.deny, &cause);
            let json = ("content-type".to_owned(), "application/json".to_owned());
            return Stopped { status: told.status, headers: vec![json], body: told.body };
        }
        let own = self.route.and_then(|route| route.deny.as_ref());
        let headers = own.into_iter().flat_map(|own| &own.headers);
        let refusal = refusal.map(|code| format!("\"refusal\":\"{code}\",")).unwrap_or_default();
        let body =
            || format!("{{\"reason\":\"{reason}\",{refusal}\"decision_id\":\"{decision}\"}}");
        Stopped {
            status: own.map_or(FORBIDDEN, |own| own.status),
            headers: headers.map(|(key, value)| (key.clone(), value.clone())).collect(),
            body: own.and_then(|own| own.body.clone()).unwrap_or_else(body),
        }
    }
}
