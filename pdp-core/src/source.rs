//! From files or texts to something that can be compiled: read, parsed, checked.
//!
//! Passes run one after the other (files, policies, schema, links, validation, entities, references, cases, routes), each
//! reports everything it finds, and the first with an error is the last. Parsing runs on a thread of its own whose
//! stack is large enough for the nesting that `nesting` lets through.

mod cedar;
mod check;
mod file;
mod manifest;
mod nesting;
mod parts;
mod routes;
mod threads;
pub(crate) mod tree;

use std::path::Path;

use crate::cases::Case;
use crate::codes::{self, Diagnostic, Report};
use crate::limits::SourceLimits;
use crate::routes::RouteTable;

use cedar::{Finding, Front, Naming, PolicyText, Verdict};
use file::NO_FILE;
pub(crate) use file::TextFile;
pub(crate) use manifest::Manifest;
pub(crate) use threads::on_large_stack;
use tree::{EntityTree, PolicyTree, SchemaTree};

/// Policies, schema, entities and links: read, parsed and checked, ready for [`crate::compile()`].
#[derive(Debug)]
pub struct Source {
    pub(crate) manifest: Manifest,
    pub(crate) files: Vec<TextFile>,
    pub(crate) policies: Vec<PolicyTree>,
    pub(crate) schema: Option<SchemaTree>,
    pub(crate) entities: Vec<EntityTree>,
    pub(crate) cases: Vec<Case>,
    pub(crate) routes: Option<RouteTable>,
    validates: bool,
    warnings: Report,
}

/// A text in one of Cedar's two notations.
#[derive(Clone, Copy, Debug)]
pub enum Notation<'a> {
    /// Cedar's own syntax.
    Cedar(&'a str),
    /// Cedar's JSON.
    Json(&'a str),
}

/// Texts without a folder and without a manifest.
#[derive(Clone, Copy, Debug)]
pub struct Loose<'a> {
    /// The policy set. Policies in Cedar syntax are named `policy0`, `policy1`, … by position; JSON keeps its ids.
    pub policies: Notation<'a>,
    /// The schema, if any.
    pub schema: Option<Notation<'a>>,
    /// Entities: a JSON array.
    pub entities: &'a str,
    /// Template links: a JSON array. Where there are links, a policy's `@id` names it.
    pub links: Option<&'a str>,
}

/// What a folder holds, by kind.
#[derive(Debug, Default)]
struct Folder {
    manifest: String,
    policies: Vec<TextFile>,
    schema: Option<(TextFile, bool)>,
    links: Option<TextFile>,
    entities: Vec<TextFile>,
    cases: Option<TextFile>,
    routes: Option<TextFile>,
}

// === impl Source ===

impl Source {
    /// Reads a bundle folder.
    ///
    /// # Errors
    ///
    /// All findings of the first pass that has an error.
    pub fn folder(path: &Path) -> Result<Self, Report> {
        let limits = SourceLimits::STANDARD;
        let folder = Folder::read(path, &limits)?;
        on_large_stack(&limits, || Self::from_folder(folder, &limits))
    }

    /// Reads loose texts, in Cedar's own semantics: a forbid that errors is skipped, references may dangle, and what
    /// the strict validator says is a fact to ask for, not a condition.
    ///
    /// # Errors
    ///
    /// When policies, schema, entities or links cannot be read.
    pub fn loose(texts: &Loose<'_>) -> Result<Self, Report> {
        let limits = SourceLimits::STANDARD;
        on_large_stack(&limits, || Self::from_loose(texts, &limits))
    }

    /// Whether the policies pass the strict validator; without a schema there is nothing to fail.
    pub fn validates(&self) -> bool {
        self.validates
    }

    /// What was noted while reading.
    pub fn warnings(&self) -> &Report {
        &self.warnings
    }

    fn from_folder(folder: Folder, limits: &SourceLimits) -> Result<Self, Report> {
        let manifest = Manifest::read(&folder.manifest)
            .map_err(|e| toml_finding(codes::MANIFEST, "bundle.toml", &folder.manifest, e))?;
        let mut report = Report::default();
        for file in folder.policies.iter().chain(folder.schema.as_ref().map(|(file, _)| file)) {
            nested(file, limits, &mut report);
        }
        let mut report = report.or_errors()?;
        let mut front = Front::default();
        // Policies are validated while they are read; what is wrong with the schema is told in its turn.
        let schema = folder.schema.as_ref().map(|(file, json)| front.schema(&file.text, *json));
        let texts: Vec<PolicyText<'_>> = folder
            .policies
            .iter()
            .enumerate()
            .map(|(at, file)| PolicyText {
                file: at,
                text: &file.text,
                naming: Naming::AnnotationOrFile(&file.name),
            })
            .collect();
        for (at, findings) in front.read(&texts, folder.links.is_some(), limits) {
            let file = folder.policies.get(at).unwrap_or(&NO_FILE);
            report_all(&mut report, codes::POLICY, file, findings);
        }
        check::names(&front, &folder.policies, &mut report);
        let mut report = report.or_errors()?;
        if let (Some((file, _)), Some(read)) = (&folder.schema, schema) {
            match read {
                Ok(warnings) => report_all(&mut report, codes::SCHEMA_WARNING, file, warnings),
                Err(findings) => report_all(&mut report, codes::SCHEMA, file, findings),
            }
        }
        if let Some(file) = &folder.links {
            links(&mut front, file, &mut report);
        }
        check::templates(&front, &folder.policies, &mut report);
        let mut report = report.or_errors()?;
        let Verdict { errors, warnings, .. } = front.validate();
        let files = check::files_of(&front, &folder.policies);
        for (code, findings) in [(codes::VALIDATION, errors), (codes::VALIDATOR, warnings)] {
            for finding in findings {
                let file = finding.policy.as_deref().and_then(|policy| files.get(policy));
                report_all(&mut report, code, file.unwrap_or(&&NO_FILE), vec![finding]);
            }
        }
        let mut report = report.or_errors()?;
        let mut entities = Vec::new();
        for file in &folder.entities {
            match front.entities(&file.text, limits) {
                Ok(found) => entities.push((file, found)),
                Err(finding) => report_all(&mut report, codes::ENTITIES, file, vec![finding]),
            }
        }
        if folder.entities.is_empty() {
            // The schema's actions are entities, too.
            entities.extend(front.entities("[]", limits).ok().map(|found| (&NO_FILE, found)));
        }
        let entities = check::merge(entities, folder.schema.is_some(), &mut report);
        let mut report = report.or_errors()?;
        let policies = front.policies().map_err(|finding| {
            all(codes::POLICY, folder.policies.first().unwrap_or(&NO_FILE), vec![finding])
        })?;
        let schema = front.schema_tree();
        if policies.is_empty() {
            let help = "add a `.cedar` file with a policy, or link the templates in links.json";
            report.push(Diagnostic::new(codes::EMPTY, "the bundle has no policy").help(help));
        }
        if manifest.entities_complete {
            check::references(
                &entities,
                &policies,
                &folder.policies,
                &folder.entities,
                schema.as_ref(),
                &mut report,
            );
        }
        check::manifest(&manifest, schema.as_ref(), &mut report);
        check::unconstrained(&policies, &folder.policies, &mut report);
        let mut cases = Vec::new();
        if let Some(file) = &folder.cases {
            match manifest::cases(&file.text, manifest.case_time) {
                Ok(found) => cases = found,
                Err(errors) => {
                    for error in errors {
                        report.items.extend(
                            toml_finding(codes::CASES, &file.name, &file.text, error).items,
                        );
                    }
                }
            }
        }
        let mut routes = None;
        if let Some(file) = &folder.routes {
            match routes::read(&file.text, schema.as_ref()) {
                Ok(table) => routes = Some(table),
                Err(errors) => {
                    for error in errors {
                        let found = toml_finding(codes::ROUTES, &file.name, &file.text, error);
                        report.items.extend(found.items);
                    }
                }
            }
        }
        let warnings = report.or_errors()?;
        let files = folder.policies;
        Ok(Self {
            manifest,
            files,
            policies,
            schema,
            entities,
            cases,
            routes,
            validates: true,
            warnings,
        })
    }

    fn from_loose(texts: &Loose<'_>, limits: &SourceLimits) -> Result<Self, Report> {
        let mut report = Report::default();
        let (policies, json) = match texts.policies {
            Notation::Cedar(text) => (TextFile::new("policies.cedar", text), false),
            Notation::Json(text) => (TextFile::new("policies.json", text), true),
        };
        let schema = texts.schema.map(|schema| match schema {
            Notation::Cedar(text) => (TextFile::new("schema.cedarschema", text), false),
            Notation::Json(text) => (TextFile::new("schema.json", text), true),
        });
        if !json {
            nested(&policies, limits, &mut report);
        }
        if let Some((file, false)) = &schema {
            nested(file, limits, &mut report);
        }
        let mut report = report.or_errors()?;
        let mut front = Front::default();
        let naming = if texts.links.is_some() { Naming::Annotation } else { Naming::Position };
        // Policies are validated while they are read; what is wrong with the schema is told in its turn.
        let read_schema = schema.as_ref().map(|(file, json)| front.schema(&file.text, *json));
        let refused = match json {
            true => front
                .add_policies_json(0, &policies.text)
                .err()
                .map(|f| (0, f))
                .into_iter()
                .collect(),
            false => {
                let text = PolicyText { file: 0, text: &policies.text, naming };
                front.read(&[text], texts.links.is_some(), limits)
            }
        };
        for (_, findings) in refused {
            report_all(&mut report, codes::POLICY, &policies, findings);
        }
        let mut report = report.or_errors()?;
        check::repeated(&front, std::slice::from_ref(&policies), &mut report);
        let mut report = report.or_errors()?;
        if let (Some((file, _)), Some(read)) = (&schema, read_schema) {
            read.map_err(|findings| all(codes::SCHEMA, file, findings))?;
        }
        if let Some(text) = texts.links {
            links(&mut front, &TextFile::new("links.json", text), &mut report);
        }
        let report = report.or_errors()?;
        let errors = front.validate().errors;
        let entities_file = TextFile::new("entities.json", texts.entities);
        let entities = front
            .entities(texts.entities, limits)
            .map_err(|finding| all(codes::ENTITIES, &entities_file, vec![finding]))?;
        let mut trees =
            front.policies().map_err(|finding| all(codes::POLICY, &policies, vec![finding]))?;
        let mut files = vec![policies];
        if json {
            print(&front, &mut trees, &mut files);
        }
        Ok(Self {
            manifest: Manifest::cedar("loose"),
            files,
            policies: trees,
            schema: front.schema_tree(),
            entities,
            cases: Vec::new(),
            routes: None,
            validates: errors.is_empty(),
            warnings: report,
        })
    }
}

/// Gives policies that came as JSON a text in Cedar's syntax.
fn print(front: &Front, trees: &mut [PolicyTree], files: &mut Vec<TextFile>) {
    let mut text = String::new();
    for tree in trees {
        tree.place.start = text.len();
        text.push_str(&front.printed(&tree.id));
        tree.place.end = text.len();
        text.push('\n');
    }
    files.clear();
    files.push(TextFile::new("policies.json", text));
}

fn links(front: &mut Front, file: &TextFile, report: &mut Report) {
    match check::links(&file.text) {
        Ok(links) => {
            for link in links {
                if let Err(finding) = front.link(&link) {
                    let at = file.text.find(&format!("\"{}\"", link.link_id));
                    let finding = Finding { span: at.map(|at| (at, at + link.link_id.len() + 2)), ..finding };
                    report_all(report, codes::LINK, file, vec![finding]);
                }
            }
        }
        Err(message) => report.push(Diagnostic::new(codes::LINKS, message).in_file(&file.name).help(
            "a link is {\"template_id\": …, \"link_id\": …, \"args\": {\"?principal\": \"Type::\\\"id\\\"\"}}",
        )),
    }
}

fn nested(file: &TextFile, limits: &SourceLimits, report: &mut Report) {
    if let Some(at) = nesting::too_deep(&file.text, limits.nesting_max, limits.literal_nesting_max)
    {
        let message = format!(
            "the text nests deeper than {} levels, or {} of sets, records and blocks",
            limits.nesting_max, limits.literal_nesting_max
        );
        let item = file.mark(Diagnostic::new(codes::TOO_DEEP, message), at, at + 1);
        report.push(item.help("name parts of the condition in policies of their own"));
    }
}

fn report_all(report: &mut Report, code: &'static str, file: &TextFile, findings: Vec<Finding>) {
    report.items.extend(all(code, file, findings).items);
}

fn all(code: &'static str, file: &TextFile, findings: Vec<Finding>) -> Report {
    let mut report = Report::default();
    for finding in findings {
        let mut item = Diagnostic::new(code, finding.message);
        if !file.name.is_empty() {
            item = item.in_file(&file.name);
        }
        if let Some((start, end)) =
            finding.span.filter(|(start, _)| *start <= file.text.len() && !file.text.is_empty())
        {
            item = item.at_line(&file.text, file.line(start), start, end);
        }
        item.help = finding.help;
        report.push(item);
    }
    report
}

fn toml_finding(code: &'static str, name: &str, text: &str, error: manifest::TomlError) -> Report {
    let mut item = Diagnostic::new(code, error.message).in_file(name);
    if let Some((start, end)) = error.span {
        item = item.at(text, start, end);
    }
    item.into()
}

// === impl Folder ===

impl Folder {
    fn read(path: &Path, limits: &SourceLimits) -> Result<Self, Report> {
        let mut folder = Folder::default();
        let names = file_names(path)?;
        if !names.iter().any(|name| name == "bundle.toml") {
            let message = format!("{} is no bundle folder: it has no bundle.toml", path.display());
            let help = "`pdp init DIR` makes a folder to start from";
            return Err(Diagnostic::new(codes::MANIFEST, message).help(help).into());
        }
        for name in &names {
            let file = || TextFile::read(path, name, limits);
            match name.as_str() {
                "bundle.toml" => folder.manifest = file()?.text,
                "links.json" => folder.links = Some(file()?),
                "cases.toml" => folder.cases = Some(file()?),
                "routes.toml" => folder.routes = Some(file()?),
                "schema.cedarschema" | "schema.json" if folder.schema.is_some() => {
                    let message = "there is a schema.cedarschema and a schema.json";
                    return Err(Diagnostic::new(codes::SCHEMA, message)
                        .help("keep one of them")
                        .into());
                }
                "schema.cedarschema" => folder.schema = Some((file()?, false)),
                "schema.json" => folder.schema = Some((file()?, true)),
                name if name.ends_with(".cedar") => folder.policies.push(file()?),
                _ => {}
            }
        }
        let entities = path.join("entities");
        if entities.is_dir() {
            for name in file_names(&entities)?.iter().filter(|name| name.ends_with(".json")) {
                folder.entities.push(TextFile::read(path, &format!("entities/{name}"), limits)?);
            }
        }
        Ok(folder)
    }
}

/// Names of a folder's files, sorted, so that a bundle does not depend on the file system's order.
fn file_names(path: &Path) -> Result<Vec<String>, Report> {
    let refuse = |error: std::io::Error| {
        Diagnostic::new(codes::IO, format!("cannot read {}: {error}", path.display()))
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(refuse)? {
        let entry = entry.map_err(refuse)?;
        if let Ok(name) = entry.file_name().into_string()
            && !name.starts_with('.')
            && !entry.path().is_dir()
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
