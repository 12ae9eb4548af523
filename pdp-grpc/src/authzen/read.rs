//! Messages of AuthZEN's Authorization API 1.0 in the terms of the core, by way of the core's own JSON.
//!
//! Two kinds of refusal. What is not a message of the API is [`Malformed`]: the caller is told with status 400. What is
//! one and names what the bundle cannot make sense of is a deny with the reason `invalid_request`, like everywhere.
//! Unknown members are ignored, as the standard says; so are properties that the bundle does not list as
//! caller-supplied, and context keys that the schema does not declare.

use pdp_core::{Decider, Uid};

use super::json::{Json, Members, member, quote, write_members};
use crate::text::shorten;

/// How much of a caller's text is repeated.
const SHOWN_CHARS_MAX: usize = 60;

/// Why a text is not a message of the API: a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) String);

/// Why a question cannot be asked of this bundle: a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unaskable(pub(super) String);

/// Subject, action, resource and context of a question.
#[derive(Clone, Debug)]
pub(super) struct Evaluation {
    pub(super) subject: Party,
    pub(super) action: Act,
    pub(super) resource: Party,
    pub(super) context: Members,
}

/// A subject or a resource.
#[derive(Clone, Debug, Default)]
pub(super) struct Party {
    pub(super) kind: String,
    /// Empty for what is searched.
    pub(super) id: String,
    pub(super) properties: Members,
}

/// An action.
#[derive(Clone, Debug, Default)]
pub(super) struct Act {
    pub(super) name: String,
    pub(super) properties: Members,
}

/// Which part of a message is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Searched {
    Nothing,
    Subject,
    Resource,
    Action,
}

/// Reads a body: one object.
pub(super) fn body(bytes: &[u8]) -> Result<Members, Malformed> {
    match serde_json::from_slice(bytes) {
        Ok(Json::Object(members)) => Ok(members),
        Ok(_) => Err(Malformed("the body is JSON and no object; send one object".to_owned())),
        Err(_) if bytes.is_empty() => {
            Err(Malformed("the body is empty; send one JSON object".to_owned()))
        }
        Err(error) => Err(Malformed(format!("the body is not acceptable JSON: {error}"))),
    }
}

/// Reads a question, or a search for one of its parts. What `members` does not have is taken from `defaults`, whole.
pub(super) fn evaluation(
    members: &[(String, Json)],
    defaults: &[(String, Json)],
    searched: Searched,
) -> Result<Evaluation, Malformed> {
    let part = |name: &str| member(members, name).or_else(|| member(defaults, name));
    Ok(Evaluation {
        subject: party("subject", part("subject"), searched == Searched::Subject)?,
        action: match searched {
            Searched::Action => Act::default(),
            _ => act(part("action"))?,
        },
        resource: party("resource", part("resource"), searched == Searched::Resource)?,
        context: match part("context") {
            None => Members::new(),
            Some(context) => object("context", context)?.clone(),
        },
    })
}

fn party(name: &str, json: Option<&Json>, is_searched: bool) -> Result<Party, Malformed> {
    let members = object(name, required(name, json)?)?;
    Ok(Party {
        kind: text(name, "type", members)?,
        // The id of what is searched is ignored.
        id: if is_searched { String::new() } else { text(name, "id", members)? },
        properties: properties(name, members)?,
    })
}

fn act(json: Option<&Json>) -> Result<Act, Malformed> {
    let members = object("action", required("action", json)?)?;
    Ok(Act { name: text("action", "name", members)?, properties: properties("action", members)? })
}

fn required<'j>(name: &str, json: Option<&'j Json>) -> Result<&'j Json, Malformed> {
    json.ok_or_else(|| Malformed(format!("`{name}` is missing")))
}

fn object<'j>(name: &str, json: &'j Json) -> Result<&'j Members, Malformed> {
    match json {
        Json::Object(members) => Ok(members),
        _ => Err(Malformed(format!("`{name}` must be an object"))),
    }
}

fn text(of: &str, name: &str, members: &[(String, Json)]) -> Result<String, Malformed> {
    match member(members, name) {
        Some(Json::String(text)) if !text.is_empty() => Ok(text.clone()),
        Some(Json::String(_)) => Err(Malformed(format!("`{of}.{name}` is empty"))),
        Some(_) => Err(Malformed(format!("`{of}.{name}` must be a string"))),
        None => Err(Malformed(format!("`{of}.{name}` is missing"))),
    }
}

fn properties(of: &str, members: &[(String, Json)]) -> Result<Members, Malformed> {
    match member(members, "properties") {
        None => Ok(Members::new()),
        Some(Json::Object(properties)) => Ok(properties.clone()),
        Some(_) => Err(Malformed(format!("`{of}.properties` must be an object"))),
    }
}

// === to the core ===

/// The bundle's entity type of a name: the name itself if the bundle knows it, else the one type whose last part it is.
pub(super) fn entity_type(decider: &Decider, name: &str) -> Result<String, Unaskable> {
    let ends_so = |known: &&str| known.rsplit("::").next() == Some(name);
    if decider.entity_types().any(|known| known == name) {
        return Ok(name.to_owned());
    }
    let mut found = decider.entity_types().filter(ends_so);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one.to_owned()),
        (None, _) => Ok(name.to_owned()),
        (Some(one), Some(other)) => Err(Unaskable(format!(
            "the type `{}` could be `{one}` or `{other}`; give the full name",
            shown(name)
        ))),
    }
}

/// The bundle's action of a name: the one with this id that applies to these types, or the one with this id.
pub(super) fn action<'d>(
    decider: &'d Decider,
    name: &'d str,
    subject_type: &str,
    resource_type: &str,
) -> Result<Uid<'d>, Unaskable> {
    let named: Vec<Uid<'_>> =
        decider.actions().into_iter().filter(|action| action.id == name).collect();
    let mut applying =
        named.iter().filter(|action| decider.applies(**action, subject_type, resource_type));
    match (applying.next(), applying.next(), named.first()) {
        (Some(one), None, _) | (None, _, Some(one)) => Ok(*one),
        (None, _, None) => Ok(Uid::new("Action", name)),
        (Some(one), Some(other), _) => Err(Unaskable(format!(
            "the action `{}` could be one of `{}` or of `{}`, and both apply",
            shown(name),
            one.entity_type,
            other.entity_type
        ))),
    }
}

/// The question in the core's JSON.
pub(super) fn question(decider: &Decider, asked: &Evaluation) -> Result<String, Unaskable> {
    let subject = entity_type(decider, &asked.subject.kind)?;
    let resource = entity_type(decider, &asked.resource.kind)?;
    let action = action(decider, &asked.action.name, &subject, &resource)?;
    let mut out = String::with_capacity(512);
    out.push_str("{\"principal\":");
    write_uid(&subject, &asked.subject.id, &mut out);
    out.push_str(",\"action\":");
    write_uid(action.entity_type, action.id, &mut out);
    out.push_str(",\"resource\":");
    write_uid(&resource, &asked.resource.id, &mut out);
    out.push_str(",\"context\":");
    let has_properties = !asked.action.properties.is_empty();
    let properties = ("action".to_owned(), Json::Object(asked.action.properties.clone()));
    let context = asked
        .context
        .iter()
        .filter(|(key, _)| !(has_properties && key == "action"))
        .chain(has_properties.then_some(&properties))
        .filter(|(key, _)| decider.declares_context(action, key));
    write_members(context, &mut out);
    write_supplied(decider, asked, [&subject, &resource], &mut out)?;
    out.push('}');
    Ok(out)
}

fn write_uid(entity_type: &str, id: &str, out: &mut String) {
    out.push_str("{\"type\":");
    quote(entity_type, out);
    out.push_str(",\"id\":");
    quote(id, out);
    out.push('}');
}

/// Writes what the caller supplies about subject and resource, as far as the bundle lists it.
fn write_supplied(
    decider: &Decider,
    asked: &Evaluation,
    [subject, resource]: [&str; 2],
    out: &mut String,
) -> Result<(), Unaskable> {
    let listed = |entity_type: &str, party: &Party| -> Members {
        let is_listed = |(key, _): &&(String, Json)| decider.is_caller_attribute(entity_type, key);
        party.properties.iter().filter(is_listed).cloned().collect()
    };
    let mut of_subject = listed(subject, &asked.subject);
    let mut of_resource = listed(resource, &asked.resource);
    if subject == resource && asked.subject.id == asked.resource.id {
        // One entity in both places, of which both may say something.
        for (key, value) in std::mem::take(&mut of_resource) {
            match member(&of_subject, &key) {
                None => of_subject.push((key, value)),
                Some(said) if *said == value => {}
                Some(_) => {
                    return Err(Unaskable(format!(
                        "subject and resource are one entity, and its property `{}` has two values",
                        shown(&key)
                    )));
                }
            }
        }
    }
    let all =
        [(subject, &asked.subject.id, of_subject), (resource, &asked.resource.id, of_resource)];
    out.push_str(",\"entities\":[");
    let mut is_first = true;
    for (entity_type, id, properties) in all.iter().filter(|(_, _, some)| !some.is_empty()) {
        if !is_first {
            out.push(',');
        }
        is_first = false;
        out.push_str("{\"uid\":");
        write_uid(entity_type, id, out);
        out.push_str(",\"attrs\":");
        write_members(properties.iter(), out);
        out.push_str(",\"parents\":[]}");
    }
    out.push(']');
    Ok(())
}

fn shown(text: &str) -> String {
    shorten(&text.escape_debug().to_string(), SHOWN_CHARS_MAX)
}
