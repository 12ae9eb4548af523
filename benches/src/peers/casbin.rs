//! `casbin` on the grants of W1: role-based access with groups of agents and servers of tools.
//!
//! Its model has no form for W1's conditions, so it answers a weaker question, whether any grant to the agent or its
//! groups covers the tool, and is compared with exactly that. Its futures never wait without a database behind them.

use std::fmt::Write;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use casbin::{CoreApi, DefaultModel, Enforcer, StringAdapter};

use crate::peers::Peer;
use crate::w1::{self, Policy, Question, W1};

/// It walks all grants; beyond this a decision takes longer than a turn.
pub const POLICIES_MAX: usize = 10_000;

const MODEL: &str = "
[request_definition]
r = sub, obj
[policy_definition]
p = sub, obj
[role_definition]
g = _, _
g2 = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && g2(r.obj, p.obj)
";

/// The engine and its questions.
pub struct Casbin<'a> {
    enforcer: Enforcer,
    questions: &'a [Question],
}

// === impl Casbin ===

impl<'a> Casbin<'a> {
    /// Loads the grants.
    ///
    /// # Errors
    ///
    /// When the engine refuses them.
    pub fn new(workload: &'a W1) -> Result<Self, String> {
        let mut grants = String::new();
        for policy in &workload.policies {
            // Writing to a String cannot fail.
            let _ = match policy {
                Policy::Suspended | Policy::NotOwner => Ok(()),
                Policy::AgentTool { agent, tool, .. } => {
                    writeln!(grants, "p, {}, {}", w1::agent_id(*agent), w1::tool_id(*tool))
                }
                Policy::GroupServer { group, server } => {
                    writeln!(grants, "p, {}, {}", w1::group_id(*group), w1::server_id(*server))
                }
            };
        }
        for agent in 0..w1::AGENTS {
            for group in w1::groups_of(agent) {
                let _ = writeln!(grants, "g, {}, {}", w1::agent_id(agent), w1::group_id(group));
            }
        }
        for (tool, _) in w1::tools().iter().enumerate() {
            let server = w1::server_id(w1::server_of(tool));
            let _ = writeln!(grants, "g2, {}, {server}", w1::tool_id(tool));
        }
        let enforcer = at_once(async {
            let model = DefaultModel::from_str(MODEL).await?;
            Enforcer::new(model, StringAdapter::new(grants)).await
        })
        .ok_or("casbin waits for something although everything is in memory")?
        .map_err(|error| error.to_string())?;
        Ok(Self { enforcer, questions: &workload.questions })
    }
}

impl Peer for Casbin<'_> {
    #[inline]
    fn allows(&self, at: usize) -> bool {
        let Some(question) = self.questions.get(at) else { return false };
        self.enforcer.enforce((question.agent.as_str(), question.tool.as_str())).unwrap_or(false)
    }
}

/// What it says of question `at` if it is right: whether a permit's scope matches.
pub fn expected(workload: &W1, question: &Question) -> bool {
    let permits = |at: &usize| {
        !matches!(workload.policies.get(*at), Some(Policy::Suspended | Policy::NotOwner) | None)
    };
    workload.matching(question).iter().any(permits)
}

/// The result of a future that never waits.
fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

/// The engine does not print; its name is enough.
impl std::fmt::Debug for Casbin<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Casbin").finish_non_exhaustive()
    }
}
