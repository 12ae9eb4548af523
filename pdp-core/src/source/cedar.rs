//! The front end: Cedar's own parser, schema reader, strict validator and entity reader, and their results as `tree`.
//!
//! The only file that names the Cedar crates, which is why it is longer than the others. It reads `cedar-policy-core`'s AST rather than Cedar's public policy
//! syntax tree, because that one refuses calls of the wrong arity, which Cedar parses and evaluates to an error.
//! Everything here recurses as deep as its input nests: `nesting` has counted that before, and the caller runs it on
//! a thread whose stack is large enough.

use std::collections::HashMap;

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
    CoreSchema, ValidationMode, ValidationWarning, Validator, ValidatorEntityTypeKind,
    ValidatorSchema,
};
use cedar_policy_core::{ast, est};
use miette::Diagnostic;

use super::parts::{Part, elements, parts};
use super::threads;
use super::tree::{
    ActionTree, Constraint, EntityTree, EntityTypeTree, Exprs, FieldTree, Ix, LinkTree, Name, Node,
    Place, PolicyTree, SchemaTree, TypeTree,
};
use crate::limits::SourceLimits;
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

/// A text of policies that is to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PolicyText<'a> {
    /// Position among the source's files.
    pub(crate) file: usize,
    pub(crate) text: &'a str,
    pub(crate) naming: Naming<'a>,
}

/// Policies, and the schema they are checked against.
#[derive(Debug, Default)]
pub(crate) struct Front {
    schema: Option<ValidatorSchema>,
    /// Static policies, templates and links, in source order.
    pub(crate) named: Vec<Named>,
    /// Where in `named` an id stands first; of policies that are kept.
    ids: HashMap<String, usize>,
    /// The policies that are kept, for links.
    set: PolicySet,
    /// What is left of the policies that are not kept.
    taken: Option<(Vec<PolicyTree>, Verdict)>,
}

/// What the strict validator says.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) errors: Vec<Finding>,
    pub(crate) warnings: Vec<Finding>,
    /// Warnings about characters, which Cedar tells after those of all policies.
    confusable: Vec<Finding>,
}

/// What is taken from a part of a text.
#[derive(Debug, Default)]
struct Taken {
    named: Vec<Named>,
    trees: Vec<PolicyTree>,
    verdict: Verdict,
}

// === impl Front ===

impl Front {
    /// Reads policy texts, and gives what is wrong with each file. Ids that repeat are found by the caller, in `named`.
    pub(crate) fn read(
        &mut self,
        texts: &[PolicyText<'_>],
        links_follow: bool,
        limits: &SourceLimits,
    ) -> Vec<(usize, Vec<Finding>)> {
        if links_follow {
            let keep = |text: &PolicyText<'_>| {
                self.keep_policies(*text).err().map(|findings| (text.file, findings))
            };
            return texts.iter().filter_map(keep).collect();
        }
        self.take_policies(texts, limits)
    }

    /// Reads policy texts whose templates nobody links, on all cores, and validates them if there is a schema.
    fn take_policies(
        &mut self,
        texts: &[PolicyText<'_>],
        limits: &SourceLimits,
    ) -> Vec<(usize, Vec<Finding>)> {
        let validator = self.schema.clone().map(Validator::new);
        let pieces: Vec<(PolicyText<'_>, Part<'_>)> = texts
            .iter()
            .flat_map(|text| parts(text.text).into_iter().map(move |part| (*text, part)))
            .collect();
        let mut taken = threads::map(limits, pieces, |(text, part)| {
            (text, take(text, part, validator.as_ref()))
        });
        let (mut all, mut refused) = (Taken::default(), Vec::new());
        for of_text in taken.chunk_by_mut(|(a, _), (b, _)| a.file == b.file) {
            let Some((text, _)) = of_text.first() else { continue };
            if of_text.iter().all(|(_, taken)| taken.is_some()) {
                of_text.iter_mut().filter_map(|(_, taken)| taken.take()).for_each(|t| all.add(t));
                continue;
            }
            // What Cedar has to say is about the whole text.
            let whole = Part { text: text.text, start: 0, first: 0, policies: None };
            let findings = match parser::parse_policyset(text.text) {
                Err(errors) => errors.iter().map(|e| finding(e)).collect(),
                Ok(_) => match take(*text, whole, validator.as_ref()) {
                    Some(taken) => {
                        all.add(taken);
                        continue;
                    }
                    // A policy must not get lost in silence: it may be a forbid.
                    None => plain("the policies cannot be taken over".to_owned()),
                },
            };
            refused.push((text.file, findings));
        }
        all.verdict.sort();
        self.named = all.named;
        self.taken = Some((all.trees, all.verdict));
        refused
    }

    /// Parses a policy text and keeps it, for links.
    fn keep_policies(&mut self, text: PolicyText<'_>) -> Result<(), Vec<Finding>> {
        let parsed = parser::parse_policyset(text.text)
            .map_err(|errors| errors.iter().map(|e| finding(e)).collect::<Vec<_>>())?;
        // Cedar numbers policies and templates together, in the order of the text.
        let mut templates: Vec<&Template> = parsed.all_templates().collect();
        templates.sort_by_key(|template| position(template.id()));
        for (at, template) in templates.into_iter().enumerate() {
            let named = text.named(template, at, 0);
            // An id that repeats is reported by the caller, once, with both places.
            if !self.ids.contains_key(&named.id) {
                add(&mut self.set, template.new_id(PolicyID::from_string(&named.id)))?;
            }
            self.name(named);
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
        for template in set.all_templates() {
            self.name(Named {
                id: text_of(template.id()),
                file,
                span: (0, 0),
                has_annotation: true,
                is_template: !template.is_static(),
            });
        }
        for link in set.policies().filter(|policy| !policy.is_static()) {
            self.name(Named {
                id: text_of(link.id()),
                file,
                span: (0, 0),
                has_annotation: true,
                is_template: false,
            });
        }
        self.set = set;
        Ok(())
    }

    fn name(&mut self, named: Named) {
        self.ids.entry(named.id.clone()).or_insert(self.named.len());
        self.named.push(named);
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
        let place = self.ids.get(&link.template_id).and_then(|at| self.named.get(*at));
        let (file, span) = place.map_or((0, (0, 0)), |named| (named.file, named.span));
        self.set
            .link(template, PolicyID::from_string(&link.link_id), values)
            .map_err(|e| one(e.to_string()))?;
        self.name(Named {
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

    /// What the strict validator says. Nothing without a schema.
    pub(crate) fn validate(&mut self) -> Verdict {
        match (&mut self.taken, &self.schema) {
            (Some((_, verdict)), _) => std::mem::take(verdict),
            (None, Some(schema)) => {
                let mut verdict = Verdict::of(&Validator::new(schema.clone()), &self.set, 0);
                verdict.sort();
                verdict
            }
            (None, None) => Verdict::default(),
        }
    }

    /// Static policies and links, in source order.
    pub(crate) fn policies(&mut self) -> Result<Vec<PolicyTree>, Finding> {
        if let Some((trees, _)) = &mut self.taken {
            return Ok(std::mem::take(trees));
        }
        let static_or_linked = self.named.iter().filter(|named| !named.is_template);
        static_or_linked
            .map(|named| {
                // A policy must not get lost in silence: it may be a forbid.
                let tree = named.tree(&self.set, 0);
                tree.ok_or_else(|| one(format!("policy `{}` cannot be taken over", named.id)))
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

    /// Reads entities, on all cores; with a schema they must conform to it, and its actions are among them.
    pub(crate) fn entities(
        &self,
        json: &str,
        limits: &SourceLimits,
    ) -> Result<Vec<EntityTree>, Finding> {
        let runs = elements(json).filter(|runs| runs.len() > 1).unwrap_or_default();
        let read = threads::map(limits, runs, |run| self.entities_of(&format!("[{run}]")).ok());
        if let Some(read) = read.into_iter().collect::<Option<Vec<_>>>() {
            let mut trees: Vec<EntityTree> = read.into_iter().flatten().collect();
            trees.sort_by(|a, b| a.name.cmp(&b.name));
            // The schema's actions are in each run, each time the same.
            let of_schema = |name: &Name| {
                let (_, last) =
                    name.entity_type.rsplit_once("::").unwrap_or(("", &name.entity_type));
                self.schema.is_some() && last == "Action"
            };
            trees.dedup_by(|a, b| a.name == b.name && of_schema(&a.name));
            let repeats = trees.windows(2).any(|two| match two {
                [a, b] => a.name == b.name,
                _ => false,
            });
            if !trees.is_empty() && !repeats {
                return Ok(trees);
            }
        }
        // What Cedar has to say, also about entities that repeat, is about the whole text.
        let mut trees = self.entities_of(json)?;
        trees.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(trees)
    }

    fn entities_of(&self, json: &str) -> Result<Vec<EntityTree>, Finding> {
        let schema = self.schema.as_ref().map(CoreSchema::new);
        // The closure of the hierarchy is ours to compute: Cedar's takes time quadratic in its depth.
        let parser = EntityJsonParser::new(
            schema.as_ref(),
            Extensions::all_available(),
            TCComputation::AssumeAlreadyComputed,
        );
        let entities = parser.from_json_str(json).map_err(|e| finding(&e))?;
        entities.iter().map(entity_tree).collect()
    }
}

// === impl Verdict ===

impl Verdict {
    /// The validator's verdict on a set of policies whose text begins at `start` of a file.
    fn of(validator: &Validator, set: &PolicySet, start: usize) -> Self {
        let result = validator.validate(set, ValidationMode::Strict);
        let said = |diagnostic: &dyn Diagnostic| {
            let mut said = of_policy(finding(diagnostic));
            said.span = said.span.map(|(from, to)| (start + from, start + to));
            said
        };
        let of_policies = |warning: &&ValidationWarning| {
            use ValidationWarning::{ImpossiblePolicy, InvalidActionApplication};
            matches!(warning, ImpossiblePolicy(_) | InvalidActionApplication(_))
        };
        let (warnings, confusable): (Vec<_>, Vec<_>) =
            result.validation_warnings().partition(of_policies);
        Self {
            errors: result.validation_errors().map(|error| said(error)).collect(),
            warnings: warnings.into_iter().map(|warning| said(warning)).collect(),
            confusable: confusable.into_iter().map(|warning| said(warning)).collect(),
        }
    }

    fn sort(&mut self) {
        // The validator keeps them in a hash set.
        self.errors
            .sort_by(|a, b| (&a.policy, a.span, &a.message).cmp(&(&b.policy, b.span, &b.message)));
        self.warnings.append(&mut self.confusable);
    }
}

// === impl Taken ===

impl Taken {
    fn add(&mut self, mut part: Taken) {
        self.named.append(&mut part.named);
        self.trees.append(&mut part.trees);
        self.verdict.errors.append(&mut part.verdict.errors);
        self.verdict.warnings.append(&mut part.verdict.warnings);
        self.verdict.confusable.append(&mut part.verdict.confusable);
    }
}

/// What is needed of a part's policies; `None` if Cedar refuses it, or reads other policies than were counted.
fn take(text: PolicyText<'_>, part: Part<'_>, validator: Option<&Validator>) -> Option<Taken> {
    let cst = parser::text_to_cst::parse_policies(part.text).ok()?;
    let mut taken = Taken::default();
    let mut set = PolicySet::new();
    for (at, policy) in (part.first..).zip(&cst.as_inner()?.0) {
        let mut template = policy.to_template(PolicyID::from_string(format!("policy{at}"))).ok()?;
        let named = text.named(&template, at, part.start);
        let id = PolicyID::from_string(&named.id);
        if *template.id() != id {
            template = template.new_id(id.clone());
        }
        // An id that repeats is reported by the caller, once, with both places.
        if set.get(&id).is_none() && set.get_template(&id).is_none() {
            add(&mut set, template).ok()?;
        }
        taken.named.push(named);
    }
    drop(cst);
    if part.policies.is_some_and(|counted| counted != taken.named.len()) {
        return None;
    }
    if let Some(validator) = validator {
        taken.verdict = Verdict::of(validator, &set, part.start);
    }
    let fixed = taken.named.iter().filter(|named| !named.is_template);
    taken.trees = fixed.filter_map(|named| named.tree(&set, part.start)).collect();
    Some(taken)
}

fn add(set: &mut PolicySet, template: Template) -> Result<(), Vec<Finding>> {
    if template.is_static() {
        let policy = StaticPolicy::try_from(template).map_err(|e| plain(e.to_string()))?;
        set.add_static(policy).map_err(|e| plain(e.to_string()))
    } else {
        set.add_template(template).map_err(|e| plain(e.to_string()))
    }
}

// === impl PolicyText ===

impl PolicyText<'_> {
    /// The name of a policy of this text: its `at`th, parsed from a part that begins at `start`.
    fn named(&self, template: &Template, at: usize, start: usize) -> Named {
        let annotation = annotation(template);
        let has_annotation = annotation.is_some();
        let id = match (self.naming, annotation) {
            (Naming::Position, _) | (Naming::Annotation, None) => text_of(template.id()),
            (Naming::AnnotationOrFile(name), None) => format!("{name}#{at}"),
            (_, Some(id)) => id,
        };
        let span = template.loc().map_or((0, 0), |loc| (start + loc.start(), start + loc.end()));
        Named { id, file: self.file, span, has_annotation, is_template: !template.is_static() }
    }
}

// === impl Named ===

impl Named {
    /// The policy of this name, parsed from a text that begins at `start` of its file.
    fn tree(&self, set: &PolicySet, start: usize) -> Option<PolicyTree> {
        let policy = set.get(&PolicyID::from_string(&self.id))?;
        let (from, to) = self.span;
        Some(policy_tree(policy, &self.id, Place { file: self.file, start: from, end: to }, start))
    }
}

/// The id as it is. Its `Display` escapes what is not plain, and an escaped id names no policy.
fn text_of(id: &PolicyID) -> String {
    AsRef::<str>::as_ref(id).to_owned()
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

/// A policy; `start` is where the text it was parsed from begins in its file.
fn policy_tree(policy: &Policy, id: &str, place: Place, start: usize) -> PolicyTree {
    let env = policy.env();
    let mut condition = Exprs::default();
    let mut clauses = Vec::new();
    if let Some(expr) = policy.non_scope_constraints() {
        for clause in conjuncts(expr) {
            let root = Convert { exprs: &mut condition, env, start }.expr(clause);
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
    /// Where the text that was parsed begins in its file.
    start: usize,
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
        let span = span(expr, self.start);
        self.exprs.push(node, span)
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
        let span = span(expr, self.start);
        self.exprs.push(node, span)
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

fn span(expr: &Expr, start: usize) -> Option<(u32, u32)> {
    let loc = expr.source_loc()?;
    let place = |at: usize| u32::try_from(start + at).ok();
    Some((place(loc.start())?, place(loc.end())?))
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
        let ix = Convert { exprs: values, env: &env, start: 0 }.expr(expr.as_ref());
        found.push((key, ix));
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}
