//! Bundle bytes that are damaged, cut off or lie: refused, or harmless. Never a panic, never memory they do not fill.
//!
//! Three kinds of liar: one who cannot compute digests (flips, cuts), one who can and lies in header, section table or
//! table directory, and one who can and lies in the tables themselves. The last may get a bundle loaded, and then
//! what it decides is his; but it must decide.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pdp_core::json::{Arena, read_request};
use pdp_core::{
    Bundle, DecideOptions, Decider, LoadLimits, Reason, RequestLimits, Scratch, Source,
};
use pdp_tests::counting::{Counting, measure};
use pdp_tests::desk::{self, Folder, MANIFEST, request};
use pdp_tests::engine::VARIANTS;
use pdp_tests::forge::{DIRECTORY_ENTRY_BYTES, ENTRY_BYTES, Forge, Table, reseal, u32_at};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What reading may take beyond what the file is long.
const SPARE_BYTES: i64 = 1 << 20;

fn small() -> Vec<u8> {
    desk::compile(&[
        ("bundle.toml", MANIFEST),
        ("p.cedar", "@id(\"p\") permit(principal, action, resource) when { context.a == \"x\" };"),
        (
            "cases.toml",
            "[[case]]\nname = \"c\"\nprincipal = 'U::\"u\"'\naction = 'Action::\"a\"'\nresource = 'D::\"d\"'\nexpect = \"deny\"\n",
        ),
        (
            "routes.toml",
            "[[principal]]\nspiffe = \"spiffe://t/\"\nentity = 'U::\"{value}\"'\n[context]\na = \"path\"\n[[route]]\npath = \"/d/{id}\"\naction = 'Action::\"a\"'\nresource = 'D::\"{id}\"'\n",
        ),
    ])
    .unwrap()
}

/// Loads; whatever comes of it, memory stays within what the bytes hold.
#[track_caller]
fn load(bytes: &[u8], what: &str) -> Result<Bundle, String> {
    let (loaded, used) = measure(|| Bundle::load(bytes, &LoadLimits::STANDARD));
    let len = i64::try_from(bytes.len()).unwrap();
    assert!(used.peak_bytes <= len + SPARE_BYTES, "{what}: {} bytes for {len}", used.peak_bytes);
    loaded.map_err(|error| error.to_string())
}

#[track_caller]
fn refused(bytes: &[u8], what: &str) -> String {
    match load(bytes, what) {
        Err(error) => error,
        Ok(_) => unreachable!("{what} is accepted"),
    }
}

// === without digests ===

#[test]
fn every_flipped_bit_is_refused() {
    let mut bytes = small();
    load(&bytes, "what the compiler made").unwrap();
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        refused(&bytes, &format!("a flip of bit {bit}"));
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

/// Large enough that its digests are taken beside its tables.
fn large() -> Vec<u8> {
    let user = |at: u32| {
        let name = format!("{at} {}", "name ".repeat(100));
        format!(r#"{{"uid":{{"type":"U","id":"{at}"}},"attrs":{{"name":"{name}"}},"parents":[]}}"#)
    };
    let users: Vec<String> = (0..3_000).map(user).collect();
    let policy =
        "@id(\"p\") permit(principal, action, resource) when { principal.name like \"1*\" };";
    let entities = format!("[{}]", users.join(","));
    desk::compile(&[("bundle.toml", MANIFEST), ("p.cedar", policy), ("entities/u.json", &entities)])
        .unwrap()
}

#[test]
fn flipped_bits_of_a_large_bundle_are_refused_by_its_digests() {
    let mut bytes = large();
    assert!(bytes.len() > 1 << 20);
    load(&bytes, "what the compiler made").unwrap();
    // Behind the header and the section table, whose digest is looked at first.
    for bit in (64 * 4 * 8..bytes.len() * 8).step_by(99_991) {
        bytes[bit / 8] ^= 1 << (bit % 8);
        let error = refused(&bytes, &format!("a flip of bit {bit}"));
        assert!(error.contains("digest") || error.contains("not zero"), "bit {bit}: {error}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    load(&bytes, "what the compiler made").unwrap();
}

#[test]
fn every_cut_and_every_byte_too_many_is_refused() {
    let bytes = small();
    for len in 0..bytes.len() {
        refused(&bytes[..len], &format!("the first {len} bytes"));
    }
    for byte in [0, 1, 255] {
        let longer = [&bytes[..], &[byte]].concat();
        refused(&longer, "a byte after the end");
        let mut sealed = longer.clone();
        let len = longer.len() as u64;
        sealed[16..24].copy_from_slice(&len.to_le_bytes());
        reseal(&mut sealed);
        refused(&sealed, "a byte after the end that the header counts");
    }
}

#[test]
fn a_bundle_beyond_the_readers_limit_is_refused_before_it_is_looked_at() {
    let bytes = small();
    let limit = LoadLimits { bundle_bytes_max: bytes.len() as u64 };
    assert!(Bundle::load(&bytes, &limit).is_ok());
    let limit = LoadLimits { bundle_bytes_max: bytes.len() as u64 - 1 };
    let (loaded, used) = measure(|| Bundle::load(&bytes, &limit));
    assert!(loaded.unwrap_err().to_string().contains("bundle_bytes_max"));
    assert_eq!(used.calls, 0);
}

// === with digests: header, section table, table directory ===

/// What a field of a width is changed to.
fn lies(was: u64, width: usize) -> Vec<u64> {
    let max = u64::MAX >> (64 - 8 * width);
    let mut lies = vec![0, 1, 2, 63, 64, 65, max, max - 1, max - 63, max / 2, max / 2 + 1];
    lies.extend([was.wrapping_add(1), was.wrapping_sub(1), was.wrapping_add(64), was / 2, was * 2]);
    lies.retain(|lie| *lie != was && *lie <= max);
    lies
}

/// Changes the field at a place to each of its lies.
fn each_lie(bytes: &[u8], at: usize, width: usize, mut visit: impl FnMut(Vec<u8>, u64)) {
    let mut field = [0; 8];
    field[..width].copy_from_slice(&bytes[at..at + width]);
    for lie in lies(u64::from_le_bytes(field), width) {
        let mut lying = bytes.to_vec();
        lying[at..at + width].copy_from_slice(&lie.to_le_bytes()[..width]);
        visit(lying, lie);
    }
}

/// The zeros up to the next boundary may be claimed by whoever can compute digests; nothing else may be believed.
#[track_caller]
fn accepted_only_with_padding(
    lying: &[u8],
    truth: &[u8],
    (at, width): (usize, usize),
    lie: u64,
    align: u64,
    what: &str,
) {
    let loaded = load(lying, what);
    let was = truth.get(at..at + 8).filter(|_| width == 8);
    let was = was.map_or(u64::MAX, |was| u64::from_le_bytes(was.try_into().unwrap()));
    assert!(loaded.is_err() || (was < lie && lie < was + align), "{what} is believed");
}

#[test]
fn every_field_of_header_and_section_table_is_believed_only_if_true() {
    let bytes = small();
    let mut fields = vec![(0, 4), (4, 2), (8, 4), (12, 4), (16, 8), (24, 8)];
    for entry in 1..=u32_at(&bytes, 12) as usize {
        let at = entry * ENTRY_BYTES;
        fields.extend([(at, 4), (at + 4, 4), (at + 8, 8), (at + 16, 8), (at + 24, 8)]);
    }
    for (at, width) in fields {
        each_lie(&bytes, at, width, |mut lying, lie| {
            let what = format!("{lie} at byte {at}");
            refused(&lying, &what);
            reseal(&mut lying);
            accepted_only_with_padding(&lying, &bytes, (at, width), lie, 64, &what);
        });
    }
}

#[test]
fn a_newer_minor_is_read_and_another_major_refused() {
    let mut bytes = small();
    bytes[6..8].copy_from_slice(&u16::MAX.to_le_bytes());
    reseal(&mut bytes);
    load(&bytes, "another minor").unwrap();
    for major in [1, 2, u16::MAX] {
        bytes[4..6].copy_from_slice(&major.to_le_bytes());
        reseal(&mut bytes);
        let error = refused(&bytes, "another major");
        assert!(
            error.contains(&format!("format {major}")) && error.contains("pdp build"),
            "{error}"
        );
    }
}

#[test]
fn every_field_of_the_table_directory_is_believed_only_if_true() {
    let mut forge = Forge::open(&small());
    let section = forge.compiled().clone();
    let mut fields = vec![(0, 4), (4, 4)];
    for entry in 0..u32_at(&section, 0) as usize {
        let at = 8 + entry * DIRECTORY_ENTRY_BYTES;
        fields.extend([(at, 4), (at + 4, 4), (at + 8, 8), (at + 16, 8)]);
    }
    for (at, width) in fields {
        each_lie(&section, at, width, |lying, lie| {
            *forge.compiled() = lying;
            let what = format!("{lie} at byte {at} of the compiled section");
            accepted_only_with_padding(&forge.close(), &section, (at, width), lie, 8, &what);
        });
    }
}

#[test]
fn sections_that_are_not_what_they_say_are_refused_or_left_alone() {
    let forge = Forge::open(&small());
    let nested = "[".repeat(1_000_000);
    let long = format!("[{}]", "0,".repeat(100_000));
    for text in ["", "x", "{}", "[{}]", "null", "[null]", nested.as_str(), long.as_str()] {
        for (at, (id, _, _)) in forge.sections.iter().enumerate() {
            let mut forged = forge.clone();
            forged.sections[at].2 = text.as_bytes().to_vec();
            let what = format!("section {id} that begins with `{}`", text.get(..2).unwrap_or(text));
            match (id, load(&forged.close(), &what)) {
                // Explanations go without it, and deciding never touches it.
                (2, Ok(bundle)) => {
                    assert!(bundle.policies().all(|ix| bundle.policy_source(ix).is_none()))
                }
                (_, loaded) => assert!(loaded.is_err(), "{what}"),
            }
        }
    }
    for (at, section) in [(1, 2), (1, 1), (0, 9)] {
        let mut forged = forge.clone();
        forged.sections[at].0 = section;
        if section != forge.sections[at].0 {
            refused(&forged.close(), "a section under another number");
        }
    }
}

// === with digests: the tables ===

const SCHEMA: &str = "
entity Group in [Group];
entity Team enum [\"red\", \"blue\"];
entity User in [Group] = { level: Long, team?: Team, box: { net: ipaddr, at: datetime }, mfa: Bool } tags Set<String>;
entity Folder;
entity Doc in [Folder] = { owner: User, labels: Set<String>, price: decimal };
action read in [any];
action write in [any] appliesTo { principal: User, resource: Doc, context: { now: datetime, ip?: ipaddr, n: Long, d?: { chain: Set<User>, depth: Long } } };
action any appliesTo { principal: User, resource: Doc, context: {} };
";

const POLICIES: &str = r#"
@id("p1") @obligation("mask") permit(principal in Group::"all", action == Action::"write", resource is Doc)
  when { context.n < 10 && resource.owner == principal && resource.labels.contains("open") };
@id("p2") permit(principal is User in Group::"some", action in [Action::"any", Action::"read"], resource)
  when { principal has team && [Team::"red", Team::"blue"].contains(principal.team) };
@id("p3") forbid(principal == User::"u", action == Action::"write", resource == Doc::"d")
  unless { context has ip && context.ip.isInRange(ip("2001:db8::/32")) || principal.box.net == ip("::1") };
@id("p4") forbid(principal, action, resource)
  when { resource.price.lessThan(decimal("0.0")) || principal.hasTag("t") && principal.getTag("t") == ["x", "y"] };
@id("p5") permit(principal, action == Action::"write", resource)
  when { if principal.level + 1 * 2 - 3 > -(1) then {a: context.n, b: {c: [context.n, 2]}} == {a: 1, b: {c: [1, 2]}} else resource.owner.box.at <= context.now.offset(duration("1h")) };
@id("p6") permit(principal, action, resource in Folder::"f") when { principal has box.net && "a*b" like "a\*b*" && !resource.labels.isEmpty() };
@id("p7") permit(principal, action == Action::"write", resource) when { principal has team && principal.team == Team::"red" && context.n == 1 };
@id("p8") permit(principal, action == Action::"write", resource) when { principal has team && principal.team == Team::"blue" && (context.n == 2 || context.n == 3) };
@id("p9") permit(principal, action, resource == Doc::"d") when { resource.labels.contains("new") };
@id("p10") permit(principal, action, resource is Doc) when { resource.labels.contains("old") };
@id("p11") permit(principal, action, resource is Doc in Folder::"f") when { resource.labels.contains("odd") };
@id("p12") permit(principal, action, resource in Folder::"none");
"#;

const ENTITIES: &str = r#"[
{"uid": {"type": "Group", "id": "all"}, "attrs": {}, "parents": []},
{"uid": {"type": "Group", "id": "some"}, "attrs": {}, "parents": [{"type": "Group", "id": "all"}]},
{"uid": {"type": "User", "id": "u"}, "parents": [{"type": "Group", "id": "some"}], "tags": {"t": ["x", "z"]},
 "attrs": {"level": 7, "team": {"type": "Team", "id": "red"}, "box": {"net": "::1", "at": "2026-01-01"}, "mfa": true}},
{"uid": {"type": "Folder", "id": "f"}, "attrs": {}, "parents": []},
{"uid": {"type": "Folder", "id": "none"}, "attrs": {}, "parents": []},
{"uid": {"type": "Doc", "id": "d"}, "parents": [{"type": "Folder", "id": "f"}],
 "attrs": {"owner": {"type": "User", "id": "u"}, "labels": ["open", "new"], "price": "1.50"}}]"#;

/// A bundle with something in every table, without its source section.
fn rich() -> Vec<u8> {
    let manifest = format!(
        "{MANIFEST}[context]\nnow = \"now\"\ndelegation = \"d\"\n[caller_attributes]\nUser = [\"mfa\"]\n"
    );
    let folder = Folder::new(&[
        ("bundle.toml", manifest.as_str()),
        ("schema.cedarschema", SCHEMA),
        ("p.cedar", POLICIES),
        ("entities/e.json", ENTITIES),
    ]);
    let source = Source::folder(folder.path()).unwrap();
    pdp_core::compile(&source, &VARIANTS[0].1).unwrap()
}

/// Requests that between them look at every policy and at what a caller may bring.
fn questions() -> Vec<String> {
    let with =
        |request: String, rest: &str| format!("{}{rest}}}", request.strip_suffix('}').unwrap());
    let plain = request(r#"User::"u""#, r#"Action::"write""#, r#"Doc::"d""#, r#"{"n": 1}"#);
    let unknown = request(r#"User::"x""#, r#"Action::"any""#, r#"Doc::"x""#, "{}");
    let guest = r#"{"uid": "User::\"g\"", "parents": ["Group::\"some\""], "tags": {"t": ["x", "y"]},
        "attrs": {"level": 1, "box": {"net": "10.0.0.1", "at": "2026-01-01"}, "mfa": false}}"#;
    vec![
        with(plain.clone(), r#","now":"2026-01-01T00:30:00Z""#),
        with(
            plain,
            r#","now":"2026-01-02","on_behalf_of":"User::\"u\"","actors":["User::\"v\""],"entities":[{"uid":"User::\"u\"","attrs":{"mfa":false}}]"#,
        ),
        unknown.clone(),
        with(unknown.replace(r#"\"x\""#, r#"\"g\""#), &format!(",\"entities\":[{guest}]")),
    ]
}

/// Asks everything in every way. Only that it ends is of interest.
fn interrogate(bundle: Bundle, questions: &[String]) {
    assert!(!bundle.listing().is_empty());
    let decider = Decider::new(Arc::new(bundle));
    let bundle = decider.bundle().unwrap();
    let (mut scratch, mut arena) = (Scratch::new(), Arena::new());
    for question in questions {
        arena.reset();
        // The schema that leads the reading is a lie, too.
        let read = read_request(question, Some(bundle), &arena, &RequestLimits::STANDARD);
        let Ok(request) =
            read.or_else(|_| read_request(question, None, &arena, &RequestLimits::STANDARD))
        else {
            continue;
        };
        for (validate_request, all_policies) in [(true, false), (false, false), (false, true)] {
            let options =
                DecideOptions { validate_request, all_policies, effect_only: all_policies };
            let answer = decider.decide_with(&mut scratch, &request, &options).to_owned();
            assert_eq!(
                answer.effect == pdp_core::Effect::Allow,
                answer.reason == Reason::Permitted
            );
        }
        decider.explain(&mut scratch, &request, &DecideOptions::STANDARD);
    }
}

/// What came of the lies told at some places.
#[derive(Default)]
struct Lied {
    accepted: u64,
    refused: u64,
    panics: Vec<String>,
}

/// Tells lies at these places of the compiled section, one at a time, and asks whatever is loaded.
fn lie_at(mut forge: Forge, places: impl Iterator<Item = usize>, sizes: &[u32]) -> Lied {
    let (questions, section) = (questions(), forge.compiled().clone());
    let mut lied = Lied::default();
    for at in places {
        let was = u32_at(&section, at);
        let mut lies = vec![0, 1, 2, 3, 7, 31, u32::MAX, u32::MAX - 1, i32::MAX as u32];
        lies.extend([was.wrapping_add(1), was.wrapping_sub(1), was ^ 1 << 8, was ^ 1 << 31]);
        // As many as there are symbols, entities, values and instructions.
        lies.extend([sizes[1], sizes[7], sizes[13], sizes[16]]);
        lies.sort_unstable();
        lies.dedup();
        for lie in lies.into_iter().filter(|lie| *lie != was) {
            let mut lying = section.clone();
            lying[at..at + 4].copy_from_slice(&lie.to_le_bytes());
            *forge.compiled() = lying;
            let bytes = forge.close();
            let outcome = catch_unwind(AssertUnwindSafe(|| match load(&bytes, "a lie") {
                Ok(bundle) => {
                    interrogate(bundle, &questions);
                    true
                }
                Err(_) => false,
            }));
            match outcome {
                Ok(true) => lied.accepted += 1,
                Ok(false) => lied.refused += 1,
                Err(_) => lied.panics.push(format!("{lie} for {was} at byte {at}")),
            }
        }
    }
    lied
}

#[test]
fn what_the_tables_say_may_be_wrong_but_ends_no_process() {
    let forge = Forge::open(&rich());
    interrogate(load(&forge.close(), "the truth").unwrap(), &questions());
    let tables = forge.tables();
    let size = |table: &Table| u32::try_from(table.bytes.len() / table.record_bytes).unwrap();
    let sizes: Vec<u32> = tables.iter().map(size).collect();
    assert!(sizes.iter().all(|size| *size > 0), "something in every table: {sizes:?}");
    let start = 8 + tables.len() * DIRECTORY_ENTRY_BYTES;
    let places: Vec<usize> = (start..forge.sections[0].2.len() - 3).step_by(4).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let parts: Vec<Lied> = std::thread::scope(|scope| {
        let share = places.len().div_ceil(threads);
        let tell = |part: &[usize]| {
            let (forge, part, sizes) = (forge.clone(), part.to_vec(), &sizes);
            scope.spawn(move || lie_at(forge, part.into_iter(), sizes))
        };
        let threads: Vec<_> = places.chunks(share).map(tell).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let panics: Vec<&String> = parts.iter().flat_map(|part| &part.panics).collect();
    assert!(panics.is_empty(), "{} panics: {panics:#?}", panics.len());
    let (accepted, refused) =
        parts.iter().fold((0, 0), |(a, r), part| (a + part.accepted, r + part.refused));
    assert!(accepted > 1_000 && refused > 1_000, "{accepted} accepted, {refused} refused");
}

#[test]
fn the_same_source_gives_the_same_bytes() {
    assert_eq!(rich(), rich());
    assert_eq!(small(), small());
}
