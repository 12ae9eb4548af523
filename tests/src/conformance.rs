//! The public layout of cedar-integration-tests: JSON cases that name policies, schema and entities by path.
//!
//! Reads a folder, archives (`.tar.gz`) in it, or one archive, and runs every case found through the engine in every
//! mode. Decision, reasons, errors and `shouldValidate` must all match. All failures are reported, not the first.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pdp_core::{Loose, Notation};
use serde_json::Value;

use crate::engine::{Came, Engine, MODES, Mode};

/// What a run found.
#[derive(Debug, Default)]
pub struct Summary {
    /// Suites by name, with their numbers of cases and requests.
    pub suites: Vec<(String, usize, usize)>,
    /// A sentence for each difference.
    pub failures: Vec<String>,
}

/// Runs everything under a path.
pub fn run(path: &Path) -> Result<Summary, String> {
    let mut summary = Summary::default();
    let unpacked = std::env::temp_dir().join(format!("pdp-conformance-{}", std::process::id()));
    let result = suites(path, &unpacked).map(|suites| {
        for (name, root) in suites {
            suite(&name, &root, &mut summary);
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

fn suite(name: &str, root: &Path, summary: &mut Summary) {
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
            Some(base) => run_case(&file, base, &case, summary),
            None => summary.failures.push(format!("{}: `{policies}` is not there", file.display())),
        }
    }
    if cases > 0 {
        summary.suites.push((name.to_owned(), cases, requests));
    }
}

fn run_case(file: &Path, base: &Path, case: &Value, summary: &mut Summary) {
    let name = file.display();
    let read = |path: &Value| {
        path.as_str().map(|path| fs::read_to_string(base.join(path)).unwrap_or_default())
    };
    let notation = |text: &'_ str, format: &Value| -> bool {
        let _ = text;
        format == "json"
    };
    let policies = read(&case["policies"]).unwrap_or_default();
    let schema = read(&case["schema"]);
    let entities = read(&case["entities"]).unwrap_or("[]".to_owned());
    let links = read(&case["links"]);
    let texts = Loose {
        policies: match notation(&policies, &case["policyFormat"]) {
            true => Notation::Json(&policies),
            false => Notation::Cedar(&policies),
        },
        schema: schema.as_deref().map(|text| match notation(text, &case["schemaFormat"]) {
            true => Notation::Json(text),
            false => Notation::Cedar(text),
        }),
        entities: &entities,
        links: links.as_deref(),
    };
    let mut engine = match Engine::new(&texts) {
        Ok(engine) => engine,
        Err(error) => return summary.failures.push(format!("{name}: cannot be compiled: {error}")),
    };
    if let Some(expected) = case["shouldValidate"].as_bool().filter(|_| schema.is_some())
        && expected != engine.validates
    {
        summary.failures.push(format!(
            "{name}: shouldValidate is {expected}, the validator says {}",
            engine.validates
        ));
    }
    for (at, request) in case["requests"].as_array().into_iter().flatten().enumerate() {
        for mode in MODES {
            if let Some(failure) = run_request(&mut engine, mode, request) {
                summary.failures.push(format!("{name}: request {at} ({mode:?}): {failure}"));
            }
        }
    }
}

fn run_request(engine: &mut Engine, mode: Mode, request: &Value) -> Option<String> {
    let ids = |value: &Value| -> BTreeSet<String> {
        value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|id| id.as_str().map(str::to_owned))
            .collect()
    };
    let expected = Came::Answer {
        allow: request["decision"].as_str()?.eq_ignore_ascii_case("allow"),
        reasons: ids(&request["reason"]),
        errors: ids(&request["errors"]),
    };
    let uid = |part: &str| request[part].get("__entity").unwrap_or(&request[part]).clone();
    let asked = serde_json::json!({
        "principal": uid("principal"),
        "action": uid("action"),
        "resource": uid("resource"),
        "context": request["context"],
    });
    let validate = request["validateRequest"].as_bool().unwrap_or(true);
    let came = engine.ask(mode, &asked.to_string(), true, validate);
    (came != expected).then(|| format!("expected {expected:?}, came {came:?}"))
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
