//! *Overlap*: hundreds of policies match each request, and each has to be looked at.
//!
//! Regions have 300 policies each, for everyone in the region or for all its shops; below that size there is one region
//! and every policy matches. Conditions are comparisons that hold for a part of the requests.

use std::fmt::Write;

use serde_json::json;

use crate::workload::{EntityWriter, QUESTIONS, Random, Rewrite, SchemaText, Workload, question};

const POLICIES_A_REGION: usize = 300;
const CLERKS: usize = 2_000;
const SHOPS: usize = 1_000;

const SCHEMA: &str = r#"
entity Region;
entity Clerk in [Region] { level: Long, active: Bool };
entity Shop in [Region] { risk: Long, open: Bool };
action refund appliesTo { principal: Clerk, resource: Shop, context: { amount: Long, channel: String } };
"#;

/// The workload with this many policies.
pub fn workload(policies: usize) -> Workload {
    let regions = (policies / POLICIES_A_REGION).max(1);
    Workload {
        family: "overlap".to_owned(),
        size: policies,
        policies: policies_text(policies, regions),
        schema: Some(SchemaText::Cedar(SCHEMA.to_owned())),
        entities: entities(regions),
        reference_entities: None,
        questions: questions(regions),
        is_valid: true,
        rewrite: Rewrite::None("the family is about conditions, which grants have not"),
    }
}

fn policies_text(policies: usize, regions: usize) -> String {
    let (mut random, mut text) = (Random::new(0x30), String::new());
    for at in 0..policies {
        let region = at % regions;
        let (principal, resource) = match random.below(3) {
            0 => (format!(r#"principal in Region::"region-{region}""#), "resource".to_owned()),
            1 => ("principal".to_owned(), format!(r#"resource in Region::"region-{region}""#)),
            _ => (
                format!(r#"principal in Region::"region-{region}""#),
                format!(r#"resource in Region::"region-{region}""#),
            ),
        };
        let effect = if at % 100 == 50 { "forbid" } else { "permit" };
        let (amount, level) = (random.below(1_000), random.below(10));
        let condition = match (effect, random.below(4)) {
            ("forbid", _) => format!("context.amount > {amount} && resource.risk > {level}"),
            (_, 0) => format!("context.amount <= {amount} && principal.level >= {level}"),
            (_, 1) => format!("resource.risk < {level} && resource.open"),
            (_, 2) => format!("principal.level > resource.risk && context.amount < {amount}"),
            _ => format!(r#"context.channel like "*{level}" && principal.active"#),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            r#"@id("policy{at}") {effect}({principal}, action == Action::"refund", {resource}) when {{ {condition} }};"#
        );
    }
    text
}

fn entities(regions: usize) -> String {
    let (mut random, mut entities) = (Random::new(0x31), EntityWriter::new());
    for region in 0..regions {
        entities.add("Region", &format!("region-{region}"), "", &[]);
    }
    for clerk in 0..CLERKS {
        let attrs = format!(r#""level":{},"active":{}"#, random.below(10), random.below(10) > 0);
        let region = ("Region", format!("region-{}", clerk % regions));
        entities.add("Clerk", &format!("clerk-{clerk}"), &attrs, &[region]);
    }
    for shop in 0..SHOPS {
        let attrs = format!(r#""risk":{},"open":{}"#, random.below(10), random.below(4) > 0);
        let region = ("Region", format!("region-{}", shop % regions));
        entities.add("Shop", &format!("shop-{shop}"), &attrs, &[region]);
    }
    entities.finish()
}

/// Clerks ask about shops of their own region, as far as it has one.
fn questions(regions: usize) -> Vec<String> {
    let mut random = Random::new(0x32);
    let ask = |_| {
        let shop = random.below(SHOPS);
        let clerk = (shop % regions + regions * random.below(CLERKS / regions)) % CLERKS;
        let context = json!({
            "amount": random.below(1_000),
            "channel": format!("till-{}", random.below(40)),
        });
        let (clerk, shop) = (format!("clerk-{clerk}"), format!("shop-{shop}"));
        question(("Clerk", &clerk), "refund", ("Shop", &shop), &context)
    };
    (0..QUESTIONS).map(ask).collect()
}
