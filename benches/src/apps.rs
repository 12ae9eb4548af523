//! Applications and policy sets that others wrote, where their data is given: the archives of the public Cedar test data.
//!
//! `benchmark-apps.tar.gz` holds applications whose entities come in several sizes, `bundles.tar.gz` sets of many
//! policies; both in the format of cedar-integration-tests. The data is not ours to commit, so it is read from a folder
//! and left out, with a note, where there is none. Nothing in them passes through a generator of ours.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use cedar_policy::PolicySet;
use serde_json::{Value, json};

use crate::workload::{Rewrite, SchemaText, Workload};

/// Sets that are measured, the ones with most policies of each kind; the rest only repeats them.
const SETS_PER_KIND: usize = 4;

/// Reads both archives.
///
/// # Errors
///
/// When one is there and cannot be read.
pub fn workloads(data: &Path, unpacked: &Path) -> Result<Vec<Workload>, String> {
    let mut workloads = Vec::new();
    for (archive, kind) in [("benchmark-apps.tar.gz", "app"), ("bundles.tar.gz", "set")] {
        let archive = data.join(archive);
        if !archive.is_file() {
            continue;
        }
        let root = unpacked.join(kind);
        unpack(&archive, &root)?;
        workloads.extend(match kind {
            "app" => applications(&root)?,
            _ => sets(&root)?,
        });
    }
    Ok(workloads)
}

fn unpack(archive: &Path, into: &Path) -> Result<(), String> {
    std::fs::create_dir_all(into).map_err(|error| in_file(into, &error))?;
    let status = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(into).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`tar` cannot unpack `{}` ({status})", archive.display())),
        Err(error) => Err(format!("`tar` cannot be run ({error}); install it")),
    }
}

/// One family an application, its size the number that its file is called.
fn applications(root: &Path) -> Result<Vec<Workload>, String> {
    let mut workloads = Vec::new();
    for folder in folders(root)? {
        let mut cases: Vec<(usize, PathBuf)> = files(&folder)?
            .into_iter()
            .filter_map(|file| Some((file.file_stem()?.to_str()?.parse().ok()?, file)))
            .collect();
        cases.sort_unstable();
        for (size, file) in cases {
            workloads.push(workload(root, &file, format!("app-{}", name(&folder)), Some(size))?);
        }
    }
    Ok(workloads)
}

/// The sets with most policies of each kind, each in its first case.
fn sets(root: &Path) -> Result<Vec<Workload>, String> {
    let mut workloads = Vec::new();
    for kind in folders(root)? {
        let mut sets = Vec::new();
        for folder in folders(&kind)? {
            let text = read(&folder.join("policies.cedar"))?;
            sets.push((text.len(), folder));
        }
        sets.sort_unstable_by(|a, b| b.cmp(a));
        for (_, folder) in sets.into_iter().take(SETS_PER_KIND) {
            let family = format!("set-{}-{}", name(&kind), name(&folder));
            workloads.push(workload(root, &folder.join("0.json"), family, None)?);
        }
    }
    Ok(workloads)
}

fn workload(
    root: &Path,
    case: &Path,
    family: String,
    size: Option<usize>,
) -> Result<Workload, String> {
    let told: Value = serde_json::from_str(&read(case)?).map_err(|error| in_file(case, &error))?;
    let text = |name: &str| match told.get(name).and_then(Value::as_str) {
        Some(path) => read(&root.join(path)).map(Some),
        None => Ok(None),
    };
    let is_json = told.get("schemaFormat").and_then(Value::as_str) == Some("json");
    let schema = text("schema")?.map(|text| match is_json {
        true => SchemaText::Json(text),
        false => SchemaText::Cedar(text),
    });
    let policies = text("policies")?.unwrap_or_default();
    let counted = PolicySet::from_str(&policies).map_err(|error| in_file(case, &error))?;
    // The same question twice would be measured twice.
    let mut questions = BTreeMap::new();
    for request in told.get("requests").and_then(Value::as_array).into_iter().flatten() {
        let named = |part: &str| {
            let uid = request.get(part).cloned().unwrap_or_default();
            uid.get("__entity").cloned().unwrap_or(uid)
        };
        let question = json!({
            "principal": named("principal"),
            "action": named("action"),
            "resource": named("resource"),
            "context": request.get("context").cloned().unwrap_or_else(|| json!({})),
        });
        questions.insert(question.to_string(), ());
    }
    Ok(Workload {
        family,
        size: size.unwrap_or_else(|| counted.num_of_policies()),
        policies,
        schema,
        entities: text("entities")?.unwrap_or_else(|| "[]".to_owned()),
        reference_entities: None,
        is_valid: told.get("shouldValidate").and_then(Value::as_bool).unwrap_or(false),
        questions: questions.into_keys().collect(),
        rewrite: Rewrite::None("others wrote it in Cedar"),
    })
}

// === files ===

fn folders(path: &Path) -> Result<Vec<PathBuf>, String> {
    Ok(entries(path)?.into_iter().filter(|path| path.is_dir()).collect())
}

fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    let is_json = |path: &PathBuf| path.extension().is_some_and(|end| end == "json");
    Ok(entries(path)?.into_iter().filter(is_json).collect())
}

fn entries(path: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(path).map_err(|error| in_file(path, &error))?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()).map_err(|error| in_file(path, &error)))
        .collect::<Result<_, _>>()?;
    paths.sort_unstable();
    Ok(paths)
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| in_file(path, &error))
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn in_file(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("cannot read `{}`: {error}", path.display())
}
