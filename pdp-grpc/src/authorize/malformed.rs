//! Why bytes are not a question, and where in them.
//!
//! A path is built on the stack while reading and printed only when something is refused.

use std::fmt;

use pdp_edge::wire::Damage;

use crate::text::shorten;

/// How much of a key and of a whole path is repeated in a message, which travels in a header.
const KEY_CHARS_MAX: usize = 40;
const PATH_CHARS_MAX: usize = 160;

/// Why bytes are not a question.
// One word, because every step of reading may return it.
#[derive(Debug)]
pub struct Malformed(Box<Refusal>);

#[derive(Debug)]
struct Refusal {
    message: &'static str,
    path: String,
    fault: Fault,
}

/// What is wrong with it.
#[derive(Debug)]
pub(super) enum Fault {
    Bytes(Damage),
    EntityMissing,
    EntryWithoutValue,
    KindMissing,
    TypeEmpty,
    TypeName(String),
    KeyTwice,
    TooDeep(u32),
    Ip { text: String, expected: String },
    Filtered { both: bool },
    RequestTwice,
    RequestMissing,
}

/// Where in a message a value stands; printed only when it is refused.
#[derive(Clone, Copy)]
pub(super) enum Path<'p> {
    Message,
    Field(&'static str),
    Part(&'p Path<'p>, &'static str),
    Key(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

/// User text as it may stand in a message.
pub(super) fn quoted(text: &str) -> String {
    shorten(&text.escape_debug().to_string(), KEY_CHARS_MAX)
}

// === impl Malformed ===

impl Malformed {
    #[cold]
    pub(super) fn at(path: Path<'_>, fault: Fault) -> Self {
        let path = shorten(&path.to_string(), PATH_CHARS_MAX);
        Self(Box::new(Refusal { message: "AuthorizeRequest", path, fault }))
    }

    /// The same about another message of `pdp.v1`.
    #[cold]
    pub(super) fn of(mut self, message: &'static str) -> Self {
        self.0.message = message;
        self
    }

    #[cold]
    pub(super) fn bytes(path: Path<'_>, damage: Damage) -> Self {
        Self::at(path, Fault::Bytes(damage))
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal { message, path, fault } = &*self.0;
        match fault {
            Fault::Bytes(damage) => {
                write!(f, "the bytes are no `pdp.v1.{message}`: {damage}")?;
                if path.is_empty() { Ok(()) } else { write!(f, ", in `{path}`") }
            }
            Fault::EntityMissing => {
                write!(f, "`{path}` is missing; name an entity by its type and id")
            }
            Fault::EntryWithoutValue => {
                write!(f, "`{path}` has no value; give it one or leave the key out")
            }
            Fault::KindMissing => write!(
                f,
                "`{path}` has no kind, or one that this server does not know; set one of those in `pdp.v1.Value`"
            ),
            Fault::TypeEmpty => {
                write!(f, "`{path}` is empty; give the fully qualified type of the entity")
            }
            Fault::TypeName(name) => {
                write!(
                    f,
                    "`{path}` is `{name}`, which is no type name; expected identifiers joined by `::`"
                )
            }
            Fault::KeyTwice => write!(f, "`{path}` occurs twice; send each key once"),
            Fault::TooDeep(max) => {
                write!(f, "`{path}` is nested too deep; values may have {max} levels")
            }
            Fault::Filtered { both: true } => f.write_str(
                "`action` and `resource` are both given; leave out the one that the candidates take the place of",
            ),
            Fault::Filtered { both: false } => f.write_str(
                "neither `action` nor `resource` is given; give the one that the candidates do not take the place of",
            ),
            Fault::RequestTwice => write!(f, "`{path}` occurs twice; send one question a message"),
            Fault::RequestMissing => write!(f, "`{path}` is missing; send one question a message"),
            Fault::Ip { text, expected } => write!(f, "`{path}` is `{text}`; {expected}"),
        }
    }
}

impl std::error::Error for Malformed {}

// === impl Path ===

/// Prints `entities[0].attributes["mfa"]`.
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Message => Ok(()),
            Path::Field(name) => f.write_str(name),
            Path::Part(parent, name) => write!(f, "{parent}.{name}"),
            Path::Key(parent, key) => write!(f, "{parent}[\"{}\"]", quoted(key)),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}
