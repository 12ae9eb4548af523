//! Does the head of a call say what its body says?
//!
//! Decided is by the body. The headers are compared with it, because another proxy may go by them: what is there has to
//! agree in every revision, and from 2026-07-28 on it has to be there. `Mcp-Param-*` headers repeat arguments that the
//! tool's definition chooses, which is not known here: each must at least be the value of some argument.

use pdp_core::RequestLimits;
use pdp_core::json::{Arena, Cursor, JsonError, Kind as Json};

use super::message::{About, Fault, Kind, Message, Revision};
use crate::base64::base64;

/// More headers that repeat arguments are refused: each is looked for in all of them.
const PARAM_HEADERS_MAX: usize = 16;

/// The headers of a call.
#[derive(Clone, Copy)]
pub(super) struct Head<'h, 'a> {
    pub(super) headers: &'h [(&'h [u8], &'h [u8])],
    pub(super) arena: &'a Arena,
}

// === impl Head ===

impl Head<'_, '_> {
    /// Whether it says that the body is plain JSON in UTF-8; what else it could say, somebody could go by.
    pub(super) fn plain_json(self) -> Result<(), Fault> {
        let one = |name| one(self.headers, name).map_err(|_| Fault::ContentType);
        let content_type = one("content-type")?.unwrap_or_default().to_ascii_lowercase();
        let mut parts = content_type.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let json = parts.next() == Some(b"application/json");
        let utf8 = parts.all(|part| part == b"charset=utf-8" || part == b"charset=\"utf-8\"");
        let encoding = one("content-encoding")?.unwrap_or(b"identity");
        let plain = encoding.eq_ignore_ascii_case(b"identity");
        if json && utf8 && plain { Ok(()) } else { Err(Fault::ContentType) }
    }

    /// The revision of a call whose body names this one.
    pub(super) fn revision(self, body: Option<&str>) -> Result<Revision, Fault> {
        let Some(head) = one(self.headers, "mcp-protocol-version")? else {
            return if body.is_none() { Ok(Revision::March2025) } else { Err(Fault::Headers) };
        };
        let mut known = Revision::ALL.into_iter();
        let revision = known.find(|known| known.name().as_bytes() == head).ok_or(Fault::Version)?;
        match body {
            Some(body) if body.as_bytes() != head => Err(Fault::Headers),
            _ => Ok(revision),
        }
    }

    /// Whether the other headers agree with a message that was read.
    pub(super) fn agrees(self, message: &Message<'_>) -> Result<(), Fault> {
        let strict = message.revision >= Revision::July2026;
        let has_method = matches!(message.kind, Kind::Request | Kind::Notification);
        match one(self.headers, "mcp-method")? {
            Some(method) if has_method && method == message.method.as_bytes() => {}
            None if !(strict && has_method) => {}
            _ => return Err(Fault::Headers),
        }
        let named = match (message.method, message.about) {
            ("tools/call" | "resources/read" | "prompts/get", about) => about.name(),
            _ => None,
        };
        match (one(self.headers, "mcp-name")?, named) {
            (None, None) => {}
            (None, Some(_)) if !strict => {}
            (Some(header), Some(name)) if decoded(header).as_deref() == Some(name) => {}
            _ => return Err(Fault::Headers),
        }
        let mut count = 0;
        for (name, value) in self.headers {
            if !name.get(..10).is_some_and(|name| name.eq_ignore_ascii_case(b"mcp-param-")) {
                continue;
            }
            count += 1;
            let value = decoded(value.trim_ascii()).ok_or(Fault::Headers)?;
            let (About::Tool(_), Some(arguments)) = (message.about, message.arguments) else {
                return Err(Fault::Headers);
            };
            let mut cursor = Cursor::new(arguments, self.arena, &RequestLimits::STANDARD)?;
            if count > PARAM_HEADERS_MAX || !holds(&mut cursor, &value)? {
                return Err(Fault::Headers);
            }
        }
        Ok(())
    }
}

/// The value of a header that may be there once.
pub(super) fn one<'h>(
    headers: &[(&[u8], &'h [u8])],
    name: &str,
) -> Result<Option<&'h [u8]>, Fault> {
    let is_it = |key: &[u8]| key.eq_ignore_ascii_case(name.as_bytes());
    let mut values = headers.iter().filter(|(key, _)| is_it(key));
    match (values.next(), values.next()) {
        (value, None) => Ok(value.map(|(_, value)| value.trim_ascii())),
        (_, Some(_)) => Err(Fault::Headers),
    }
}

/// Whether a value holds a scalar that a header writes like this.
fn holds(cursor: &mut Cursor<'_>, wanted: &str) -> Result<bool, JsonError> {
    let mut found = false;
    match cursor.kind()? {
        Json::Null => _ = cursor.value()?,
        Json::Bool => found = cursor.value()? == wanted,
        Json::Number => found = is_number(cursor.value()?, wanted),
        Json::Text => found = cursor.text()? == wanted,
        Json::Array => {
            cursor.enter()?;
            let mut first = true;
            while cursor.item(first)? {
                first = false;
                found |= holds(cursor, wanted)?;
            }
        }
        Json::Object => {
            cursor.enter()?;
            let mut first = true;
            while cursor.key(first)?.is_some() {
                first = false;
                found |= holds(cursor, wanted)?;
            }
        }
    }
    Ok(found)
}

/// Whether two texts are the same number.
fn is_number(one: &str, two: &str) -> bool {
    match (one.parse::<i64>(), two.parse::<i64>()) {
        (Ok(one), Ok(two)) => one == two,
        _ => {
            let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
            // Beyond these, two integers may be one float.
            let same = |one: f64, two: f64| one == two && one.abs() < 9_007_199_254_740_992.0;
            one == two || number(one).zip(number(two)).is_some_and(|(one, two)| same(one, two))
        }
    }
}

/// A header's value, out of the form that it has where it could not be written plainly; `None` if it is of neither form.
fn decoded(value: &[u8]) -> Option<String> {
    let encoded = value.strip_prefix(b"=?base64?").and_then(|rest| rest.strip_suffix(b"?="));
    let bytes = match encoded {
        Some(encoded) => base64(encoded)?,
        None => value.to_vec(),
    };
    String::from_utf8(bytes).ok()
}
