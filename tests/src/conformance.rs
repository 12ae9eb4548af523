//! The public layout of cedar-integration-tests: JSON cases that name policies, schema and entities by path.
//!
//! Reads a folder, archives (`.tar.gz`) in it, or one archive, and runs every case found through the engine in every
//! mode, and through `pdp answer` where that tool is given. Decision, reasons, errors and `shouldValidate` must all match.
//! All failures are reported, not the first.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pdp_core::{Loose, Notation};
use serde_json::{Value, json};

use crate::answer::AnswerProcess;
use crate::engine::{Came, Engine, MODES};
use crate::outside::{self, Outside};

/// What a run found.
#[derive(Debug, Default)]
pub struct Summary {
    /// Suites by name, with their numbers of cases and requests.
    pub suites: Vec<(String, usize, usize)>,
    /// A sentence for each difference.
    pub failures: Vec<String>,
}

/// What is asked beside the engine in this process.
struct Beside<'o> {
    tools: Vec<AnswerProcess>,
    outside: Option<&'o mut dyn Outside>,
}

/// Runs everything under a path; with `pdp`, through that tool's `answer` as well.
pub fn run(path: &Path, pdp: Option<&Path>) -> Result<Summary, String> {
    run_beside(path, pdp, None)
}

/// As [`run`], and asks an engine outside of this process's code as well.
pub fn run_beside(
    path: &Path,
    pdp: Option<&Path>,
    outside: Option<&mut dyn Outside>,
) -> Result<Summary, String> {
    let mut tools = Vec::new();
    for all_policies in pdp.map(|_| [false, true]).into_iter().flatten() {
        tools.extend(pdp.map(|pdp| AnswerProcess::start(pdp, all_policies)).transpose()?);
    }
    let mut beside = Beside { tools, outside };
    let mut summary = Summary::default();
    let unpacked = std::env::temp_dir().join(format!("pdp-conformance-{}", std::process::id()));
    let result = suites(path, &unpacked).map(|suites| {
        for (name, root) in suites {
            suite(&name, &root, &mut beside, &mut summary);
        }
    });
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked)
            .map_err(|e| format!("cannot remove {}: {e}", unpacked.display()))?;
    }
    result?;
    if summary.suites.is_empty() {
        return Err(format!(
            "{} holds no test case; see README.md for where such data comes from",
            path.display()
        ));
    }
    Ok(summary)
}

/// Suites by name and root folder; archives are unpacked.
fn suites(path: &Path, unpacked: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    let is_archive = |path: &Path| path.to_string_lossy().ends_with(".tar.gz");
    let mut suites = Vec::new();
    let archives: Vec<PathBuf> = if path.is_dir() {
        suites.push((path.display().to_string(), path.to_owned()));
        let mut found = Vec::new();
        walk(path, &mut |file| {
            if is_archive(file) {
                found.push(file.to_owned());
            }
        })?;
        found
    } else if is_archive(path) {
        vec![path.to_owned()]
    } else {
        return Err(format!("{} is neither a folder nor a .tar.gz", path.display()));
    };
    for archive in archives {
        let name = archive.file_name().unwrap_or_default().to_string_lossy().replace(".tar.gz", "");
        let target = unpacked.join(&name);
        fs::create_dir_all(&target)
            .map_err(|e| format!("cannot make {}: {e}", target.display()))?;
        let tar = Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(&target).status();
        match tar {
            Ok(status) if status.success() => suites.push((name, target)),
            Ok(status) => {
                return Err(format!("`tar` could not unpack {}: {status}", archive.display()));
            }
            Err(e) => {
                return Err(format!(
                    "`tar` cannot be run ({e}); install it to read {}",
                    archive.display()
                ));
            }
        }
    }
    Ok(suites)
}

fn suite(name: &str, root: &Path, beside: &mut Beside<'_>, summary: &mut Summary) {
    let mut files = Vec::new();
    if let Err(error) = walk(root, &mut |file| {
        if file.extension().is_some_and(|extension| extension == "json") {
            files.push(file.to_owned());
        }
    }) {
        summary.failures.push(error);
    }
    files.sort();
    let (mut cases, mut requests) = (0, 0);
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let Ok(case) = serde_json::from_str::<Value>(&text) else { continue };
        // Entities and policies in JSON lie beside the cases.
        let (Some(policies), Some(asked)) =
            (case["policies"].as_str(), case["requests"].as_array())
        else {
            continue;
        };
        cases += 1;
        requests += asked.len();
        let base = file.ancestors().skip(1).find(|base| base.join(policies).is_file());
        match base {
            Some(base) => run_case(&file, base, &case, beside, summary),
            None => summary.failures.push(format!("{}: `{policies}` is not there", file.display())),
        }
    }
    if cases > 0 {
        summary.suites.push((name.to_owned(), cases, requests));
    }
}

/// The texts that a case names.
struct Texts {
    policies: String,
    schema: Option<String>,
    entities: String,
    links: Option<String>,
}

fn texts(base: &Path, case: &Value) -> Result<Texts, String> {
    let read = |part: &str| match case[part].as_str() {
        Some(path) => match fs::read_to_string(base.join(path)) {
            Ok(text) => Ok(Some(text)),
            Err(e) => Err(format!("cannot read `{path}`: {e}")),
        },
        None => Ok(None),
    };
    Ok(Texts {
        policies: read("policies")?.ok_or("it names no policies")?,
        schema: read("schema")?,
        entities: read("entities")?.ok_or("it names no entities")?,
        links: read("links")?,
    })
}

fn run_case(
    file: &Path,
    base: &Path,
    case: &Value,
    beside: &mut Beside<'_>,
    summary: &mut Summary,
) {
    let name = file.display();
    let texts = match texts(base, case) {
        Ok(texts) => texts,
        Err(error) => return summary.failures.push(format!("{name}: {error}")),
    };
    fn notation<'a>(text: &'a str, format: &Value) -> Notation<'a> {
        if format == "json" { Notation::Json(text) } else { Notation::Cedar(text) }
    }
    let loose = Loose {
        policies: notation(&texts.policies, &case["policyFormat"]),
        schema: texts.schema.as_deref().map(|text| notation(text, &case["schemaFormat"])),
        entities: &texts.entities,
        links: texts.links.as_deref(),
    };
    let mut engine = match Engine::new(&loose, &MODES) {
        Ok(engine) => engine,
        Err(error) => return summary.failures.push(format!("{name}: cannot be compiled: {error}")),
    };
    let should_validate = case["shouldValidate"].as_bool().filter(|_| texts.schema.is_some());
    if should_validate.is_some_and(|expected| expected != engine.validates) {
        summary
            .failures
            .push(format!("{name}: `shouldValidate`: the validator says {}", engine.validates));
    }
    let requests: Vec<&Value> = case["requests"].as_array().into_iter().flatten().collect();
    for (at, request) in requests.iter().enumerate() {
        for mode in MODES {
            let validate = request["validateRequest"].as_bool().unwrap_or(true);
            let came = engine.ask(mode, &asked(request).to_string(), true, validate);
            match expected(request) {
                Ok(expected) if came.agrees_with(&expected) => {}
                Ok(expected) => summary.failures.push(format!(
                    "{name}: request {at} ({mode:?}): expected {expected:?}, came {came:?}"
                )),
                Err(error) => summary.failures.push(format!("{name}: request {at}: {error}")),
            }
        }
    }
    if let Some(outside) = &mut beside.outside {
        let asked = requests.iter().map(|request| {
            let validate = request["validateRequest"].as_bool().unwrap_or(true);
            let expected = expected(request).ok().filter(|_| validate || texts.schema.is_none());
            (asked(request).to_string(), expected)
        });
        let failures = outside::compare(*outside, &loose, asked);
        summary.failures.extend(failures.iter().map(|failure| format!("{name}: {failure}")));
    }
    for tool in &mut beside.tools {
        if let Err(error) = run_tool(tool, case, &texts, &requests, should_validate) {
            summary.failures.push(format!("{name}: `pdp answer`: {error}"));
        }
    }
}

/// The same case through `pdp answer`.
fn run_tool(
    tool: &mut AnswerProcess,
    case: &Value,
    texts: &Texts,
    requests: &[&Value],
    should_validate: Option<bool>,
) -> Result<(), String> {
    let json = |text: &str| serde_json::from_str::<Value>(text).map_err(|e| e.to_string());
    let questions = requests.iter().map(|request| {
        let validate = request["validateRequest"].as_bool().unwrap_or(true);
        json!({ "request": asked(request), "validateRequest": validate })
    });
    let mut line = json!({
        "policies": texts.policies,
        "entities": json(&texts.entities)?,
        "requests": questions.collect::<Vec<_>>(),
    });
    for (part, text) in [("schema", &texts.schema), ("links", &texts.links)] {
        if let Some(text) = text {
            line[part] = if part == "links" { json(text)? } else { text.as_str().into() };
        }
    }
    for format in ["policyFormat", "schemaFormat"] {
        if let Some(notation) = case[format].as_str() {
            line[format] = notation.into();
        }
    }
    let answer = tool.ask(&line)?;
    let responses = answer["responses"].as_array().ok_or_else(|| format!("it says {answer}"))?;
    if should_validate.is_some_and(|expected| answer["validates"] != expected) {
        return Err(format!("validates is {}", answer["validates"]));
    }
    if responses.len() != requests.len() {
        return Err(format!("{} responses to {} requests", responses.len(), requests.len()));
    }
    for (at, (request, response)) in requests.iter().zip(responses).enumerate() {
        let expected = expected(request)?;
        if self::expected(response).as_ref() != Ok(&expected) {
            return Err(format!("request {at}: expected {expected:?}, came {response}"));
        }
    }
    Ok(())
}

/// The request part of a case, as JSON that the engine reads.
fn asked(request: &Value) -> Value {
    let uid = |part: &str| request[part].get("__entity").unwrap_or(&request[part]).clone();
    json!({
        "principal": uid("principal"),
        "action": uid("action"),
        "resource": uid("resource"),
        "context": request["context"],
    })
}

/// `decision`, `reason` and `errors`, of an expectation or of a response.
fn expected(answer: &Value) -> Result<Came, String> {
    let ids = |part: &str| -> Option<BTreeSet<String>> {
        answer[part].as_array()?.iter().map(|id| id.as_str().map(str::to_owned)).collect()
    };
    match (answer["decision"].as_str(), ids("reason"), ids("errors")) {
        (Some(decision), Some(reasons), Some(errors)) => {
            Ok(Came::Answer { allow: decision.eq_ignore_ascii_case("allow"), reasons, errors })
        }
        _ => Err(format!("no decision, reason and errors in {answer}")),
    }
}

fn walk(folder: &Path, visit: &mut impl FnMut(&Path)) -> Result<(), String> {
    let entries =
        fs::read_dir(folder).map_err(|e| format!("cannot read {}: {e}", folder.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, visit)?;
        } else {
            visit(&path);
        }
    }
    Ok(())
}
