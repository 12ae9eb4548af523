//! The component: records instead of bytes, for hosts that have the parts of a request in hand.
//!
//! The types are those of `pdp-wasm/wit/pdp.wit`. A typed request costs more than JSON does on the plain exports,
//! because each string crosses by itself; `call_authorize_bytes` is the fast one here.

use std::fmt;
use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::{Component, Linker};

use crate::host::{Artefact, Guest};
use crate::runtime::{Held, Runtime};
use decision::{Answer, BundleInfo, Effect, EntityUid, Request};

#[expect(missing_docs, reason = "generated from `pdp-wasm/wit/pdp.wit`, where the comments are")]
mod bindings {
    wasmtime::component::bindgen!({ path: "../pdp-wasm/wit", world: "pdp" });
}

/// The types of requests and answers.
pub mod decision {
    pub use super::bindings::exports::pdp::decision::engine::{
        Answer, BundleInfo, BundleName, Effect, EntityUid, InlineEntity, Leg, Obligation,
        PolicyError, Request, Value,
    };
}

/// The compiled component.
#[derive(Clone)]
pub struct Typed {
    runtime: Arc<Runtime>,
    ready: bindings::PdpPre<Held>,
}

/// An instance of it.
pub struct TypedGuest {
    store: Store<Held>,
    world: bindings::Pdp,
    /// Kept, because without it no epoch ends.
    runtime: Arc<Runtime>,
}

// === impl Typed ===

impl Typed {
    /// Compiles the component.
    ///
    /// # Errors
    ///
    /// When the bytes are no component, or one that imports something.
    pub fn compile(runtime: &Arc<Runtime>, component: &[u8]) -> wasmtime::Result<Self> {
        Self::of(runtime, &Component::new(runtime.engine(), component)?)
    }

    /// Compiles the component ahead of time, for [`Typed::precompiled`] of the same build of wasmtime.
    ///
    /// # Errors
    ///
    /// When the bytes are no component.
    pub fn precompile(runtime: &Runtime, component: &[u8]) -> wasmtime::Result<Vec<u8>> {
        runtime.engine().precompile_component(component)
    }

    /// Takes what was compiled ahead of time.
    ///
    /// # Safety
    ///
    /// As for [`Exports::precompiled`](crate::Exports::precompiled): `compiled` has to come from [`Typed::precompile`],
    /// and nobody else may have been able to write to it since.
    ///
    /// # Errors
    ///
    /// When it was made by another version of wasmtime, for another machine or with other settings.
    #[expect(unsafe_code, reason = "machine code cannot be checked; the caller answers for it")]
    pub unsafe fn precompiled(runtime: &Arc<Runtime>, compiled: &[u8]) -> wasmtime::Result<Self> {
        // SAFETY: the caller's promise, word for word what `deserialize` asks for.
        let component = unsafe { Component::deserialize(runtime.engine(), compiled) }?;
        Self::of(runtime, &component)
    }

    fn of(runtime: &Arc<Runtime>, component: &Component) -> wasmtime::Result<Self> {
        // With nothing in the linker: a component that imports something cannot be used.
        let linked = Linker::new(runtime.engine()).instantiate_pre(component)?;
        Ok(Self { runtime: Arc::clone(runtime), ready: bindings::PdpPre::new(linked)? })
    }
}

impl Artefact for Typed {
    type Guest = TypedGuest;

    fn instantiate(&self) -> wasmtime::Result<TypedGuest> {
        let mut store = self.runtime.store();
        let world = self.ready.instantiate(&mut store)?;
        Ok(TypedGuest { store, world, runtime: Arc::clone(&self.runtime) })
    }
}

impl fmt::Debug for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Typed").field("runtime", &self.runtime).finish_non_exhaustive()
    }
}

// === impl TypedGuest ===

impl TypedGuest {
    /// The answer to a request.
    ///
    /// # Errors
    ///
    /// When the call trapped or was ended; so for all that follow.
    pub fn authorize(&mut self, request: &Request) -> wasmtime::Result<Answer> {
        self.store.set_epoch_deadline(self.runtime.limits().call_epochs_max);
        self.world.pdp_decision_engine().call_authorize(&mut self.store, request)
    }

    /// Only the effect, of a request in JSON.
    pub fn authorize_bytes(&mut self, request: &[u8]) -> wasmtime::Result<Effect> {
        self.store.set_epoch_deadline(self.runtime.limits().call_epochs_max);
        self.world.pdp_decision_engine().call_authorize_bytes(&mut self.store, request)
    }

    /// The answer to a request in JSON.
    pub fn answer_bytes(&mut self, request: &[u8]) -> wasmtime::Result<Answer> {
        self.store.set_epoch_deadline(self.runtime.limits().call_epochs_max);
        self.world.pdp_decision_engine().call_answer_bytes(&mut self.store, request)
    }

    /// Which of many resources are allowed, or why nothing could be read.
    pub fn filter(
        &mut self,
        request: &Request,
        resources: &[EntityUid],
    ) -> wasmtime::Result<Result<Vec<bool>, String>> {
        self.store.set_epoch_deadline(self.runtime.limits().call_epochs_max);
        self.world.pdp_decision_engine().call_filter(&mut self.store, request, resources)
    }

    /// The bundle in force.
    pub fn info(&mut self) -> wasmtime::Result<Option<BundleInfo>> {
        self.store.set_epoch_deadline(self.runtime.limits().call_epochs_max);
        self.world.pdp_decision_engine().call_info(&mut self.store)
    }
}

impl Guest for TypedGuest {
    fn load(&mut self, bundle: &[u8]) -> wasmtime::Result<Result<(), String>> {
        self.store.set_epoch_deadline(self.runtime.limits().load_epochs_max);
        let loaded = self.world.pdp_decision_engine().call_load_bundle(&mut self.store, bundle)?;
        Ok(loaded.map(|_| ()))
    }
}

impl fmt::Debug for TypedGuest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedGuest").finish_non_exhaustive()
    }
}
