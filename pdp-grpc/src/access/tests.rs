//! Which rule fits whom.

use super::*;

fn proven(spiffe: &str) -> Proven {
    Proven { spiffe: Some(spiffe.to_owned()), ..Proven::default() }
}

#[test]
fn a_spiffe_prefix_takes_in_what_is_below_and_nothing_beside() {
    let below = Who::Spiffe("spiffe://d/a/*".to_owned());
    for id in ["spiffe://d/a/b", "spiffe://d/a/b/c"] {
        assert!(below.fits(&proven(id)), "{id}");
    }
    for id in ["spiffe://d/a", "spiffe://d/a/", "spiffe://d/ab", "spiffe://e/a/b", ""] {
        assert!(!below.fits(&proven(id)), "{id}");
    }
    let exact = Who::Spiffe("spiffe://d/a".to_owned());
    assert!(exact.fits(&proven("spiffe://d/a")));
    assert!(!exact.fits(&proven("spiffe://d/a/b")));
    assert!(!exact.fits(&Proven::default()));
}

#[test]
fn names_and_users_fit_whole() {
    let named = Proven { dns: vec!["a.example".to_owned()], uid: Some(7), ..Proven::default() };
    assert!(Who::Dns("a.example".to_owned()).fits(&named));
    assert!(!Who::Dns("example".to_owned()).fits(&named));
    assert!(Who::UnixUser(7).fits(&named));
    assert!(!Who::UnixUser(0).fits(&Proven::default()));
}

#[test]
fn what_identifies_nobody_is_a_problem() {
    for wrong in ["", "a", "spiffe://", "spiffe:///*", "spiffe://d*", "spiffe://*/a", "https://d/a"]
    {
        assert!(Who::Spiffe(wrong.to_owned()).problem().is_some(), "{wrong}");
    }
    for wrong in ["", "*.example", "A.example"] {
        assert!(Who::Dns(wrong.to_owned()).problem().is_some(), "{wrong}");
    }
    for right in ["spiffe://d", "spiffe://d/a", "spiffe://d/*"] {
        assert_eq!(Who::Spiffe(right.to_owned()).problem(), None, "{right}");
    }
}

#[test]
fn where_there_are_rules_who_fits_none_asks_nothing() {
    let rule = CallerRule {
        who: Who::UnixUser(1),
        trust_delegation: true,
        explain: true,
        principals: None,
        tenants: None,
    };
    let uid = Uid::new("User", "a");
    let request = Request::new(uid, uid, uid, &[]);
    let decider = Decider::no_bundle();
    // Even if all are trusted otherwise.
    let access = Access::new(&[rule], true, true);
    let stranger = access.caller(&Peer::default());
    assert!(!stranger.trust_delegation && !stranger.explain);
    assert_eq!(stranger.forbids(&decider, &request).as_deref(), Some(STRANGER));
    let open = Access::new(&[], true, false);
    assert_eq!(open.caller(&Peer::default()).forbids(&decider, &request), None);
    assert!(open.caller(&Peer::default()).trust_delegation);
}

#[test]
fn confinement_concerns_everybody_in_the_request() {
    let rule = CallerRule {
        who: Who::Anybody,
        trust_delegation: true,
        explain: false,
        principals: Some(vec![Whom::Type("Bot".to_owned()), Whom::One(Name::new("User", "a"))]),
        tenants: None,
    };
    let access = Access::new(&[rule], false, false);
    let forbids = |request: &Request<'_>| {
        access.caller(&Peer::default()).forbids(&Decider::no_bundle(), request)
    };
    let (bot, a, b) = (Uid::new("Bot", "x"), Uid::new("User", "a"), Uid::new("User", "b"));
    let request = Request::new(bot, bot, b, &[]);
    assert_eq!(forbids(&request), None);
    assert_eq!(forbids(&Request { on_behalf_of: Some(a), actors: &[bot], ..request }), None);
    for outside in [
        Request { principal: b, ..request },
        Request { on_behalf_of: Some(b), ..request },
        Request { actors: &[bot, b], ..request },
    ] {
        let text = forbids(&outside).unwrap_or_default();
        assert!(text.contains("`User::\"b\"`"), "{text}");
    }
}
