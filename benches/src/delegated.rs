//! *Delegated*: an agent acts for a user, with or without a second agent between them: two and three legs.
//!
//! Half of the policies grant a tool to an agent, half a server to a team of users; most questions are such that both
//! the agents and the user they act for are permitted, so that all legs are evaluated to the end.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::workload::{EntityWriter, QUESTIONS, Random, Rewrite, SchemaText, Workload, uid};

const AGENTS: usize = 1_000;
const USERS: usize = 1_000;
const TEAMS: usize = 50;
const SERVERS: usize = 100;
const TOOLS: usize = 5_000;

const SCHEMA: &str = r#"
entity Team;
entity User in [Team] { level: Long };
entity Agent { level: Long, suspended: Bool };
entity Server;
entity Tool in [Server] { sensitivity: Long };
action call appliesTo { principal: [Agent, User], resource: Tool, context: { amount: Long } };
"#;

/// What the policies are about.
struct Grants {
    /// An agent and a tool.
    agents: Vec<(usize, usize)>,
    /// A team and a server.
    teams: Vec<(usize, usize)>,
}

/// Agent and user.
pub fn two_legs(policies: usize) -> Workload {
    workload("delegated-2", policies, 0)
}

/// Agent, inner agent and user.
pub fn three_legs(policies: usize) -> Workload {
    workload("delegated-3", policies, 1)
}

fn workload(family: &str, policies: usize, actors: usize) -> Workload {
    let (grants, text) = policies_text(policies);
    Workload {
        family: family.to_owned(),
        size: policies,
        policies: text,
        schema: Some(SchemaText::Cedar(SCHEMA.to_owned())),
        entities: entities(),
        reference_entities: None,
        questions: questions(&grants, actors),
        is_valid: true,
        rewrite: Rewrite::None("they decide for one principal"),
    }
}

fn policies_text(policies: usize) -> (Grants, String) {
    let mut random = Random::new(0x50);
    let mut grants = Grants { agents: Vec::new(), teams: Vec::new() };
    let mut text = String::new();
    for at in 0..policies {
        let amount = 200 + random.below(800);
        // Writing to a String cannot fail.
        let _ = match at % 4 {
            0 | 2 => {
                // Some tools are called by several agents, or nobody could be an inner agent.
                let tool = random.below(TOOLS.min(policies));
                let agent = random.below(AGENTS);
                grants.agents.push((agent, tool));
                writeln!(
                    text,
                    r#"@id("policy{at}") permit(principal == Agent::"agent-{agent}", action == Action::"call", resource == Tool::"tool-{tool}") when {{ context.amount <= {amount} }};"#
                )
            }
            1 => {
                // A server of a tool that agents may have been granted, too.
                let server = random.below(TOOLS.min(policies)) % SERVERS;
                let team = random.below(TEAMS);
                grants.teams.push((team, server));
                writeln!(
                    text,
                    r#"@id("policy{at}") permit(principal in Team::"team-{team}", action == Action::"call", resource in Server::"server-{server}") when {{ principal.level >= resource.sensitivity }};"#
                )
            }
            _ if at == 3 => writeln!(
                text,
                r#"@id("policy{at}") forbid(principal is Agent, action, resource) when {{ principal.suspended }};"#
            ),
            _ => {
                let (user, tool) = (random.below(USERS), random.below(TOOLS));
                writeln!(
                    text,
                    r#"@id("policy{at}") permit(principal == User::"user-{user}", action == Action::"call", resource == Tool::"tool-{tool}");"#
                )
            }
        };
    }
    (grants, text)
}

fn entities() -> String {
    let (mut random, mut entities) = (Random::new(0x51), EntityWriter::new());
    for team in 0..TEAMS {
        entities.add("Team", &format!("team-{team}"), "", &[]);
    }
    for user in 0..USERS {
        let attrs = format!(r#""level":{}"#, 1 + random.below(5));
        let team = ("Team", format!("team-{}", user % TEAMS));
        entities.add("User", &format!("user-{user}"), &attrs, &[team]);
    }
    for agent in 0..AGENTS {
        let attrs = format!(r#""level":{},"suspended":{}"#, random.below(5), random.below(30) == 0);
        entities.add("Agent", &format!("agent-{agent}"), &attrs, &[]);
    }
    for server in 0..SERVERS {
        entities.add("Server", &format!("server-{server}"), "", &[]);
    }
    for tool in 0..TOOLS {
        let attrs = format!(r#""sensitivity":{}"#, 1 + random.below(3));
        let server = ("Server", format!("server-{}", tool % SERVERS));
        entities.add("Tool", &format!("tool-{tool}"), &attrs, &[server]);
    }
    entities.finish()
}

fn questions(grants: &Grants, actors: usize) -> Vec<String> {
    let mut random = Random::new(0x52);
    let mut by_tool = std::collections::BTreeMap::<usize, Vec<usize>>::new();
    for (agent, tool) in &grants.agents {
        by_tool.entry(*tool).or_default().push(*agent);
    }
    let mut by_server = std::collections::BTreeMap::<usize, Vec<usize>>::new();
    for (team, server) in &grants.teams {
        by_server.entry(*server).or_default().push(*team);
    }
    let mut questions = Vec::with_capacity(QUESTIONS);
    for _ in 0..QUESTIONS {
        let (agent, tool) = random.pick(&grants.agents).unwrap_or((0, 0));
        let agents = by_tool.get(&tool).map(Vec::as_slice).unwrap_or_default();
        let teams = by_server.get(&(tool % SERVERS)).map(Vec::as_slice).unwrap_or_default();
        let team = random.pick(teams).unwrap_or(0);
        let user = team + TEAMS * random.below(USERS / TEAMS);
        let inner: Vec<Value> = (0..actors)
            // Nobody stands twice in a chain.
            .map(|_| random.pick(agents).filter(|inner| *inner != agent))
            .map(|inner| inner.unwrap_or((agent + 1) % AGENTS))
            .map(|agent| uid("Agent", &format!("agent-{agent}")))
            .collect();
        let question = json!({
            "principal": uid("Agent", &format!("agent-{agent}")),
            "action": uid("Action", "call"),
            "resource": uid("Tool", &format!("tool-{tool}")),
            "context": {"amount": random.below(600)},
            "actors": inner,
            "on_behalf_of": uid("User", &format!("user-{user}")),
        });
        questions.push(question.to_string());
    }
    questions
}
