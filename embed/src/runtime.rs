//! The engine, with a limit on everything: instances, memory, time.
//!
//! Instances come from a pool, so that making one costs microseconds. Time is counted in epochs, which a thread of the
//! runtime's own advances; a call that outlives its epochs is ended. Code that was compiled ahead of time is loaded
//! without a look at it, which is why that is `unsafe`.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store, StoreLimits,
    StoreLimitsBuilder,
};

/// What modules may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Instances at a time: one a worker, and one that looks at a new bundle.
    pub instances_max: u32,
    /// Memory of one instance, in bytes.
    pub memory_bytes_max: usize,
    /// How long an epoch is, in milliseconds.
    pub epoch_ms: u64,
    /// Epochs that a call may take, the one that it begins in counted.
    pub call_epochs_max: u64,
    /// Epochs that loading a bundle may take.
    pub load_epochs_max: u64,
}

/// The engine and what advances its epochs.
#[derive(Debug)]
pub struct Runtime {
    engine: Engine,
    limits: Limits,
    /// Hung up when the runtime goes, which ends the thread.
    _ticking: Sender<()>,
}

/// What a store holds: how much its instance may take.
#[derive(Debug)]
pub(crate) struct Held {
    limits: StoreLimits,
}

// === impl Limits ===

impl Limits {
    /// For a handful of threads and bundles of some megabytes.
    pub const STANDARD: Self = Self {
        instances_max: 64,
        memory_bytes_max: 512 << 20,
        epoch_ms: 10,
        call_epochs_max: 10,
        load_epochs_max: 1_000,
    };
}

// === impl Runtime ===

impl Runtime {
    /// Makes the engine and starts the thread that advances its epochs.
    ///
    /// # Errors
    ///
    /// When this machine has no such engine, address space or thread.
    pub fn new(limits: Limits) -> wasmtime::Result<Self> {
        let mut pool = PoolingAllocationConfig::default();
        pool.total_core_instances(limits.instances_max)
            .total_component_instances(limits.instances_max)
            .total_memories(limits.instances_max)
            .total_tables(limits.instances_max.saturating_mul(2))
            .max_memory_size(limits.memory_bytes_max);
        let mut config = Config::new();
        config
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
            .epoch_interruption(true);
        let engine = Engine::new(&config)?;
        let (ticking, hung_up) = mpsc::channel::<()>();
        let ticked = engine.weak();
        let epoch = Duration::from_millis(limits.epoch_ms);
        thread::Builder::new().name("epochs".to_owned()).spawn(move || {
            while hung_up.recv_timeout(epoch) == Err(RecvTimeoutError::Timeout) {
                let Some(engine) = ticked.upgrade() else { return };
                engine.increment_epoch();
            }
        })?;
        Ok(Self { engine, limits, _ticking: ticking })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Memory for one instance.
    pub(crate) fn store(&self) -> Store<Held> {
        let limits = StoreLimitsBuilder::new()
            .memory_size(self.limits.memory_bytes_max)
            .instances(8)
            .build();
        let mut store = Store::new(&self.engine, Held { limits });
        store.limiter(|held| &mut held.limits);
        store.epoch_deadline_trap();
        // What an instance does when it is made counts as loading.
        store.set_epoch_deadline(self.limits.load_epochs_max);
        store
    }
}
