//! Sources that are read in parts, on all cores: what is said of them, and the bundle, are those of the whole.
//!
//! Policies that links may follow are read as a whole, by Cedar and in one piece, and a `links.json` without links
//! changes nothing else. So every source here is read with one and without, and must come out the same.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use pdp_core::Report;
use pdp_tests::desk::{self, Desk, MANIFEST, request};

const SCHEMA: &str = "entity User, Doc { owner: User, level: Long };\n\
    action read appliesTo { principal: User, resource: Doc, context: { note: String } };\n";

/// Enough for several parts, with every way to hide a `;`.
const POLICIES: usize = 3_000;

/// The policies; `change` may put another in the place of any.
fn policies(change: impl Fn(usize) -> Option<String>) -> String {
    let usual = |at: usize| {
        format!(
            "@id(\"p{at}\") // it; is\npermit(principal == User::\"{at};\", action, resource)\n  \
             when {{ resource.level > {at} && context.note != \"\\\"; // {at}\" }};\n"
        )
    };
    (0..POLICIES).map(|at| change(at).unwrap_or_else(|| usual(at))).collect()
}

fn compiled(text: &str, more: &[(&str, &str)]) -> Result<Vec<u8>, Report> {
    let manifest = format!("{MANIFEST}entities_complete = false\n");
    let files = [
        ("bundle.toml", manifest.as_str()),
        ("a.cedar", "permit(principal, action, resource is Doc) when { resource.level == 0 };"),
        ("b.cedar", text),
        ("schema.cedarschema", SCHEMA),
    ];
    desk::compile(&[&files[..], more].concat())
}

/// What is said of the text, and that the same is said of it as a whole.
#[track_caller]
fn said(text: &str) -> Vec<(&'static str, String, u32, u32, String)> {
    let findings = |more: &[(&str, &str)]| {
        let report = compiled(text, more).unwrap_err();
        let items = report.items.into_iter();
        let shown = items.map(|item| {
            (item.code, item.file.unwrap_or_default(), item.line, item.column, item.message)
        });
        shown.collect::<Vec<_>>()
    };
    let in_parts = findings(&[]);
    assert_eq!(in_parts, findings(&[("links.json", "[]")]));
    in_parts
}

/// What is said of a text with one policy changed: one code, at a place in the line where that policy begins.
#[track_caller]
fn check(at: usize, policy: &str, code: &str, column: u32, message: &str) {
    let text = policies(|other| (other == at).then(|| format!("{policy}\n")));
    let said: Vec<_> = said(&text).into_iter().filter(|(code, ..)| code.starts_with('E')).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    let (found, file, line, found_column, found_message) = &said[0];
    assert_eq!((*found, file.as_str()), (code, "b.cedar"), "{said:?}");
    assert_eq!((*line as usize, *found_column), (3 * at + 1, column), "{said:?}");
    assert!(found_message.contains(message), "{said:?}");
}

#[test]
fn bundles_are_the_same() {
    let text = policies(|_| None);
    assert!(text.len() > 4 << 16, "one part shows nothing");
    assert_eq!(compiled(&text, &[]).unwrap(), compiled(&text, &[("links.json", "[]")]).unwrap());
}

#[test]
fn mistakes_are_told_as_of_the_whole() {
    for at in [0, 1, POLICIES / 2, POLICIES - 1] {
        check(at, "permit(principal action, resource);", "E110", 18, "unexpected token");
        check(
            at,
            "permit(principal, action, resource) when { \"\\q\" == \"\" };",
            "E110",
            44,
            "escape",
        );
        if let Some(before) = at.checked_sub(1) {
            let taken = format!("@id(\"p{before}\") permit(principal, action, resource);");
            check(at, &taken, "E111", 1, "is taken, by a policy in b.cedar");
        }
        let typed =
            "@id(\"x\") permit(principal, action, resource is Doc) when { resource.lvl > 1 };";
        check(at, typed, "E130", 60, "`lvl`");
    }
}

#[test]
fn mistakes_of_several_parts_are_told_in_order() {
    let broken = [10, POLICIES / 2, POLICIES - 10];
    let text = policies(|at| {
        broken.contains(&at).then(|| {
            format!("@id(\"{at}\") permit(principal, action, resource) when {{ resource.lvl > 1 }};\n\n\n")
        })
    });
    let lines: Vec<usize> = said(&text)
        .into_iter()
        .filter(|(code, ..)| *code == "E130")
        .map(|(_, _, line, ..)| line as usize)
        .collect();
    // By the policy's name, as always.
    assert_eq!(lines, [10, POLICIES / 2, POLICIES - 10].map(|at| 3 * at + 1));
}

#[test]
fn warnings_are_told_as_of_the_whole() {
    // Without an @id, impossible, and with characters that look like others: three passes.
    let text = policies(|at| {
        (at % 500 == 0).then(|| {
            "permit(principal, action, resource) when { false && context.note == \"p\u{430}ypal\" };\n\n\n"
                .to_owned()
        })
    });
    let unreadable = format!("{text}@id(\"p1\") permit(principal, action, resource);");
    assert_eq!(said(&unreadable).iter().filter(|(.., said)| said.contains("no @id")).count(), 7);
    let findings = |more: &[(&str, &str)]| {
        let manifest = format!("{MANIFEST}entities_complete = false\n");
        let files = [
            ("bundle.toml", manifest.as_str()),
            ("b.cedar", &text),
            ("schema.cedarschema", SCHEMA),
        ];
        let folder = desk::Folder::new(&[&files[..], more].concat());
        let source = pdp_core::Source::folder(folder.path()).unwrap();
        source.warnings().items.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let in_parts = findings(&[]);
    assert_eq!(in_parts, findings(&[("links.json", "[]")]));
    let count = |what: &str| in_parts.iter().filter(|item| item.contains(what)).count();
    assert_eq!((count("no @id"), count("impossible"), count("mixed scripts")), (6, 6, 6));
}

#[test]
fn loose_policies_keep_their_numbers() {
    let text: String = (0..POLICIES)
        .map(|at| format!("permit(principal == User::\"{at}\", action, resource); // ;\n"))
        .collect();
    assert!(text.len() > 2 << 16, "one part shows nothing");
    let mut desk = Desk::loose(&text, "[]");
    for at in [0, 1, POLICIES / 2, POLICIES - 1] {
        let principal = format!("User::\"{at}\"");
        let answer = desk.ask(&request(&principal, "Action::\"read\"", "Doc::\"d\"", "{}"));
        assert_eq!(answer.policies, [format!("policy{at}")]);
    }
}

// === entities ===

fn users(count: usize, more: &str) -> String {
    let user = |at: usize| {
        format!("{{\"uid\":{{\"type\":\"User\",\"id\":\"{at}\"}},\"attrs\":{{}},\"parents\":[]}}")
    };
    let users: Vec<String> = (0..count).map(user).collect();
    format!("[{}{more}]", users.join(",\n"))
}

#[test]
fn entities_that_repeat_are_told_as_of_the_whole() {
    let policies = "permit(principal == User::\"7\", action, resource);";
    let other =
        r#",{"uid":{"type":"User","id":"7"},"attrs":{},"parents":[{"type":"User","id":"8"}]}"#;
    let report = desk::compile_loose(policies, &users(3_000, other)).unwrap_err();
    assert_eq!(report.items.len(), 1, "{report}");
    assert_eq!(report.items[0].code, "E140");
    assert!(report.items[0].message.contains("duplicate entity entry `User::\"7\"`"), "{report}");
    // What is said twice in the same words is said once.
    let same = r#",{"uid":{"type":"User","id":"7"},"attrs":{},"parents":[]}"#;
    let bytes = desk::compile_loose(policies, &users(3_000, same)).unwrap();
    assert_eq!(bytes, desk::compile_loose(policies, &users(3_000, "")).unwrap());
}

#[test]
fn entities_that_cannot_be_read_are_told_with_their_place_in_the_whole() {
    for (more, said) in [
        (",", "trailing comma at line 3000"),
        (",{}", "missing field"),
        (" 1", "expected `,` or `]` at line 3000"),
    ] {
        let report =
            desk::compile_loose("permit(principal, action, resource);", &users(3_000, more))
                .unwrap_err();
        assert_eq!((report.items.len(), report.items[0].code), (1, "E140"), "{report}");
        assert!(report.items[0].message.contains(said), "{report}");
    }
}

#[test]
fn the_schemas_actions_are_stored_once() {
    let files = |entities: &str| {
        let policy = "@id(\"p\") permit(principal, action, resource) when { resource.level > 1 };";
        let manifest = format!("{MANIFEST}entities_complete = false\n");
        let schema = SCHEMA.replace("entity User, Doc", "entity User; entity Doc");
        let files = [
            ("bundle.toml", manifest.as_str()),
            ("p.cedar", policy),
            ("schema.cedarschema", &schema),
            ("entities/e.json", entities),
        ];
        Desk::folder(&files).bundle().entity_count()
    };
    assert_eq!((files(&users(3, "")), files(&users(3_000, ""))), (3, 3_000));
    let action = r#",{"uid":{"type":"Action","id":"read"},"attrs":{},"parents":[]}"#;
    assert_eq!(files(&users(3_000, action)), 3_000);
}
