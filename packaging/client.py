"""Asks a sidecar whether a principal may do an action on a resource, with stubs made from the protocol's definition.

Set-up:  pip install grpcio grpcio-tools
         python -m grpc_tools.protoc -I pdp-grpc/proto --python_out=. --grpc_python_out=. pdp/v1/authorization.proto
Use:     python client.py 127.0.0.1:8170 user alice Action write record record-1
Prints   the effect, the reason and the determining policies. Exit codes: 0 allowed, 1 denied, 2 no answer.
"""

import sys

import grpc
from pdp.v1 import authorization_pb2 as pdp
from pdp.v1 import authorization_pb2_grpc as pdp_grpc


def main(address, *names):
    principal, action, resource = (
        pdp.EntityUid(type=kind, id=id) for kind, id in zip(names[::2], names[1::2])
    )
    request = pdp.AuthorizeRequest(principal=principal, action=action, resource=resource)
    with grpc.insecure_channel(address) as channel:
        try:
            answer = pdp_grpc.AuthorizationStub(channel).Authorize(request, timeout=5)
        except grpc.RpcError as error:
            # No answer is no permission.
            print(f"no answer: {error.code().name}: {error.details()}", file=sys.stderr)
            return 2
    allowed = answer.effect == pdp.EFFECT_ALLOW
    print("allow" if allowed else "deny", answer.reason, *answer.policies)
    return 0 if allowed else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
