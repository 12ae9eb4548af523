//! *Cold*: more entities than any cache holds, and requests drawn uniformly from all of them.
//!
//! Its size is the number of entities; the policies stay 10,000. Questions are so many that nobody has been asked about
//! when their turn comes again. The reference gets only the entities that its own sample of the questions is about,
//! with all that these are below: it takes minutes and gigabytes to read a million.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::json;

use crate::workload::{EntityWriter, Random, Rewrite, SchemaText, Workload, question};

const POLICIES: usize = 10_000;
pub(crate) const GROUPS: usize = 1_000;
const FOLDERS: usize = 1_000;
const QUESTIONS: usize = 50_000;
/// Of how many questions the reference is asked.
pub const SAMPLE: usize = 100;

const SCHEMA: &str = r#"
entity Group;
entity User in [Group] { department: String, level: Long };
entity Folder;
entity Document in [Folder] { department: String, level: Long };
action read appliesTo { principal: User, resource: Document, context: { mfa: Bool } };
"#;

#[derive(Clone, Copy)]
struct Facts {
    department: usize,
    level: usize,
    above: [usize; 2],
}

/// How many of this many entities are users, and how many documents.
pub(crate) fn each(entities: usize) -> usize {
    (entities.saturating_sub(GROUPS + FOLDERS) / 2).max(1)
}

/// The workload with this many entities.
pub fn workload(entities: usize) -> Workload {
    let each = each(entities);
    let mut random = Random::new(0x60);
    let mut facts = |above: usize| Facts {
        department: random.below(20),
        level: random.below(5),
        above: [random.below(above), random.below(above)],
    };
    let users: Vec<Facts> = (0..each).map(|_| facts(GROUPS)).collect();
    let documents: Vec<Facts> = (0..each).map(|_| facts(FOLDERS)).collect();
    let mut random = Random::new(0x61);
    let pairs: Vec<(usize, usize)> =
        (0..QUESTIONS).map(|_| (random.below(each), random.below(each))).collect();
    let questions = pairs
        .iter()
        .map(|(user, document)| {
            let (user, document) = (format!("user-{user}"), format!("document-{document}"));
            let context = json!({"mfa": random.below(2) == 0});
            question(("User", &user), "read", ("Document", &document), &context)
        })
        .collect();
    let sampled = pairs.iter().take(SAMPLE);
    let some_users: BTreeSet<usize> = sampled.clone().map(|(user, _)| *user).collect();
    let some_documents: BTreeSet<usize> = sampled.map(|(_, document)| *document).collect();
    Workload {
        family: "cold".to_owned(),
        size: entities,
        policies: policies_text(),
        schema: Some(SchemaText::Cedar(SCHEMA.to_owned())),
        entities: entities_json(&users, &documents, 0..each, 0..each),
        reference_entities: Some((
            SAMPLE,
            entities_json(&users, &documents, some_users.into_iter(), some_documents.into_iter()),
        )),
        questions,
        is_valid: true,
        rewrite: Rewrite::None("the family is about the size of our store"),
    }
}

fn policies_text() -> String {
    let (mut random, mut text) = (Random::new(0x62), String::new());
    for at in 0..POLICIES {
        let (group, folder) = (random.below(GROUPS), random.below(FOLDERS));
        let condition = match random.below(3) {
            0 => "principal.department == resource.department",
            1 => "principal.level >= resource.level",
            _ => "context.mfa || resource.level == 0",
        };
        // One in ten is about a whole side, or a uniform request would meet nothing.
        let scope = match at % 1_000 {
            0 => "principal, action, resource".to_owned(),
            1..200 => format!(r#"principal in Group::"group-{group}", action, resource"#),
            200..400 => format!(r#"principal, action, resource in Folder::"folder-{folder}""#),
            _ => format!(
                r#"principal in Group::"group-{group}", action, resource in Folder::"folder-{folder}""#
            ),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, r#"@id("policy{at}") permit({scope}) when {{ {condition} }};"#);
    }
    text
}

fn entities_json(
    users: &[Facts],
    documents: &[Facts],
    some_users: impl Iterator<Item = usize>,
    some_documents: impl Iterator<Item = usize>,
) -> String {
    let mut entities = EntityWriter::new();
    for group in 0..GROUPS {
        entities.add("Group", &format!("group-{group}"), "", &[]);
    }
    for folder in 0..FOLDERS {
        entities.add("Folder", &format!("folder-{folder}"), "", &[]);
    }
    let mut add = |kind: &str, id: String, above: &'static str, named: &str, facts: &Facts| {
        let attrs =
            format!(r#""department":"department-{}","level":{}"#, facts.department, facts.level);
        let above = facts.above.map(|number| (above, format!("{named}-{number}")));
        entities.add(kind, &id, &attrs, &above);
    };
    for user in some_users {
        if let Some(facts) = users.get(user) {
            add("User", format!("user-{user}"), "Group", "group", facts);
        }
    }
    for document in some_documents {
        if let Some(facts) = documents.get(document) {
            add("Document", format!("document-{document}"), "Folder", "folder", facts);
        }
    }
    entities.finish()
}
