"""Server reflection, for tools such as grpcurl: which services there are, and their definitions.

In development mode. Both ``grpc.reflection.v1`` and ``v1alpha``, whose messages are the same on the wire. The
answers are the descriptors that the surface itself is made of.
"""

from __future__ import annotations

from typing import Any, Final

from grpclib.const import Cardinality, Handler, Status
from grpclib.server import Stream

from baas.api.assembly import Assembly
from baas.api.grpc.calls import Call, framed, status_of
from baas.api.grpc.firestore import SERVICE
from baas.errors import ApiError
from baas.wire import proto

_HEALTH: Final = "grpc.health.v1.Health"


def reflection_methods(assembly: Assembly) -> dict[str, Handler]:
    """``ServerReflectionInfo`` of both versions."""

    async def info(stream: Stream[bytes, bytes]) -> None:
        # imported when first asked for: only tools do
        from grpclib.reflection.v1 import reflection_pb2 as messages

        call = Call(stream, messages.ServerReflectionRequest, assembly)
        try:
            async for request in call.receive_all():
                answer = _answered(request, messages)
                await call.send_framed(framed((answer.SerializeToString(),)))
        except ApiError as error:
            raise status_of(error) from None

    handler = Handler(info, Cardinality.STREAM_STREAM, None, None)
    return {
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo": handler
        for version in ("v1", "v1alpha")
    }


def _answered(request: Any, messages: Any) -> Any:
    answer = messages.ServerReflectionResponse(valid_host=request.host, original_request=request)
    kind = request.WhichOneof("message_request")
    if kind == "list_services":
        for name in (SERVICE, _HEALTH):
            answer.list_services_response.service.add(name=name)
        return answer
    try:
        if kind == "file_by_filename":
            found = proto.POOL.FindFileByName(request.file_by_filename)
        elif kind == "file_containing_symbol":
            found = proto.POOL.FindFileContainingSymbol(request.file_containing_symbol)
        else:
            return _refused(answer, Status.UNIMPLEMENTED, "There are no extensions here.")
    except KeyError:
        return _refused(answer, Status.NOT_FOUND, "There is no such definition here.")
    for file in _with_imports(found):
        answer.file_descriptor_response.file_descriptor_proto.append(file.serialized_pb)
    return answer


def _refused(answer: Any, status: Status, message: str) -> Any:
    answer.error_response.error_code = status.value
    answer.error_response.error_message = message
    return answer


def _with_imports(file: Any) -> list[Any]:
    """A file and all that it imports, each once and before what it imports."""
    found: dict[str, Any] = {}

    def add(each: Any) -> None:
        for imported in each.dependencies:
            if imported.name not in found:
                add(imported)
        found[each.name] = each

    add(file)
    return list(reversed(found.values()))
