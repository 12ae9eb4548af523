//! Bad sources: the rows of `tests/cases/bad-sources/`, each a small mistake in a good bundle, with all that is said of it.
//!
//! A row states every finding in order: code, file, line, column, what the caret marks and what the message says. So it
//! also states what is not said: nothing that follows from the mistake, nothing of a later pass. Sources are read on a
//! small stack, where a parser that recurses on the caller's thread would end the process.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "test code fails loudly"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use pdp_core::{
    CODES, CompileOptions, Diagnostic, Loose, Notation, Report, Severity, Source, compile,
};
use pdp_tests::desk::{Folder, on_stack};
use toml::{Table, Value};

const ROWS_MIN: usize = 60;
const SMALL_STACK: usize = 256 << 10;

/// Sources that the walk of [`no_damage_is_answered_by_a_panic`] refuses, at least.
const REFUSED_MIN: usize = 300;

/// Codes that no row has, and why.
const WITHOUT_ROW: [(&str, &str); 5] = [
    ("E160", "what outgrows a table of a bundle takes gigabytes of source or of ancestors"),
    ("W206", "it is found in the compiled bundle; `pdp-cli/tests/cli/costs.rs` has it"),
    ("W207", "it is found in the compiled bundle; `pdp-cli/tests/cli/costs.rs` has it"),
    ("W208", "it is found in the compiled bundle; `pdp-cli/tests/cli/costs.rs` has it"),
    ("W209", "it is found in the compiled bundle; `pdp-cli/tests/cli/costs.rs` has it"),
];

const BASE: [(&str, &str); 9] = [
    ("bundle.toml", include_str!("../cases/bad-sources/base/bundle.toml")),
    ("cases.toml", include_str!("../cases/bad-sources/base/cases.toml")),
    ("entities/docs.json", include_str!("../cases/bad-sources/base/entities/docs.json")),
    ("entities/people.json", include_str!("../cases/bad-sources/base/entities/people.json")),
    ("guards.cedar", include_str!("../cases/bad-sources/base/guards.cedar")),
    ("links.json", include_str!("../cases/bad-sources/base/links.json")),
    ("policies.cedar", include_str!("../cases/bad-sources/base/policies.cedar")),
    ("schema.cedarschema", include_str!("../cases/bad-sources/base/schema.cedarschema")),
    ("templates.cedar", include_str!("../cases/bad-sources/base/templates.cedar")),
];

const TABLES: [(&str, &str); 6] = [
    ("files.toml", include_str!("../cases/bad-sources/files.toml")),
    ("policies.toml", include_str!("../cases/bad-sources/policies.toml")),
    ("entities.toml", include_str!("../cases/bad-sources/entities.toml")),
    ("cases.toml", include_str!("../cases/bad-sources/cases.toml")),
    ("loose.toml", include_str!("../cases/bad-sources/loose.toml")),
    ("routes.toml", include_str!("../cases/bad-sources/routes.toml")),
];

const STAGES: &str = include_str!("../cases/bad-sources/stages.toml");

/// File name → text.
type Files = BTreeMap<String, String>;

/// A bad source and what is said of it.
struct Row {
    /// With the table it is from.
    name: String,
    source: Table,
    finds: Vec<Found>,
}

/// A finding as a row states it.
#[derive(Debug)]
struct Found {
    code: String,
    /// `file:line:column`; the file alone, or nothing, where the row asks for no more.
    at: String,
    /// What the caret stands under, where the row says the column.
    marks: String,
    /// A part of the message.
    says: String,
}

// === the table ===

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (file, text) in TABLES {
        let table: Table = text.parse().unwrap_or_else(|e| panic!("{file}: {e}"));
        for row in table["row"].as_array().unwrap() {
            let source = row.as_table().unwrap().clone();
            let name = format!("{file}: {}", text_of(&source, "name"));
            let finds = source["finds"].as_array().unwrap().iter().map(found).collect();
            rows.push(Row { name, source, finds });
        }
    }
    rows
}

fn text_of(table: &Table, key: &str) -> String {
    table.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn found(stated: &Value) -> Found {
    let table = stated.as_table().unwrap();
    let text = |key| text_of(table, key);
    Found { code: text("code"), at: text("at"), marks: text("marks"), says: text("says") }
}

fn texts(table: &Table) -> Files {
    table.iter().map(|(name, text)| (name.clone(), text.as_str().unwrap().to_owned())).collect()
}

fn base() -> Files {
    BASE.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// Replaces one place of a file.
fn edit(files: &mut Files, file: &str, this: &str, by: &str) {
    let text = files.get_mut(file).unwrap_or_else(|| panic!("there is no {file} to edit"));
    assert_eq!(text.matches(this).count(), 1, "`{this}` occurs once in {file}");
    *text = text.replace(this, by);
}

/// The base, or a row's loose texts by kind, with the changes of the row.
fn changed(row: &Table) -> Files {
    let mut files = row.get("loose").and_then(Value::as_table).map_or_else(base, texts);
    let tables = |key: &str| row.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    for name in tables("without") {
        files.remove(name.as_str().unwrap()).unwrap();
    }
    files.extend(row.get("files").and_then(Value::as_table).map(texts).unwrap_or_default());
    for change in tables("edits") {
        let change = change.as_table().unwrap();
        let times = change.get("times").map_or(1, |times| times.as_integer().unwrap());
        let by = text_of(change, "by");
        let by: String = (0..times).map(|n| by.replace("{n}", &n.to_string())).collect();
        edit(&mut files, &text_of(change, "file"), &text_of(change, "this"), &by);
    }
    for nest in tables("nests") {
        let nest = nest.as_table().unwrap();
        let times = usize::try_from(nest["times"].as_integer().unwrap()).unwrap();
        let this = text_of(nest, "this");
        let (open, close) = (text_of(nest, "open"), text_of(nest, "close"));
        let by = format!("{}{this}{}", open.repeat(times), close.repeat(times));
        edit(&mut files, &text_of(nest, "file"), &this, &by);
    }
    files
}

fn written(files: &Files) -> Folder {
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Folder::new(&files)
}

/// What a folder can hold that no text says.
fn spoil(folder: &Folder, how: &str) {
    let path = |name: &str| folder.path().join(name);
    match how {
        "" => {}
        "not_utf8" => folder.write("guards.cedar", b"// caf\xe9\n"),
        "huge" => {
            // Sparse: it has a size and takes no room.
            let file = fs::File::create(path("entities/huge.json")).unwrap();
            file.set_len((1 << 30) + 1).unwrap();
        }
        "dangling_link" => {
            #[cfg(unix)]
            std::os::unix::fs::symlink(path("nowhere"), path("lost.cedar")).unwrap();
            #[cfg(not(unix))]
            panic!("needs symbolic links");
        }
        "no_folder" => fs::remove_dir_all(folder.path()).unwrap(),
        other => panic!("`{other}` is no way to spoil a folder"),
    }
}

// === reading ===

/// Everything said of a folder: by the pass that refuses it, by the compiler, or in warnings.
fn read(folder: &Path) -> Report {
    on_stack(SMALL_STACK, || finish(Source::folder(folder)))
}

fn finish(source: Result<Source, Report>) -> Report {
    let source = match source {
        Ok(source) => source,
        Err(report) => return refused(report),
    };
    match compile(&source, &CompileOptions::STANDARD) {
        Ok(_) => {
            let warnings = source.warnings();
            assert!(!warnings.has_errors(), "taken with errors:\n{warnings}");
            warnings.clone()
        }
        Err(report) => refused(report),
    }
}

fn refused(report: Report) -> Report {
    assert!(report.has_errors(), "refused without an error:\n{report}");
    report
}

fn read_loose(texts: &Files) -> Report {
    let text = |key| texts.get(key).map(String::as_str);
    let notation =
        |cedar, json| text(cedar).map(Notation::Cedar).or(text(json).map(Notation::Json));
    let loose = Loose {
        policies: notation("policies", "policies_json").unwrap(),
        schema: notation("schema", "schema_json"),
        entities: text("entities").unwrap_or("[]"),
        links: text("links"),
    };
    on_stack(SMALL_STACK, || finish(Source::loose(&loose)))
}

/// What is said of a row's source, and the texts that it is said of.
fn report(row: &Row) -> (Report, Files) {
    let files = changed(&row.source);
    if row.source.contains_key("loose") {
        return (read_loose(&files), files);
    }
    let folder = written(&files);
    spoil(&folder, &text_of(&row.source, "spoil"));
    (read(folder.path()), files)
}

// === checking ===

fn place(item: &Diagnostic) -> String {
    match (&item.file, item.line) {
        (None, _) => String::new(),
        (Some(file), 0) => file.clone(),
        (Some(file), line) => format!("{file}:{line}:{}", item.column),
    }
}

/// The text over the caret line's carets.
fn marked(item: &Diagnostic) -> String {
    let Some((line, carets)) = item.excerpt.as_ref().and_then(|text| text.split_once('\n')) else {
        return String::new();
    };
    line.chars()
        .zip(carets.chars())
        .filter_map(|(shown, caret)| (caret == '^').then_some(shown))
        .collect()
}

fn is_as_stated(item: &Diagnostic, stated: &Found) -> bool {
    let at = match stated.at.as_str() {
        "" => true,
        at if at.contains(':') => place(item) == at && marked(item) == stated.marks,
        file => item.file.as_deref() == Some(file),
    };
    item.code == stated.code && at && !stated.says.is_empty() && item.message.contains(&stated.says)
}

/// As a row would state it.
fn stated(report: &Report) -> String {
    let quote = |text: &str| match text.contains('\'') {
        true => Value::from(text).to_string(),
        false => format!("'{text}'"),
    };
    let line = |item: &Diagnostic| {
        format!(
            "  {{ code = {:?}, at = {:?}, marks = {}, says = {} }},\n",
            item.code,
            place(item),
            quote(&marked(item)),
            quote(&item.message)
        )
    };
    report.items.iter().map(line).collect()
}

/// What holds for any finding about any source; the faults.
fn manners(item: &Diagnostic, files: &Files) -> Vec<String> {
    let mut faults = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("{what}: {item:?}"));
        }
    };
    must(CODES.iter().any(|(code, _)| *code == item.code), "its code is in the list");
    must(
        (item.severity == Severity::Warning) == item.code.starts_with('W'),
        "warnings, and only they, have codes with W",
    );
    must(!item.message.is_empty(), "it says something");
    must(!item.message.contains('\n'), "its message is one line");
    // What the schema reader warns of is said in Cedar's own sentences.
    must(item.code == "W204" || !item.message.ends_with('.'), "its message has no full stop");
    must((item.line == 0) == (item.column == 0), "line and column are known together");
    let shown = item.to_string();
    let severity = if item.code.starts_with('W') { "warning" } else { "error" };
    must(
        shown.starts_with(&format!("{severity}[{}]: {}\n", item.code, item.message)),
        "it is shown with severity, code and message",
    );
    must(shown.contains(&place(item)), "it is shown with its place");
    for part in item.excerpt.iter().flat_map(|text| text.lines()).chain(item.help.as_deref()) {
        must(shown.contains(part), "it is shown with caret and help");
    }
    if let Some(text) = item.file.as_ref().and_then(|file| files.get(file))
        && item.line > 0
    {
        // A place may be the end of the text, behind its last line.
        let line = text.split('\n').nth(item.line as usize - 1);
        must(line.is_some(), "the line exists");
        let length = line.map_or(0, |line| line.chars().count());
        must(item.column as usize <= length + 1, "the column exists");
        let excerpt = item.excerpt.as_ref().and_then(|text| text.split('\n').next());
        let same = |shown: &str| {
            let line: String = line.unwrap_or_default().trim_end_matches('\r').replace('\t', " ");
            line.starts_with(shown)
        };
        must(excerpt.is_none_or(same), "the line shown is that line");
    }
    faults
}

#[track_caller]
fn none(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{} {what}:\n\n{}", faults.len(), faults.join("\n"));
}

// === tests ===

#[test]
fn the_base_is_good() {
    let report = read(written(&base()).path());
    assert!(report.items.is_empty(), "{report}");
}

#[test]
fn every_row_is_found_and_nothing_else() {
    let rows = rows();
    assert!(rows.len() >= ROWS_MIN, "{} rows", rows.len());
    let mut faults = Vec::new();
    for row in &rows {
        let (report, files) = report(row);
        let same = report.items.len() == row.finds.len()
            && report.items.iter().zip(&row.finds).all(|(item, found)| is_as_stated(item, found));
        if !same {
            faults.push(format!("{}\nfinds = [\n{}]\n", row.name, stated(&report)));
        }
        faults.extend(report.items.iter().flat_map(|item| manners(item, &files)));
    }
    none("rows are not as stated", &faults);
}

#[test]
fn every_code_has_a_row() {
    let mut seen: BTreeSet<String> =
        rows().into_iter().flat_map(|row| row.finds).map(|found| found.code).collect();
    for (code, reason) in WITHOUT_ROW {
        assert!(seen.insert(code.to_owned()), "{code} has a row, although {reason}");
    }
    let codes: BTreeSet<String> = CODES.iter().map(|(code, _)| (*code).to_owned()).collect();
    assert_eq!(codes.len(), CODES.len(), "codes are not used twice");
    assert_eq!(seen, codes);
}

#[test]
fn a_pass_with_errors_reports_them_all_and_is_the_last_one() {
    let table: Table = STAGES.parse().unwrap();
    let mut stages: Vec<Table> =
        table["stage"].as_array().unwrap().iter().map(|s| s.as_table().unwrap().clone()).collect();
    assert!(stages.len() > 5, "a stage for each pass");
    let mut not_utf8 = Table::new();
    not_utf8.insert("codes".to_owned(), Value::from(vec!["E100"]));
    not_utf8.insert("spoil".to_owned(), Value::from("not_utf8"));
    stages.insert(0, not_utf8);
    for at in 0..=stages.len() {
        let mut files = base();
        for stage in stages[at..].iter().rev() {
            files.extend(
                stage.get("files").and_then(Value::as_table).map(texts).unwrap_or_default(),
            );
        }
        let folder = written(&files);
        spoil(&folder, &stages.get(at).map(|stage| text_of(stage, "spoil")).unwrap_or_default());
        let expected = stages.get(at).map(|stage| stage["codes"].as_array().unwrap().clone());
        let report = read(folder.path());
        let codes: Vec<Value> = report.items.iter().map(|item| Value::from(item.code)).collect();
        assert_eq!(codes, expected.unwrap_or_default(), "stage {at}:\n{report}");
    }
}

#[test]
fn a_finding_is_shown_with_place_caret_and_help() {
    let mut files = base();
    edit(&mut files, "policies.cedar", "@id(\"owner\")", "\t@id(\"no-mfa\")");
    let shown = read(written(&files).path()).to_string();
    let expected = "\
error[E111]: policy id `no-mfa` is taken, by a policy in guards.cedar
  --> policies.cedar:1:2
   |  @id(\"no-mfa\")
   |  ^^^^^^^^^^^^^
   = help: give each policy an @id of its own

";
    assert_eq!(shown, expected);
}

#[test]
fn a_finding_without_a_place_is_shown_with_what_is_known() {
    let mut files = base();
    files.retain(|name, _| !name.ends_with(".cedar") && name != "links.json");
    files.insert("bundle.toml".to_owned(), "name = \"small\"\nrevision = 1\n".to_owned());
    let shown = read(written(&files).path()).to_string();
    let expected = "\
error[E104]: the bundle has no policy
   = help: add a `.cedar` file with a policy, or link the templates in links.json

";
    assert_eq!(shown, expected);
}

/// Positions where a word begins or ends.
fn seams(text: &str) -> Vec<usize> {
    let mut seams = vec![0];
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        if at > 0 && !(c.is_alphanumeric() && before.is_alphanumeric()) && !c.is_whitespace() {
            seams.push(at);
        }
        before = c;
    }
    seams.push(text.len());
    seams
}

/// Every file is, at each word in turn, cut off before it or has it taken out.
#[test]
fn no_damage_is_answered_by_a_panic() {
    let (mut refused, mut faults) = (0, Vec::new());
    let mut files = base();
    let folder = written(&files);
    for (name, text) in BASE {
        for (at, seam) in seams(text).windows(2).enumerate() {
            let after = if at % 2 == 0 { "" } else { &text[seam[1]..] };
            let damaged = format!("{}{after}", &text[..seam[0]]);
            folder.write(name, damaged.as_bytes());
            files.insert(name.to_owned(), damaged);
            let report = read(folder.path());
            refused += usize::from(report.has_errors());
            faults.extend(report.items.iter().flat_map(|item| manners(item, &files)));
        }
        folder.write(name, text.as_bytes());
        files.insert(name.to_owned(), text.to_owned());
    }
    none("findings without manners", &faults);
    assert!(refused >= REFUSED_MIN, "{refused} refused");
}
