//! Policies, schema and entities as this crate sees them: plain data, no Cedar type in sight.
//!
//! Expressions live in an arena, children before parents, so that a chain of a hundred thousand `&&` neither nests
//! nor needs a deep stack to be dropped. `cedar` fills these, `compile` reads them.

use std::collections::HashMap;

/// The name of an entity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) entity_type: String,
    pub(crate) id: String,
}

/// A static policy or a template link.
#[derive(Debug)]
pub(crate) struct PolicyTree {
    pub(crate) id: String,
    pub(crate) forbid: bool,
    pub(crate) annotations: Vec<(String, String)>,
    pub(crate) principal: Constraint,
    pub(crate) action: Constraint,
    pub(crate) resource: Constraint,
    pub(crate) condition: Exprs,
    /// The conjuncts of the condition, in order.
    pub(crate) clauses: Vec<Ix>,
    pub(crate) place: Place,
}

/// Where a policy stands in its source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    /// Position among the source's files.
    pub(crate) file: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// What one dimension of a scope asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Constraint {
    Any,
    Is(String),
    Eq(Name),
    In(Name),
    IsIn(String, Name),
    InSet(Vec<Name>),
}

/// Position of an expression in its arena.
pub(crate) type Ix = u32;

/// An arena of expressions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exprs {
    nodes: Vec<Node>,
    spans: Vec<Option<(u32, u32)>>,
}

/// An expression.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Bool(bool),
    Long(i64),
    Text(String),
    Entity(Name),
    /// 0 principal, 1 action, 2 resource, 3 context.
    Var(u8),
    If(Ix, Ix, Ix),
    And(Ix, Ix),
    Or(Ix, Ix),
    /// An opcode of one operand.
    Unary(u8, Ix),
    /// An opcode of two operands.
    Binary(u8, Ix, Ix),
    Attr(Ix, String),
    Has(Ix, Vec<String>),
    /// Pieces between wildcards.
    Like(Ix, Vec<String>),
    Is(Ix, String),
    Set(Vec<Ix>),
    Record(Vec<(String, Ix)>),
    /// An extension function by Cedar's name.
    Call(String, Vec<Ix>),
}

/// A schema.
#[derive(Debug, Default)]
pub(crate) struct SchemaTree {
    pub(crate) entity_types: Vec<EntityTypeTree>,
    pub(crate) actions: Vec<ActionTree>,
}

/// An entity type of a schema.
#[derive(Debug)]
pub(crate) struct EntityTypeTree {
    pub(crate) name: String,
    pub(crate) attributes: Vec<FieldTree>,
    pub(crate) tags: Option<TypeTree>,
    /// Types its ancestors may have.
    pub(crate) ancestor_types: Vec<String>,
    /// The ids of an enumerated type.
    pub(crate) enumerated: Option<Vec<String>>,
}

/// An action of a schema.
#[derive(Debug)]
pub(crate) struct ActionTree {
    pub(crate) name: Name,
    pub(crate) principals: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) context: TypeTree,
}

/// A type of a schema.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TypeTree {
    Bool,
    Long,
    Text,
    Entity(String),
    Set(Box<TypeTree>),
    Record(Vec<FieldTree>),
    /// By Cedar's name: `decimal`, `ipaddr`, `datetime`, `duration`.
    Extension(String),
}

/// A field of a record or an attribute of an entity type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FieldTree {
    pub(crate) name: String,
    pub(crate) field_type: TypeTree,
    pub(crate) required: bool,
}

/// An entity of the store.
#[derive(Debug)]
pub(crate) struct EntityTree {
    pub(crate) name: Name,
    /// Position among the source's entity files.
    pub(crate) file: usize,
    pub(crate) parents: Vec<Name>,
    pub(crate) values: Exprs,
    pub(crate) attrs: Vec<(String, Ix)>,
    pub(crate) tags: Vec<(String, Ix)>,
}

/// A template link as its file states it.
#[derive(Debug, Clone)]
pub(crate) struct LinkTree {
    pub(crate) template_id: String,
    pub(crate) link_id: String,
    pub(crate) args: HashMap<String, String>,
}

// === impl Exprs ===

impl Exprs {
    /// Adds an expression whose children are there already.
    pub(crate) fn push(&mut self, node: Node, span: Option<(u32, u32)>) -> Ix {
        let ix = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.nodes.push(node);
        self.spans.push(span);
        ix
    }

    pub(crate) fn node(&self, ix: Ix) -> &Node {
        const NOTHING: &Node = &Node::Bool(false);
        self.nodes.get(ix as usize).unwrap_or(NOTHING)
    }

    /// Where the expression stands in its file.
    pub(crate) fn span(&self, ix: Ix) -> Option<(u32, u32)> {
        self.spans.get(ix as usize).copied().flatten()
    }

    /// How many expressions there are.
    pub(crate) fn len(&self) -> Ix {
        u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)
    }

    /// All entities that the expressions name.
    pub(crate) fn entities(&self) -> impl Iterator<Item = &Name> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Entity(name) => Some(name),
            _ => None,
        })
    }
}

// === impl Constraint ===

impl Constraint {
    /// All entities that the constraint names.
    pub(crate) fn entities(&self) -> &[Name] {
        match self {
            Constraint::Any | Constraint::Is(_) => &[],
            Constraint::Eq(name) | Constraint::In(name) | Constraint::IsIn(_, name) => {
                std::slice::from_ref(name)
            }
            Constraint::InSet(names) => names,
        }
    }
}

/// Prints Cedar's form.
impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        crate::request::Uid::new(&self.entity_type, &self.id).fmt(f)
    }
}
