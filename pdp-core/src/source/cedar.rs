//! The front end: Cedar's own parser, schema reader, strict validator and entity reader, and their results as `tree`.
//!
//! The only file that names the Cedar crates, which is why it is longer than the others. It reads `cedar-policy-core`'s AST rather than Cedar's public policy
//! syntax tree, because that one refuses calls of the wrong arity, which Cedar parses and evaluates to an error.
//! Everything here recurses as deep as its input nests: `nesting` has counted that before, and the caller runs it on
//! a thread whose stack is large enough.

use std::collections::{HashMap, HashSet};

use cedar_policy_core::ast::{
    ActionConstraint, BinaryOp, EntityReference, EntityUID, Expr, ExprKind, Literal, PartialValue,
    PatternElem, Policy, PolicyID, PolicySet, PrincipalOrResourceConstraint, RestrictedExpr,
    SlotEnv, SlotId, StaticPolicy, Template, UnaryOp, Var,
};
use cedar_policy_core::entities::{EntityJsonParser, TCComputation};
use cedar_policy_core::extensions::Extensions;
use cedar_policy_core::parser;
use cedar_policy_core::validator::types::{Attributes, EntityKind, Type};
use cedar_policy_core::validator::{
    CoreSchema, ValidationMode, Validator, ValidatorEntityTypeKind, ValidatorSchema,
};
use cedar_policy_core::{ast, est};
use miette::Diagnostic;

use super::tree::{
    ActionTree, Constraint, EntityTree, EntityTypeTree, Exprs, FieldTree, Ix, LinkTree, Name, Node,
    Place, PolicyTree, SchemaTree, TypeTree,
};
use crate::op;

/// What Cedar's front end has to say about a text.
#[derive(Debug, Default)]
pub(crate) struct Finding {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// Byte range in the text that was read.
    pub(crate) span: Option<(usize, usize)>,
    /// The policy it is about, where that says more than the place.
    pub(crate) policy: Option<String>,
}

/// How policies of a text get their ids.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Naming<'a> {
    /// `policy0`, `policy1`, … by position.
    Position,
    /// The `@id` annotation, else by position.
    Annotation,
    /// The `@id` annotation, else `file#n`.
    AnnotationOrFile(&'a str),
}

/// A policy or template as it was named.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) id: String,
    pub(crate) file: usize,
    pub(crate) span: (usize, usize),
    pub(crate) has_annotation: bool,
    pub(crate) is_template: bool,
}

/// Policies, and the schema they are checked against.
#[derive(Debug, Default)]
pub(crate) struct Front {
    set: PolicySet,
    schema: Option<ValidatorSchema>,
    ids: HashSet<String>,
    /// Static policies, templates and links, in source order.
    pub(crate) named: Vec<Named>,
}

// === impl Front ===

impl Front {
    /// Parses a policy text. Ids that repeat are found by the caller, in `named`.
    pub(crate) fn add_policies(
        &mut self,
        file: usize,
        text: &str,
        naming: Naming<'_>,
    ) -> Result<(), Vec<Finding>> {
        let parsed = parser::parse_policyset(text)
            .map_err(|errors| errors.iter().map(|e| finding(e)).collect::<Vec<_>>())?;
        // Cedar numbers policies and templates together, in the order of the text.
        let mut templates: Vec<&Template> = parsed.all_templates().collect();
        templates.sort_by_key(|template| position(template.id()));
        for (at, template) in templates.into_iter().enumerate() {
            let annotation = annotation(template);
            let id = match (naming, &annotation) {
                (Naming::Position, _) | (Naming::Annotation, None) => template.id().to_string(),
                (Naming::AnnotationOrFile(name), None) => format!("{name}#{at}"),
                (_, Some(id)) => id.clone(),
            };
            let span = template.loc().map_or((0, 0), |loc| (loc.start(), loc.end()));
            self.add(template, id, file, span, annotation.is_some())?;
        }
        Ok(())
    }

    /// Reads a policy set in Cedar's JSON, links included. Its own ids are kept.
    pub(crate) fn add_policies_json(
        &mut self,
        file: usize,
        text: &str,
    ) -> Result<(), Vec<Finding>> {
        let set: est::PolicySet = serde_json::from_str(text).map_err(|e| plain(e.to_string()))?;
        let set = PolicySet::try_from(set).map_err(|e| vec![finding(&e)])?;
        let mut named: Vec<Named> = Vec::new();
        for template in set.all_templates() {
            named.push(Named {
                id: template.id().to_string(),
                file,
                span: (0, 0),
                has_annotation: true,
                is_template: !template.is_static(),
            });
        }
        for link in set.policies().filter(|policy| !policy.is_static()) {
            named.push(Named {
                id: link.id().to_string(),
                file,
                span: (0, 0),
                has_annotation: true,
                is_template: false,
            });
        }
        self.named = named;
        self.set = set;
        Ok(())
    }

    fn add(
        &mut self,
        template: &Template,
        id: String,
        file: usize,
        span: (usize, usize),
        has_annotation: bool,
    ) -> Result<(), Vec<Finding>> {
        let is_template = !template.is_static();
        let renamed = template.new_id(PolicyID::from_string(&id));
        // An id that repeats is reported by the caller, once, with both places.
        if self.ids.insert(id.clone()) {
            match is_template {
                true => self.set.add_template(renamed).map_err(|e| plain(e.to_string()))?,
                false => {
                    let policy =
                        StaticPolicy::try_from(renamed).map_err(|e| plain(e.to_string()))?;
                    self.set.add_static(policy).map_err(|e| plain(e.to_string()))?;
                }
            }
        }
        self.named.push(Named { id, file, span, has_annotation, is_template });
        Ok(())
    }

    /// Links a template.
    pub(crate) fn link(&mut self, link: &LinkTree) -> Result<(), Finding> {
        let mut values = HashMap::new();
        for (slot, entity) in &link.args {
            let slot = match slot.as_str() {
                "?principal" => SlotId::principal(),
                "?resource" => SlotId::resource(),
                other => {
                    return Err(one(format!(
                        "`{other}` is no slot; slots are `?principal` and `?resource`"
                    )));
                }
            };
            let uid: EntityUID = entity.parse().map_err(|_| {
                one(format!("`{entity}` is not an entity; write it like `Type::\"id\"`"))
            })?;
            values.insert(slot, uid);
        }
        let template = PolicyID::from_string(&link.template_id);
        let place = self
            .named
            .iter()
            .find(|named| named.id == link.template_id)
            .map(|named| (named.file, named.span));
        self.set
            .link(template, PolicyID::from_string(&link.link_id), values)
            .map_err(|e| one(e.to_string()))?;
        let (file, span) = place.unwrap_or((0, (0, 0)));
        self.named.push(Named {
            id: link.link_id.clone(),
            file,
            span,
            has_annotation: true,
            is_template: false,
        });
        Ok(())
    }

    /// Reads the schema; answers with warnings.
    pub(crate) fn schema(&mut self, text: &str, json: bool) -> Result<Vec<Finding>, Vec<Finding>> {
        let extensions = Extensions::all_available();
        if json {
            let schema =
                ValidatorSchema::from_json_str(text, extensions).map_err(|e| vec![finding(&e)])?;
            self.schema = Some(schema);
            return Ok(Vec::new());
        }
        let (schema, warnings) = ValidatorSchema::from_cedarschema_str(text, extensions)
            .map_err(|e| vec![finding(&e)])?;
        self.schema = Some(schema);
        Ok(warnings.map(|warning| finding(&warning)).collect())
    }

    /// What the strict validator says: errors, warnings. Nothing without a schema.
    pub(crate) fn validate(&self) -> (Vec<Finding>, Vec<Finding>) {
        let Some(schema) = &self.schema else { return (Vec::new(), Vec::new()) };
        let result = Validator::new(schema.clone()).validate(&self.set, ValidationMode::Strict);
        let mut errors: Vec<Finding> =
            result.validation_errors().map(|e| of_policy(finding(e))).collect();
        // The validator keeps them in a hash set.
        errors
            .sort_by(|a, b| (&a.policy, a.span, &a.message).cmp(&(&b.policy, b.span, &b.message)));
        let warnings = result.validation_warnings().map(|w| of_policy(finding(w))).collect();
        (errors, warnings)
    }

    /// Static policies and links, in source order.
    pub(crate) fn policies(&self) -> Vec<PolicyTree> {
        let static_or_linked = self.named.iter().filter(|named| !named.is_template);
        static_or_linked
            .filter_map(|named| {
                let policy = self.set.get(&PolicyID::from_string(&named.id))?;
                let (start, end) = named.span;
                Some(policy_tree(policy, &named.id, Place { file: named.file, start, end }))
            })
            .collect()
    }

    /// Every policy printed in Cedar's syntax: the text of sources that have none, such as JSON.
    pub(crate) fn printed(&self, id: &str) -> String {
        self.set.get(&PolicyID::from_string(id)).map_or(String::new(), |policy| policy.to_string())
    }

    /// The schema, if there is one.
    pub(crate) fn schema_tree(&self) -> Option<SchemaTree> {
        self.schema.as_ref().map(schema_tree)
    }

    /// Reads entities; with a schema they must conform to it, and its actions are among them.
    pub(crate) fn entities(&self, json: &str) -> Result<Vec<EntityTree>, Finding> {
        let schema = self.schema.as_ref().map(CoreSchema::new);
        // The closure of the hierarchy is ours to compute: Cedar's takes time quadratic in its depth.
        let parser = EntityJsonParser::new(
            schema.as_ref(),
            Extensions::all_available(),
            TCComputation::AssumeAlreadyComputed,
        );
        let entities = parser.from_json_str(json).map_err(|e| finding(&e))?;
        let mut trees = entities.iter().map(entity_tree).collect::<Result<Vec<_>, _>>()?;
        trees.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(trees)
    }
}

/// The number in `policy7`.
fn position(id: &PolicyID) -> usize {
    let id: &str = id.as_ref();
    id.strip_prefix("policy").and_then(|number| number.parse().ok()).unwrap_or(usize::MAX)
}

fn annotation(template: &Template) -> Option<String> {
    let mut annotations = template.annotations();
    annotations.find(|(key, _)| key.as_ref() == "id").map(|(_, value)| value.val.to_string())
}

// === findings ===

fn finding(error: &dyn Diagnostic) -> Finding {
    let mut message = error.to_string();
    // Causes say what the outermost text leaves out.
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = inner.source();
    }
    let label = error.labels().and_then(|mut labels| labels.next());
    if let Some(said) = label.as_ref().and_then(|label| label.label())
        && !message.contains(said)
    {
        message = format!("{message}: {said}");
    }
    Finding {
        message: message.replace('\n', " "),
        help: error.help().map(|help| help.to_string()),
        span: label.map(|label| (label.offset(), label.offset() + label.len())),
        policy: None,
    }
}

/// The validator names the policy only in its text: "for policy `id`, …".
fn of_policy(finding: Finding) -> Finding {
    let named =
        finding.message.strip_prefix("for policy `").and_then(|rest| rest.split_once("`, "));
    let policy = named.map(|(id, _)| id.to_owned());
    Finding { policy, ..finding }
}

fn one(message: String) -> Finding {
    Finding { message, ..Finding::default() }
}

fn plain(message: String) -> Vec<Finding> {
    vec![one(message)]
}

// === policies ===

fn policy_tree(policy: &Policy, id: &str, place: Place) -> PolicyTree {
    let env = policy.env();
    let mut condition = Exprs::default();
    let mut clauses = Vec::new();
    if let Some(expr) = policy.non_scope_constraints() {
        for clause in conjuncts(expr) {
            let root = Convert { exprs: &mut condition, env }.expr(clause);
            clauses.push(root);
        }
    }
    PolicyTree {
        id: id.to_owned(),
        forbid: policy.effect() == ast::Effect::Forbid,
        annotations: policy
            .annotations()
            .map(|(key, value)| (key.to_string(), value.val.to_string()))
            .collect(),
        principal: constraint(policy.principal_constraint().as_inner()),
        action: match policy.action_constraint() {
            ActionConstraint::Any => Constraint::Any,
            ActionConstraint::Eq(action) => Constraint::Eq(name(action)),
            ActionConstraint::In(actions) => {
                Constraint::InSet(actions.iter().map(|action| name(action)).collect())
            }
        },
        resource: constraint(policy.resource_constraint().as_inner()),
        condition,
        clauses,
        place,
    }
}

/// The conjuncts of an expression, in the order Cedar evaluates them. `a && (b && c)` has three: a conjunct that is
/// itself a conjunction is Boolean whenever it is anything.
fn conjuncts(expr: &Expr) -> Vec<&Expr> {
    let mut open = vec![expr];
    let mut found = Vec::new();
    while let Some(expr) = open.pop() {
        match expr.expr_kind() {
            ExprKind::And { left, right } => {
                open.push(right);
                open.push(left);
            }
            _ => found.push(expr),
        }
    }
    found
}

fn constraint(constraint: &PrincipalOrResourceConstraint) -> Constraint {
    // A linked policy's constraints have no slots left.
    let entity = |reference: &EntityReference| match reference {
        EntityReference::EUID(uid) => Some(name(uid)),
        EntityReference::Slot(_) => None,
    };
    let found = match constraint {
        PrincipalOrResourceConstraint::Any => Some(Constraint::Any),
        PrincipalOrResourceConstraint::Is(ty) => Some(Constraint::Is(ty.to_string())),
        PrincipalOrResourceConstraint::Eq(reference) => entity(reference).map(Constraint::Eq),
        PrincipalOrResourceConstraint::In(reference) => entity(reference).map(Constraint::In),
        PrincipalOrResourceConstraint::IsIn(ty, reference) => {
            entity(reference).map(|of| Constraint::IsIn(ty.to_string(), of))
        }
    };
    // Matches nothing; for a forbid that would be wrong, hence the front end never leaves a slot open.
    found.unwrap_or(Constraint::InSet(Vec::new()))
}

fn name(uid: &EntityUID) -> Name {
    Name {
        entity_type: uid.entity_type().to_string(),
        id: AsRef::<str>::as_ref(uid.eid()).to_owned(),
    }
}

/// Expressions into an arena. A chain of first operands is walked in a loop, all else by recursion.
struct Convert<'a> {
    exprs: &'a mut Exprs,
    env: &'a SlotEnv,
}

impl Convert<'_> {
    fn expr(&mut self, expr: &Expr) -> Ix {
        let mut chain = Vec::new();
        let mut at = expr;
        while let Some(first) = first_operand(at) {
            chain.push(at);
            at = first;
        }
        let mut ix = self.bottom(at);
        for parent in chain.into_iter().rev() {
            ix = self.parent(parent, ix);
        }
        ix
    }

    /// An expression whose first operand, `first`, is there already.
    fn parent(&mut self, expr: &Expr, first: Ix) -> Ix {
        let node = match expr.expr_kind() {
            ExprKind::And { right, .. } => Node::And(first, self.expr(right)),
            ExprKind::Or { right, .. } => Node::Or(first, self.expr(right)),
            ExprKind::UnaryApp { op, .. } => Node::Unary(unary(*op), first),
            ExprKind::BinaryApp { op, arg2, .. } => {
                Node::Binary(binary(*op), first, self.expr(arg2))
            }
            ExprKind::GetAttr { attr, .. } => Node::Attr(first, attr.to_string()),
            ExprKind::HasAttr { attr, .. } => Node::Has(first, vec![attr.to_string()]),
            ExprKind::ExtHasAttr { attrs, .. } => {
                Node::Has(first, attrs.iter().map(|attr| attr.to_string()).collect())
            }
            ExprKind::Like { pattern, .. } => Node::Like(first, pieces(pattern.get_elems())),
            ExprKind::Is { entity_type, .. } => Node::Is(first, entity_type.to_string()),
            ExprKind::ExtensionFunctionApp { fn_name, args } => {
                let mut ixs = vec![first];
                ixs.extend(args.iter().skip(1).map(|arg| self.expr(arg)));
                Node::Call(fn_name.to_string(), ixs)
            }
            // `first_operand` names no other.
            _ => Node::Bool(false),
        };
        self.exprs.push(node, span(expr))
    }

    fn bottom(&mut self, expr: &Expr) -> Ix {
        let node = match expr.expr_kind() {
            ExprKind::Lit(Literal::Bool(b)) => Node::Bool(*b),
            ExprKind::Lit(Literal::Long(i)) => Node::Long(*i),
            ExprKind::Lit(Literal::String(text)) => Node::Text(text.to_string()),
            ExprKind::Lit(Literal::EntityUID(uid)) => Node::Entity(name(uid)),
            ExprKind::Var(var) => Node::Var(match var {
                Var::Principal => 0,
                Var::Action => 1,
                Var::Resource => 2,
                Var::Context => 3,
            }),
            ExprKind::Slot(slot) => match self.env.get(slot) {
                Some(uid) => Node::Entity(name(uid)),
                // Cedar's error for an open slot; a linked policy has none.
                None => Node::Call(String::new(), Vec::new()),
            },
            ExprKind::If { test_expr, then_expr, else_expr } => {
                let test = self.expr(test_expr);
                let then = self.expr(then_expr);
                Node::If(test, then, self.expr(else_expr))
            }
            ExprKind::Set(items) => Node::Set(items.iter().map(|item| self.expr(item)).collect()),
            ExprKind::Record(fields) => Node::Record(
                fields.iter().map(|(key, value)| (key.to_string(), self.expr(value))).collect(),
            ),
            ExprKind::ExtensionFunctionApp { fn_name, .. } => {
                Node::Call(fn_name.to_string(), Vec::new())
            }
            // Unknowns belong to partial evaluation, which is not switched on; they would evaluate to an error.
            _ => Node::Call(String::new(), Vec::new()),
        };
        self.exprs.push(node, span(expr))
    }
}

fn first_operand(expr: &Expr) -> Option<&Expr> {
    match expr.expr_kind() {
        ExprKind::And { left, .. } | ExprKind::Or { left, .. } => Some(left),
        ExprKind::UnaryApp { arg, .. } => Some(arg),
        ExprKind::BinaryApp { arg1, .. } => Some(arg1),
        ExprKind::GetAttr { expr, .. }
        | ExprKind::HasAttr { expr, .. }
        | ExprKind::ExtHasAttr { expr, .. }
        | ExprKind::Like { expr, .. }
        | ExprKind::Is { expr, .. } => Some(expr),
        ExprKind::ExtensionFunctionApp { args, .. } => args.first(),
        _ => None,
    }
}

fn span(expr: &Expr) -> Option<(u32, u32)> {
    let loc = expr.source_loc()?;
    Some((u32::try_from(loc.start()).ok()?, u32::try_from(loc.end()).ok()?))
}

fn unary(op: UnaryOp) -> u8 {
    match op {
        UnaryOp::Not => op::NOT,
        UnaryOp::Neg => op::NEG,
        UnaryOp::IsEmpty => op::IS_EMPTY,
    }
}

fn binary(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Eq => op::EQ,
        BinaryOp::Less => op::LESS,
        BinaryOp::LessEq => op::LESS_EQ,
        BinaryOp::Add => op::ADD,
        BinaryOp::Sub => op::SUB,
        BinaryOp::Mul => op::MUL,
        BinaryOp::In => op::IN,
        BinaryOp::Contains => op::CONTAINS,
        BinaryOp::ContainsAll => op::CONTAINS_ALL,
        BinaryOp::ContainsAny => op::CONTAINS_ANY,
        BinaryOp::GetTag => op::GET_TAG,
        BinaryOp::HasTag => op::HAS_TAG,
    }
}

/// The texts between wildcards. An empty pattern has no piece.
fn pieces(pattern: &[PatternElem]) -> Vec<String> {
    if pattern.is_empty() {
        return Vec::new();
    }
    let mut pieces = vec![String::new()];
    for element in pattern {
        match (element, pieces.last_mut()) {
            (PatternElem::Char(c), Some(piece)) => piece.push(*c),
            _ => pieces.push(String::new()),
        }
    }
    pieces
}

// === schema ===

fn schema_tree(schema: &ValidatorSchema) -> SchemaTree {
    let mut entity_types: Vec<EntityTypeTree> = schema
        .entity_types()
        .map(|ty| {
            let own = ty.name();
            EntityTypeTree {
                name: own.to_string(),
                attributes: fields(ty.attributes()),
                tags: ty.tag_type().map(type_tree),
                ancestor_types: sorted(
                    schema
                        .entity_types()
                        .filter(|other| other.has_descendant_entity_type(own))
                        .map(|other| other.name().to_string())
                        .collect(),
                ),
                enumerated: match &ty.kind {
                    ValidatorEntityTypeKind::Enum(ids) => {
                        Some(ids.iter().map(|id| AsRef::<str>::as_ref(id).to_owned()).collect())
                    }
                    _ => None,
                },
            }
        })
        .collect();
    // Cedar keeps both in hash maps; a bundle is the same for the same source.
    entity_types.sort_by(|a, b| a.name.cmp(&b.name));
    let mut actions: Vec<ActionTree> = schema
        .action_ids()
        .map(|action| ActionTree {
            name: name(action.name()),
            principals: sorted(action.applies_to_principals().map(|ty| ty.to_string()).collect()),
            resources: sorted(action.applies_to_resources().map(|ty| ty.to_string()).collect()),
            context: action.context_type().map_or(TypeTree::Record(Vec::new()), type_tree),
        })
        .collect();
    actions.sort_by(|a, b| a.name.cmp(&b.name));
    SchemaTree { entity_types, actions }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

fn fields(attributes: &Attributes) -> Vec<FieldTree> {
    attributes
        .iter()
        .map(|(key, ty)| FieldTree {
            name: key.to_string(),
            field_type: type_tree(&ty.attr_type),
            required: ty.is_required(),
        })
        .collect()
}

fn type_tree(ty: &Type) -> TypeTree {
    match ty {
        Type::Bool(_) => TypeTree::Bool,
        Type::Long => TypeTree::Long,
        Type::String => TypeTree::Text,
        Type::Entity(EntityKind::Entity(types)) => {
            TypeTree::Entity(types.get_single_entity().map_or(String::new(), |ty| ty.to_string()))
        }
        Type::Set { element_type: Some(element) } => TypeTree::Set(Box::new(type_tree(element))),
        Type::Record { attrs, .. } => TypeTree::Record(fields(attrs)),
        Type::ExtensionType { name } => TypeTree::Extension(name.to_string()),
        // Only the typechecker itself makes the others; a value of no type is a refusal, not a pass.
        Type::Never | Type::Entity(EntityKind::AnyEntity) | Type::Set { element_type: None } => {
            TypeTree::Entity(String::new())
        }
    }
}

// === entities ===

fn entity_tree(entity: &ast::Entity) -> Result<EntityTree, Finding> {
    let mut values = Exprs::default();
    let owner = name(entity.uid());
    let attrs = converted(entity.attrs(), &owner, &mut values)?;
    let tags = converted(entity.tags(), &owner, &mut values)?;
    // The schema's actions come with their hierarchy closed.
    let mut parents: Vec<Name> = entity.ancestors().map(name).collect();
    parents.sort();
    Ok(EntityTree { name: owner, file: 0, parents, values, attrs, tags })
}

fn converted<'e, K: ToString + 'e>(
    pairs: impl Iterator<Item = (&'e K, &'e PartialValue)>,
    owner: &Name,
    values: &mut Exprs,
) -> Result<Vec<(String, Ix)>, Finding> {
    let env = SlotEnv::new();
    let mut found = Vec::new();
    for (key, value) in pairs {
        let key = key.to_string();
        let expr = RestrictedExpr::try_from(value.clone())
            .map_err(|_| one(format!("`{key}` of {owner} is not a value")))?;
        let ix = Convert { exprs: values, env: &env }.expr(expr.as_ref());
        found.push((key, ix));
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}
