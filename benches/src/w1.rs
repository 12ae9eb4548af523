//! Workload W1: agents of a company call tools on servers.
//!
//! 1,000 agents below 200 groups that stand three deep, 5,000 tools on 100 servers, and policies of three shapes: two
//! forbids for everyone (suspended; the delegator is no owner), an agent × a tool with a test on the context, and a
//! group × a server that compares attributes. Of the policies that are not forbids, one in five is of the last shape,
//! and one in five is a second one about the agent and tool of the one before it, for another channel.
//! Everything comes from a generator of our own with a fixed seed: the same size gives the same texts on every
//! machine. The module knows neither engine; it makes texts and requests, and says how many policies a request meets.

use std::fmt::Write;

use serde_json::json;

use crate::workload::{
    EntityWriter, QUESTIONS, Random, Rewrite, SchemaText, Workload, question, uid,
};

/// Agents. Those of even number stand below groups of even number only, odd ones below odd ones.
pub const AGENTS: usize = 1_000;
const TOP_GROUPS: usize = 8;
const MIDDLE_GROUPS: usize = 32;
const LEAF_GROUPS: usize = 160;
pub(crate) const SERVERS: usize = 100;
/// Tools.
pub const TOOLS: usize = 5_000;
pub(crate) const USERS: usize = 250;
const DEPARTMENTS: usize = 4;
/// The schema of the workload, in Cedar syntax.
pub const SCHEMA: &str = r#"namespace Work {
  entity User;
  entity Group in [Group];
  entity Agent in [Group] { owners: Set<User>, suspended: Bool, clearance: Long, department: String };
  entity Server;
  entity Tool in [Server] { sensitivity: Long, department: String };
  action call appliesTo {
    principal: Agent,
    resource: Tool,
    context: { amount: Long, channel: String, delegator: User },
  };
}
"#;

pub(crate) const CHANNELS: [&str; 3] = ["chat", "batch", "mail"];

/// One policy; its position in [`W1::policies`] is its name, `policy0`, `policy1`, ….
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Suspended agents may do nothing.
    Suspended,
    /// Nobody may send an agent but its owners.
    NotOwner,
    /// This agent may call this tool, up to an amount, over one channel.
    AgentTool {
        /// Number of the agent.
        agent: usize,
        /// Number of the tool.
        tool: usize,
        /// Largest amount.
        amount_max: usize,
        /// Number of the channel.
        channel: usize,
    },
    /// Agents of this group may call the tools of this server that they are cleared for, within their department.
    GroupServer {
        /// Number of the group; leaves come first, then middle, then top groups.
        group: usize,
        /// Number of the server.
        server: usize,
    },
}

/// One question, with texts of its own.
#[derive(Clone, Debug)]
pub struct Question {
    /// Id of the agent.
    pub agent: String,
    /// Id of the tool.
    pub tool: String,
    /// Id of the user who sent the agent.
    pub delegator: String,
    /// `context.amount`.
    pub amount: i64,
    /// `context.channel`.
    pub channel: &'static str,
    /// Number of the agent.
    pub agent_number: usize,
    /// Number of the tool.
    pub tool_number: usize,
}

/// What is known about an agent.
#[derive(Clone, Copy, Debug)]
pub struct Agent {
    /// Numbers of the users who own it.
    pub owners: [usize; 2],
    /// Whether it may do nothing.
    pub suspended: bool,
    /// How sensitive a tool it may call.
    pub clearance: usize,
    /// Number of its department.
    pub department: usize,
}

/// What is known about a tool.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// The clearance it asks for.
    pub sensitivity: usize,
    /// Number of its department.
    pub department: usize,
}

/// Policies and requests of one size.
#[derive(Clone, Debug)]
pub struct W1 {
    /// The policies, in order.
    pub policies: Vec<Policy>,
    /// The requests, [`QUESTIONS`] of them.
    pub questions: Vec<Question>,
}

// === impl W1 ===

impl W1 {
    /// The workload with this many policies, the two forbids included; requests are drawn so that policies of both
    /// permitting shapes are met.
    pub fn new(policies: usize) -> Self {
        let mut random = Random::new(1);
        let mut workload = Self { policies: forbids(), questions: Vec::new() };
        for at in workload.policies.len()..policies {
            workload.add(permit(at, &mut random, random_agent, random_group));
        }
        workload.ask();
        workload
    }

    /// A workload of fixed size, beside which stand this many policies that no request of it can match: they are about
    /// agents and groups of the other half of the company. The requests are the same for any number of them.
    pub fn crowded(policies: usize, bystanders: usize) -> Self {
        let mut random = Random::new(2);
        let mut workload = Self { policies: forbids(), questions: Vec::new() };
        let near = |random: &mut Random| random.below(AGENTS / 2) * 2;
        let near_group = |random: &mut Random| random.below(LEAF_GROUPS / 2) * 2;
        for at in workload.policies.len()..policies {
            workload.add(permit(at, &mut random, near, near_group));
        }
        workload.ask();
        let far = |random: &mut Random| random.below(AGENTS / 2) * 2 + 1;
        let far_group = |random: &mut Random| random.below(LEAF_GROUPS / 2) * 2 + 1;
        for at in 0..bystanders {
            workload.add(permit(at, &mut random, far, far_group));
        }
        workload
    }

    /// Adds a policy; every fifth becomes a second one about the agent and tool of the one before.
    fn add(&mut self, policy: Policy) {
        let second = self.policies.len() % 5 == 3;
        let policy = match (policy, self.policies.last()) {
            (
                Policy::AgentTool { amount_max, .. },
                Some(Policy::AgentTool { agent, tool, channel, .. }),
            ) if second => Policy::AgentTool {
                agent: *agent,
                tool: *tool,
                amount_max,
                channel: (channel + 1) % CHANNELS.len(),
            },
            (policy, _) => policy,
        };
        self.policies.push(policy);
    }

    /// Three in four requests are about an agent × tool that some policy names, the others about a group × server; one
    /// in eight is sent by a user who, most likely, is no owner.
    fn ask(&mut self) {
        let mut random = Random::new(3);
        let permits = self.policies.get(forbids().len()..).unwrap_or_default();
        let agent_tools: Vec<(usize, usize)> = permits
            .iter()
            .filter_map(|policy| match policy {
                Policy::AgentTool { agent, tool, .. } => Some((*agent, *tool)),
                _ => None,
            })
            .collect();
        let group_servers: Vec<(usize, usize)> = permits
            .iter()
            .filter_map(|policy| match policy {
                Policy::GroupServer { group, server } => Some((*group, *server)),
                _ => None,
            })
            .collect();
        let mut questions = Vec::with_capacity(QUESTIONS);
        for at in 0..QUESTIONS {
            let pair = match at % 4 {
                0..=2 => random.pick(&agent_tools),
                _ => random.pick(&group_servers).map(|(group, server)| {
                    let members: Vec<usize> =
                        (0..AGENTS).filter(|agent| groups_of(*agent).contains(&group)).collect();
                    let agent = random.pick(&members).unwrap_or(0);
                    (agent, server + SERVERS * random.below(TOOLS / SERVERS))
                }),
            };
            let (agent, tool) = pair.unwrap_or((0, 0));
            let owner = match at % 8 {
                5 => random.below(USERS),
                _ => owner(agent, random.below(2)),
            };
            questions.push(Question {
                agent: agent_id(agent),
                tool: tool_id(tool),
                delegator: user_id(owner),
                amount: i64::try_from(random.below(1_000)).unwrap_or(0),
                channel: CHANNELS.get(random.below(2)).copied().unwrap_or("chat"),
                agent_number: agent,
                tool_number: tool,
            });
        }
        self.questions = questions;
    }

    /// Texts and questions for any engine.
    pub fn workload(self) -> Workload {
        Workload {
            family: "w1".to_owned(),
            size: self.policies.len(),
            policies: text_of(self.policies.iter().enumerate()),
            schema: Some(SchemaText::Cedar(SCHEMA.to_owned())),
            entities: Self::entities_json(),
            reference_entities: None,
            questions: self.questions.iter().map(Question::json).collect(),
            is_valid: true,
            rewrite: Rewrite::W1(Box::new(self)),
        }
    }

    /// The entities as Cedar's JSON.
    pub fn entities_json() -> String {
        let mut entities = EntityWriter::new();
        for user in 0..USERS {
            entities.add("Work::User", &user_id(user), "", &[]);
        }
        for group in 0..TOP_GROUPS + MIDDLE_GROUPS + LEAF_GROUPS {
            let above = group_above(group).map(|above| ("Work::Group", group_id(above)));
            entities.add("Work::Group", &group_id(group), "", above.as_slice());
        }
        for (number, agent) in agents().iter().enumerate() {
            let owners = agent.owners.map(|user| uid("Work::User", &user_id(user)).to_string());
            let attrs = format!(
                r#""owners":[{}],"suspended":{},"clearance":{},"department":"department-{}""#,
                owners.join(","),
                agent.suspended,
                agent.clearance,
                agent.department
            );
            let leaf = ("Work::Group", group_id(leaf_of(number)));
            entities.add("Work::Agent", &agent_id(number), &attrs, &[leaf]);
        }
        for server in 0..SERVERS {
            entities.add("Work::Server", &server_id(server), "", &[]);
        }
        for (number, tool) in tools().iter().enumerate() {
            let attrs = format!(
                r#""sensitivity":{},"department":"department-{}""#,
                tool.sensitivity, tool.department
            );
            let server = ("Work::Server", server_id(server_of(number)));
            entities.add("Work::Tool", &tool_id(number), &attrs, &[server]);
        }
        entities.finish()
    }

    /// The policies whose scope a request matches, by their position.
    pub fn matching(&self, question: &Question) -> Vec<usize> {
        let (agent, tool) = (question.agent_number, question.tool_number);
        let matches = |policy: &Policy| match policy {
            Policy::Suspended | Policy::NotOwner => true,
            Policy::AgentTool { agent: a, tool: t, .. } => *a == agent && *t == tool,
            Policy::GroupServer { group, server } => {
                *server == server_of(tool) && groups_of(agent).contains(group)
            }
        };
        let found = self.policies.iter().enumerate().filter(|(_, policy)| matches(policy));
        found.map(|(at, _)| at).collect()
    }
}

/// Some policies in Cedar syntax, each with its number: without an `@id`, every one of them would be warned about.
pub fn text_of<'a>(policies: impl Iterator<Item = (usize, &'a Policy)>) -> String {
    let mut text = String::new();
    for (at, policy) in policies {
        let _ = write!(text, "@id(\"policy{at}\") ");
        // Writing to a String cannot fail.
        let _ = match policy {
            Policy::Suspended => {
                writeln!(
                    text,
                    "forbid(principal, action, resource) when {{ principal.suspended }};"
                )
            }
            Policy::NotOwner => writeln!(
                text,
                "forbid(principal, action, resource) unless {{ principal.owners.contains(context.delegator) }};"
            ),
            Policy::AgentTool { agent, tool, amount_max, channel } => {
                let (agent, tool) = (agent_id(*agent), tool_id(*tool));
                let channel = CHANNELS.get(*channel).copied().unwrap_or("chat");
                writeln!(
                    text,
                    "permit(principal == Work::Agent::\"{agent}\", action == Work::Action::\"call\", resource == Work::Tool::\"{tool}\") \
                     when {{ context.amount <= {amount_max} && context.channel == \"{channel}\" }};"
                )
            }
            Policy::GroupServer { group, server } => {
                let (group, server) = (group_id(*group), server_id(*server));
                writeln!(
                    text,
                    "permit(principal in Work::Group::\"{group}\", action == Work::Action::\"call\", resource in Work::Server::\"{server}\") \
                     when {{ principal.clearance >= resource.sensitivity && principal.department == resource.department }};"
                )
            }
        };
    }
    text
}

// === impl Question ===

impl Question {
    fn json(&self) -> String {
        let context = json!({
            "amount": self.amount,
            "channel": self.channel,
            "delegator": uid("Work::User", &self.delegator),
        });
        question(("Work::Agent", &self.agent), "call", ("Work::Tool", &self.tool), &context)
    }
}

// === the company ===

/// All agents, by number.
pub fn agents() -> Vec<Agent> {
    let mut random = Random::new(4);
    let agent = |number| Agent {
        owners: [owner(number, 0), owner(number, 1)],
        suspended: random.below(20) == 0,
        clearance: 1 + random.below(5),
        department: random.below(DEPARTMENTS),
    };
    (0..AGENTS).map(agent).collect()
}

/// All tools, by number.
pub fn tools() -> Vec<Tool> {
    let mut random = Random::new(5);
    let tool = |_| Tool { sensitivity: 1 + random.below(5), department: random.below(DEPARTMENTS) };
    (0..TOOLS).map(tool).collect()
}

fn forbids() -> Vec<Policy> {
    vec![Policy::Suspended, Policy::NotOwner]
}

fn permit(
    at: usize,
    random: &mut Random,
    agent: impl Fn(&mut Random) -> usize,
    group: impl Fn(&mut Random) -> usize,
) -> Policy {
    match at % 5 {
        4 => Policy::GroupServer { group: group(random), server: random.below(SERVERS) },
        _ => Policy::AgentTool {
            agent: agent(random),
            tool: random.below(TOOLS),
            amount_max: random.below(1_000),
            channel: random.below(2),
        },
    }
}

fn random_agent(random: &mut Random) -> usize {
    random.below(AGENTS)
}

fn random_group(random: &mut Random) -> usize {
    random.below(LEAF_GROUPS + MIDDLE_GROUPS + TOP_GROUPS)
}

fn leaf_of(agent: usize) -> usize {
    agent % LEAF_GROUPS
}

/// The group that a group stands in.
fn group_above(group: usize) -> Option<usize> {
    match group.checked_sub(LEAF_GROUPS) {
        None => Some(LEAF_GROUPS + group % MIDDLE_GROUPS),
        Some(middle) if middle < MIDDLE_GROUPS => {
            Some(LEAF_GROUPS + MIDDLE_GROUPS + middle % TOP_GROUPS)
        }
        Some(_) => None,
    }
}

/// The groups an agent is in, the nearest first.
pub(crate) fn groups_of(agent: usize) -> Vec<usize> {
    std::iter::successors(Some(leaf_of(agent)), |group| group_above(*group)).collect()
}

pub(crate) fn server_of(tool: usize) -> usize {
    tool % SERVERS
}

/// One of the two owners of an agent.
pub(crate) fn owner(agent: usize, nth: usize) -> usize {
    (agent + nth * 7) % USERS
}

pub(crate) fn user_id(user: usize) -> String {
    format!("user-{user}")
}

pub(crate) fn group_id(group: usize) -> String {
    format!("group-{group}")
}

pub(crate) fn agent_id(agent: usize) -> String {
    format!("agent-{agent}")
}

pub(crate) fn server_id(server: usize) -> String {
    format!("server-{server}")
}

pub(crate) fn tool_id(tool: usize) -> String {
    format!("server-{}/tool-{tool}", server_of(tool))
}
