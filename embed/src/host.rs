//! One bundle in force for many threads, each with an instance of its own.
//!
//! A bundle is published once: looked at in an instance that answers nobody, then put in force. A worker takes it up
//! between two calls, so a call sees one bundle from its beginning to its end, and a bundle that is refused changes
//! nothing. A worker whose instance trapped or was ended makes a new one; the call that it was at is a fault.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Code that instances are made of.
pub trait Artefact {
    /// An instance of it.
    type Guest: Guest;

    /// Makes an instance.
    ///
    /// # Errors
    ///
    /// When a limit of the runtime is reached, or the code has not the exports it should have.
    fn instantiate(&self) -> wasmtime::Result<Self::Guest>;
}

/// An instance.
pub trait Guest {
    /// Puts a bundle in force, or gives the sentence that says why it is none.
    ///
    /// # Errors
    ///
    /// When the call trapped or was ended.
    fn load(&mut self, bundle: &[u8]) -> wasmtime::Result<Result<(), String>>;
}

/// Why there is no answer. Whoever gets it denies.
#[derive(Debug)]
pub enum Fault {
    /// No bundle was published.
    NoBundle,
    /// The call trapped, took too long or could not be made; the next one has a new instance.
    Ended(wasmtime::Error),
}

/// One artefact, and the bundle that is in force.
#[derive(Debug)]
pub struct Host<A> {
    artefact: A,
    /// Counts publications; workers look at it before each call.
    generation: AtomicU64,
    published: Mutex<Option<Arc<[u8]>>>,
}

/// What one thread decides with.
#[derive(Debug)]
pub struct Worker<A: Artefact> {
    host: Arc<Host<A>>,
    guest: Option<A::Guest>,
    /// Of the bundle that the guest has.
    generation: u64,
}

// === impl Host ===

impl<A: Artefact> Host<A> {
    /// Without a bundle: until there is one, every call is a fault.
    pub fn new(artefact: A) -> Self {
        Self { artefact, generation: AtomicU64::new(0), published: Mutex::new(None) }
    }

    /// Puts a bundle in force for all workers, each from its next call on.
    ///
    /// # Errors
    ///
    /// When it is no bundle, or could not be looked at; the one in force then stays.
    pub fn publish(&self, bundle: &[u8]) -> Result<(), String> {
        let ended = |error: wasmtime::Error| format!("the bundle cannot be loaded: {error:#}");
        let mut probe = self.artefact.instantiate().map_err(ended)?;
        probe.load(bundle).map_err(ended)??;
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        *published = Some(bundle.into());
        // Under the lock, so that a generation names one bundle.
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    fn in_force(&self) -> Option<(u64, Arc<[u8]>)> {
        let published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        Some((self.generation.load(Ordering::Acquire), Arc::clone(published.as_ref()?)))
    }
}

// === impl Worker ===

impl<A: Artefact> Worker<A> {
    /// Its instance is made when it is first wanted.
    pub fn new(host: &Arc<Host<A>>) -> Self {
        Self { host: Arc::clone(host), guest: None, generation: 0 }
    }

    /// Makes a call with the bundle in force.
    ///
    /// # Errors
    ///
    /// When there is no bundle, and when the call trapped, took too long or could not be made.
    pub fn call<T>(
        &mut self,
        work: impl FnOnce(&mut A::Guest) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        // Taken out for the call: what does not come back from it is not used again.
        let mut guest = self.ready()?;
        let result = work(&mut guest).map_err(Fault::Ended)?;
        self.guest = Some(guest);
        Ok(result)
    }

    fn ready(&mut self) -> Result<A::Guest, Fault> {
        let kept = self.guest.take();
        if self.generation == self.host.generation.load(Ordering::Acquire)
            && let Some(guest) = kept
        {
            return Ok(guest);
        }
        let (generation, bundle) = self.host.in_force().ok_or(Fault::NoBundle)?;
        let mut guest = match kept {
            Some(guest) => guest,
            None => self.host.artefact.instantiate().map_err(Fault::Ended)?,
        };
        guest
            .load(&bundle)
            .and_then(|loaded| loaded.map_err(wasmtime::Error::msg))
            .map_err(Fault::Ended)?;
        self.generation = generation;
        Ok(guest)
    }
}

// === impl Fault ===

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBundle => f.write_str("no bundle was published"),
            Self::Ended(error) => write!(f, "the call was not answered: {error:#}"),
        }
    }
}

impl std::error::Error for Fault {}
