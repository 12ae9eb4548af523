//! Searches: which subjects, resources or actions would be permitted, page by page.
//!
//! Candidates are what the bundle stores (or, of actions, declares), in its order; each is decided as an evaluation of it
//! would be, so every result is permitted when it is asked about. A page ends when it is full or when a search has taken
//! its share of time; its token says where to go on, and fits only the same search of the same bundle.

use std::hash::{DefaultHasher, Hash, Hasher};

use pdp_core::json::{self, Arena};
use pdp_core::{Decider, InlineEntity, OverlaySize, Request, RequestLimits, Uid};

use super::json::{Json, Members, member};
use super::read::{self, Evaluation, Malformed, Searched, Unaskable};
use super::{Authzen, Outcome, Refusal};
use crate::desk::{Asker, Candidates, Filtered, Part, Room, isolated};
use crate::metrics::Protocol;
use crate::respond::NoAnswer;

/// What a page holds at most, and if its request does not say.
const PAGE_RESULTS_MAX: usize = 1_000;

/// A page of results.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Subjects and resources by type and id; actions by name alone.
    pub(super) results: Vec<(String, String)>,
    /// Where to go on; empty at the end.
    pub(super) next_token: String,
}

/// Which page is asked for.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    /// The candidate to begin with.
    begin: usize,
    results_max: usize,
}

/// Results, and the candidate to go on with if there are more.
type Found = (Vec<(String, String)>, Option<usize>);

// === impl Authzen ===

impl Authzen {
    /// One page of a search.
    pub(super) fn search(
        &self,
        decider: &Decider,
        members: &[(String, Json)],
        searched: Searched,
    ) -> Result<Page, Refusal> {
        let mut asked = read::evaluation(members, &[], searched)?;
        let fingerprint = fingerprint(decider, members, searched);
        let wanted = wanted(members, fingerprint)?;
        if searched == Searched::Action {
            let page = self.actions(decider, &mut asked, wanted);
            let (results, next) = page?;
            return Ok(Page::new(results, next, fingerprint));
        }
        let kind = match searched {
            Searched::Subject => &asked.subject.kind,
            _ => &asked.resource.kind,
        };
        // What the bundle cannot make sense of has no results.
        let Ok(entity_type) = read::entity_type(decider, kind) else { return Ok(Page::default()) };
        let Ok(text) = read::question(decider, &asked) else { return Ok(Page::default()) };
        let candidates = decider.entities_of(&entity_type);
        let rest = candidates.get(wanted.begin..).unwrap_or_default();
        let filtered = self.entities(decider, &text, rest, searched, wanted.results_max);
        let Some(filtered) = filtered? else {
            return Ok(Page::default());
        };
        let mut allowed = filtered.allowed.iter().filter_map(|at| usize::try_from(*at).ok());
        let mut taken: Vec<usize> = allowed.by_ref().take(wanted.results_max).collect();
        let next = match (allowed.next(), taken.last()) {
            // The page is full, and what comes after its last result is looked at again.
            (Some(_), Some(last)) => Some(wanted.begin + last + 1),
            _ if filtered.decided < rest.len() => Some(wanted.begin + filtered.decided),
            _ => None,
        };
        let result = |at: usize| {
            let uid = rest.get(at)?;
            Some((kind.clone(), uid.id.to_owned()))
        };
        let results = taken.drain(..).filter_map(result).collect();
        Ok(Page::new(results, next, fingerprint))
    }

    /// Decides for candidates until there are enough results or the time is over; `None` if the question is not one.
    fn entities(
        &self,
        decider: &Decider,
        text: &str,
        candidates: &[Uid<'_>],
        searched: Searched,
        results_max: usize,
    ) -> Result<Option<Filtered>, NoAnswer> {
        let until = self.until();
        let answered = isolated(|room| {
            let Room { arena, scratch } = room;
            arena.reset();
            let Some((request, attrs)) = self.request(decider, text, arena, searched) else {
                return Ok(None);
            };
            let part = match searched {
                Searched::Subject => Part::Principal,
                _ => Part::Resource,
            };
            let candidates = Candidates { uids: candidates, part, attrs };
            let asker = Asker { protocol: Protocol::AuthzenSearch, origin: &self.origin };
            // One more than a page holds tells whether there is another page.
            let goes_on = |found: usize| Ok(found <= results_max && until.look().is_ok());
            let filtered =
                self.desk.filter(asker, decider, scratch, &request, candidates, goes_on)?;
            Ok(Some(filtered))
        });
        self.desk.answered(Protocol::AuthzenSearch, answered)
    }

    /// The question without what is said about the candidates, and that.
    fn request<'a>(
        &self,
        decider: &Decider,
        text: &'a str,
        arena: &'a Arena,
        searched: Searched,
    ) -> Option<(Request<'a>, &'a [(&'a str, pdp_core::Value<'a>)])> {
        let bundle = decider.bundle().map(|bundle| &**bundle);
        let request = json::read_request(text, bundle, arena, &RequestLimits::STANDARD).ok()?;
        let placeholder = match searched {
            Searched::Subject => request.principal,
            _ => request.resource,
        };
        let of_candidates = |entity: &&InlineEntity<'a>| entity.uid == placeholder;
        let attrs = request.entities.iter().find(of_candidates).map_or(&[][..], |one| one.attrs);
        let others = request.entities.iter().filter(|entity| !of_candidates(entity)).copied();
        let others: Vec<InlineEntity<'a>> = others.collect();
        let entities = arena.alloc_slice_copy(&others);
        Some((Request { entities, now: Some(self.desk.now()), ..request }, attrs))
    }

    /// Actions are few, and each has a context of its own: they are evaluated one by one.
    fn actions(
        &self,
        decider: &Decider,
        asked: &mut Evaluation,
        wanted: Wanted,
    ) -> Result<Found, NoAnswer> {
        let types = read::entity_type(decider, &asked.subject.kind)
            .and_then(|subject| Ok((subject, read::entity_type(decider, &asked.resource.kind)?)));
        let Ok((subject, resource)) = types else { return Ok((Vec::new(), None)) };
        let until = self.until();
        let mut results = Vec::new();
        let actions = decider.actions();
        for (at, action) in actions.iter().enumerate().skip(wanted.begin) {
            if results.len() == wanted.results_max || until.look().is_err() {
                return Ok((results, Some(at)));
            }
            action.id.clone_into(&mut asked.action.name);
            // A name that stands for another action, or for none, would not be permitted when asked about.
            let meant = read::action(decider, action.id, &subject, &resource);
            if !meant.is_ok_and(|meant| meant == *action) || action.id.is_empty() {
                continue;
            }
            let outcome: Outcome = self.evaluate(Protocol::AuthzenSearch, decider, asked)?;
            if outcome.decision {
                results.push((String::new(), action.id.to_owned()));
            }
        }
        Ok((results, None))
    }
}

// === pages ===

/// Reads `page`.
fn wanted(members: &[(String, Json)], fingerprint: u64) -> Result<Wanted, Malformed> {
    let refuse = |text: &str| Err(Malformed(text.to_owned()));
    let page: &[(String, Json)] = match member(members, "page") {
        None => &[],
        Some(Json::Object(page)) => page,
        Some(_) => return refuse("`page` must be an object"),
    };
    let results_max = match member(page, "limit") {
        None => PAGE_RESULTS_MAX,
        Some(Json::Number(text)) => match text.parse::<usize>() {
            Ok(limit) if limit > 0 => limit.min(PAGE_RESULTS_MAX),
            _ => return refuse("`page.limit` must be a whole number from 1 on"),
        },
        Some(_) => return refuse("`page.limit` must be a whole number from 1 on"),
    };
    let begin = match member(page, "token") {
        None => 0,
        Some(Json::String(token)) if token.is_empty() => 0,
        Some(Json::String(token)) => match position(token, fingerprint) {
            Some(begin) => begin,
            None => {
                return refuse(
                    "`page.token` is not of this search: another question, another bundle by now, or not a token; \
                     begin without one",
                );
            }
        },
        Some(_) => return refuse("`page.token` must be a string"),
    };
    Ok(Wanted { begin, results_max })
}

fn position(token: &str, fingerprint: u64) -> Option<usize> {
    let (print, begin) = token.split_once('-')?;
    let print = u64::from_str_radix(print, 16).ok()?;
    (print == fingerprint).then(|| usize::from_str_radix(begin, 16).ok())?
}

/// Differs when the bundle, its entities or anything of the search but its page does.
fn fingerprint(decider: &Decider, members: &[(String, Json)], searched: Searched) -> u64 {
    let mut hasher = DefaultHasher::new();
    decider.bundle().map(|bundle| bundle.digest()).hash(&mut hasher);
    // Grows with every change of entities, and with it the list of candidates may be another one.
    let OverlaySize { entities, values, text_bytes, ancestors } = decider.overlay_size();
    [entities, values, text_bytes, ancestors].hash(&mut hasher);
    (searched as u8).hash(&mut hasher);
    let mut asked: Members = members.iter().filter(|(key, _)| key != "page").cloned().collect();
    asked.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut text = String::new();
    Json::Object(asked).write(&mut text);
    text.hash(&mut hasher);
    hasher.finish()
}

// === impl Page ===

impl Page {
    fn new(results: Vec<(String, String)>, next: Option<usize>, fingerprint: u64) -> Self {
        let next_token = next.map_or(String::new(), |next| format!("{fingerprint:x}-{next:x}"));
        Self { results, next_token }
    }
}

impl From<Unaskable> for Outcome {
    fn from(Unaskable(message): Unaskable) -> Self {
        Self::invalid_request(message)
    }
}
