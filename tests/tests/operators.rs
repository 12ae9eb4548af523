//! The language, operator by operator: the rows of `tests/cases/operators.toml`, asked of Cedar and of the engine.
//!
//! A row states what an expression comes to; both have to agree with the row, not only with each other. Each goes into
//! a permit's condition and into a forbid's exception, and the engine runs it from bundle bytes in every mode. Nothing
//! is drawn at random here (that is the differential test's part), and no row is skipped after the first failure.
#![expect(clippy::panic, clippy::unwrap_used, reason = "test code fails loudly")]

use std::collections::BTreeSet;

use pdp_core::{CompileOptions, Effect, ErrorKind, Loose, Notation, Source};
use pdp_tests::desk::{self, Desk};
use pdp_tests::engine::{MODES, VARIANTS, Way};
use pdp_tests::{Oracle, Outcome, Request, Uid, Verdict, World, oracle};
use serde_json::Value as Json;
use toml::Value;

const TABLE: &str = include_str!("../cases/operators.toml");
const ROWS_MIN: usize = 180;
/// Rows that each operator and function occurs in, at least.
const ROWS_OF_EACH_MIN: usize = 2;

const SYMBOLS: [&str; 13] =
    ["==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "!", "&&", "||", UNARY_MINUS];
/// What [`tokens`] calls a minus that has nothing on its left.
const UNARY_MINUS: &str = "unary -";
const WORDS: [&str; 5] = ["if", "in", "has", "like", "is"];
const METHODS: [&str; 6] =
    ["contains", "containsAll", "containsAny", "isEmpty", "getTag", "hasTag"];
const CONSTRUCTORS: [&str; 4] = ["decimal", "ip", "datetime", "duration"];
const FUNCTIONS: [&str; 18] = [
    "lessThan",
    "lessThanOrEqual",
    "greaterThan",
    "greaterThanOrEqual",
    "isIpv4",
    "isIpv6",
    "isLoopback",
    "isMulticast",
    "isInRange",
    "offset",
    "durationSince",
    "toDate",
    "toTime",
    "toMilliseconds",
    "toSeconds",
    "toMinutes",
    "toHours",
    "toDays",
];

/// The file.
struct Table {
    entities: Vec<Json>,
    rows: Vec<Row>,
}

/// An expression and what it comes to.
#[derive(Clone)]
struct Row {
    expr: String,
    is: Comes,
    /// The shared context with the row's own keys.
    context: serde_json::Map<String, Json>,
}

#[derive(Clone, Copy)]
enum Comes {
    To(bool),
    /// An error, of this kind if the row says so.
    ToError(Option<ErrorKind>),
}

/// Where the expression stands.
#[derive(Clone, Copy)]
enum Place {
    PermitWhen,
    ForbidUnless,
}

/// What an engine answered, in terms that both have.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    allow: bool,
    reasons: BTreeSet<String>,
    errors: BTreeSet<String>,
}

// === impl Table ===

impl Table {
    fn read() -> Self {
        let mut table: toml::Table = TABLE.parse().unwrap_or_else(|why| panic!("{why}"));
        let mut json = |key: &str| {
            let text = table.remove(key).unwrap_or_else(|| panic!("no `{key}`"));
            serde_json::from_str(text.as_str().unwrap()).unwrap_or_else(|e| panic!("`{key}`: {e}"))
        };
        let Json::Array(entities) = json("entities") else { panic!("`entities` is no array") };
        let Json::Object(context) = json("context") else { panic!("`context` is no object") };
        let Some(Value::Array(rows)) = table.remove("row") else { panic!("no rows") };
        assert!(table.is_empty(), "unknown keys: {table:?}");
        let rows = rows.iter().map(|row| Row::read(row, context.clone())).collect();
        Self { entities, rows }
    }
}

// === impl Row ===

impl Row {
    fn read(row: &Value, mut context: serde_json::Map<String, Json>) -> Self {
        let (mut expr, mut is, mut kind) = (None, None, None);
        for (key, value) in row.as_table().unwrap() {
            let value = value.as_str().unwrap_or_else(|| panic!("`{key}` of {row} is no text"));
            match key.as_str() {
                "expr" => expr = Some(value.to_owned()),
                "is" => is = Some(value),
                "kind" => kind = Some(kind_named(value)),
                "context" => match serde_json::from_str(value) {
                    Ok(Json::Object(own)) => context.extend(own),
                    other => panic!("context of {row}: {other:?}"),
                },
                _ => panic!("unknown key `{key}` in {row}"),
            }
        }
        let is = match (is, kind) {
            (Some("true"), None) => Comes::To(true),
            (Some("false"), None) => Comes::To(false),
            (Some("error"), kind) => Comes::ToError(kind),
            _ => panic!("what does {row} come to?"),
        };
        Self { expr: expr.unwrap_or_else(|| panic!("no `expr` in {row}")), is, context }
    }

    /// The row with the texts that constructors are given moved to the context, if there are any: what the compiler
    /// could do ahead is left to the evaluation.
    fn at_run_time(&self) -> Option<Self> {
        let mut row = Self { expr: String::new(), ..self.clone() };
        let mut rest = self.expr.as_str();
        while let Some((before, text, after)) = next_constructor(rest) {
            let key = format!("moved{}", row.context.len());
            row.expr.push_str(&format!("{before}context.{key}"));
            row.context.insert(key, text.into());
            rest = after;
        }
        row.expr.push_str(rest);
        (row.expr != self.expr).then_some(row)
    }

    fn expected(&self, place: Place) -> Seen {
        let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        let (allow, reasons, errors): (bool, &[&str], &[&str]) = match (place, self.is) {
            (Place::PermitWhen, Comes::To(true)) => (true, &["policy0"], &[]),
            (Place::PermitWhen, Comes::To(false)) => (false, &[], &[]),
            (Place::PermitWhen, Comes::ToError(_)) => (false, &[], &["policy0"]),
            (Place::ForbidUnless, Comes::To(true)) => (true, &["policy0"], &[]),
            (Place::ForbidUnless, Comes::To(false)) => (false, &["policy1"], &[]),
            // Cedar's own rule: a forbid that fails is skipped.
            (Place::ForbidUnless, Comes::ToError(_)) => (true, &["policy0"], &["policy1"]),
        };
        Seen { allow, reasons: set(reasons), errors: set(errors) }
    }

    /// What is wrong with what Cedar says.
    fn ask_cedar(&self, place: Place, oracle: &Oracle, entities: &[Json]) -> Option<String> {
        let request = Request {
            principal: Uid::new("User", "alice"),
            action: Uid::new("Action", "read"),
            resource: Uid::new("Doc", "plan"),
            context: Json::Object(self.context.clone()),
            validate: false,
            inline_entities: Vec::new(),
        };
        let world = World {
            schema: None,
            policies: place.policies(&self.expr),
            links: Vec::new(),
            entities: entities.to_vec(),
            requests: vec![request],
        };
        let outcomes = match oracle.judge(&world) {
            Verdict::Judged { outcomes, .. } => outcomes,
            Verdict::WorldRefused(why) => return Some(why),
        };
        let [Outcome::Answer(answer)] = outcomes.as_slice() else {
            return Some(format!("{outcomes:?}"));
        };
        let kind_fits = match self.is {
            Comes::ToError(Some(kind)) => {
                answer.error_kinds.iter().all(|cedars| cedar_kinds(kind).contains(cedars))
            }
            _ => true,
        };
        let seen = Seen {
            allow: answer.allow,
            reasons: answer.reasons.clone(),
            errors: answer.errors.clone(),
        };
        let fits = kind_fits && seen == self.expected(place);
        (!fits).then(|| format!("{seen:?} {:?}", answer.error_kinds))
    }

    /// What is wrong with what the engine says, mode by mode.
    fn ask_engine(&self, place: Place, entities: &str) -> Vec<String> {
        let context = serde_json::to_string(&self.context).unwrap();
        let request =
            desk::request(r#"User::"alice""#, r#"Action::"read""#, r#"Doc::"plan""#, &context);
        let policies = place.policies(&self.expr).join("\n");
        let mut desks = match desks(&policies, entities) {
            Ok(desks) => desks,
            Err(why) => return vec![why],
        };
        let mut wrong = Vec::new();
        for mode in MODES {
            let desk = desks.get_mut(mode.variant).unwrap();
            if matches!(mode.way, Way::EffectOnly | Way::Filter) {
                continue; // They say less, or ask otherwise; the campaign is where they are compared.
            }
            let answer = match desk.try_ask(&request, &mode.options(true)) {
                Ok(answer) => answer,
                Err(why) => return vec![why],
            };
            let seen = Seen {
                allow: answer.effect == Effect::Allow,
                reasons: answer.policies.iter().cloned().collect(),
                errors: answer.errors.iter().map(|(id, _)| id.clone()).collect(),
            };
            let kind_fits = match self.is {
                Comes::ToError(Some(kind)) => answer.errors.iter().all(|(_, ours)| *ours == kind),
                _ => true,
            };
            if !kind_fits || seen != self.expected(place) {
                wrong.push(format!("{mode:?}: {seen:?} {:?} {}", answer.errors, answer.message));
            }
        }
        wrong
    }
}

/// The text before, the text in, and the text behind the quotes of the first constructor called with one plain literal;
/// the quotes are in none of them.
fn next_constructor(expr: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some((before, after)) = expr.get(from..)?.split_once("(\"") {
        let opened = from + before.len();
        let name = before.rsplit(|c: char| !c.is_ascii_alphanumeric()).next()?;
        let (text, rest) = after.split_once('"')?;
        if CONSTRUCTORS.contains(&name) && rest.starts_with(')') && !text.contains('\\') {
            return Some((expr.get(..=opened)?, text, rest));
        }
        from = opened + 2;
    }
    None
}

// === impl Place ===

impl Place {
    fn policies(self, expr: &str) -> Vec<String> {
        match self {
            Self::PermitWhen => {
                vec![format!("permit(principal, action, resource) when {{ {expr} }};")]
            }
            Self::ForbidUnless => vec![
                "permit(principal, action, resource);".to_owned(),
                format!("forbid(principal, action, resource) unless {{ {expr} }};"),
            ],
        }
    }
}

/// One for each way of compiling.
fn desks(policies: &str, entities: &str) -> Result<Vec<Desk>, String> {
    let texts = Loose { policies: Notation::Cedar(policies), schema: None, entities, links: None };
    let source = Source::loose(&texts).map_err(|report| report.to_string())?;
    let load = |(_, options): &(&str, CompileOptions)| -> Result<Desk, String> {
        let bytes = pdp_core::compile(&source, options).map_err(|report| report.to_string())?;
        Ok(Desk::bytes(&bytes))
    };
    VARIANTS.iter().map(load).collect()
}

fn kind_named(name: &str) -> ErrorKind {
    match name {
        "type" => ErrorKind::Type,
        "attribute_missing" => ErrorKind::AttributeMissing,
        "tag_missing" => ErrorKind::TagMissing,
        "entity_missing" => ErrorKind::EntityMissing,
        "overflow" => ErrorKind::Overflow,
        "extension" => ErrorKind::Extension,
        "arity" => ErrorKind::Arity,
        _ => panic!("unknown kind `{name}`"),
    }
}

/// Cedar tells records from entities, and does not tell tags from attributes.
fn cedar_kinds(kind: ErrorKind) -> &'static [oracle::ErrorKind] {
    use oracle::ErrorKind as Cedar;
    match kind {
        ErrorKind::Type => &[Cedar::Type],
        ErrorKind::AttributeMissing => &[Cedar::AttributeMissing, Cedar::FieldMissing],
        ErrorKind::TagMissing => &[Cedar::TagMissing],
        ErrorKind::EntityMissing => &[Cedar::EntityMissing],
        ErrorKind::Overflow => &[Cedar::Overflow],
        ErrorKind::Extension => &[Cedar::Extension],
        ErrorKind::Arity => &[Cedar::Arity],
        ErrorKind::Limit => &[],
    }
}

/// The words and symbols of an expression; texts are left out.
fn tokens(expr: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = expr.trim_start();
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '"' => text_len(rest),
            c if c.is_alphanumeric() || c == '_' => {
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
            }
            _ => {
                let double =
                    ["==", "!=", "<=", ">=", "&&", "||", "::"].iter().any(|s| rest.starts_with(s));
                if double { 2 } else { first.len_utf8() }
            }
        };
        let (token, after) = rest.split_at(len);
        let after_operand = tokens.last().is_some_and(|last| {
            last.ends_with(|c: char| c.is_alphanumeric() || "_\")]}".contains(c))
                && !["if", "then", "else", "in"].contains(&last.as_str())
        });
        tokens.push(match token {
            "-" if !after_operand => UNARY_MINUS.to_owned(),
            text if text.starts_with('"') => "\"\"".to_owned(),
            _ => token.to_owned(),
        });
        rest = after.trim_start();
    }
    tokens
}

/// The bytes of the literal that `text` begins with, quotes included.
fn text_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    panic!("no end of the text {text}")
}

/// Asks every row, as it is written and with its constructors' texts in the context, and tells all that are wrong.
#[track_caller]
fn every_row_holds(place: Place) {
    let (table, oracle) = (Table::read(), Oracle::start());
    assert!(table.rows.len() >= ROWS_MIN, "{} rows", table.rows.len());
    let entities = serde_json::to_string(&table.entities).unwrap();
    let mut failed = Vec::new();
    for row in table.rows.iter().flat_map(|row| [Some(row.clone()), row.at_run_time()]).flatten() {
        let cedar = row.ask_cedar(place, &oracle, &table.entities);
        let cedar = cedar.map(|wrong| format!("Cedar: {wrong}"));
        for wrong in cedar.into_iter().chain(row.ask_engine(place, &entities)) {
            failed.push(format!("{}\n    {wrong}", row.expr));
        }
    }
    assert!(failed.is_empty(), "{} answers are wrong:\n  {}", failed.len(), failed.join("\n  "));
}

#[test]
fn every_row_holds_as_the_condition_of_a_permit() {
    every_row_holds(Place::PermitWhen);
}

#[test]
fn every_row_holds_as_the_exception_of_a_forbid() {
    every_row_holds(Place::ForbidUnless);
}

#[test]
fn no_row_is_there_twice() {
    let mut seen = BTreeSet::new();
    let twice = Table::read().rows.into_iter().filter_map(|row| {
        let key = format!("{} {}", row.expr, Json::Object(row.context));
        (!seen.insert(key)).then_some(row.expr)
    });
    assert_eq!(twice.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn every_operator_and_function_has_rows() {
    let rows: Vec<Vec<String>> = Table::read().rows.iter().map(|row| tokens(&row.expr)).collect();
    let with = |wanted: &[&str]| {
        rows.iter().filter(|row| row.windows(wanted.len()).any(|found| found == wanted)).count()
    };
    let mut counts: Vec<(&str, usize)> = Vec::new();
    counts.extend(SYMBOLS.into_iter().chain(WORDS).map(|token| (token, with(&[token]))));
    counts.extend(CONSTRUCTORS.map(|name| (name, with(&[name, "("]))));
    counts.extend(METHODS.into_iter().chain(FUNCTIONS).map(|name| (name, with(&[".", name, "("]))));
    counts.push(("is … in", with(&["is", "User", "in"])));
    counts.push(("has a.b.c", with(&["has", "a", ".", "b", ".", "c"])));
    counts.retain(|(_, rows)| *rows < ROWS_OF_EACH_MIN);
    assert!(counts.is_empty(), "too few rows with: {counts:?}");
}

#[test]
fn texts_of_constructors_move_to_the_context() {
    let row = Row {
        expr: r#"ip("::1") == context.at && [ip(1), ip("a\n"), zip("b"), decimal("1.0")]"#.into(),
        is: Comes::To(true),
        context: serde_json::Map::new(),
    };
    let moved = row.at_run_time().unwrap();
    let expected = r#"ip(context.moved0) == context.at && [ip(1), ip("a\n"), zip("b"), "#
        .to_owned()
        + "decimal(context.moved1)]";
    assert_eq!(moved.expr, expected);
    assert_eq!(Json::Object(moved.context), serde_json::json!({"moved0": "::1", "moved1": "1.0"}));
    let plain = Row { expr: "true".into(), ..row };
    assert!(plain.at_run_time().is_none());
}
