//! The service `pdp.v1.Authorization`: which method is asked, its bytes in, its answer out.
//!
//! Not a generated one, which would make a message of every question. What deciding needs is at the desk; what the
//! messages mean is `authorize`'s and `answer`'s; which status code is what is `respond`'s.

mod many;
mod one;
mod stream;

use std::sync::Arc;

use prost::bytes::Bytes;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Context, Poll, Service, http};
use tonic::server::{Grpc, NamedService, StreamingService, UnaryService};
use tonic::{Request, Response, Status, Streaming};

use crate::admission::STREAM_BYTES;
use crate::answer::Written;
use crate::codec::{Outbound, Wire};
use crate::config::Limits;
use crate::desk::{Desk, Origin};
use crate::metrics::Protocol;
use crate::respond;
use crate::respond::NoAnswer;

const AUTHORIZE: &str = "/pdp.v1.Authorization/Authorize";
const BATCH: &str = "/pdp.v1.Authorization/AuthorizeBatch";
const STREAM: &str = "/pdp.v1.Authorization/AuthorizeStream";
const FILTER: &str = "/pdp.v1.Authorization/Filter";

/// The service.
#[derive(Clone, Debug)]
pub(crate) struct AuthorizationService(Arc<Shared>);

/// What all requests share.
#[derive(Debug)]
struct Shared {
    desk: Desk,
    limits: Limits,
}

/// A method that takes one message and gives one.
struct Unary<A> {
    shared: Arc<Shared>,
    origin: Origin,
    answer: Answering<A>,
}

/// From who asks and the bytes of a message to the answer.
type Answering<A> = fn(&Shared, &Origin, &[u8]) -> Result<A, NoAnswer>;

/// The method that takes and gives streams.
struct Streamed(Arc<Shared>, Origin);

// === impl AuthorizationService ===

impl AuthorizationService {
    pub(crate) fn new(desk: Desk, limits: Limits) -> Self {
        Self(Arc::new(Shared { desk, limits }))
    }

    fn unary<A: Outbound>(
        &self,
        request: http::Request<Body>,
        bytes_max: u32,
        answer: Answering<A>,
    ) -> BoxFuture<http::Response<Body>, std::convert::Infallible> {
        let mut grpc = self.grpc::<A>(bytes_max);
        let method =
            Unary { shared: Arc::clone(&self.0), origin: self.0.desk.origin_of(&request), answer };
        let request = request.map(|body| self.0.desk.admission().count(body, u64::MAX));
        Box::pin(async move { Ok(grpc.unary(method, request).await) })
    }

    fn grpc<A: Outbound>(&self, bytes_max: u32) -> Grpc<Wire<A, Bytes>> {
        let count = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        Grpc::new(Wire::default())
            .max_decoding_message_size(count(bytes_max))
            .max_encoding_message_size(count(self.0.limits.answer_bytes_max))
    }
}

impl NamedService for AuthorizationService {
    const NAME: &'static str = "pdp.v1.Authorization";
}

impl Service<http::Request<Body>> for AuthorizationService {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let limits = &self.0.limits;
        match request.uri().path() {
            AUTHORIZE => self.unary(request, limits.message_bytes_max, one::answer),
            BATCH => self.unary(request, limits.batch_bytes_max, many::batch),
            FILTER => self.unary(request, limits.batch_bytes_max, many::filter),
            STREAM => {
                let mut grpc = self.grpc(limits.message_bytes_max);
                let method = Streamed(Arc::clone(&self.0), self.0.desk.origin_of(&request));
                let count = |body| self.0.desk.admission().count(body, STREAM_BYTES);
                let request = request.map(count);
                Box::pin(async move { Ok(grpc.streaming(method, request).await) })
            }
            _ => Box::pin(async { Ok(Status::unimplemented("").into_http()) }),
        }
    }
}

// === impl Shared ===

impl Shared {
    /// Refuses an answer that is too large: it would be cut off, or stop at the client.
    fn fits(&self, protocol: Protocol, bytes: usize) -> Result<(), NoAnswer> {
        let bytes_max = self.limits.answer_bytes_max;
        if u32::try_from(bytes).is_ok_and(|bytes| bytes <= bytes_max) {
            Ok(())
        } else {
            self.desk.answered(protocol, Err(NoAnswer::TooLarge { bytes, bytes_max }))
        }
    }
}

// === impl Unary ===

impl<A: Outbound> UnaryService<Bytes> for Unary<A> {
    type Response = A;
    type Future = BoxFuture<Response<A>, Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (shared, origin) = (Arc::clone(&self.shared), self.origin.clone());
        let answer = self.answer;
        // In the future and not before it, so that a request that was given up costs nothing.
        Box::pin(async move {
            match answer(&shared, &origin, request.get_ref()) {
                Ok(response) => Ok(Response::new(response)),
                Err(no_answer) => Err(respond::status(&no_answer)),
            }
        })
    }
}

// === impl Streamed ===

impl StreamingService<Bytes> for Streamed {
    type Response = Written;
    type ResponseStream = stream::Answers;
    type Future = std::future::Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let questions = request.into_inner();
        let (shared, origin) = (Arc::clone(&self.0), self.1.clone());
        std::future::ready(Ok(Response::new(stream::Answers::new(shared, origin, questions))))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use pdp_core::{Decider, Live};
    use prost::Message;

    use super::*;
    use crate::config::Config;
    use crate::desk::kept_bytes;
    use crate::pb;

    #[test]
    fn memory_is_kept_from_request_to_request_and_does_not_grow() {
        let live = Arc::new(Live::new(Decider::no_bundle()));
        let config = Config::sidecar();
        let desk = Desk::new(&config, live, Arc::default());
        let service = AuthorizationService::new(desk, config.limits);
        let name = Some(pb::EntityUid { r#type: "T".to_owned(), id: String::new() });
        let long = || pb::Value { kind: Some(pb::value::Kind::Long(1)) };
        let set = pb::value::Kind::Set(pb::Set { elements: vec![long(); 100] });
        let value = Some(pb::Value { kind: Some(set) });
        let message = pb::AuthorizeRequest {
            principal: name.clone(),
            action: name.clone(),
            resource: name,
            context: vec![pb::Entry { key: String::new(), value }],
            ..pb::AuthorizeRequest::default()
        };
        let message = message.encode_to_vec();
        let origin = service.0.desk.origin_of(&http::Request::new(()));
        let kept_after = |requests: u32| {
            for _ in 0..requests {
                one::answer(&service.0, &origin, &message).unwrap();
            }
            kept_bytes().unwrap()
        };
        // The first few find the size.
        let settled = kept_after(10);
        assert!(settled > 0);
        assert_eq!(kept_after(1_000), settled);
    }
}
