//! What is asked: calls of sixteen users for documents, policies for a thousand users, and the effect the library gives.

use std::fmt::Write;
use std::fs;

use pdp_core::json::Arena;
use pdp_core::{
    Bundle, Claim, CompileOptions, DecideOptions, Decider, Effect, LoadLimits, Scratch, Source,
};
use pdp_edge::{ClaimValue, Claims, HttpMessage, Router};

use crate::sidecar::Folder;
use crate::workload::Random;

/// Policies, two forbids included.
pub(super) const POLICIES: usize = 10_000;
const USERS: usize = 1_000;
const DOCUMENTS: usize = 5_000;
/// Users that a route knows; the others are there to be passed over.
const ASKING: usize = 16;
const CALLS: usize = 512;

const MANIFEST: &str = "name = \"proxy\"\nrevision = 1\n";
const SCHEMA: &str = r#"
entity User { suspended: Bool };
entity Document { sealed: Bool, level: Long };
action GET appliesTo { principal: User, resource: Document, context: { host: String, level: Long } };
"#;
const FORBIDS: &str = "forbid(principal, action, resource) when { principal.suspended };\n\
                       forbid(principal, action, resource) when { resource.sealed };\n";

/// A call, and whether the library allows it.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) path: String,
    pub(super) is_allowed: bool,
}

/// What is asked.
pub(super) struct Work {
    pub(super) bundle: Vec<u8>,
    pub(super) calls: Vec<Call>,
}

/// Nobody has a token.
struct NoToken;

// === impl Work ===

impl Work {
    pub(super) fn new() -> Result<Self, String> {
        let mut random = Random::new(17);
        let mut policies = FORBIDS.to_owned();
        let mut paths = Vec::new();
        for at in 2..POLICIES {
            let (user, document) = (at % USERS, random.below(DOCUMENTS));
            // What is granted ends in -y, so that one rule of a filter that knows no policies can say the same.
            let _ = writeln!(
                policies,
                "permit(principal == User::\"u{user}\", action == Action::\"GET\", resource == Document::\"{document}-y\") \
                 when {{ context.host == \"bench\" && context.level >= resource.level }};"
            );
            if user < ASKING && paths.len() < CALLS {
                // One in eight is denied.
                let granted = if random.below(8) == 0 { "n" } else { "y" };
                paths.push(format!("/u{user}/{document}-{granted}"));
            }
        }
        let user = |at| {
            format!(
                "{{\"uid\":{{\"type\":\"User\",\"id\":\"u{at}\"}},\"attrs\":{{\"suspended\":false}},\"parents\":[]}}"
            )
        };
        let document = |at, granted| {
            format!(
                "{{\"uid\":{{\"type\":\"Document\",\"id\":\"{at}-{granted}\"}},\"attrs\":{{\"sealed\":false,\"level\":{}}},\"parents\":[]}}",
                at % 5
            )
        };
        let mut entities: Vec<String> = (0..USERS).map(user).collect();
        entities.extend((0..DOCUMENTS).map(|at| document(at, "y")));
        entities.extend((0..DOCUMENTS).map(|at| document(at, "n")));
        let mut routes = "resource = 'Document::\"{document}\"'\naction = 'Action::\"{method}\"'\n\
                          [context]\nhost = \"host\"\nlevel = { literal = 5 }\n"
            .to_owned();
        for user in 0..ASKING {
            let _ = writeln!(
                routes,
                "[[route]]\npath = \"/u{user}/{{document}}\"\nprincipal = 'User::\"u{user}\"'"
            );
        }
        let folder = Folder::named("proxy-source")?;
        folder.write("bundle.toml", MANIFEST.as_bytes())?;
        folder.write("schema.cedarschema", SCHEMA.as_bytes())?;
        folder.write("policies.cedar", policies.as_bytes())?;
        folder.write("routes.toml", routes.as_bytes())?;
        let inside = folder.file("entities")?;
        fs::create_dir(&inside).map_err(|error| format!("{inside}: {error}"))?;
        folder.write("entities/all.json", format!("[{}]", entities.join(",")).as_bytes())?;
        let options = CompileOptions { keep_source: false, ..CompileOptions::STANDARD };
        let bundle = Source::folder(folder.path())
            .and_then(|source| pdp_core::compile(&source, &options))
            .map_err(|report| report.to_string())?;
        let calls = calls(&bundle, paths)?;
        Ok(Self { bundle, calls })
    }
}

/// What the library says of each call.
fn calls(bundle: &[u8], paths: Vec<String>) -> Result<Vec<Call>, String> {
    let bundle = Bundle::load(bundle, &LoadLimits::STANDARD).map_err(|error| error.to_string())?;
    let decider = Decider::new(bundle.into());
    let router = Router::of(&decider).ok_or("the bundle has no routes")?;
    let mut scratch = Scratch::new();
    let mut calls = Vec::new();
    for path in paths {
        let arena = Arena::new();
        let message = HttpMessage {
            method: b"GET",
            host: b"bench",
            target: path.as_bytes(),
            headers: &[],
            source_principal: b"",
            source_ip: None,
            extensions: &[],
            body: None,
        };
        let question = router.question(&message, &NoToken, &arena);
        let (_, request) = question.map_err(|refused| format!("{path}: {refused:?}"))?;
        let answer = decider.decide_with(&mut scratch, &request, &DecideOptions::STANDARD);
        let is_allowed = answer.effect() == Effect::Allow;
        if is_allowed != path.ends_with("-y") {
            return Err(format!("{path}: {:?}", answer.to_owned()));
        }
        calls.push(Call { path, is_allowed });
    }
    Ok(calls)
}

impl Claims for NoToken {
    fn claim(&self, _: &Claim) -> Option<ClaimValue> {
        None
    }
}
