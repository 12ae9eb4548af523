//! Changes of entities in a bundle that is loaded: what one costs, and what deciding costs after many.
//!
//! The store is that of `cold`, with groups that may stand in groups. Each change makes the next decider from the last,
//! as a service that follows a directory would, and the last is dropped within the time that is taken. Nothing of the
//! reference stands beside it: what it does for a change is linear in its entities.

use std::sync::Arc;
use std::time::Instant;

use pdp_core::json::{Arena, read_request};
use pdp_core::{
    Bundle, Decider, EntityChange, InlineEntity, LoadLimits, OverlayLimits, RequestLimits, Scratch,
    Uid, Value,
};

use crate::cold;
use crate::ours::{VALIDATED, build};
use crate::results::Change;
use crate::workload::{Random, SchemaText};

/// Changes that are made one after the other; the second half is timed.
const UPSERTS: usize = 20_000;
/// Entities that others descend from, each given another parent.
const MOVES: usize = 100;

/// Measures all of it at one size of the store.
///
/// # Errors
///
/// When the workload does not compile or load, or a change is refused.
pub fn measure(entities: usize) -> Result<Vec<Change>, String> {
    let mut workload = cold::workload(entities);
    if let Some(SchemaText::Cedar(schema)) = &mut workload.schema {
        *schema = schema.replace("entity Group;", "entity Group in [Group];");
    }
    let bytes = build(&workload)?.bytes;
    let bundle = Bundle::load(&bytes, &LoadLimits::STANDARD).map_err(|error| error.to_string())?;
    let first = Decider::new(Arc::new(bundle));
    let each = cold::each(entities);
    let row = |what: &str, nanoseconds: Vec<f64>| Change::new(what, entities, nanoseconds);
    let mut rows = Vec::new();

    let begun = Instant::now();
    let seed =
        changed(&first, upsert("User", "seed", &attributes(1), &[Uid::new("Group", "group-0")]))?;
    rows.push(row("the first change of a bundle", vec![begun.elapsed().as_secs_f64() * 1e9]));

    let mut random = Random::new(0x70);
    let groups: Vec<String> = (0..cold::GROUPS).map(|group| format!("group-{group}")).collect();
    let group = |at: usize| groups.get(at % groups.len()).map_or("", String::as_str);
    let mut changed_users = seed.clone();
    for (what, known) in [("attributes of a stored entity", true), ("an entity that is new", false)]
    {
        let mut times = Vec::with_capacity(UPSERTS);
        let mut now = seed.clone();
        for at in 0..UPSERTS {
            let id = match known {
                true => format!("user-{}", random.below(each)),
                false => format!("new-user-{at}"),
            };
            let attrs = attributes(i64::from(at % 5 == 0));
            let parents = [Uid::new("Group", group(at)), Uid::new("Group", group(at / 7))];
            let begun = Instant::now();
            now = changed(&now, upsert("User", &id, &attrs, &parents))?;
            times.push(begun.elapsed().as_secs_f64() * 1e9);
        }
        rows.push(row(&format!("{what}, after 10,000 changes"), times.split_off(UPSERTS / 2)));
        changed_users = now;
    }

    let begun = Instant::now();
    changed(&seed, upsert("Group", group(1), &[], &[Uid::new("Group", group(0))]))?;
    let spent = begun.elapsed().as_secs_f64() * 1e9;
    rows.push(row("the first group of a bundle that gets a parent, all of it", vec![spent]));

    let mut times = Vec::with_capacity(MOVES);
    for at in 0..MOVES {
        let before = seed.overlay_size().entities;
        let begun = Instant::now();
        let moved =
            changed(&seed, upsert("Group", group(at + 1), &[], &[Uid::new("Group", group(0))]))?;
        let spent = begun.elapsed().as_secs_f64() * 1e9;
        times.push(spent / moved.overlay_size().entities.saturating_sub(before).max(1) as f64);
    }
    rows.push(row("a group gets a parent, for each entity below it", times));

    for (what, decider) in [
        ("a decision, nothing changed", &first),
        ("a decision, 20,000 other entities changed", &changed_users),
    ] {
        rows.push(row(what, decisions(decider, &workload.questions)?));
    }
    Ok(rows)
}

fn changed(decider: &Decider, change: EntityChange<'_>) -> Result<Decider, String> {
    decider.with_entities(&[change], &OverlayLimits::STANDARD).map_err(|error| error.to_string())
}

fn attributes(level: i64) -> [(&'static str, Value<'static>); 2] {
    [("department", Value::String("department-7")), ("level", Value::Long(level))]
}

fn upsert<'a>(
    entity_type: &'a str,
    id: &'a str,
    attrs: &'a [(&'a str, Value<'a>)],
    parents: &'a [Uid<'a>],
) -> EntityChange<'a> {
    EntityChange::Upsert(InlineEntity { uid: Uid::new(entity_type, id), parents, attrs, tags: &[] })
}

fn decisions(decider: &Decider, questions: &[String]) -> Result<Vec<f64>, String> {
    let arena = Arena::new();
    let mut requests = Vec::with_capacity(questions.len());
    for question in questions {
        let bundle = decider.bundle().map(Arc::as_ref);
        let request = read_request(question, bundle, &arena, &RequestLimits::STANDARD);
        requests.push(request.map_err(|error| error.to_string())?);
    }
    let mut scratch = Scratch::new();
    let mut times = Vec::with_capacity(requests.len());
    for request in &requests {
        let begun = Instant::now();
        let answer = decider.decide_with(&mut scratch, request, &VALIDATED);
        std::hint::black_box(answer.is_allowed());
        times.push(begun.elapsed().as_secs_f64() * 1e9);
    }
    Ok(times)
}
