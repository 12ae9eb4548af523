//! Health in the standard `grpc.health.v1`, for the whole server and for each service by itself.
//!
//! | name | serving while |
//! |---|---|
//! | empty | a bundle decides |
//! | `pdp.v1.Authorization` | a bundle decides |
//! | `envoy.service.auth.v3.Authorization` | a bundle decides that has routes |
//!
//! It looks, because nobody tells it when a bundle takes another one's place; those who watch hear of changes alone.

use std::time::Duration;

use pdp_core::Live;
use tokio::time::{MissedTickBehavior, interval};
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::ext_authz::ExtAuthzService;
use crate::service::AuthorizationService;

/// What health is told of.
const NAMES: [&str; 3] =
    ["", <AuthorizationService as NamedService>::NAME, <ExtAuthzService as NamedService>::NAME];

/// Keeps health in step with what is served.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    reporter: HealthReporter,
}

/// The status of each name, in the order of the names.
type Statuses = [ServingStatus; NAMES.len()];

// === impl Health ===

impl Health {
    /// Reports what is so now.
    pub(crate) async fn begin(live: &Live) -> Self {
        let health = Self { reporter: HealthReporter::new() };
        health.report(statuses(live), None).await;
        health
    }

    /// What answers clients.
    pub(crate) fn reporter(&self) -> HealthReporter {
        self.reporter.clone()
    }

    /// Follows what is served, for ever.
    pub(crate) async fn follow(&self, live: &Live, every: Duration) {
        let mut reported = statuses(live);
        self.report(reported, None).await;
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = statuses(live);
            self.report(now, Some(reported)).await;
            reported = now;
        }
    }

    /// Says that nothing is served any more.
    pub(crate) async fn end(&self) {
        self.report([ServingStatus::NotServing; NAMES.len()], None).await;
    }

    /// Ends the streams of those who watch; they have their last status, and would keep their connections open.
    pub(crate) async fn end_watching(mut self) {
        for name in NAMES {
            self.reporter.clear_service_status(name).await;
        }
    }

    async fn report(&self, now: Statuses, before: Option<Statuses>) {
        for (at, (name, status)) in NAMES.iter().zip(now).enumerate() {
            if before.and_then(|before| before.get(at).copied()) != Some(status) {
                self.reporter.set_service_status(*name, status).await;
            }
        }
    }
}

fn statuses(live: &Live) -> Statuses {
    let decider = live.snapshot();
    let serving = |is_so| if is_so { ServingStatus::Serving } else { ServingStatus::NotServing };
    let bundle = decider.bundle();
    let decides = serving(bundle.is_some());
    [decides, decides, serving(bundle.is_some_and(|bundle| bundle.routes().is_some()))]
}
