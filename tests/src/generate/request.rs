//! A world's requests: mostly the ones its policies are aimed at, with something changed now and then.

use super::expr::Aim;
use super::model::Model;
use super::pool::{self, Values};
use super::store::{self, Flaws, Stored};
use super::types::{ActionIx, TypeIx};
use super::vocabulary::IDS;
use crate::rng::Rng;
use crate::value::{JsonStyle, Val, record_json};
use crate::world::{Request, Uid};
use serde_json::Value as Json;

/// What requests are drawn from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Requester<'a> {
    pub(super) model: &'a Model,
    pub(super) values: Values<'a>,
    pub(super) aims: &'a [Aim],
    pub(super) schema: bool,
}

/// What data does that nobody checks.
pub(super) const UNCHECKED: Flaws = Flaws {
    omitted_percent: 10,
    wrong_type_percent: 5,
    extra_percent: 6,
    foreign_parent_percent: 5,
};
/// What data does that has to pass the schema.
pub(super) const CHECKED: Flaws = Flaws {
    omitted_percent: 0,
    wrong_type_percent: 0,
    extra_percent: 0,
    foreign_parent_percent: 0,
};

// === impl Requester ===

impl Requester<'_> {
    /// A request; `before` are the world's earlier ones, whose contexts may be sent again.
    pub(super) fn draw(&self, rng: &mut Rng, before: &[Request]) -> Request {
        let validate = self.schema && rng.percent(72);
        let aim = rng.pick(self.aims);
        let mut request = Request {
            principal: self.actor(rng, aim.env.principal, &aim.principal, validate),
            action: aim.action.clone(),
            resource: self.actor(rng, aim.env.resource, &aim.resource, validate),
            context: Json::Null,
            validate,
            inline_entities: Vec::new(),
        };
        let mut action = Some(aim.env.action);
        if rng.percent(if validate { 3 } else { 10 }) {
            action = self.other_action(rng, &mut request);
        }
        let sent: Vec<&Request> = before
            .iter()
            .filter(|sent| sent.action == request.action && sent.validate == validate)
            .collect();
        request.context = match rng.pick_maybe(&sent) {
            Some(sent) if rng.percent(45) => sent.context.clone(),
            _ => {
                let aimed = request.action == aim.action && rng.percent(60);
                self.context(rng, aimed.then_some(&aim.context), action, validate)
            }
        };
        if rng.percent(12) {
            self.bring_entities(rng, &mut request, aim);
        }
        request
    }

    /// The aimed entity, another of its type, or one that nobody knows.
    fn actor(&self, rng: &mut Rng, ty: TypeIx, aimed: &Uid, validate: bool) -> Uid {
        let model_type = self.model.entity_type(ty);
        match rng.below(100) {
            0..80 => aimed.clone(),
            80..90 => self.values.cast.any(rng, ty),
            90..92 => {
                let other = TypeIx(rng.below(self.model.types().len()));
                // Seldom of a type the action does not apply to: the validator refuses that.
                let ty = if validate && rng.percent(60) { ty } else { other };
                self.values.cast.any(rng, ty)
            }
            92 if !validate => rng.pick(self.model.actions()).uid.clone(),
            93 if !validate => Uid::new("Stranger", rng.choose(IDS)),
            94..96 => rng.pick_maybe(self.values.cast.absent(ty)).unwrap_or(aimed).clone(),
            _ if !model_type.choices.is_empty() && validate => aimed.clone(),
            _ => Uid::new(&model_type.name, pool::fresh(rng)),
        }
    }

    /// Asks for another action; the answer says which, unless nobody knows it.
    fn other_action(&self, rng: &mut Rng, request: &mut Request) -> Option<ActionIx> {
        if rng.percent(50) {
            let ty = request.action.ty.clone();
            request.action = match rng.below(7) {
                0 => Uid::new("Action", "unseen"),
                1 => request.principal.clone(),
                2 => Uid::new("Other::Action", "view"),
                _ => Uid::new(ty, pool::fresh(rng)),
            };
            return None;
        }
        let ix = ActionIx(rng.below(self.model.actions().len()));
        request.action = self.model.action(ix).uid.clone();
        Some(ix)
    }

    /// The aimed context or a new one, which breaks its type now and then.
    fn context(
        &self,
        rng: &mut Rng,
        aimed: Option<&Vec<(String, Val)>>,
        action: Option<ActionIx>,
        validate: bool,
    ) -> Json {
        let mut fields = match (aimed, action) {
            (Some(aimed), _) => aimed.clone(),
            (None, Some(ix)) => self.values.fields(rng, &self.model.action(ix).context),
            (None, None) => Vec::new(),
        };
        if rng.percent(if validate { 6 } else { 60 }) {
            store::break_fields(rng, self.values, &mut fields, UNCHECKED);
        }
        Json::Object(record_json(&fields, rng, style(validate)))
    }

    /// Entities that come with the request: always new ones, with parents among the stored.
    fn bring_entities(&self, rng: &mut Rng, request: &mut Request, aim: &Aim) {
        let flaws = if request.validate { CHECKED } else { UNCHECKED };
        let mut brought: Vec<Stored> = Vec::new();
        for _ in 0..rng.weighted(&[(4, 1), (2, 2), (1, 3)]) {
            let ty = match rng.below(5) {
                0 | 1 => aim.env.principal,
                2 | 3 => aim.env.resource,
                _ => rng.choose(&self.model.open_types()),
            };
            if !self.model.entity_type(ty).choices.is_empty() {
                continue;
            }
            let Some(uid) = self.new_uid(rng, ty, &brought) else {
                continue;
            };
            if rng.percent(60) {
                if ty == aim.env.principal {
                    request.principal = uid.clone();
                } else if ty == aim.env.resource {
                    request.resource = uid.clone();
                }
            }
            let parents = self.parents(rng, ty, &brought);
            brought.push(Stored {
                attrs: store::attributes(rng, self.model, self.values, ty, flaws),
                parents,
                tags: store::tags(rng, self.model, self.values, ty, flaws),
                uid,
            });
        }
        if !self.schema && rng.percent(6) {
            brought.extend(self.new_action(rng, request));
        }
        rng.shuffle(&mut brought);
        request.inline_entities =
            brought.iter().map(|entity| entity.json(rng, style(request.validate))).collect();
    }

    /// A uid that is not stored: one that stored entities or policies refer to, or one that nobody has heard of.
    fn new_uid(&self, rng: &mut Rng, ty: TypeIx, brought: &[Stored]) -> Option<Uid> {
        let uid = match rng.pick_maybe(self.values.cast.absent(ty)) {
            Some(absent) if rng.percent(50) => absent.clone(),
            _ => Uid::new(&self.model.entity_type(ty).name, pool::fresh(rng)),
        };
        brought.iter().all(|entity| entity.uid != uid).then_some(uid)
    }

    fn parents(&self, rng: &mut Rng, ty: TypeIx, brought: &[Stored]) -> Vec<Uid> {
        let mut parents = Vec::new();
        for parent in &self.model.entity_type(ty).parents {
            let name = &self.model.entity_type(*parent).name;
            let fellow = brought.iter().find(|entity| entity.uid.ty == *name);
            match (fellow, rng.below(10)) {
                (Some(fellow), 0..6) => parents.push(fellow.uid.clone()),
                (_, 0..8) => {
                    parents.extend(rng.pick_maybe(self.values.cast.stored(*parent)).cloned())
                }
                (_, 8) => parents.push(Uid::new(name, "nowhere")),
                _ => {}
            }
        }
        parents
    }

    /// An action nobody has declared, with the groups the request says it has.
    fn new_action(&self, rng: &mut Rng, request: &mut Request) -> Option<Stored> {
        let groups = rng.pick_maybe(self.model.actions())?.uid.clone();
        let uid = Uid::new(&groups.ty, pool::fresh(rng));
        request.action = uid.clone();
        Some(Stored {
            uid,
            attrs: vec![("risk".to_owned(), Val::Long(1))],
            parents: vec![groups],
            tags: Vec::new(),
        })
    }
}

fn style(validate: bool) -> JsonStyle {
    if validate { JsonStyle::SchemaLed } else { JsonStyle::Explicit }
}
