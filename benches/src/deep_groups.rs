//! *Deep groups*: hierarchies ten levels deep on both sides, and wide membership.
//!
//! A user is in three teams; a team stands in two of the next level, and so on for ten levels, so that a user is below
//! a third of all groups or so. A document lies in ten folders, one inside the other. Policies name a group and a folder
//! of any level. There are as many folders as policies, for what people file grows with what they write rules for;
//! a request meets about five policies at every size.

use std::fmt::Write;

use serde_json::json;

use crate::workload::{EntityWriter, QUESTIONS, Random, Rewrite, SchemaText, Workload, question};

const LEVELS: usize = 10;
const GROUPS_A_LEVEL: usize = 60;
const USERS: usize = 2_000;
const DOCUMENTS: usize = 5_000;

const SCHEMA: &str = r#"
entity Group in [Group];
entity User in [Group] { level: Long };
entity Folder in [Folder];
entity Document in [Folder] { confidential: Bool, level: Long };
action read, write appliesTo { principal: User, resource: Document, context: { mfa: Bool } };
"#;

/// The workload with this many policies.
pub fn workload(policies: usize) -> Workload {
    let folders_a_level = (policies / LEVELS).max(2);
    Workload {
        family: "deep-groups".to_owned(),
        size: policies,
        policies: policies_text(policies, folders_a_level),
        schema: Some(SchemaText::Cedar(SCHEMA.to_owned())),
        entities: entities(folders_a_level),
        reference_entities: None,
        questions: questions(),
        is_valid: true,
        rewrite: Rewrite::None("membership ten levels deep has no form in grants"),
    }
}

fn policies_text(policies: usize, folders_a_level: usize) -> String {
    let (mut random, mut text) = (Random::new(0x10), String::new());
    for at in 0..policies {
        let effect = if random.below(20) == 0 { "forbid" } else { "permit" };
        let group = group_id(random.below(LEVELS), random.below(GROUPS_A_LEVEL));
        let folder = folder_id(random.below(LEVELS), random.below(folders_a_level));
        let action = match random.below(3) {
            0 => r#"action == Action::"write""#,
            1 => r#"action == Action::"read""#,
            _ => r#"action in [Action::"read", Action::"write"]"#,
        };
        let condition = match random.below(3) {
            0 => "when { context.mfa || !resource.confidential }",
            1 => "when { principal.level >= resource.level }",
            _ => "",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            r#"@id("policy{at}") {effect}(principal in Group::"{group}", {action}, resource in Folder::"{folder}") {condition};"#
        );
    }
    text
}

fn entities(folders_a_level: usize) -> String {
    let (mut random, mut entities) = (Random::new(0x11), EntityWriter::new());
    for level in 0..LEVELS {
        for nth in 0..GROUPS_A_LEVEL {
            let above = match level.checked_sub(1) {
                Some(above) => vec![
                    ("Group", group_id(above, nth)),
                    ("Group", group_id(above, (nth + 1 + random.below(3)) % GROUPS_A_LEVEL)),
                ],
                None => Vec::new(),
            };
            entities.add("Group", &group_id(level, nth), "", &above);
        }
        for nth in 0..folders_a_level {
            let above = level.checked_sub(1);
            let above = above
                .map(|above| ("Folder", folder_id(above, (nth * 7 + level) % folders_a_level)));
            entities.add("Folder", &folder_id(level, nth), "", above.as_slice());
        }
    }
    for user in 0..USERS {
        let first = random.below(GROUPS_A_LEVEL);
        let teams = [first, (first + 1) % GROUPS_A_LEVEL, (first + 20) % GROUPS_A_LEVEL];
        let teams = teams.map(|nth| ("Group", group_id(LEVELS - 1, nth)));
        let level = random.below(5);
        entities.add("User", &format!("user-{user}"), &format!(r#""level":{level}"#), &teams);
    }
    for document in 0..DOCUMENTS {
        let folder = ("Folder", folder_id(LEVELS - 1, random.below(folders_a_level)));
        let (confidential, level) = (random.below(3) == 0, random.below(5));
        let attrs = format!(r#""confidential":{confidential},"level":{level}"#);
        entities.add("Document", &format!("document-{document}"), &attrs, &[folder]);
    }
    entities.finish()
}

fn questions() -> Vec<String> {
    let mut random = Random::new(0x12);
    let ask = |_| {
        let user = format!("user-{}", random.below(USERS));
        let document = format!("document-{}", random.below(DOCUMENTS));
        let action = random.pick(&["read", "write"]).unwrap_or("read");
        let context = json!({"mfa": random.below(2) == 0});
        question(("User", &user), action, ("Document", &document), &context)
    };
    (0..QUESTIONS).map(ask).collect()
}

/// Level 0 is the top.
fn group_id(level: usize, nth: usize) -> String {
    format!("group-{level}-{nth}")
}

/// Level 0 is the top.
fn folder_id(level: usize, nth: usize) -> String {
    format!("folder-{level}-{nth}")
}
