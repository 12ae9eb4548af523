//! The service `pdp.v1.Authorization`: which method is asked, its bytes in, its answer out.
//!
//! One snapshot of the bundle in force serves a request, whatever is published meanwhile. What deciding needs is at the
//! desk; what the messages mean is `authorize`'s and `answer`'s; which status code is what is `respond`'s.

use std::sync::Arc;

use pdp_core::Live;
use prost::Message;
use prost::bytes::Bytes;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Context, Poll, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};

use crate::codec::Wire;
use crate::config::Config;
use crate::desk::{Desk, Room, isolated};
use crate::respond::NoAnswer;
use crate::{answer, authorize, pb, respond};

/// The path of the one method.
const AUTHORIZE: &str = "/pdp.v1.Authorization/Authorize";

/// The service `pdp.v1.Authorization`. Not a generated one, which would make a message of every question.
#[derive(Clone, Debug)]
pub(crate) struct AuthorizationService {
    authorize: Authorize,
    message_bytes_max: usize,
    answer_bytes_max: usize,
}

/// Answers `Authorize` from the bundle in force.
#[derive(Clone, Debug)]
struct Authorize {
    desk: Desk,
    limits: Arc<Sizes>,
}

/// Limits on one question.
#[derive(Debug)]
struct Sizes {
    value_depth_max: u32,
    answer_bytes_max: u32,
}

// === impl AuthorizationService ===

impl AuthorizationService {
    pub(crate) fn new(config: &Config, live: Arc<Live>) -> Self {
        let count = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        Self {
            authorize: Authorize::new(config, live),
            message_bytes_max: count(config.limits.message_bytes_max),
            answer_bytes_max: count(config.limits.answer_bytes_max),
        }
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
        if request.uri().path() != AUTHORIZE {
            return Box::pin(async { Ok(Status::unimplemented("").into_http()) });
        }
        let mut grpc = Grpc::new(Wire::<pb::AuthorizeResponse, Bytes>::default())
            .max_decoding_message_size(self.message_bytes_max)
            .max_encoding_message_size(self.answer_bytes_max);
        let authorize = self.authorize.clone();
        Box::pin(async move { Ok(grpc.unary(authorize, request).await) })
    }
}

// === impl Authorize ===

impl Authorize {
    fn new(config: &Config, live: Arc<Live>) -> Self {
        let sizes = Sizes {
            value_depth_max: config.limits.value_depth_max,
            answer_bytes_max: config.limits.answer_bytes_max,
        };
        Self { desk: Desk::new(config, live), limits: Arc::new(sizes) }
    }

    fn answer(&self, message: &[u8]) -> Result<pb::AuthorizeResponse, NoAnswer> {
        let response = isolated(|room| self.decide(message, room))?;
        let bytes = response.encoded_len();
        let bytes_max = self.limits.answer_bytes_max;
        if u32::try_from(bytes).is_ok_and(|bytes| bytes <= bytes_max) {
            Ok(response)
        } else {
            Err(NoAnswer::TooLarge { bytes, bytes_max })
        }
    }

    fn decide(&self, message: &[u8], room: &mut Room) -> Result<pb::AuthorizeResponse, NoAnswer> {
        let Room { arena, scratch } = room;
        arena.reset();
        let now = self.desk.now();
        let request = authorize::read_request(message, now, arena, self.limits.value_depth_max)?;
        let decider = self.desk.snapshot();
        Ok(answer::write(&self.desk.decide(self.desk.caller(), &decider, scratch, &request)))
    }
}

impl UnaryService<Bytes> for Authorize {
    type Response = pb::AuthorizeResponse;
    type Future = BoxFuture<Response<Self::Response>, Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let authorize = self.clone();
        // In the future and not before it, so that a request that was given up costs nothing.
        Box::pin(async move {
            match authorize.answer(request.get_ref()) {
                Ok(response) => Ok(Response::new(response)),
                Err(no_answer) => Err(respond::status(&no_answer)),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use pdp_core::Decider;

    use super::*;
    use crate::desk::kept_bytes;

    #[test]
    fn memory_is_kept_from_request_to_request_and_does_not_grow() {
        let live = Arc::new(Live::new(Decider::no_bundle()));
        let service = Authorize::new(&Config::sidecar(), live);
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
        let kept_after = |requests: u32| {
            for _ in 0..requests {
                service.answer(&message).unwrap();
            }
            kept_bytes().unwrap()
        };
        // The first few find the size.
        let settled = kept_after(10);
        assert!(settled > 0);
        assert_eq!(kept_after(1_000), settled);
    }
}
