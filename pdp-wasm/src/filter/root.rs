//! One virtual machine: its settings, the bundle in force in it, and what it does at every tick.
//!
//! A bundle is loaded, with every check of loading, before it takes the place of the last one; what fails changes a counter
//! and nothing else. A machine that starts anew takes what the others share before its first call. Calls hold the bundle
//! they began with.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use pdp_core::{Bundle, Decider, LoadLimits, Reason};
use pdp_edge::Shown;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType, MapType};

use super::host::{self, Metric, SharedData};
use super::judge::{Needs, Room, Setting};
use super::log::Log;
use super::names::{Names, draw};
use super::poll::{Board, Parcel, Poller, Reply};
use super::settings::{LogSettings, Origin, Settings};
use super::stream::Stream;

/// The bundle in force, and what its routes ask of a call.
#[derive(Debug)]
pub(super) struct InForce {
    pub(super) decider: Decider,
    pub(super) needs: Needs,
}

/// What calls share with the machine.
#[derive(Debug)]
pub(super) struct Desk {
    in_force: RefCell<Rc<InForce>>,
    /// Taken out while in use.
    room: RefCell<Option<Box<Room>>>,
    names: Names,
    log: Option<(LogSettings, RefCell<Log>)>,
    pub(super) body_bytes_max: usize,
    pub(super) source_ip: bool,
    list_ttl_ms_max: u64,
    metrics: Metrics,
}

/// What is counted.
#[derive(Debug)]
struct Metrics {
    allowed: Metric,
    denied: Vec<(Reason, Metric)>,
    errors: Metric,
    bundle_revision: Metric,
    bundle_swaps: Metric,
    bundle_refused: Metric,
    fetch_failed: Metric,
    log_dropped: Metric,
    log_failed: Metric,
}

/// The machine.
#[derive(Debug, Default)]
pub(super) struct Root {
    desk: Option<Rc<Desk>>,
    digest: Option<String>,
    poll: Option<Poll>,
    /// The batch that is under way.
    sending: Option<u32>,
    /// When the next batch is due.
    log_due_ms: u64,
}

/// How the bundle is fetched.
#[derive(Debug)]
struct Poll {
    poller: Poller,
    cluster: String,
    authority: String,
    path: String,
    timeout: Duration,
    /// What is under way.
    fetching: Option<u32>,
}

/// As much as the proxy takes of an answer.
const LIMITS: LoadLimits = LoadLimits { bundle_bytes_max: 32 << 20 };
/// Counts the machines that share memory.
const MACHINES: &str = "pdp/machines";

// === impl Root ===

impl Root {
    /// # Errors
    ///
    /// A sentence about what is wrong with the configuration.
    fn configure(&mut self) -> Result<(), String> {
        let json = host::buffer(BufferType::PluginConfiguration, usize::MAX);
        let settings = Settings::read(&json.unwrap_or_default())?;
        let now = host::since_1970();
        let started = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let node = hostcalls::get_property(vec!["node", "id"]).ok().flatten().unwrap_or_default();
        let drawn = draw(started, machine(), &node);
        let tick_ms = settings.tick_ms();
        let desk = Rc::new(Desk::new(&settings, Names::new(drawn)));
        self.digest = settings.digest;
        self.desk = Some(Rc::clone(&desk));
        self.poll = None;
        match settings.origin {
            Origin::Inline(bytes) => {
                let bundle = self.load(&bytes)?;
                desk.install(bundle);
            }
            Origin::Fetch(fetch) => {
                self.poll = Some(Poll {
                    poller: Poller::new(&fetch, drawn),
                    timeout: Duration::from_millis(fetch.timeout_ms),
                    cluster: fetch.cluster,
                    authority: fetch.authority,
                    path: fetch.path,
                    fetching: None,
                });
                // What others have fetched is there at once.
                self.take_news();
            }
        }
        if tick_ms > 0 {
            let _ = hostcalls::set_tick_period(Duration::from_millis(tick_ms));
        }
        Ok(())
    }

    /// A bundle from its bytes, as it is wanted. A signature, once there is one, is looked at here, before anything else.
    fn load(&self, bytes: &[u8]) -> Result<Bundle, String> {
        let bundle = Bundle::load(bytes, &LIMITS).map_err(|error| error.to_string())?;
        match &self.digest {
            Some(wanted) if wanted != bundle.digest_hex() => Err(format!(
                "the bundle has the digest `{}`, and `digest` wants `{wanted}`",
                bundle.digest_hex()
            )),
            _ => Ok(bundle),
        }
    }

    /// Takes what another machine has fetched.
    fn take_news(&mut self) {
        let parcel = self.poll.as_mut().and_then(|poll| poll.poller.news(&SharedData));
        let (Some(Parcel { bundle, .. }), Some(desk)) = (parcel, &self.desk) else { return };
        match self.load(&bundle) {
            Ok(bundle) => desk.install(bundle),
            Err(error) => desk.refused(&error),
        }
    }

    /// Fetches, if it is this machine's turn.
    fn fetch(&mut self, now_ms: u64) {
        let (Some(poll), Some(desk)) = (&mut self.poll, &self.desk) else { return };
        if !poll.poller.is_due(&SharedData, now_ms) {
            return;
        }
        let mut headers = vec![
            (":method", "GET"),
            (":authority", poll.authority.as_str()),
            (":path", poll.path.as_str()),
        ];
        if desk.has_bundle() {
            headers.extend(poll.poller.etag().map(|etag| ("if-none-match", etag)));
        }
        match hostcalls::dispatch_http_call(&poll.cluster, headers, None, vec![], poll.timeout) {
            Ok(token) => poll.fetching = Some(token),
            Err(_) => {
                poll.poller.ended();
                desk.metrics.fetch_failed.add(1);
            }
        }
    }

    /// Takes in what was fetched.
    fn fetched(&mut self, num_headers: usize, body_size: usize) {
        let Some(desk) = self.desk.clone() else { return };
        if let Some(poll) = &mut self.poll {
            poll.fetching = None;
            poll.poller.ended();
        }
        let reply = match num_headers {
            0 => Reply::Nothing,
            _ => {
                let header = |name| {
                    hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, name)
                        .ok()
                        .flatten()
                };
                let body = host::buffer(BufferType::HttpCallResponseBody, body_size);
                Reply::read(header(":status").as_deref(), header("etag"), body.unwrap_or_default())
            }
        };
        let (etag, bytes) = match reply {
            Reply::Unchanged => return,
            Reply::Nothing => return desk.metrics.fetch_failed.add(1),
            Reply::Bundle(etag, bytes) => (etag, bytes),
        };
        let bundle = match self.load(&bytes) {
            Ok(bundle) => bundle,
            Err(error) => return desk.refused(&error),
        };
        let Some(poll) = &mut self.poll else { return };
        if desk.has(&bundle) {
            // A server without marks sends what there is already.
            poll.poller.same(&etag);
        } else if poll.poller.publish(&SharedData, host::now_ms(), &etag, &bytes) {
            desk.install(bundle);
        }
    }

    /// Sends the next batch of the log.
    fn send(&mut self, now_ms: u64) {
        let Some((settings, log)) = self.desk.as_ref().and_then(|desk| desk.log.as_ref()) else {
            return;
        };
        if now_ms < self.log_due_ms || self.sending.is_some() {
            return;
        }
        self.log_due_ms = now_ms + settings.every_ms;
        let Some(batch) = log.borrow_mut().batch() else { return };
        let headers = vec![
            (":method", "POST"),
            (":authority", settings.authority.as_str()),
            (":path", settings.path.as_str()),
            ("content-type", "application/x-ndjson"),
        ];
        let timeout = Duration::from_millis(settings.timeout_ms);
        match hostcalls::dispatch_http_call(
            &settings.cluster,
            headers,
            Some(&batch),
            vec![],
            timeout,
        ) {
            Ok(token) => self.sending = Some(token),
            Err(_) => self.sent(false),
        }
    }

    /// Hears whether the batch arrived.
    fn sent(&mut self, arrived: bool) {
        self.sending = None;
        let Some(desk) = &self.desk else { return };
        if let Some((_, log)) = &desk.log {
            let dropped = log.borrow_mut().arrived(arrived);
            desk.metrics.log_dropped.add(dropped);
            desk.metrics.log_failed.add(u64::from(!arrived));
        }
    }
}

impl Context for Root {
    fn on_http_call_response(
        &mut self,
        token: u32,
        num_headers: usize,
        body_size: usize,
        _: usize,
    ) {
        if self.sending == Some(token) {
            let status = match num_headers {
                0 => None,
                _ => hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, ":status")
                    .ok()
                    .flatten(),
            };
            self.sent(status.is_some_and(|status| status.starts_with(b"2")));
        } else if self.poll.as_ref().is_some_and(|poll| poll.fetching == Some(token)) {
            self.fetched(num_headers, body_size);
        }
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        match self.configure() {
            Ok(()) => true,
            Err(error) => {
                host::warn(&format!("pdp: {error}"));
                false
            }
        }
    }

    fn on_tick(&mut self) {
        let now_ms = host::now_ms();
        self.take_news();
        self.fetch(now_ms);
        self.send(now_ms);
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        // Without a configuration the proxy has no calls for it.
        let desk = self.desk.as_ref()?;
        Some(Box::new(Stream::new(Rc::clone(desk))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// The number of this machine among those that share memory.
fn machine() -> u64 {
    loop {
        let (count, state) = SharedData.read(MACHINES);
        let count = count.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
        let number = count.unwrap_or(0) + 1;
        if SharedData.write(MACHINES, &number.to_le_bytes(), state) {
            return number;
        }
    }
}

// === impl Desk ===

impl Desk {
    fn new(settings: &Settings, names: Names) -> Self {
        let nothing = InForce { decider: Decider::no_bundle(), needs: Needs::default() };
        let log = settings.log.as_ref().map(|log| {
            let lines = Log::new(log.batch_bytes_max, log.queue_bytes_max);
            (log.clone(), RefCell::new(lines))
        });
        Self {
            in_force: RefCell::new(Rc::new(nothing)),
            room: RefCell::new(None),
            names,
            log,
            body_bytes_max: settings.body_bytes_max,
            source_ip: settings.source_ip,
            list_ttl_ms_max: settings.list_ttl_ms_max,
            metrics: Metrics::new(),
        }
    }

    /// What a call decides by, from its beginning to its end.
    pub(super) fn snapshot(&self) -> Rc<InForce> {
        Rc::clone(&self.in_force.borrow())
    }

    /// Works with memory that is used again.
    pub(super) fn with_room<T>(&self, work: impl FnOnce(&mut Room) -> T) -> T {
        let mut room = self.room.take().unwrap_or_else(|| Box::new(Room::new()));
        let done = work(&mut room);
        self.room.replace(Some(room));
        done
    }

    /// The circumstances of a decision that is made now.
    pub(super) fn setting(&self) -> Setting<'_> {
        let now_ms = host::now_ms();
        Setting {
            now: host::datetime(now_ms),
            id: self.names.next(now_ms),
            list_ttl_ms_max: self.list_ttl_ms_max,
            shown: self
                .log
                .as_ref()
                .map(|(log, _)| Shown { context: log.context, mask: &log.mask }),
        }
    }

    /// Counts a decision, and keeps its line.
    pub(super) fn decided(&self, is_allowed: bool, reason: Reason, line: Vec<u8>) {
        match is_allowed {
            true => self.metrics.allowed.add(1),
            false => {
                let metric = self.metrics.denied.iter().find(|(denied, _)| *denied == reason);
                if let Some((_, metric)) = metric {
                    metric.add(1);
                }
            }
        }
        self.logged(line);
    }

    /// Keeps a line of the log, if there is one.
    pub(super) fn logged(&self, line: Vec<u8>) {
        if let (Some((_, log)), false) = (&self.log, line.is_empty()) {
            let dropped = log.borrow_mut().push(line);
            self.metrics.log_dropped.add(dropped);
        }
    }

    /// Counts what the proxy did not do.
    pub(super) fn failed(&self) {
        self.metrics.errors.add(1);
    }

    fn has_bundle(&self) -> bool {
        self.in_force.borrow().decider.bundle().is_some()
    }

    fn has(&self, bundle: &Bundle) -> bool {
        let in_force = self.in_force.borrow();
        in_force.decider.bundle().is_some_and(|now| {
            now.digest() == bundle.digest() && now.revision() == bundle.revision()
        })
    }

    fn install(&self, bundle: Bundle) {
        let needs = bundle.routes().map(Needs::of).unwrap_or_default();
        self.metrics.bundle_revision.set(bundle.revision());
        self.metrics.bundle_swaps.add(1);
        let decider = Decider::new(Arc::new(bundle));
        self.in_force.replace(Rc::new(InForce { decider, needs }));
    }

    #[cold]
    fn refused(&self, error: &str) {
        self.metrics.bundle_refused.add(1);
        host::warn(&format!("pdp: a bundle is refused, the last one stays in force: {error}"));
    }
}

// === impl Metrics ===

impl Metrics {
    fn new() -> Self {
        let denied = Reason::ALL.into_iter().filter(|reason| *reason != Reason::Permitted);
        let denied =
            denied.map(|reason| (reason, Metric::counter(&format!("denied.{}", reason.as_str()))));
        Self {
            allowed: Metric::counter("allowed"),
            denied: denied.collect(),
            errors: Metric::counter("errors"),
            bundle_revision: Metric::gauge("bundle_revision"),
            bundle_swaps: Metric::counter("bundle_swaps"),
            bundle_refused: Metric::counter("bundle_refused"),
            fetch_failed: Metric::counter("fetch_failed"),
            log_dropped: Metric::counter("log_dropped"),
            log_failed: Metric::counter("log_failed"),
        }
    }
}

/// Called by the proxy before anything else.
#[expect(unsafe_code, reason = "the ABI finds it by its name")]
// SAFETY: no other function of the module has this name, which the ABI gives to what is called first.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}
