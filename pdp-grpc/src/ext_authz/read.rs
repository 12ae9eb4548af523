//! A `CheckRequest` from its bytes: the fields that deciding needs, where they stand; all others are passed over.
//!
//! Texts stay bytes, because whether they must be UTF-8 is for the path and header rules to say. Claims that are
//! numbers come as floating point; taken are those that are certainly the integer that the token has.

use std::net::IpAddr;

use pdp_core::Claim;
use pdp_edge::{ClaimValue, Claims, HttpMessage};

use crate::authorize::wire::{Damage, Fields, Payload};

/// What a check says.
#[derive(Debug, Default)]
pub(super) struct Check<'a> {
    method: &'a [u8],
    host: &'a [u8],
    target: &'a [u8],
    headers: Vec<(&'a [u8], &'a [u8])>,
    /// Headers as Envoy sends them when told to keep repeated ones apart.
    header_map: Vec<(&'a [u8], &'a [u8])>,
    /// The body as text.
    body: &'a [u8],
    /// The body as bytes. A proxy sends one of the two.
    raw_body: &'a [u8],
    source_principal: &'a [u8],
    source_ip: Option<IpAddr>,
    /// Namespaces and their structs, unread.
    metadata: Vec<(&'a [u8], Fields<'a>)>,
    extensions: Vec<(&'a [u8], &'a [u8])>,
}

// === impl Check ===

impl<'a> Check<'a> {
    /// Reads a message.
    pub(super) fn read(message: &'a [u8]) -> Result<Self, Damage> {
        let mut check = Self::default();
        each(Fields::new(message), |fields, number, payload| match number {
            1 => each(fields.inside(payload)?, |fields, number, payload| {
                let inside = |payload| fields.inside(payload);
                match number {
                    1 => check.peer(inside(payload)?),
                    4 => each(inside(payload)?, |fields, number, payload| match number {
                        2 => check.http(fields.inside(payload)?),
                        _ => Ok(()),
                    }),
                    10 => {
                        check.extensions.push(pair(inside(payload)?)?);
                        Ok(())
                    }
                    11 => each(inside(payload)?, |fields, number, payload| match number {
                        1 => {
                            let entry = fields.inside(payload)?;
                            let (key, value) = pair(entry.clone())?;
                            let value = entry.inside(Payload::Bytes(value))?;
                            check.metadata.push((key, value));
                            Ok(())
                        }
                        _ => Ok(()),
                    }),
                    _ => Ok(()),
                }
            }),
            _ => Ok(()),
        })?;
        Ok(check)
    }

    fn peer(&mut self, peer: Fields<'a>) -> Result<(), Damage> {
        each(peer, |fields, number, payload| match number {
            1 => each(fields.inside(payload)?, |fields, number, payload| match number {
                1 => each(fields.inside(payload)?, |_, number, payload| {
                    if number == 2 {
                        self.source_ip = payload.text()?.parse().ok();
                    }
                    Ok(())
                }),
                _ => Ok(()),
            }),
            4 => {
                self.source_principal = payload.bytes()?;
                Ok(())
            }
            _ => Ok(()),
        })
    }

    fn http(&mut self, http: Fields<'a>) -> Result<(), Damage> {
        each(http, |fields, number, payload| {
            match number {
                2 => self.method = payload.bytes()?,
                3 => self.headers.push(pair(fields.inside(payload)?)?),
                4 => self.target = payload.bytes()?,
                5 => self.host = payload.bytes()?,
                11 => self.body = payload.bytes()?,
                12 => self.raw_body = payload.bytes()?,
                13 => each(fields.inside(payload)?, |fields, number, payload| {
                    if number == 1 {
                        self.header_map.push(header(fields.inside(payload)?)?);
                    }
                    Ok(())
                })?,
                _ => {}
            }
            Ok(())
        })
    }

    /// The headers.
    pub(super) fn headers(&self) -> &[(&'a [u8], &'a [u8])] {
        if self.header_map.is_empty() { &self.headers } else { &self.header_map }
    }

    /// Whether there is no telling what the body is. The proxy cut it off, or a client says that it did, who gains
    /// nothing by it; or there are two. What a client says of its length does not matter: a proxy measures it itself.
    pub(super) fn body_unreadable(&self) -> bool {
        let cut_off = self.headers.iter().chain(&self.header_map).any(|(name, value)| {
            name.eq_ignore_ascii_case(b"x-envoy-auth-partial-body")
                && !value.eq_ignore_ascii_case(b"false")
        });
        let one = self.body.is_empty() || self.raw_body.is_empty() || self.body == self.raw_body;
        cut_off || !one
    }

    /// The call that it is about.
    pub(super) fn call<'c>(&'c self) -> HttpMessage<'c> {
        HttpMessage {
            method: self.method,
            host: self.host,
            target: self.target,
            headers: self.headers(),
            source_principal: self.source_principal,
            source_ip: self.source_ip,
            extensions: &self.extensions,
            body: [self.body, self.raw_body].into_iter().find(|body| !body.is_empty()),
        }
    }

    fn find(&self, claim: &Claim) -> Result<Option<ClaimValue>, Damage> {
        let mut found = None;
        for (namespace, fields) in &self.metadata {
            if *namespace != claim.namespace.as_bytes() {
                continue;
            }
            let Some(payload) = member(fields.clone(), &claim.payload)? else { continue };
            let mut value = None;
            each(payload, |fields, number, payload| {
                if number == 5 {
                    value = member(fields.inside(payload)?, &claim.name)?;
                }
                Ok(())
            })?;
            if let Some(value) = value {
                found = Some(scalar(value)?);
            }
        }
        Ok(found)
    }
}

impl Claims for Check<'_> {
    fn claim(&self, claim: &Claim) -> Option<ClaimValue> {
        // What is damaged is there, and is nothing that an identity could be.
        self.find(claim).unwrap_or(Some(ClaimValue::Other))
    }
}

/// Visits all fields of a message.
fn each<'a>(
    mut fields: Fields<'a>,
    mut visit: impl FnMut(&Fields<'a>, u32, Payload<'a>) -> Result<(), Damage>,
) -> Result<(), Damage> {
    while let Some((number, payload)) = fields.next()? {
        visit(&fields, number, payload)?;
    }
    Ok(())
}

/// An entry of a map.
fn pair<'a>(entry: Fields<'a>) -> Result<(&'a [u8], &'a [u8]), Damage> {
    let (mut key, mut value): (&[u8], &[u8]) = (b"", b"");
    each(entry, |_, number, payload| {
        match number {
            1 => key = payload.bytes()?,
            2 => value = payload.bytes()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((key, value))
}

/// A header: its value is text or, where it is not UTF-8, raw.
fn header<'a>(entry: Fields<'a>) -> Result<(&'a [u8], &'a [u8]), Damage> {
    let (mut key, mut value): (&[u8], &[u8]) = (b"", b"");
    each(entry, |_, number, payload| {
        match number {
            1 => key = payload.bytes()?,
            2 | 3 => value = payload.bytes()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((key, value))
}

/// The value of a key of a struct.
fn member<'a>(fields: Fields<'a>, name: &str) -> Result<Option<Fields<'a>>, Damage> {
    let mut found = None;
    each(fields, |fields, number, payload| {
        if number == 1 {
            let entry = fields.inside(payload)?;
            let (key, value) = pair(entry.clone())?;
            if key == name.as_bytes() {
                found = Some(entry.inside(Payload::Bytes(value))?);
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// A claim's value.
pub(super) fn scalar(value: Fields<'_>) -> Result<ClaimValue, Damage> {
    let mut found = ClaimValue::Other;
    each(value, |fields, number, payload| {
        found = match number {
            2 => integer(payload.double()?).map_or(ClaimValue::Other, ClaimValue::Long),
            3 => ClaimValue::Text(payload.text()?.to_owned()),
            4 => ClaimValue::Bool(payload.varint()? != 0),
            6 => texts(fields.inside(payload)?)?.map_or(ClaimValue::Other, ClaimValue::Texts),
            _ => ClaimValue::Other,
        };
        Ok(())
    })?;
    Ok(found)
}

/// The texts of a list; `None` if anything else is in it.
fn texts(list: Fields<'_>) -> Result<Option<Vec<String>>, Damage> {
    let mut texts = Some(Vec::new());
    each(list, |fields, number, payload| {
        if number != 1 {
            return Ok(());
        }
        let mut text = None;
        each(fields.inside(payload)?, |_, number, payload| {
            text = if number == 3 { Some(payload.text()?.to_owned()) } else { None };
            Ok(())
        })?;
        match (text, &mut texts) {
            (Some(text), Some(texts)) => texts.push(text),
            _ => texts = None,
        }
        Ok(())
    })?;
    Ok(texts)
}

/// From here on another integer could have become the same number on its way.
const INTEGERS_BELOW: f64 = 9_007_199_254_740_992.0;

/// The integer that a number is without loss.
fn integer(number: f64) -> Option<i64> {
    // Neither infinities nor what is no number are below anything here.
    let exact = number.abs() < INTEGERS_BELOW && number.fract() == 0.0;
    exact.then_some(number as i64)
}
