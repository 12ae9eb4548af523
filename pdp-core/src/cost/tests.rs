//! What requests and policies are said to cost, on small sources whose cost is known by counting.

use std::fmt::Write;
use std::sync::Arc;

use crate::{
    Bundle, CompileOptions, DecideOptions, Decider, ErrorKind, LoadLimits, Loose, Notation,
    PolicyIx, Report, Request, Scratch, Source, Uid, compile,
};

type Tested = Result<(), Box<dyn std::error::Error>>;

fn bundle(policies: &str) -> Result<Arc<Bundle>, Box<dyn std::error::Error>> {
    with_entities(policies, "[]")
}

fn with_entities(
    policies: &str,
    entities: &str,
) -> Result<Arc<Bundle>, Box<dyn std::error::Error>> {
    let policies = Notation::Cedar(policies);
    let source = Source::loose(&Loose { policies, schema: None, entities, links: None })?;
    let bytes = compile(&source, &CompileOptions::STANDARD)?;
    Ok(Arc::new(Bundle::load(&bytes, &LoadLimits::STANDARD)?))
}

fn codes(report: &Report) -> Vec<&str> {
    report.items.iter().map(|item| item.code).collect()
}

fn request() -> Request<'static> {
    Request::new(Uid::new("U", "a"), Uid::new("Action", "do"), Uid::new("R", "r"), &[])
}

#[test]
fn every_policy_that_speaks_is_handed_out_with_its_steps() -> Tested {
    let bundle = bundle(
        r#"permit(principal, action, resource);
           forbid(principal == U::"b", action, resource);
           permit(principal == U::"a", action, resource) when { 1 < context.x };
           forbid(principal, action, resource) when { [1, 2].containsAll([3]) };"#,
    )?;
    let decider = Decider::new(Arc::clone(&bundle));
    let mut found = Vec::new();
    let mut scratch = Scratch::new();
    let legs = decider.each_candidate(
        &mut scratch,
        &request(),
        &DecideOptions::STANDARD,
        &mut |candidate| {
            let first = candidate.evaluate();
            assert_eq!(first, candidate.evaluate(), "an evaluation leaves nothing behind");
            found.push((candidate.policy().index(), first.satisfied, first.steps));
        },
    );
    found.sort_by_key(|(ix, _, _)| *ix);
    assert_eq!(legs, 1);
    let verdicts: Vec<_> = found.iter().map(|(ix, verdict, _)| (*ix, *verdict)).collect();
    assert_eq!(
        verdicts,
        [(0, Ok(true)), (2, Err(ErrorKind::AttributeMissing)), (3, Ok(false))],
        "the scope of the second does not match"
    );
    // A policy without a condition takes the one step of looking at it.
    assert_eq!(found.first().map(|(_, _, steps)| *steps), Some(1));
    for (ix, _, steps) in found {
        let max = bundle.policies().nth(ix).map(|ix| bundle.policy_cost(ix).steps_max);
        assert!(max.is_some_and(|max| steps <= max), "policy {ix}: {steps} of {max:?}");
    }
    // The answer is unchanged by having been looked at.
    assert!(decider.decide_with(&mut scratch, &request(), &DecideOptions::STANDARD).is_allowed());
    Ok(())
}

#[test]
fn a_decider_without_bundle_has_no_candidates() {
    let legs = Decider::no_bundle().each_candidate(
        &mut Scratch::new(),
        &request(),
        &DecideOptions::STANDARD,
        &mut |candidate| assert_eq!(candidate.policy().index(), usize::MAX, "nothing to visit"),
    );
    assert_eq!(legs, 0);
}

#[test]
fn scopes_are_told_in_words() -> Tested {
    let bundle = bundle(
        r#"permit(principal, action, resource);
           permit(principal in G::"g", action == Action::"do", resource is R);"#,
    )?;
    let costs: Vec<_> = bundle.policies().map(|ix| bundle.policy_cost(ix)).collect();
    assert_eq!(costs.iter().map(|cost| cost.is_unconstrained()).collect::<Vec<_>>(), [true, false]);
    let second = costs.get(1).ok_or("two policies")?;
    assert_eq!(second.principal.as_deref(), Some("principal in G::\"g\""));
    assert_eq!(second.action.as_deref(), Some("action == Action::\"do\""));
    assert_eq!(second.resource.as_deref(), Some("resource is R"));
    assert_eq!(bundle.policy_cost(PolicyIx(7)).steps_max, 0, "no such policy");
    Ok(())
}

/// `n` literals, separated by commas.
fn list(n: usize, literal: impl Fn(usize) -> String) -> String {
    (0..n).map(literal).collect::<Vec<_>>().join(", ")
}

#[test]
fn literal_sets_cost_what_their_operator_walks_over() -> Tested {
    let numbers = list(300, |n| n.to_string());
    let entities = list(300, |n| format!("U::\"{n}\""));
    for (condition, least, most) in [
        (format!("[{numbers}].contains(context.x)"), 0, 20),
        (format!("context.x in [{entities}]"), 300, 320),
        (format!("context.x == [{numbers}]"), 300, 320),
        (format!("context.x.containsAny([{numbers}])"), 300, 320),
        (format!("[{numbers}].containsAny(context.x)"), 0, 20),
        (format!("(if context.x then [{numbers}] else [1]).contains(context.y && true)"), 0, 30),
    ] {
        let bundle =
            bundle(&format!("permit(principal, action, resource) when {{ {condition} }};"))?;
        let steps = bundle.policy_cost(PolicyIx(0)).steps_max;
        assert!((least..most).contains(&steps), "{steps}: {condition}");
    }
    Ok(())
}

#[test]
fn a_small_set_gives_no_warning() -> Tested {
    let bundle = bundle("permit(principal, action, resource) when { context.x like \"*a*b*\" };")?;
    assert_eq!(codes(&bundle.costly()), Vec::<&str>::new());
    Ok(())
}

#[test]
fn giant_literals_are_named_with_their_place() -> Tested {
    let entities = list(20_000, |n| format!("U::\"{n}\""));
    let wild = "a*".repeat(20_000);
    let bundle = bundle(&format!(
        "permit(principal, action, resource);\n\
         permit(principal, action, resource) when {{ context.x in [{entities}] }};\n\
         permit(principal, action, resource) when {{ context.x like \"{wild}\" }};",
    ))?;
    let report = bundle.costly();
    assert_eq!(codes(&report), ["W208", "W208"], "{report}");
    let told = report.to_string();
    for part in [
        "one evaluation of `policy1` may take 20",
        "literal set of 20000 elements",
        "its pattern has 20001 pieces",
        "test `in` that entity",
        ":2:1",
        ":3:1",
    ] {
        assert!(told.contains(part), "`{part}` is not in:\n{told}");
    }
    Ok(())
}

/// Policies from a scope and a condition that may use the policy's number.
fn many(n: usize, policy: impl Fn(usize) -> String) -> String {
    (0..n).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "{}", policy(n));
        text
    })
}

#[test]
fn very_many_policies_for_every_request() -> Tested {
    let policy = |n| format!("permit(principal, action, resource) when {{ context.x < {n} }};");
    assert_eq!(codes(&bundle(&many(1_000, policy))?.costly()), Vec::<&str>::new());
    let report = bundle(&many(1_001, policy))?.costly();
    assert_eq!(codes(&report), ["W206"], "{report}");
    assert!(report.to_string().contains("1001 policies have an unconstrained scope"), "{report}");
    // Found by what `context.x` is, whatever the scope.
    let found = |n| format!("permit(principal, action, resource) when {{ context.x == {n} }};");
    assert_eq!(codes(&bundle(&many(3_000, found))?.costly()), Vec::<&str>::new());
    Ok(())
}

#[test]
fn very_many_candidates_of_one_group() -> Tested {
    let policy =
        |n| format!("permit(principal in G::\"g\", action, resource) when {{ context.x < {n} }};");
    let report = bundle(&many(1_500, policy))?.costly();
    assert_eq!(codes(&report), ["W209"], "{report}");
    let told = report.to_string();
    assert!(told.contains("a request may meet 1500 policies"), "{told}");
    assert!(
        told.contains("`policy0` and 1499 more have the scope `principal in G::\"g\", any action, any resource`"),
        "{told}"
    );
    Ok(())
}

#[test]
fn a_finding_is_one_line_whatever_a_policy_is_called() -> Tested {
    let text = many(1_001, |n| format!("@id(\"p\\n{n}\") permit(principal, action, resource);"));
    let policies = Notation::Cedar(&text);
    // With links, even none, policies are named by their `@id`.
    let links = Some("[]");
    let source = Source::loose(&Loose { policies, schema: None, entities: "[]", links })?;
    let bytes = compile(&source, &CompileOptions::STANDARD)?;
    let report = Bundle::load(&bytes, &LoadLimits::STANDARD)?.costly();
    assert_eq!(codes(&report), ["W206"], "{report}");
    let message = &report.items.first().ok_or("a finding")?.message;
    assert!(message.contains("`p\\n0` among them") && !message.contains('\n'), "{message}");
    Ok(())
}

#[test]
fn more_steps_than_the_bundle_allows() -> Tested {
    let sum = (0..200).map(|n| format!("context.a{n}")).collect::<Vec<_>>().join(" + ");
    let policy =
        |_| format!("permit(principal, action == Action::\"do\", resource) when {{ 0 < {sum} }};");
    let report = bundle(&many(200, policy))?.costly();
    assert_eq!(codes(&report), ["W207"], "{report}");
    assert!(report.to_string().contains("eval_steps_max is 1000000"), "{report}");
    Ok(())
}

#[test]
fn policies_that_no_request_meets_together_are_no_crowd() -> Tested {
    // 300 policies for as many principals, 300 for as many resources, 300 for as many actions.
    let policy = |n| {
        format!(
            "permit(principal == U::\"{n}\", action, resource);
             permit(principal, action, resource == R::\"{n}\");
             permit(principal, action == Action::\"{n}\", resource);
             permit(principal == U::\"{n}\", action, resource == R::\"0\");"
        )
    };
    let bundle = bundle(&many(300, policy))?;
    let bound = bundle.request_bound();
    assert_eq!((bound.candidates, bound.legs), (4, 18));
    // When telling actions apart would take too long, their policies are counted together: more, never fewer.
    let coarse = super::bound::within(&bundle, 0);
    assert_eq!(coarse.candidates, 303);
    assert!(coarse.steps >= bound.steps);
    assert_eq!(codes(&bundle.costly()), Vec::<&str>::new());
    Ok(())
}

#[test]
fn the_bound_holds_for_every_request_of_the_store() -> Tested {
    let entities = r#"[
        {"uid": {"type": "U", "id": "a"}, "attrs": {}, "parents": [{"type": "G", "id": "g"}, {"type": "G", "id": "h"}]},
        {"uid": {"type": "R", "id": "r"}, "attrs": {}, "parents": [{"type": "G", "id": "g"}]}
    ]"#;
    let policy = |n| {
        format!(
            "permit(principal in G::\"g\", action, resource) when {{ context.x == {n} }};
             forbid(principal in G::\"h\", action == Action::\"do\", resource in G::\"g\");
             permit(principal is U, action, resource == R::\"r\");
             permit(principal == U::\"b\", action, resource);"
        )
    };
    let bundle = with_entities(&many(3, policy), entities)?;
    let bound = bundle.request_bound();
    let decider = Decider::new(Arc::clone(&bundle));
    let mut met_most = 0;
    for principal in ["a", "b", "c"] {
        for action in ["do", "no"] {
            for resource in ["r", "s"] {
                let uids =
                    (Uid::new("U", principal), Uid::new("Action", action), Uid::new("R", resource));
                let request = Request::new(uids.0, uids.1, uids.2, &[]);
                let (mut met, mut steps) = (0, 0);
                decider.each_candidate(
                    &mut Scratch::new(),
                    &request,
                    &DecideOptions::STANDARD,
                    &mut |candidate| {
                        met += 1;
                        steps += candidate.evaluate().steps;
                    },
                );
                assert!(
                    met <= bound.candidates,
                    "{principal} {action} {resource}: {met} {bound:?}"
                );
                assert!(steps <= bound.steps, "{principal} {action} {resource}: {steps} {bound:?}");
                met_most = met_most.max(met);
            }
        }
    }
    assert_eq!((met_most, bound.candidates), (9, 9), "here the dearest request exists");
    Ok(())
}
