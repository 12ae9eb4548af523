//! A call that takes too long or wants too much is ended: a denial for its caller, and a new instance for the next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pdp_core::{CompileOptions, Loose, Notation, Source, Uid};
use pdp_embed::decision::{EntityUid, Request};
use pdp_embed::{Artefact, Fault, Guest, Host, Limits, Said, Worker};

use crate::bundles::{reading, small};
use crate::compiled::{PATIENT, exports, typed};

/// Calls are ended by the first epoch that they meet; loading takes what it takes.
const HASTY: Limits =
    Limits { epoch_ms: 1, call_epochs_max: 1, load_epochs_max: 600_000, ..PATIENT };

/// Many resources, and a bundle with hundreds of policies that have to be tried for each: together the work of hundreds of
/// epochs.
fn resources() -> Vec<String> {
    (0..40_000).map(|n| n.to_string()).collect()
}

fn laborious() -> Vec<u8> {
    let mut policies: String = (0..300)
        .map(|n| {
            format!(
                "forbid(principal, action, resource) when {{ context has n && context.n < {n} }};\n"
            )
        })
        .collect();
    policies.push_str("permit(principal == User::\"alice\", action, resource);");
    let loose =
        Loose { policies: Notation::Cedar(&policies), schema: None, entities: "[]", links: None };
    pdp_core::compile(&Source::loose(&loose).unwrap(), &CompileOptions::STANDARD).unwrap()
}

/// The resources in JSON.
fn listed() -> String {
    let names: Vec<String> =
        resources().iter().map(|id| format!("\"Doc::\\\"{id}\\\"\"")).collect();
    format!("[{}]", names.join(","))
}

#[test]
fn an_epoch_ends_a_call_and_the_instance_is_not_used_again() {
    let resources = listed();
    let (request, bundle) = (reading("alice"), laborious());
    let mut guest = exports(HASTY).instantiate().unwrap();
    guest.load(&bundle).unwrap().unwrap();
    let error = guest.filter(request.as_bytes(), resources.as_bytes()).unwrap_err();
    assert!(format!("{error:?}").contains("interrupt"), "{error:?}");
    // Whoever keeps it nevertheless is denied: what was in force when it was ended is not known.
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let error = guest.authorize(request.as_bytes()).unwrap_err();
        let told = format!("{error:?}");
        if told.contains("make a new instance") {
            break;
        }
        // On a busy machine this call may meet its epoch, too.
        assert!(told.contains("interrupt"), "{told}");
        assert!(Instant::now() < deadline, "the instance does not say that it is broken");
    }
}

#[test]
fn a_worker_is_denied_once_and_goes_on() {
    let (request, resources) = (reading("alice"), listed());
    let host = Arc::new(Host::new(exports(HASTY)));
    host.publish(&laborious()).unwrap();
    let mut worker = Worker::new(&host);
    let fault = worker.call(|guest| guest.filter(request.as_bytes(), resources.as_bytes()));
    assert!(matches!(fault, Err(Fault::Ended(_))), "{fault:?}");
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match worker.call(|guest| guest.authorize(request.as_bytes())) {
            Ok(said) => {
                assert_eq!(said, Said::Allow);
                break;
            }
            Err(fault) => assert!(matches!(fault, Fault::Ended(_)), "{fault}"),
        }
        assert!(Instant::now() < deadline, "the worker does not come back");
    }
}

#[test]
fn an_epoch_ends_a_call_of_the_component() {
    let host = Arc::new(Host::new(typed(HASTY)));
    host.publish(&laborious()).unwrap();
    let mut worker = Worker::new(&host);
    let (alice, read) = (Uid::new("User", "alice"), Uid::new("Action", "read"));
    let asked = pdp_core::Request::new(alice, read, Uid::new("Doc", "a"), &[]);
    let request = Request::from(&asked);
    let names: Vec<EntityUid> = resources().iter().map(|id| Uid::new("Doc", id).into()).collect();
    let fault = worker.call(|guest| guest.filter(&request, &names));
    assert!(matches!(fault, Err(Fault::Ended(_))), "{fault:?}");
}

#[test]
fn a_bundle_that_does_not_fit_is_refused_and_the_last_one_stays() {
    let tight = Limits { memory_bytes_max: 4 << 20, ..PATIENT };
    let host = Arc::new(Host::new(exports(tight)));
    let mut worker = Worker::new(&host);
    let none = worker.call(|guest| guest.authorize(reading("alice").as_bytes()));
    assert!(matches!(none, Err(Fault::NoBundle)), "{none:?}");
    host.publish(&small("alice", 0)).unwrap();
    let large = small("bob", 20_000);
    assert!(large.len() > 1 << 20, "{} bytes", large.len());
    let why = host.publish(&large).unwrap_err();
    assert!(why.starts_with("the bundle cannot be loaded: "), "{why}");
    let said = |worker: &mut Worker<_>, who: &str| {
        worker.call(|guest: &mut pdp_embed::ExportsGuest| guest.authorize(reading(who).as_bytes()))
    };
    assert_eq!(said(&mut worker, "alice").unwrap(), Said::Allow);
    assert_eq!(said(&mut worker, "bob").unwrap(), Said::Deny);
    // With room, it is a bundle like any other.
    let host = Arc::new(Host::new(exports(PATIENT)));
    host.publish(&large).unwrap();
    assert_eq!(said(&mut Worker::new(&host), "bob").unwrap(), Said::Allow);
}

#[test]
fn more_instances_than_the_pool_has_are_refused() {
    let few = Limits { instances_max: 2, ..PATIENT };
    let exports = exports(few);
    let (first, second) = (exports.instantiate(), exports.instantiate());
    assert!(first.is_ok() && second.is_ok());
    assert!(exports.instantiate().is_err());
    drop(first);
    assert!(exports.instantiate().is_ok(), "what is given back is handed out again");
}
