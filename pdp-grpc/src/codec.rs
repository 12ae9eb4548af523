//! The codec of both sides: what is sent is bytes already or goes out through `prost`; what arrives is bytes to a server, a message to a client.
//!
//! A server gets a question as it came, because `authorize` reads it without a message in between. A client gets an
//! answer decoded; the generated code names this codec.

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::{Buf, BufMut, Bytes};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::answer::Written;
use crate::{pb, respond};

/// Sends `T`, receives `U`.
#[derive(Debug)]
pub(crate) struct Wire<T, U>(PhantomData<fn(T) -> U>);

/// The receiving half.
#[derive(Debug)]
pub(crate) struct WireDecoder<U>(PhantomData<fn() -> U>);

/// The sending half.
#[derive(Debug)]
pub(crate) struct WireEncoder<T>(PhantomData<fn(T)>);

/// What is sent.
pub(crate) trait Outbound: Send + 'static {
    /// Writes all of it.
    fn put(self, buffer: &mut EncodeBuf<'_>) -> Result<(), Status>;
}

/// What arrives.
pub(crate) trait Inbound: Sized + Send + 'static {
    /// Takes one message, which fills the buffer.
    fn take(buffer: &mut DecodeBuf<'_>) -> Result<Self, Status>;
}

// === impl Wire ===

impl<T, U> Default for Wire<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Outbound, U: Inbound> Codec for Wire<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = WireEncoder<T>;
    type Decoder = WireDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        WireEncoder(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        WireDecoder(PhantomData)
    }
}

// === impl WireDecoder ===

impl<U: Inbound> Decoder for WireDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        U::take(buffer).map(Some)
    }
}

// === impl WireEncoder ===

impl<T: Outbound> Encoder for WireEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.put(buffer)
    }
}

// === impl Outbound ===

impl Outbound for Written {
    fn put(self, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&self.0);
        Ok(())
    }
}

impl<M: Message + 'static> Outbound for M {
    fn put(self, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        // The buffer grows, so it never has too little room.
        self.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

// === impl Inbound ===

impl Inbound for Bytes {
    fn take(buffer: &mut DecodeBuf<'_>) -> Result<Self, Status> {
        // Shares the memory that they were received in.
        Ok(buffer.copy_to_bytes(buffer.remaining()))
    }
}

/// Lets a client take a message.
macro_rules! answers {
    ($($message:ident),+) => {$(
        impl Inbound for pb::$message {
            fn take(buffer: &mut DecodeBuf<'_>) -> Result<Self, Status> {
                Self::decode(buffer)
                    .map_err(|error| respond::undecodable_answer(stringify!($message), &error))
            }
        }
    )+};
}

answers!(AuthorizeResponse, AuthorizeBatchResponse, AuthorizeStreamResponse, FilterResponse);
