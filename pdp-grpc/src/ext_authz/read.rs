//! A `CheckRequest` from its bytes: the fields that deciding needs, where they stand; all others are passed over.
//!
//! Texts stay bytes, because whether they must be UTF-8 is for the path and header rules to say.

use std::net::IpAddr;

use pdp_edge::wire::{Damage, Fields};
use pdp_edge::{HttpMessage, Metadata, each, pair};

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
    /// What the proxy says about tokens that it verified.
    pub(super) metadata: Metadata<'a>,
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
                    11 => check.metadata.merge(inside(payload)?),
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
