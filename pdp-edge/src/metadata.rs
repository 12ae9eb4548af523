//! A proxy's metadata from its bytes: namespaces and what stands in them, as claims and as texts.
//!
//! Envoy's `Metadata` is a map from namespaces to protobuf's `Struct`. Nothing is read that nobody asks for. Claims that
//! are numbers come as floating point; taken are those that are certainly the integer that the token has. What is damaged
//! is there, and is nothing that an identity could be.

use pdp_core::Claim;

use crate::http::{ClaimValue, Claims};
use crate::wire::{Damage, Fields, Payload};

/// Namespaces and their structs, unread.
#[derive(Clone, Debug, Default)]
pub struct Metadata<'a>(Vec<(&'a [u8], Fields<'a>)>);

/// Keys and values that are texts.
type Texts<'a> = Vec<(&'a [u8], &'a [u8])>;

/// From here on another integer could have become the same number on its way.
const INTEGERS_BELOW: f64 = 9_007_199_254_740_992.0;

// === impl Metadata ===

impl<'a> Metadata<'a> {
    /// Reads a message.
    ///
    /// # Errors
    ///
    /// When the bytes are none.
    pub fn read(message: &'a [u8]) -> Result<Self, Damage> {
        let mut metadata = Self::default();
        metadata.merge(Fields::new(message))?;
        Ok(metadata)
    }

    /// Adds what a message of it says.
    ///
    /// # Errors
    ///
    /// When the bytes are none.
    pub fn merge(&mut self, message: Fields<'a>) -> Result<(), Damage> {
        each(message, |fields, number, payload| {
            if number == 1 {
                let entry = fields.inside(payload)?;
                let (key, value) = pair(entry.clone())?;
                self.0.push((key, entry.inside(Payload::Bytes(value))?));
            }
            Ok(())
        })
    }

    /// The keys of a namespace, and their values, which are texts.
    ///
    /// # Errors
    ///
    /// When the namespace is damaged or a value is none.
    pub fn texts(&self, namespace: &str) -> Result<Texts<'a>, Damage> {
        let mut texts = Vec::new();
        for (_, fields) in self.0.iter().filter(|(name, _)| *name == namespace.as_bytes()) {
            each(fields.clone(), |fields, number, payload| {
                if number == 1 {
                    let entry = fields.inside(payload)?;
                    let (key, value) = pair(entry.clone())?;
                    let mut text = None;
                    each(entry.inside(Payload::Bytes(value))?, |_, number, payload| {
                        text = if number == 3 { Some(payload.bytes()?) } else { None };
                        Ok(())
                    })?;
                    texts.push((key, text.ok_or(Damage::WireType)?));
                }
                Ok(())
            })?;
        }
        Ok(texts)
    }

    fn find(&self, claim: &Claim) -> Result<Option<ClaimValue>, Damage> {
        let mut found = None;
        for (namespace, fields) in &self.0 {
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

impl Claims for Metadata<'_> {
    fn claim(&self, claim: &Claim) -> Option<ClaimValue> {
        self.find(claim).unwrap_or(Some(ClaimValue::Other))
    }
}

/// Visits all fields of a message.
///
/// # Errors
///
/// When the bytes are none, or `visit` says so.
pub fn each<'a>(
    mut fields: Fields<'a>,
    mut visit: impl FnMut(&Fields<'a>, u32, Payload<'a>) -> Result<(), Damage>,
) -> Result<(), Damage> {
    while let Some((number, payload)) = fields.field()? {
        visit(&fields, number, payload)?;
    }
    Ok(())
}

/// An entry of a map.
///
/// # Errors
///
/// When the bytes are none.
pub fn pair<'a>(entry: Fields<'a>) -> Result<(&'a [u8], &'a [u8]), Damage> {
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
fn scalar(value: Fields<'_>) -> Result<ClaimValue, Damage> {
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

/// The integer that a number is without loss.
fn integer(number: f64) -> Option<i64> {
    // Neither infinities nor what is no number are below anything here.
    let exact = number.abs() < INTEGERS_BELOW && number.fract() == 0.0;
    exact.then_some(number as i64)
}

#[cfg(test)]
mod tests;
