//! *Adversarial*: what somebody would write who wants an index to be of no use.
//!
//! In `one-bucket` every policy has the same scope, and a condition without any equality, so that all of them have to
//! be looked at by whatever finds policies by keys. In `crossing` half of the policies name the busiest group and each a
//! file of its own, the other half the busiest folder and each a user of its own: either side of a request alone finds
//! half of all policies, both together almost none.

use std::fmt::Write;

use serde_json::json;

use crate::workload::{EntityWriter, QUESTIONS, Random, Rewrite, SchemaText, Workload, question};

const USERS: usize = 2_000;
const FILES: usize = 2_000;

const SCHEMA: &str = r#"
entity Group;
entity User in [Group] { level: Long };
entity Folder;
entity File in [Folder] { size: Long, name: String };
action open appliesTo { principal: User, resource: File, context: { hour: Long } };
"#;

/// Every policy in one bucket.
pub fn one_bucket(policies: usize) -> Workload {
    let (mut random, mut text) = (Random::new(0x40), String::new());
    for at in 0..policies {
        let (low, high) = (random.below(10_000), random.below(10_000));
        let condition = match random.below(3) {
            0 => format!("resource.size > {low} && resource.size < {high}"),
            1 => format!(r#"resource.name like "*{low}*" && context.hour < {}"#, high % 24),
            _ => format!("principal.level * {} > resource.size + {high}", 1 + low % 50),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            r#"@id("policy{at}") permit(principal in Group::"all", action == Action::"open", resource in Folder::"root") when {{ {condition} }};"#
        );
    }
    workload("adversarial-one-bucket", policies, text)
}

/// Either side alone finds half of the policies.
pub fn crossing(policies: usize) -> Workload {
    let (mut random, mut text) = (Random::new(0x41), String::new());
    for at in 0..policies {
        // Most of these users and files exist in policies only.
        let own = random.below(policies.max(USERS));
        let scope = match at % 2 {
            0 => format!(
                r#"principal in Group::"all", action == Action::"open", resource == File::"file-{own}""#
            ),
            _ => format!(
                r#"principal == User::"user-{own}", action == Action::"open", resource in Folder::"root""#
            ),
        };
        let hour = random.below(24);
        let _ = writeln!(
            text,
            r#"@id("policy{at}") permit({scope}) when {{ context.hour >= {hour} }};"#
        );
    }
    workload("adversarial-crossing", policies, text)
}

fn workload(family: &str, policies: usize, text: String) -> Workload {
    Workload {
        family: family.to_owned(),
        size: policies,
        policies: text,
        schema: Some(SchemaText::Cedar(SCHEMA.to_owned())),
        entities: entities(),
        reference_entities: None,
        questions: questions(),
        is_valid: true,
        rewrite: Rewrite::None("the family is made against indexes of Cedar policies"),
    }
}

fn entities() -> String {
    let (mut random, mut entities) = (Random::new(0x42), EntityWriter::new());
    entities.add("Group", "all", "", &[]);
    entities.add("Folder", "root", "", &[]);
    for user in 0..USERS {
        let attrs = format!(r#""level":{}"#, random.below(100));
        entities.add("User", &format!("user-{user}"), &attrs, &[("Group", "all".to_owned())]);
    }
    for file in 0..FILES {
        let size = random.below(10_000);
        let attrs = format!(r#""size":{size},"name":"report {} of {size}""#, random.below(10_000));
        entities.add("File", &format!("file-{file}"), &attrs, &[("Folder", "root".to_owned())]);
    }
    entities.finish()
}

fn questions() -> Vec<String> {
    let mut random = Random::new(0x43);
    let ask = |_| {
        let (user, file) = (random.below(USERS), random.below(FILES));
        let (user, file) = (format!("user-{user}"), format!("file-{file}"));
        let context = json!({"hour": random.below(24)});
        question(("User", &user), "open", ("File", &file), &context)
    };
    (0..QUESTIONS).map(ask).collect()
}
