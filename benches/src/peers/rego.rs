//! `regorus` on W1 and on attribute rules, in the two ways in which people write Rego.
//!
//! *As data*: a few rules that look grants up in nested objects, which is what an expert rewrites thousands of grants
//! to. *A rule a policy*: a straight translation. Policies are compiled once for its register machine, the faster of its
//! two evaluators by five times here; the machine is kept, and the input of each question is built beforehand, as the
//! reference's requests are. It says allow or not.

use std::cell::RefCell;
use std::fmt::Write;
use std::sync::Arc;

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::RegoVM;
use regorus::{Engine, Value};
use serde_json::{Map, Value as Json, json};

use crate::attribute_rules::{Rule, SHAPES, value_of, variable};
use crate::peers::Peer;
use crate::w1::{self, Policy, W1};
use crate::workload::Workload;

/// Beyond this many rules the translation is not tried.
pub const RULES_MAX: usize = 1_000;

/// What is asked of the policies.
const ENTRY: &str = "data.work.allow";

/// The compiled policy and its questions.
pub struct Rego {
    machine: RefCell<RegoVM>,
    inputs: Vec<Value>,
}

const W1_DATA: &str = r#"
package work
import rego.v1
default allow := false
agent := data.agents[input.agent]
tool := data.tools[input.tool]
forbidden if agent.suspended
forbidden if not agent.owners[input.delegator]
allow if { not forbidden; granted }
granted if {
  some grant in data.agent_tools[input.agent][input.tool]
  input.amount <= grant.amount
  input.channel == grant.channel
}
granted if {
  some group, _ in agent.groups
  data.group_servers[group][tool.server]
  agent.clearance >= tool.sensitivity
  agent.department == tool.department
}
"#;

const W1_RULES: &str = r#"
package work
import rego.v1
default allow := false
agent := data.agents[input.agent]
tool := data.tools[input.tool]
forbidden if agent.suspended
forbidden if not agent.owners[input.delegator]
allow if { not forbidden; granted }
"#;

const ATTRIBUTES: &str = r#"
package work
import rego.v1
default allow := false
principal := data.users[input.user]
resource := data.records[input.record]
context := input.context
allow if { permitted; not forbidden }
"#;

// === impl Rego ===

impl Rego {
    /// W1 with the grants as data.
    ///
    /// # Errors
    ///
    /// When the engine refuses it.
    pub fn w1_data(workload: &W1) -> Result<Self, String> {
        Self::new(W1_DATA.to_owned(), &w1_facts(workload), w1_inputs(workload))
    }

    /// W1 with a rule for each policy.
    ///
    /// # Errors
    ///
    /// When the engine refuses it.
    pub fn w1_rules(workload: &W1) -> Result<Self, String> {
        let mut text = W1_RULES.to_owned();
        for policy in &workload.policies {
            // Writing to a String cannot fail.
            let _ = match policy {
                Policy::Suspended | Policy::NotOwner => Ok(()),
                Policy::AgentTool { agent, tool, amount_max, channel } => writeln!(
                    text,
                    r#"granted if {{ input.agent == "{}"; input.tool == "{}"; input.amount <= {amount_max}; input.channel == "{}" }}"#,
                    w1::agent_id(*agent),
                    w1::tool_id(*tool),
                    w1::CHANNELS.get(*channel).copied().unwrap_or("chat")
                ),
                Policy::GroupServer { group, server } => writeln!(
                    text,
                    r#"granted if {{ agent.groups["{}"]; tool.server == "{}"; agent.clearance >= tool.sensitivity; agent.department == tool.department }}"#,
                    w1::group_id(*group),
                    w1::server_id(*server)
                ),
            };
        }
        Self::new(text, &w1_facts(workload), w1_inputs(workload))
    }

    /// Attribute rules as data: by shape, an object nested as deep as the shape has attributes.
    ///
    /// # Errors
    ///
    /// When the engine refuses it.
    pub fn attributes_data(workload: &Workload, rules: &[Rule]) -> Result<Self, String> {
        let (mut text, mut data) = (ATTRIBUTES.to_owned(), attribute_facts(workload)?);
        for (shape, attributes) in SHAPES.iter().enumerate() {
            let keys: String = attributes
                .iter()
                .map(|attribute| format!("[{}.{attribute}]", variable(attribute)))
                .collect();
            for (head, name) in [("permitted", "permit"), ("forbidden", "forbid")] {
                let _ = writeln!(
                    text,
                    "{head} if {{ some least in data.{name}.shape{shape}{keys}.leasts; principal.level >= least }}"
                );
            }
        }
        for rule in rules {
            let name = if rule.forbids { "forbid" } else { "permit" };
            let attributes = SHAPES.get(rule.shape).copied().unwrap_or_default();
            let mut at = entry(entry(&mut data, name), &format!("shape{}", rule.shape));
            for (attribute, value) in attributes.iter().zip(&rule.values) {
                at = entry(at, &value_of(attribute, *value));
            }
            let leasts = at.entry("leasts").or_insert_with(|| json!([]));
            if let Some(leasts) = leasts.as_array_mut() {
                leasts.push(json!(rule.level_min.unwrap_or(0)));
            }
        }
        Self::new(text, &Json::Object(data), attribute_inputs(workload)?)
    }

    /// Attribute rules, a rule each.
    ///
    /// # Errors
    ///
    /// When the engine refuses it.
    pub fn attributes_rules(workload: &Workload, rules: &[Rule]) -> Result<Self, String> {
        let (mut text, data) = (ATTRIBUTES.to_owned(), attribute_facts(workload)?);
        // A rule that is never there may not be named.
        text.push_str("permitted if false\nforbidden if false\n");
        for rule in rules {
            let head = if rule.forbids { "forbidden" } else { "permitted" };
            let attributes = SHAPES.get(rule.shape).copied().unwrap_or_default();
            let mut tests: Vec<String> = attributes
                .iter()
                .zip(&rule.values)
                .map(|(attribute, value)| {
                    format!(
                        r#"{}.{attribute} == "{}""#,
                        variable(attribute),
                        value_of(attribute, *value)
                    )
                })
                .collect();
            tests.extend(rule.level_min.map(|least| format!("principal.level >= {least}")));
            let _ = writeln!(text, "{head} if {{ {} }}", tests.join("; "));
        }
        Self::new(text, &Json::Object(data), attribute_inputs(workload)?)
    }

    fn new(text: String, data: &Json, inputs: Vec<Json>) -> Result<Self, String> {
        let mut engine = Engine::new();
        let told = |error: &dyn std::fmt::Display| format!("regorus: {error:#}");
        engine.add_policy("work.rego".to_owned(), text).map_err(|error| told(&error))?;
        let value = |json: &Json| Value::from_json_str(&json.to_string());
        engine
            .add_data(value(data).map_err(|error| told(&error))?)
            .map_err(|error| told(&error))?;
        let entry: Arc<str> = ENTRY.into();
        let policy = engine.compile_with_entrypoint(&entry).map_err(|error| told(&error))?;
        let program =
            Compiler::compile_from_policy(&policy, &[ENTRY]).map_err(|error| told(&error))?;
        let mut machine = RegoVM::new();
        machine.load_program(program);
        machine
            .set_data(value(data).map_err(|error| told(&error))?)
            .map_err(|error| told(&error))?;
        let inputs = inputs.iter().map(value).collect::<Result<_, _>>();
        let inputs = inputs.map_err(|error| told(&error))?;
        Ok(Self { machine: RefCell::new(machine), inputs })
    }
}

impl Peer for Rego {
    #[inline]
    fn allows(&self, at: usize) -> bool {
        let Some(input) = self.inputs.get(at) else { return false };
        let mut machine = self.machine.borrow_mut();
        machine.set_input(input.clone());
        matches!(machine.execute(), Ok(Value::Bool(true)))
    }
}

/// The engine does not print; its name is enough.
impl std::fmt::Debug for Rego {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rego").finish_non_exhaustive()
    }
}

// === W1 ===

fn w1_facts(workload: &W1) -> Json {
    let keyed = |keys: Vec<String>| -> Json {
        Json::Object(keys.into_iter().map(|key| (key, json!(true))).collect())
    };
    let mut data = Map::new();
    for (number, agent) in w1::agents().iter().enumerate() {
        let groups = w1::groups_of(number).into_iter().map(w1::group_id).collect();
        let facts = json!({
            "suspended": agent.suspended,
            "owners": keyed(agent.owners.into_iter().map(w1::user_id).collect()),
            "groups": keyed(groups),
            "clearance": agent.clearance,
            "department": agent.department,
        });
        entry(&mut data, "agents").insert(w1::agent_id(number), facts);
    }
    for (number, tool) in w1::tools().iter().enumerate() {
        let facts = json!({
            "server": w1::server_id(w1::server_of(number)),
            "sensitivity": tool.sensitivity,
            "department": tool.department,
        });
        entry(&mut data, "tools").insert(w1::tool_id(number), facts);
    }
    for policy in &workload.policies {
        match policy {
            Policy::Suspended | Policy::NotOwner => {}
            Policy::AgentTool { agent, tool, amount_max, channel } => {
                let grants = entry(entry(&mut data, "agent_tools"), &w1::agent_id(*agent));
                let grants = grants.entry(w1::tool_id(*tool)).or_insert_with(|| json!([]));
                if let Some(grants) = grants.as_array_mut() {
                    let channel = w1::CHANNELS.get(*channel).copied().unwrap_or("chat");
                    grants.push(json!({"amount": amount_max, "channel": channel}));
                }
            }
            Policy::GroupServer { group, server } => {
                let servers = entry(entry(&mut data, "group_servers"), &w1::group_id(*group));
                servers.insert(w1::server_id(*server), json!(true));
            }
        }
    }
    Json::Object(data)
}

fn w1_inputs(workload: &W1) -> Vec<Json> {
    let input = |question: &w1::Question| {
        json!({
            "agent": question.agent,
            "tool": question.tool,
            "delegator": question.delegator,
            "amount": question.amount,
            "channel": question.channel,
        })
    };
    workload.questions.iter().map(input).collect()
}

// === attribute rules ===

/// The attributes of users and records, out of the entities that every engine gets.
fn attribute_facts(workload: &Workload) -> Result<Map<String, Json>, String> {
    let entities: Vec<Json> =
        serde_json::from_str(&workload.entities).map_err(|error| error.to_string())?;
    let mut data = Map::new();
    for entity in entities {
        let text = |at: &str| entity.pointer(at).and_then(Json::as_str).unwrap_or_default();
        let table = if text("/uid/type") == "User" { "users" } else { "records" };
        let attrs = entity.get("attrs").cloned().unwrap_or_default();
        entry(&mut data, table).insert(text("/uid/id").to_owned(), attrs);
    }
    Ok(data)
}

fn attribute_inputs(workload: &Workload) -> Result<Vec<Json>, String> {
    let input = |question: &String| {
        let question: Json = serde_json::from_str(question).map_err(|error| error.to_string())?;
        let part = |at: &str| question.pointer(at).cloned().unwrap_or_default();
        Ok(json!({
            "user": part("/principal/id"),
            "record": part("/resource/id"),
            "context": part("/context"),
        }))
    };
    workload.questions.iter().map(input).collect()
}

/// The object under a key, made where there is none.
fn entry<'a>(map: &'a mut Map<String, Json>, key: &str) -> &'a mut Map<String, Json> {
    let value = map.entry(key).or_insert_with(|| json!({}));
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Json::Object(map) => map,
        _ => unreachable!("it was made an object just now"),
    }
}
