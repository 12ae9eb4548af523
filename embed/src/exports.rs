//! The module with plain exports: bytes in, a number out, and a text for whoever wants more.
//!
//! The ABI is described in `pdp-wasm/src/exports.rs`. A question is written to a buffer that the module lent and that is
//! kept from call to call; the answer in full is fetched only when it is asked for.

use std::fmt;
use std::sync::Arc;

use wasmtime::{Instance, InstancePre, Linker, Memory, Module, Store, TypedFunc};

use crate::host::{Artefact, Guest};
use crate::runtime::{Held, Runtime};

/// The version of the ABI that is spoken here.
const ABI: i32 = 1;
/// The first buffer for questions; most fit.
const QUESTION_BYTES: u32 = 16 << 10;

const ALLOW: i32 = 1;
const DENY: i32 = 0;
const UNREADABLE: i32 = -1;

/// The compiled module.
#[derive(Clone)]
pub struct Exports {
    runtime: Arc<Runtime>,
    ready: InstancePre<Held>,
}

/// An instance of it.
pub struct ExportsGuest {
    store: Store<Held>,
    instance: Instance,
    memory: Memory,
    functions: Functions,
    /// For questions.
    buffer: Buffer,
    /// Kept, because without it no epoch ends.
    runtime: Arc<Runtime>,
}

/// What was said to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It is allowed.
    Allow,
    /// It is denied.
    Deny,
    /// It could not be read, and is denied.
    Unreadable,
}

/// Memory that the module lent.
#[derive(Clone, Copy, Debug)]
struct Buffer {
    at: u32,
    len: u32,
}

type Span = (u32, u32);

struct Functions {
    alloc: TypedFunc<u32, u32>,
    free: TypedFunc<Span, i32>,
    load: TypedFunc<Span, i32>,
    authorize: TypedFunc<Span, i32>,
    answer: TypedFunc<Span, i32>,
    filter: TypedFunc<(u32, u32, u32, u32), i32>,
    info: TypedFunc<(), i32>,
    text_at: TypedFunc<(), u32>,
    text_len: TypedFunc<(), u32>,
}

// === impl Exports ===

impl Exports {
    /// Compiles the module.
    ///
    /// # Errors
    ///
    /// When the bytes are no module, or one that imports something.
    pub fn compile(runtime: &Arc<Runtime>, module: &[u8]) -> wasmtime::Result<Self> {
        Self::of(runtime, &Module::new(runtime.engine(), module)?)
    }

    /// Compiles the module ahead of time, for [`Exports::precompiled`] of the same build of wasmtime.
    ///
    /// # Errors
    ///
    /// When the bytes are no module.
    pub fn precompile(runtime: &Runtime, module: &[u8]) -> wasmtime::Result<Vec<u8>> {
        runtime.engine().precompile_module(module)
    }

    /// Takes what was compiled ahead of time, in a fraction of a millisecond.
    ///
    /// # Safety
    ///
    /// `compiled` is machine code, and is run as it is. It has to come from [`Exports::precompile`], and nobody else may
    /// have been able to write to it since.
    ///
    /// # Errors
    ///
    /// When it was made by another version of wasmtime, for another machine or with other settings.
    #[expect(unsafe_code, reason = "machine code cannot be checked; the caller answers for it")]
    pub unsafe fn precompiled(runtime: &Arc<Runtime>, compiled: &[u8]) -> wasmtime::Result<Self> {
        // SAFETY: the caller's promise, word for word what `deserialize` asks for.
        let module = unsafe { Module::deserialize(runtime.engine(), compiled) }?;
        Self::of(runtime, &module)
    }

    fn of(runtime: &Arc<Runtime>, module: &Module) -> wasmtime::Result<Self> {
        // With nothing in the linker: a module that imports something cannot be used.
        let ready = Linker::new(runtime.engine()).instantiate_pre(module)?;
        Ok(Self { runtime: Arc::clone(runtime), ready })
    }
}

impl Artefact for Exports {
    type Guest = ExportsGuest;

    fn instantiate(&self) -> wasmtime::Result<ExportsGuest> {
        let mut store = self.runtime.store();
        let instance = self.ready.instantiate(&mut store)?;
        let version =
            instance.get_typed_func::<(), i32>(&mut store, "pdp_abi")?.call(&mut store, ())?;
        if version != ABI {
            return Err(wasmtime::Error::msg(format!(
                "the module speaks version {version} of the interface, this host speaks {ABI}"
            )));
        }
        let memory = instance
            .get_memory(&mut store, "memory")
            .ok_or_else(|| wasmtime::Error::msg("the module exports no memory"))?;
        let functions = Functions::of(&instance, &mut store)?;
        let mut guest = ExportsGuest {
            store,
            instance,
            memory,
            functions,
            buffer: Buffer { at: 0, len: 0 },
            runtime: Arc::clone(&self.runtime),
        };
        guest.buffer = guest.lend(QUESTION_BYTES)?;
        Ok(guest)
    }
}

impl fmt::Debug for Exports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exports").field("runtime", &self.runtime).finish_non_exhaustive()
    }
}

// === impl Functions ===

impl Functions {
    fn of(instance: &Instance, store: &mut Store<Held>) -> wasmtime::Result<Self> {
        Ok(Self {
            alloc: instance.get_typed_func(&mut *store, "pdp_alloc")?,
            free: instance.get_typed_func(&mut *store, "pdp_free")?,
            load: instance.get_typed_func(&mut *store, "pdp_load")?,
            authorize: instance.get_typed_func(&mut *store, "pdp_authorize")?,
            answer: instance.get_typed_func(&mut *store, "pdp_answer")?,
            filter: instance.get_typed_func(&mut *store, "pdp_filter")?,
            info: instance.get_typed_func(&mut *store, "pdp_info")?,
            text_at: instance.get_typed_func(&mut *store, "pdp_text_at")?,
            text_len: instance.get_typed_func(&mut *store, "pdp_text_len")?,
        })
    }
}

// === impl ExportsGuest ===

impl ExportsGuest {
    /// Whether a request in JSON is allowed.
    ///
    /// # Errors
    ///
    /// When the call trapped or was ended; so for all that follow.
    pub fn authorize(&mut self, request: &[u8]) -> wasmtime::Result<Said> {
        let span = self.question(request)?;
        said(self.functions.authorize.call(&mut self.store, span)?)
    }

    /// The same, and the answer in JSON.
    pub fn answer(&mut self, request: &[u8]) -> wasmtime::Result<(Said, String)> {
        let span = self.question(request)?;
        let said = said(self.functions.answer.call(&mut self.store, span)?)?;
        Ok((said, self.text_in_words()?))
    }

    /// Which resources of a JSON array are allowed, or why nothing could be read.
    pub fn filter(
        &mut self,
        request: &[u8],
        resources: &[u8],
    ) -> wasmtime::Result<Result<Vec<bool>, String>> {
        let len = u32::try_from(request.len())?;
        let (at, all) = self.question(&[request, resources].concat())?;
        let spans = (at, len, at.saturating_add(len), all.saturating_sub(len));
        let count = self.functions.filter.call(&mut self.store, spans)?;
        match count {
            0.. => Ok(Ok(self.text()?.into_iter().map(|byte| byte == 1).collect())),
            UNREADABLE => Ok(Err(self.text_in_words()?)),
            code => Err(refused(code)),
        }
    }

    /// What is in force, in JSON.
    pub fn info(&mut self) -> wasmtime::Result<Option<String>> {
        self.store.set_epoch_deadline(self.runtime.limits().call_epochs_max);
        match self.functions.info.call(&mut self.store, ())? {
            0 => Ok(None),
            1 => Ok(Some(self.text_in_words()?)),
            code => Err(refused(code)),
        }
    }

    /// Calls another export that reads bytes, and gives the text that it leaves. For tests.
    pub fn text_of(&mut self, export: &str, bytes: &[u8]) -> wasmtime::Result<String> {
        let function = self.instance.get_typed_func::<Span, i32>(&mut self.store, export)?;
        let span = self.question(bytes)?;
        match function.call(&mut self.store, span)? {
            1 => self.text_in_words(),
            code => Err(refused(code)),
        }
    }

    /// Calls `pdp_authorize` with any two numbers, as a host with a fault in it would. For tests.
    pub fn authorize_at(&mut self, at: u32, len: u32) -> wasmtime::Result<i32> {
        self.store.set_epoch_deadline(self.runtime.limits().call_epochs_max);
        self.functions.authorize.call(&mut self.store, (at, len))
    }

    /// Calls `pdp_load`, `pdp_filter` and `pdp_free` with any two numbers. For tests.
    pub fn all_at(&mut self, at: u32, len: u32) -> wasmtime::Result<[i32; 3]> {
        self.store.set_epoch_deadline(self.runtime.limits().call_epochs_max);
        let (functions, store) = (&self.functions, &mut self.store);
        Ok([
            functions.load.call(&mut *store, (at, len))?,
            functions.filter.call(&mut *store, (at, len, at, len))?,
            functions.free.call(&mut *store, (at, len))?,
        ])
    }

    /// Bytes of memory that the instance has.
    pub fn memory_bytes(&self) -> usize {
        self.memory.data_size(&self.store)
    }

    /// Writes a question where the module reads it.
    fn question(&mut self, bytes: &[u8]) -> wasmtime::Result<Span> {
        self.store.set_epoch_deadline(self.runtime.limits().call_epochs_max);
        let len = u32::try_from(bytes.len())?;
        if len > self.buffer.len {
            self.give_back(self.buffer)?;
            self.buffer = self.lend(len.next_power_of_two())?;
        }
        self.write(self.buffer.at, bytes)?;
        Ok((self.buffer.at, len))
    }

    fn lend(&mut self, len: u32) -> wasmtime::Result<Buffer> {
        match self.functions.alloc.call(&mut self.store, len)? {
            0 => Err(wasmtime::Error::msg(format!("the module lends no buffer of {len} bytes"))),
            at => Ok(Buffer { at, len }),
        }
    }

    fn give_back(&mut self, buffer: Buffer) -> wasmtime::Result<()> {
        match self.functions.free.call(&mut self.store, (buffer.at, buffer.len))? {
            1 => Ok(()),
            code => Err(refused(code)),
        }
    }

    fn write(&mut self, at: u32, bytes: &[u8]) -> wasmtime::Result<()> {
        Ok(self.memory.write(&mut self.store, at as usize, bytes)?)
    }

    fn text(&mut self) -> wasmtime::Result<Vec<u8>> {
        let at = self.functions.text_at.call(&mut self.store, ())? as usize;
        let len = self.functions.text_len.call(&mut self.store, ())? as usize;
        let memory = self.memory.data(&self.store);
        let text = at.checked_add(len).and_then(|end| memory.get(at..end));
        text.map(<[u8]>::to_vec)
            .ok_or_else(|| wasmtime::Error::msg("the module's text lies outside its memory"))
    }

    fn text_in_words(&mut self) -> wasmtime::Result<String> {
        Ok(String::from_utf8(self.text()?)?)
    }
}

impl Guest for ExportsGuest {
    fn load(&mut self, bundle: &[u8]) -> wasmtime::Result<Result<(), String>> {
        self.store.set_epoch_deadline(self.runtime.limits().load_epochs_max);
        // Lent for this call only: the module keeps tables of its own.
        let Some(len) = u32::try_from(bundle.len()).ok().filter(|len| *len > 0) else {
            return Ok(Err(format!("{} bytes are no bundle for a module", bundle.len())));
        };
        let buffer = self.lend(len)?;
        self.write(buffer.at, bundle)?;
        let code = self.functions.load.call(&mut self.store, (buffer.at, buffer.len))?;
        let loaded = match code {
            1 => Ok(()),
            UNREADABLE => Err(self.text_in_words()?),
            code => return Err(refused(code)),
        };
        self.give_back(buffer)?;
        Ok(loaded)
    }
}

impl fmt::Debug for ExportsGuest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportsGuest").field("buffer", &self.buffer).finish_non_exhaustive()
    }
}

fn said(code: i32) -> wasmtime::Result<Said> {
    match code {
        ALLOW => Ok(Said::Allow),
        DENY => Ok(Said::Deny),
        UNREADABLE => Ok(Said::Unreadable),
        code => Err(refused(code)),
    }
}

#[cold]
fn refused(code: i32) -> wasmtime::Error {
    wasmtime::Error::msg(match code {
        -2 => "the module did not lend the memory that a question was written to".to_owned(),
        -3 => "an earlier call did not come to its end; make a new instance".to_owned(),
        code => format!("the module answers with the number {code}, which is not in its interface"),
    })
}
