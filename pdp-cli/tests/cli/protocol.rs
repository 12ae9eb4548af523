//! `pdp answer`, line by line.

use serde_json::{Value, json};

use crate::run::{OrStop, Ran, pdp_reading};

fn answer(cases: &[Value]) -> Vec<Value> {
    let input: String = cases.iter().map(|case| format!("{case}\n")).collect();
    let indexed = pdp_reading(&["answer"], &input);
    assert_eq!(indexed.code, Some(0), "{indexed:?}");
    let all: Ran = pdp_reading(&["answer", "--all-policies"], &input);
    assert_eq!(indexed.stdout, all.stdout, "the index must not change an answer");
    let lines = indexed.json_lines();
    assert_eq!(lines.len(), cases.len(), "{lines:?}");
    lines
}

fn one(case: &Value) -> Value {
    answer(std::slice::from_ref(case)).pop().or_stop("a line")
}

fn asked(principal: &str, context: &Value) -> Value {
    json!({
        "principal": {"type": "User", "id": principal},
        "action": {"type": "Action", "id": "view"},
        "resource": {"type": "Photo", "id": "p"},
        "context": context,
    })
}

const SCHEMA: &str = "entity User; entity Photo; action view appliesTo { principal: User, resource: Photo, context: { n?: Long } };";

#[test]
fn reasons_and_errors_by_position() {
    let case = json!({
        "policies": "permit (principal, action, resource) when { context.n > 1 };\n\
                     permit (principal == User::\"a\", action, resource);\n\
                     forbid (principal, action, resource) when { context.n + 9223372036854775807 > 0 };",
        "entities": [],
        "requests": [
            {"request": asked("a", &json!({"n": 2})), "validateRequest": false},
            {"request": asked("b", &json!({})), "validateRequest": false},
        ],
    });
    let expected = json!({
        "responses": [
            // A forbid that fails is skipped: Cedar's own rule.
            {"decision": "allow", "reason": ["policy0", "policy1"], "errors": ["policy2"]},
            {"decision": "deny", "reason": [], "errors": ["policy0", "policy2"]},
        ],
        "validates": true,
    });
    assert_eq!(one(&case), expected);
}

#[test]
fn a_request_outside_the_schema_has_an_error_in_its_place() {
    let case = json!({
        "policies": "permit (principal, action, resource);",
        "schema": SCHEMA,
        "entities": [],
        "requests": [
            {"request": asked("a", &json!({})), "validateRequest": true},
            {"request": asked("a", &json!({"stray": true})), "validateRequest": true},
            {"request": {"principal": {"type": "User"}}, "validateRequest": true},
            {"request": asked("b", &json!({"n": 1})), "validateRequest": true},
        ],
    });
    let line = one(&case);
    let permitted = json!({"decision": "allow", "reason": ["policy0"], "errors": []});
    let responses = line["responses"].as_array().or_stop("responses");
    assert_eq!(responses.len(), 4, "{line}");
    for (n, response) in responses.iter().enumerate() {
        if n == 0 || n == 3 {
            assert_eq!(*response, permitted);
        } else {
            assert!(response["error"].as_str().is_some_and(|text| !text.is_empty()), "{line}");
        }
    }
    assert_eq!(line["validates"], true);
}

#[test]
fn policies_that_do_not_validate_are_answered_and_said_so() {
    let case = json!({
        "policies": "permit (principal, action, resource) when { principal.age > 3 };",
        "schema": SCHEMA,
        "entities": [],
        "requests": [{"request": asked("a", &json!({})), "validateRequest": true}],
    });
    let line = one(&case);
    assert_eq!(line["validates"], false);
    assert_eq!(
        line["responses"],
        json!([{"decision": "deny", "reason": [], "errors": ["policy0"]}])
    );
}

#[test]
fn a_bad_line_does_not_stop_the_next() {
    let good = json!({"policies": "", "entities": [], "requests": []}).to_string();
    let unparsable = json!({"policies": "permit (", "entities": [], "requests": []}).to_string();
    let bad_entities =
        json!({"policies": "", "entities": [{"uid": 1}], "requests": []}).to_string();
    let input = format!("{good}\n{{\n{unparsable}\n\n{bad_entities}\n{good}");
    let ran = pdp_reading(&["answer"], &input);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines = ran.json_lines();
    let is_error: Vec<bool> = lines.iter().map(|line| line["error"].is_string()).collect();
    assert_eq!(is_error, [false, true, true, true, true, false], "{lines:?}");
    assert_eq!(lines.first(), Some(&json!({"responses": [], "validates": true})));
}

#[test]
fn json_policies_keep_their_ids() {
    let policy = json!({
        "effect": "permit",
        "principal": {"op": "All"}, "action": {"op": "All"}, "resource": {"op": "All"},
        "conditions": [],
    });
    let set =
        json!({"staticPolicies": {"my own id": policy}, "templates": {}, "templateLinks": []});
    let expected = json!([{"decision": "allow", "reason": ["my own id"], "errors": []}]);
    for policies in [set.clone(), Value::from(set.to_string())] {
        let case = json!({
            "policies": policies, "policyFormat": "json", "entities": [],
            "requests": [{"request": asked("a", &json!({})), "validateRequest": false}],
        });
        assert_eq!(one(&case)["responses"], expected);
    }
}

#[test]
fn links_are_named_and_so_are_policies_beside_them() {
    let case = json!({
        "policies": "@id(\"shared\") permit (principal == ?principal, action, resource);\n\
                     @id(\"static\") permit (principal == User::\"b\", action, resource);",
        "entities": [],
        "links": [{"template_id": "shared", "link_id": "shared with a", "args": {"?principal": "User::\"a\""}}],
        "requests": [
            {"request": asked("a", &json!({})), "validateRequest": false},
            {"request": asked("b", &json!({})), "validateRequest": false},
        ],
    });
    let expected = json!([
        {"decision": "allow", "reason": ["shared with a"], "errors": []},
        {"decision": "allow", "reason": ["static"], "errors": []},
    ]);
    assert_eq!(one(&case)["responses"], expected);
}

#[test]
fn a_context_is_read_with_the_schema() {
    let schema = "entity User; entity Photo; action view appliesTo \
                  { principal: User, resource: Photo, context: { at: datetime, by: User, from: ipaddr } };";
    let case = json!({
        "policies": "permit (principal, action, resource) when { context.at > datetime(\"2026-01-01\") \
                     && context.by == principal && context.from.isLoopback() };",
        "schema": schema,
        "entities": [],
        "requests": [{
            "request": asked("a", &json!({"at": "2026-06-01", "by": {"type": "User", "id": "a"}, "from": "127.0.0.1"})),
            "validateRequest": true,
        }],
    });
    assert_eq!(
        one(&case)["responses"],
        json!([{"decision": "allow", "reason": ["policy0"], "errors": []}])
    );
}
