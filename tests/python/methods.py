"""Calls every method of pdp.v1.Authorization with grpcio and generated stubs, and prints what comes of it, a line each."""

import sys

import grpc
from pdp.v1 import authorization_pb2 as pdp
from pdp.v1 import authorization_pb2_grpc as stubs


def uid(kind, name):
    return pdp.EntityUid(type=kind, id=name)


def question(user, action="write"):
    return pdp.AuthorizeRequest(
        principal=uid("user", user), action=uid("Action", action), resource=uid("record", "record-1")
    )


def verdict(answer):
    return ("allow" if answer.effect == pdp.EFFECT_ALLOW else "deny") + " " + answer.reason


def result(item):
    return verdict(item.answer) if item.HasField("answer") else f"failure {item.failure.code}"


with grpc.insecure_channel(sys.argv[1]) as channel:
    client = stubs.AuthorizationStub(channel)
    print("authorize:", verdict(client.Authorize(question("alice"), timeout=5)))
    nobody = pdp.AuthorizeRequest(action=uid("Action", "write"))
    batch = client.AuthorizeBatch(
        pdp.AuthorizeBatchRequest(requests=[question("alice"), question("bob"), nobody]), timeout=5
    )
    print("batch:", ", ".join(result(item) for item in batch.results))
    sent = (pdp.AuthorizeStreamRequest(id=id, request=question(user)) for id, user in enumerate(["alice", "bob"]))
    answers = {answer.id: result(answer.result) for answer in client.AuthorizeStream(sent, timeout=5)}
    print("stream:", ", ".join(answers[id] for id in sorted(answers)))
    chosen = client.Filter(
        pdp.FilterRequest(
            principal=uid("user", "alice"),
            action=uid("Action", "write"),
            candidates=[uid("record", "record-1"), uid("record", "nothing")],
        ),
        timeout=5,
    )
    print("filter:", list(chosen.allowed))
