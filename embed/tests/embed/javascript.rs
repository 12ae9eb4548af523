//! The JavaScript example, run by Node: the component through `jco` decides as the engine does.
//!
//! `jco` is fetched once through npm into `target/parts`, at the version that `embed/js/package.json` pins.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pdp_wasm::desk::Desk;

use crate::bundles::{examples, reading, small};

fn js() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("js")
}

/// Runs a program to its end in a folder and gives what it printed.
fn run(folder: &Path, program: &str, args: &[&str]) -> String {
    let line = format!("{program} {}", args.join(" "));
    let output = Command::new(program).args(args).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| {
        panic!("`{line}` does not start: {error}; these tests need Node with npm")
    });
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{line}` failed:\n{error}");
    String::from_utf8(output.stdout).unwrap()
}

/// The folder with `jco`; installed whole or not at all.
fn jco() -> PathBuf {
    let manifest = fs::read_to_string(js().join("package.json")).unwrap();
    let version = manifest.split("jco\": \"").nth(1).and_then(|rest| rest.split('"').next());
    let parts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/parts");
    let home = parts.join(format!("jco-{}", version.unwrap()));
    if !home.is_dir() {
        let aside = home.with_extension("part");
        let _ = fs::remove_dir_all(&aside);
        fs::create_dir_all(&aside).unwrap();
        fs::write(aside.join("package.json"), manifest).unwrap();
        run(&aside, "npm", &["install", "--no-audit", "--no-fund", "--loglevel=error"]);
        fs::rename(&aside, &home).unwrap();
    }
    home
}

/// A string in JSON.
fn quoted(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    texts.join(",")
}

#[test]
fn the_example_decides_as_the_engine() {
    let component = pdp_embed::artefact("pdp-component.wasm");
    pdp_embed::read_artefact("pdp-component.wasm").unwrap_or_else(|why| panic!("{why}"));
    let jco = jco();
    let work = jco.join(format!("work-{}", std::process::id()));
    fs::create_dir_all(&work).unwrap();
    let (from, to) = (component.display().to_string(), work.join("component"));
    let to = to.display().to_string();
    run(&jco, "node", &["node_modules/.bin/jco", "transpile", &from, "-o", &to]);

    let file = |name: &str, bytes: &[u8]| {
        let path = work.join(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    // Beside the component's code, which is a JavaScript module.
    let decide = js().join("decide.mjs").display().to_string();
    let code = format!("{to}/pdp-component.js");
    file("package.json", b"{\"type\": \"module\"}");
    let mut asked = 0;
    let bundles = examples().into_iter().map(|example| {
        let requests: Vec<String> = example.requests().map(str::to_owned).collect();
        (example.name, example.bytes, requests)
    });
    let unreadable = vec![reading("alice"), reading("bob"), "{}".to_owned(), "[".to_owned()];
    let small = ("small".to_owned(), small("alice", 0), unreadable);
    for (name, bytes, requests) in bundles.chain([small]) {
        let mut desk = Desk::new();
        desk.load(&bytes).unwrap();
        let expected: Vec<String> = requests
            .iter()
            .map(|request| {
                let answer = desk.answer(request.as_bytes());
                let answer = answer.unwrap_or_else(|why| desk.refused(why));
                format!(
                    "{{\"decision\":\"{}\",\"reason\":\"{}\",\"policies\":[{}],\"message\":{:?}}}",
                    answer.effect.as_str(),
                    answer.reason.as_str(),
                    quoted(&answer.policies),
                    answer.message
                )
            })
            .collect();
        let lines = requests.join("\n");
        let (bundle, lines) = (file("bundle.pdpb", &bytes), file("requests", lines.as_bytes()));
        let printed = run(&work, "node", &[&decide, &code, &bundle, &lines]);
        let mut printed: Vec<&str> = printed.lines().collect();
        let typed = printed.pop().unwrap();
        assert_eq!(printed, expected);
        // The example's own question is about the bundle of documents.
        let word = if name.ends_with("documents") { "allow" } else { "deny" };
        assert!(typed.starts_with(&format!("{{\"typed\":\"{word}\"")), "{name}: {typed}");
        asked += printed.len();
    }
    assert!(asked > 80, "{asked}");
    fs::remove_dir_all(&work).unwrap();
}
