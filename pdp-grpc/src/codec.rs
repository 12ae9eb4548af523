//! The codec that the generated code names: protobuf, with our own answer to bytes that are no message.
//!
//! The usual codec calls them an internal error. They are the caller's fault, and the one who is woken by internal errors
//! should find a fault of the server.

use std::marker::PhantomData;

use prost::{DecodeError, Message};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::ProstEncoder;

use crate::{pb, respond};

/// Sends `T`, receives `U`.
#[derive(Debug)]
pub(crate) struct Wire<T, U>(PhantomData<fn(T) -> U>);

/// The receiving half.
#[derive(Debug)]
pub(crate) struct WireDecoder<U>(PhantomData<fn() -> U>);

/// A message that arrives here.
pub(crate) trait Inbound: Message + Default + 'static {
    /// What the bytes mean for the one who waits when they are not this message.
    fn undecodable(error: &DecodeError) -> Status;
}

// === impl Wire ===

impl<T, U> Default for Wire<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message + 'static, U: Inbound> Codec for Wire<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = WireDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        WireDecoder(PhantomData)
    }
}

// === impl WireDecoder ===

impl<U: Inbound> Decoder for WireDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        U::decode(buf).map(Some).map_err(|error| U::undecodable(&error))
    }
}

// === impl Inbound ===

impl Inbound for pb::AuthorizeRequest {
    fn undecodable(error: &DecodeError) -> Status {
        respond::undecodable_request(error)
    }
}

impl Inbound for pb::AuthorizeResponse {
    fn undecodable(error: &DecodeError) -> Status {
        respond::undecodable_answer(error)
    }
}
