//! *Inline entities*: what is asked about comes with the request, and the store has never heard of it.
//!
//! Each request brings a ticket and, in half of the cases, a customer who acts; both may stand below groups and queues
//! that are stored, and have attributes that the policies read. The reference is given a store that already holds them.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::workload::{EntityWriter, QUESTIONS, Random, Rewrite, SchemaText, Workload, uid};

const GROUPS: usize = 100;
const QUEUES: usize = 100;
const CUSTOMERS: usize = 500;

const SCHEMA: &str = r#"
entity Group;
entity Customer in [Group] { tier: Long, region: String };
entity Queue;
entity Ticket in [Queue] { owner: Customer, region: String, urgent: Bool, labels: Set<String> };
action update appliesTo { principal: Customer, resource: Ticket, context: { channel: String } };
"#;

/// The workload with this many policies.
pub fn workload(policies: usize) -> Workload {
    Workload {
        family: "inline-entities".to_owned(),
        size: policies,
        policies: policies_text(policies),
        schema: Some(SchemaText::Cedar(SCHEMA.to_owned())),
        entities: entities(),
        reference_entities: None,
        questions: questions(),
        is_valid: true,
        rewrite: Rewrite::None("entities that come with a request have no form in them"),
    }
}

fn policies_text(policies: usize) -> String {
    let (mut random, mut text) = (Random::new(0x70), String::new());
    // As with any growing company, groups and queues are as many as the store has, and rules name finer things.
    let queues = QUEUES.max(policies / 10);
    for at in 0..policies {
        let (group, queue) = (random.below(GROUPS), random.below(queues));
        let condition = match at % 4 {
            0 => "resource.owner == principal".to_owned(),
            1 => "principal.region == resource.region".to_owned(),
            2 => format!("principal.tier >= {} && resource.urgent", random.below(5)),
            _ => format!(r#"resource.labels.contains("label-{}")"#, random.below(5)),
        };
        let scope = match at {
            0 => "principal, action, resource".to_owned(),
            _ => format!(
                r#"principal in Group::"group-{group}", action == Action::"update", resource in Queue::"queue-{queue}""#
            ),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, r#"@id("policy{at}") permit({scope}) when {{ {condition} }};"#);
    }
    text
}

fn entities() -> String {
    let (mut random, mut entities) = (Random::new(0x71), EntityWriter::new());
    for group in 0..GROUPS {
        entities.add("Group", &format!("group-{group}"), "", &[]);
    }
    for queue in 0..QUEUES {
        entities.add("Queue", &format!("queue-{queue}"), "", &[]);
    }
    for customer in 0..CUSTOMERS {
        let attrs = format!(r#""tier":{},"region":"region-{}""#, random.below(5), random.below(4));
        let group = ("Group", format!("group-{}", random.below(GROUPS)));
        entities.add("Customer", &format!("customer-{customer}"), &attrs, &[group]);
    }
    entities.finish()
}

fn questions() -> Vec<String> {
    let mut random = Random::new(0x72);
    let ask = |at: usize| {
        let mut inline: Vec<Value> = Vec::new();
        let customer = match at % 2 {
            0 => format!("customer-{}", random.below(CUSTOMERS)),
            _ => {
                let groups = [random.below(GROUPS), random.below(GROUPS)];
                inline.push(json!({
                    "uid": uid("Customer", &format!("visitor-{at}")),
                    "attrs": {
                        "tier": random.below(5),
                        "region": format!("region-{}", random.below(4)),
                    },
                    "parents": groups.map(|group| uid("Group", &format!("group-{group}"))),
                }));
                format!("visitor-{at}")
            }
        };
        let owner = match random.below(2) {
            0 => customer.clone(),
            _ => format!("customer-{}", random.below(CUSTOMERS)),
        };
        inline.push(json!({
            "uid": uid("Ticket", &format!("ticket-{at}")),
            "attrs": {
                "owner": uid("Customer", &owner),
                "region": format!("region-{}", random.below(4)),
                "urgent": random.below(2) == 0,
                "labels": [format!("label-{}", random.below(5)), "open"],
            },
            "parents": [uid("Queue", &format!("queue-{}", random.below(QUEUES)))],
        }));
        json!({
            "principal": uid("Customer", &customer),
            "action": uid("Action", "update"),
            "resource": uid("Ticket", &format!("ticket-{at}")),
            "context": {"channel": "web"},
            "entities": inline,
        })
        .to_string()
    };
    (0..QUESTIONS).map(ask).collect()
}
