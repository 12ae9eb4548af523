//! An index written by hand for W1 and nothing else: the floor for whatever has to start from strings.
//!
//! Names are looked up in hash tables, pairs of numbers in two more, and the conditions are code. It gives no reasons,
//! knows no errors, validates nothing, and would have to be rewritten for the next policy of another shape.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::peers::Peer;
use crate::w1::{self, Agent, Policy, Tool, W1};

type Table<K, V> = HashMap<K, V, RandomState>;

/// The index and its questions.
#[derive(Debug)]
pub struct HashIndex<'a> {
    agents: Table<String, (Agent, usize)>,
    tools: Table<String, (Tool, usize)>,
    users: Table<String, usize>,
    groups: Vec<Vec<usize>>,
    agent_tools: Table<(usize, usize), Vec<(i64, &'static str)>>,
    group_servers: Table<(usize, usize), ()>,
    questions: &'a [w1::Question],
}

// === impl HashIndex ===

impl<'a> HashIndex<'a> {
    /// Builds the tables.
    pub fn new(workload: &'a W1) -> Self {
        let mut agent_tools: Table<(usize, usize), Vec<(i64, &'static str)>> = Table::default();
        let mut group_servers = Table::default();
        for policy in &workload.policies {
            match policy {
                // They are in the code below; every W1 has them.
                Policy::Suspended | Policy::NotOwner => {}
                Policy::AgentTool { agent, tool, amount_max, channel } => {
                    let channel = w1::CHANNELS.get(*channel).copied().unwrap_or("chat");
                    let grant = (i64::try_from(*amount_max).unwrap_or(i64::MAX), channel);
                    agent_tools.entry((*agent, *tool)).or_default().push(grant);
                }
                Policy::GroupServer { group, server } => {
                    group_servers.insert((*group, *server), ());
                }
            }
        }
        let agents = w1::agents().into_iter().enumerate();
        let tools = w1::tools().into_iter().enumerate();
        Self {
            groups: agents.clone().map(|(number, _)| w1::groups_of(number)).collect(),
            agents: agents.map(|(number, agent)| (w1::agent_id(number), (agent, number))).collect(),
            tools: tools.map(|(number, tool)| (w1::tool_id(number), (tool, number))).collect(),
            users: (0..w1::USERS).map(|number| (w1::user_id(number), number)).collect(),
            agent_tools,
            group_servers,
            questions: &workload.questions,
        }
    }

    fn decide(&self, question: &w1::Question) -> Option<bool> {
        let (agent, agent_number) = self.agents.get(question.agent.as_str())?;
        let (tool, tool_number) = self.tools.get(question.tool.as_str())?;
        let delegator = self.users.get(question.delegator.as_str())?;
        if agent.suspended || !agent.owners.contains(delegator) {
            return Some(false);
        }
        let by_tool = self.agent_tools.get(&(*agent_number, *tool_number)).is_some_and(|grants| {
            grants
                .iter()
                .any(|(most, channel)| question.amount <= *most && question.channel == *channel)
        });
        Some(
            by_tool || {
                agent.clearance >= tool.sensitivity
                    && agent.department == tool.department
                    && self.groups.get(*agent_number)?.iter().any(|group| {
                        self.group_servers.contains_key(&(*group, w1::server_of(*tool_number)))
                    })
            },
        )
    }
}

impl Peer for HashIndex<'_> {
    #[inline]
    fn allows(&self, at: usize) -> bool {
        self.questions.get(at).and_then(|question| self.decide(question)).unwrap_or(false)
    }
}
