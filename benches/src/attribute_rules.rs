//! *Attribute rules*: an unconstrained scope, and thousands of policies that differ only in what attributes equal.
//!
//! A rule states two or three equalities on attributes of the principal, the resource or the context, in any order; one
//! in three also asks for a level, one in twenty forbids. Each attribute has so many values that a request meets a few
//! rules at every size.

use std::fmt::Write;

use serde_json::json;

use crate::workload::{EntityWriter, QUESTIONS, Random, Rewrite, SchemaText, Workload, question};

const USERS: usize = 2_000;
const RECORDS: usize = 5_000;

const SCHEMA: &str = r#"
entity User { department: String, role: String, level: Long };
entity Record { kind: String, project: String };
action read appliesTo { principal: User, resource: Record, context: { tool: String, region: String } };
"#;

/// The attributes of a rule, by shape. What the attribute of a variable is called tells whose it is.
pub const SHAPES: [&[&str]; 5] = [
    &["role", "kind", "tool"],
    &["department", "project"],
    &["role", "project", "region"],
    &["project", "tool"],
    &["department", "kind", "tool"],
];

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its shape, a position in [`SHAPES`].
    pub shape: usize,
    /// What each attribute of the shape equals, as a number.
    pub values: Vec<usize>,
    /// The least level it asks for, if any.
    pub level_min: Option<usize>,
    /// Whether it forbids.
    pub forbids: bool,
}

#[derive(Clone, Copy)]
struct User {
    department: usize,
    role: usize,
    level: usize,
}

#[derive(Clone, Copy)]
struct Record {
    kind: usize,
    project: usize,
}

/// The workload with this many policies.
pub fn workload(policies: usize) -> Workload {
    // A request meets about policies / values² rules with two equalities.
    let values = (policies as f64 / 3.0).sqrt().ceil().max(4.0) as usize;
    let (rules, text) = rules(policies, values);
    let mut random = Random::new(0x21);
    let users: Vec<User> = (0..USERS)
        .map(|_| User {
            department: random.below(values),
            role: random.below(values),
            level: random.below(5),
        })
        .collect();
    let records: Vec<Record> = (0..RECORDS)
        .map(|_| Record { kind: random.below(values), project: random.below(values) })
        .collect();
    Workload {
        family: "attribute-rules".to_owned(),
        size: policies,
        policies: text,
        schema: Some(SchemaText::Cedar(SCHEMA.to_owned())),
        entities: entities(&users, &records),
        reference_entities: None,
        questions: questions(&rules, &users, &records, values),
        is_valid: true,
        rewrite: Rewrite::Attributes(rules),
    }
}

fn rules(policies: usize, values: usize) -> (Vec<Rule>, String) {
    let (mut random, mut rules, mut text) = (Random::new(0x20), Vec::new(), String::new());
    for at in 0..policies {
        let shape = random.below(SHAPES.len());
        let attributes = SHAPES.get(shape).copied().unwrap_or_default();
        let rule = Rule {
            shape,
            values: attributes.iter().map(|_| random.below(values)).collect(),
            level_min: (random.below(3) == 0).then(|| 1 + random.below(4)),
            forbids: random.below(20) == 0,
        };
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
        tests.rotate_left(random.below(attributes.len()));
        let effect = if rule.forbids { "forbid" } else { "permit" };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            r#"@id("policy{at}") {effect}(principal, action, resource) when {{ {} }};"#,
            tests.join(" && ")
        );
        rules.push(rule);
    }
    (rules, text)
}

fn entities(users: &[User], records: &[Record]) -> String {
    let mut entities = EntityWriter::new();
    for (number, user) in users.iter().enumerate() {
        let attrs = format!(
            r#""department":"department-{}","role":"role-{}","level":{}"#,
            user.department, user.role, user.level
        );
        entities.add("User", &format!("user-{number}"), &attrs, &[]);
    }
    for (number, record) in records.iter().enumerate() {
        let attrs =
            format!(r#""kind":"kind-{}","project":"project-{}""#, record.kind, record.project);
        entities.add("Record", &format!("record-{number}"), &attrs, &[]);
    }
    entities.finish()
}

/// Half of the questions are about what some rule names, as far as there is such a user and such a record.
fn questions(rules: &[Rule], users: &[User], records: &[Record], values: usize) -> Vec<String> {
    let mut random = Random::new(0x22);
    let mut questions = Vec::with_capacity(QUESTIONS);
    for at in 0..QUESTIONS {
        let rule = rules.get(random.below(rules.len())).filter(|_| at % 2 == 0);
        let wanted = |attribute: &str| {
            let rule = rule?;
            let at = SHAPES.get(rule.shape)?.iter().position(|a| *a == attribute)?;
            rule.values.get(at).copied()
        };
        let fits = |attribute: &str, value: usize| wanted(attribute).is_none_or(|w| w == value);
        let drawn = (random.below(USERS), random.below(RECORDS));
        let after = |from: usize, nth: usize, all: usize| (from + nth) % all;
        let user = (0..USERS).map(|nth| after(drawn.0, nth, USERS)).find(|number| {
            users
                .get(*number)
                .is_some_and(|user| fits("department", user.department) && fits("role", user.role))
        });
        let record = (0..RECORDS).map(|nth| after(drawn.1, nth, RECORDS)).find(|number| {
            records
                .get(*number)
                .is_some_and(|record| fits("kind", record.kind) && fits("project", record.project))
        });
        let user = format!("user-{}", user.unwrap_or(drawn.0));
        let record = format!("record-{}", record.unwrap_or(drawn.1));
        let [tool, region] = ["tool", "region"].map(|attribute| {
            value_of(attribute, wanted(attribute).unwrap_or_else(|| random.below(values)))
        });
        let context = json!({"tool": tool, "region": region});
        questions.push(question(("User", &user), "read", ("Record", &record), &context));
    }
    questions
}

/// The variable that has an attribute.
pub fn variable(attribute: &str) -> &'static str {
    match attribute {
        "department" | "role" | "level" => "principal",
        "kind" | "project" => "resource",
        _ => "context",
    }
}

/// A value of an attribute, as it stands in policies and entities.
pub fn value_of(attribute: &str, value: usize) -> String {
    format!("{attribute}-{value}")
}
