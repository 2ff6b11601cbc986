"""grpc.health.v1.Health: load balancers and tools ask whether a service can be used.

The two messages are small enough to be written out: a request is a service's name (field 1), an answer a
status (field 1, a varint).
"""

from __future__ import annotations

import asyncio
from typing import Final

from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from baas.api.assembly import Assembly
from baas.api.grpc.calls import Call, status_of
from baas.api.grpc.firestore import SERVICE
from baas.errors import ApiError

_SERVING: Final = b"\x08\x01"
_UNKNOWN: Final = b"\x08\x03"
_MAX_NAME: Final = 127


def health_methods(assembly: Assembly) -> dict[str, Handler]:
    """``Check`` and ``Watch``. While this process answers at all, its service is serving."""
    known = {_request(""), _request(SERVICE)}

    async def asked(stream: Stream[bytes, bytes]) -> bool:
        try:
            return await Call(stream, None, assembly).receive_bytes() in known
        except ApiError as error:
            raise status_of(error) from None

    async def check(stream: Stream[bytes, bytes]) -> None:
        if not await asked(stream):
            raise GRPCError(Status.NOT_FOUND, "There is no such service here.")
        await stream.send_message(_SERVING)

    async def watch(stream: Stream[bytes, bytes]) -> None:
        await stream.send_message(_SERVING if await asked(stream) else _UNKNOWN)
        await asyncio.Event().wait()

    return {
        "/grpc.health.v1.Health/Check": Handler(check, Cardinality.UNARY_UNARY, None, None),
        "/grpc.health.v1.Health/Watch": Handler(watch, Cardinality.UNARY_STREAM, None, None),
    }


def _request(service: str) -> bytes:
    name = service.encode()
    assert len(name) <= _MAX_NAME, "longer names need a longer varint"
    return b"\x0a" + bytes([len(name)]) + name if name else b""
