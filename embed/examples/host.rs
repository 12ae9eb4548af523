//! Embeds the modules: `cargo run -p pdp-embed --example host -- BUNDLE`, with a file that `pdp build` wrote.
//!
//! Reads requests in JSON from standard input, one a line, and answers each by the plain exports; then asks one typed
//! question of the component, which the bundle made of `policies/documents` allows. It shows what an embedder has to do and no more: `pdp-embed` is the rest.
#![expect(unsafe_code, reason = "what is compiled ahead of time is taken as it is")]

use std::error::Error;
use std::io::{self, BufRead};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use pdp_embed::decision::{EntityUid, Request, Value};
use pdp_embed::{Exports, Host, Limits, Runtime, Said, Typed, Worker, read_artefact};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: host BUNDLE < REQUESTS")?;
    let bundle = std::fs::read(&path).map_err(|error| format!("`{path}`: {error}"))?;

    // Compiled once, by whoever ships the program; loaded in a fraction of a millisecond ever after.
    let runtime = Arc::new(Runtime::new(Limits::STANDARD)?);
    let code = Exports::precompile(&runtime, &read_artefact("pdp-exports.wasm")?)?;
    // SAFETY: made by the line above, and nobody could write to it since.
    let exports = unsafe { Exports::precompiled(&runtime, &code) }?;

    // One host for all threads, one worker a thread. A new bundle is published the same way, while calls run.
    let host = Arc::new(Host::new(exports));
    host.publish(&bundle)?;
    let mut worker = Worker::new(&host);
    for line in io::stdin().lock().lines() {
        let line = line?;
        match worker.call(|guest| guest.answer(line.as_bytes())) {
            Ok((Said::Allow, answer)) => println!("allow {answer}"),
            Ok((Said::Deny | Said::Unreadable, answer)) => println!("deny {answer}"),
            // The module was ended or trapped; the next call has a new instance.
            Err(fault) => println!("deny {fault}"),
        }
    }

    // The component takes records: for hosts that have the parts of a request in hand.
    let component = Host::new(Typed::compile(&runtime, &read_artefact("pdp-component.wasm")?)?);
    component.publish(&bundle)?;
    let request = Request {
        principal: uid("Documents::User", "mira"),
        action: uid("Documents::Action", "delete"),
        resource: uid("Documents::Document", "atlas/brief"),
        context: vec![("ip".to_owned(), Value::Ip("198.51.100.23".to_owned()))],
        parts: vec![],
        on_behalf_of: None,
        actors: vec![],
        scopes: vec![],
        entities: vec![],
        // A module has no clock: the host says what time it is.
        now: Some(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?),
    };
    let answer = Worker::new(&Arc::new(component)).call(|guest| guest.authorize(&request))?;
    println!("typed: {:?} {} {}", answer.effect, answer.reason, answer.message);
    Ok(())
}

fn uid(entity_type: &str, id: &str) -> EntityUid {
    EntityUid { entity_type: entity_type.to_owned(), id: id.to_owned() }
}
