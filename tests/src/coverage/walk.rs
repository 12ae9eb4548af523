//! What a policy contains, read from Cedar's own JSON form of it.
//!
//! The generator is not asked: what it meant to write and what Cedar read may differ.

use super::feature::{Feature, FeatureSet};
use super::head;
use crate::quote;
use serde_json::{Map, Value as Json};

/// How deep an expression nests before it counts as deep.
const DEEP: usize = 20;

/// The features of a policy's JSON, scope aside.
pub(super) fn policy(json: &Json) -> FeatureSet {
    let mut found = FeatureSet::default();
    let text = |key: &str| json.get(key).and_then(Json::as_str);
    found.insert(match text("effect") {
        Some("forbid") => Feature::Forbid,
        _ => Feature::Permit,
    });
    found.insert_if(
        json.get("annotations")
            .and_then(Json::as_object)
            .is_some_and(|annotations| !annotations.is_empty()),
        Feature::Annotated,
    );
    let clauses = clauses(json);
    found.insert_if(clauses.is_empty(), Feature::NoClause);
    found.insert_if(clauses.len() > 1, Feature::SeveralClauses);
    for (is_when, body) in &clauses {
        found.insert(if *is_when { Feature::When } else { Feature::Unless });
        expression(body, 0, &mut found);
    }
    head::clauses(&clauses, &mut found);
    found
}

/// Each clause's kind (true for `when`) and body.
fn clauses(policy: &Json) -> Vec<(bool, &Json)> {
    policy
        .get("conditions")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(|clause| {
            let is_when = clause.get("kind")?.as_str()? == "when";
            Some((is_when, clause.get("body")?))
        })
        .collect()
}

/// The operator of an expression and what belongs to it.
pub(super) fn operator(expression: &Json) -> Option<(&str, &Json)> {
    let object = expression.as_object()?;
    let (name, operands) = object.iter().next()?;
    Some((name.as_str(), operands))
}

fn expression(json: &Json, depth: usize, found: &mut FeatureSet) {
    found.insert_if(depth > DEEP, Feature::DeepExpression);
    let Some((name, operands)) = operator(json) else {
        return;
    };
    match name {
        "Value" => constant(operands, found),
        "Var" | "Slot" => {}
        "Set" => {
            set(operands, found);
            all(operands, depth, found);
        }
        "Record" => {
            found.insert(Feature::RecordLiteral);
            all(operands, depth, found);
        }
        _ => {
            if let Some(arguments) = operands.as_array() {
                extension_call(name, arguments, found);
            } else {
                operation(name, operands, found);
            }
            all(operands, depth, found);
        }
    }
}

/// The operands of an operator, whatever they are called.
fn all(operands: &Json, depth: usize, found: &mut FeatureSet) {
    match operands {
        Json::Array(items) => {
            for item in items {
                expression(item, depth + 1, found);
            }
        }
        Json::Object(parts) => {
            for part in parts.values().filter(|part| part.is_object()) {
                expression(part, depth + 1, found);
            }
        }
        _ => {}
    }
}

fn constant(value: &Json, found: &mut FeatureSet) {
    if let Some(number) = value.as_i64() {
        found.insert_if(number == i64::MIN || number == i64::MAX, Feature::IntegerLimit);
    }
    if let Some(text) = value.as_str() {
        found.insert_if(text.is_empty(), Feature::EmptyString);
        found.insert_if(!text.is_ascii(), Feature::NonAscii);
        found.insert_if(text.chars().any(char::is_control), Feature::ControlCharacter);
    }
}

fn set(items: &Json, found: &mut FeatureSet) {
    found.insert(Feature::SetLiteral);
    let items = items.as_array().map_or(&[][..], Vec::as_slice);
    found.insert_if(items.is_empty(), Feature::EmptySet);
    let has = |name: &str| items.iter().any(|item| item.get(name).is_some());
    found.insert_if(has("Set"), Feature::SetOfSets);
    found.insert_if(has("Record"), Feature::RecordInSet);
    let twice = items
        .iter()
        .enumerate()
        .any(|(at, item)| items.iter().skip(at + 1).any(|other| other == item));
    found.insert_if(twice, Feature::DuplicateInSet);
}

fn operation(name: &str, operands: &Json, found: &mut FeatureSet) {
    let left = operands.get("left");
    let right = operands.get("right");
    let feature = match name {
        "==" => {
            equality(left, right, found);
            Feature::Equal
        }
        "!=" => Feature::NotEqual,
        "<" => Feature::Less,
        "<=" => Feature::LessEqual,
        ">" => Feature::Greater,
        ">=" => Feature::GreaterEqual,
        "+" => Feature::Add,
        "-" => Feature::Subtract,
        "*" => Feature::Multiply,
        "neg" => Feature::Negate,
        "!" => Feature::Not,
        "&&" => Feature::And,
        "||" => Feature::Or,
        "if-then-else" => Feature::If,
        "in" if right.is_some_and(|right| right.get("Set").is_some()) => Feature::InSet,
        "in" => Feature::In,
        "has" => has(operands),
        "like" => like(operands),
        "is" if operands.get("in").is_some() => Feature::IsIn,
        "is" => Feature::Is,
        "contains" => Feature::Contains,
        "containsAll" => Feature::ContainsAll,
        "containsAny" => Feature::ContainsAny,
        "isEmpty" => Feature::IsEmpty,
        "getTag" => {
            let literal = right.is_some_and(|right| right.get("Value").is_some());
            found.insert_if(!literal, Feature::GetTagEvaluated);
            Feature::GetTag
        }
        "hasTag" => Feature::HasTag,
        "." => {
            attribute(operands, found);
            Feature::Attribute
        }
        _ => return,
    };
    found.insert(feature);
    let ordered = matches!(name, "<" | "<=" | ">" | ">=");
    let of_extension = |side: Option<&Json>| side.is_some_and(is_time);
    found.insert_if(
        ordered && (of_extension(left) || of_extension(right)),
        Feature::OrderOfExtensions,
    );
}

fn equality(left: Option<&Json>, right: Option<&Json>, found: &mut FeatureSet) {
    let (Some(left), Some(right)) = (left, right) else {
        return;
    };
    let is = |side: &Json, name: &str| side.get(name).is_some();
    let attribute = is(left, ".") || is(right, ".");
    let constant = is(left, "Value") || is(right, "Value");
    found.insert_if(attribute && constant, Feature::EqualConstant);
    found.insert_if(is(left, ".") && is(right, ".") && left != right, Feature::EqualTwoAttributes);
    let extension = |side: &Json| {
        operator(side)
            .is_some_and(|(name, _)| matches!(name, "ip" | "decimal" | "datetime" | "duration"))
    };
    found.insert_if(attribute && (extension(left) || extension(right)), Feature::EqualExtension);
}

/// True for expressions whose operator gives a datetime or a duration.
fn is_time(expression: &Json) -> bool {
    operator(expression).is_some_and(|(name, _)| {
        matches!(name, "datetime" | "duration" | "offset" | "durationSince" | "toDate" | "toTime")
    })
}

fn has(operands: &Json) -> Feature {
    match operands.get("attr") {
        Some(Json::Array(_)) => Feature::HasChain,
        Some(Json::String(name)) if !quote::is_identifier(name) => Feature::HasQuoted,
        _ => Feature::Has,
    }
}

fn like(operands: &Json) -> Feature {
    let parts = operands.get("pattern").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let is_star =
        |part: &Map<String, Json>| part.get("Literal").and_then(Json::as_str) == Some("*");
    if parts.iter().filter_map(Json::as_object).any(is_star) {
        Feature::LikeEscaped
    } else if parts.iter().any(Json::is_string) {
        Feature::LikeWildcard
    } else {
        Feature::LikePlain
    }
}

fn attribute(operands: &Json, found: &mut FeatureSet) {
    let name = operands.get("attr").and_then(Json::as_str).unwrap_or("");
    found.insert_if(!quote::is_identifier(name), Feature::QuotedAttribute);
    let Some((of, value)) = operands.get("left").and_then(operator) else {
        return;
    };
    found.insert_if(of == ".", Feature::NestedAttribute);
    found.insert_if(
        of == "Value" && value.get("__entity").is_some(),
        Feature::AttributeOfEntityLiteral,
    );
}

fn extension_call(name: &str, arguments: &[Json], found: &mut FeatureSet) {
    let (feature, arity) = match name {
        "ip" => (Feature::Ip, 1),
        "decimal" => (Feature::Decimal, 1),
        "datetime" => (Feature::Datetime, 1),
        "duration" => (Feature::Duration, 1),
        "isIpv4" => (Feature::IsIpv4, 1),
        "isIpv6" => (Feature::IsIpv6, 1),
        "isLoopback" => (Feature::IsLoopback, 1),
        "isMulticast" => (Feature::IsMulticast, 1),
        "isInRange" => (Feature::IsInRange, 2),
        "lessThan" => (Feature::LessThan, 2),
        "lessThanOrEqual" => (Feature::LessThanOrEqual, 2),
        "greaterThan" => (Feature::GreaterThan, 2),
        "greaterThanOrEqual" => (Feature::GreaterThanOrEqual, 2),
        "offset" => (Feature::Offset, 2),
        "durationSince" => (Feature::DurationSince, 2),
        "toDate" => (Feature::ToDate, 1),
        "toTime" => (Feature::ToTime, 1),
        "toMilliseconds" => (Feature::ToMilliseconds, 1),
        "toSeconds" => (Feature::ToSeconds, 1),
        "toMinutes" => (Feature::ToMinutes, 1),
        "toHours" => (Feature::ToHours, 1),
        "toDays" => (Feature::ToDays, 1),
        _ => return,
    };
    if arguments.len() != arity {
        found.insert(Feature::WrongArity);
        return;
    }
    found.insert(feature);
    let constructor = matches!(name, "ip" | "decimal" | "datetime" | "duration");
    let literal = arguments.iter().all(|argument| argument.get("Value").is_some());
    found.insert_if(constructor && !literal, Feature::EvaluatedConstructor);
}
