"""One gRPC call: framing, limits and statuses, between grpclib's streams and methods over messages."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Final, cast

from google.protobuf.message import DecodeError
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from baas.api.assembly import Assembly
from baas.api.grpc.whole_answers import send_whole
from baas.errors import ApiError, InternalError, InvalidArgument, Unimplemented
from baas.model.limits import MAX_REQUEST_BYTES

log = logging.getLogger(__name__)

CHUNK_BYTES: Final = 64 * 1_024
_GZIP: Final = b"\x1f\x8b"
_GZIP_WINDOW: Final = 31


class Call:
    """What a method sees of its call."""

    def __init__(
        self, stream: Stream[bytes, bytes], request_class: Any, assembly: Assembly
    ) -> None:
        """``request_class.FromString`` makes a request of its bytes, or raises ``DecodeError``."""
        self._stream = stream
        self._assembly = assembly
        self._request_class = request_class

    @property
    def authorization(self) -> str | None:
        """The caller's credentials."""
        metadata = self._stream.metadata
        value = None if metadata is None else metadata.get("authorization")
        return value if isinstance(value, str) else None

    async def receive(self) -> Any | None:
        """The next request; ``None`` after the last.

        Raises:
            InvalidArgument: too large, cut off, or not of its type.
        """
        data = await self.receive_bytes()
        if data is None:
            return None
        try:
            return self._request_class.FromString(data)
        except DecodeError:
            raise InvalidArgument("The request is not a valid protobuf message.") from None

    async def receive_one(self) -> Any:
        """The request of a call that has exactly one."""
        message = await self.receive()
        if message is None:
            raise InvalidArgument("The call ended without a request.")
        return message

    async def receive_all(self) -> AsyncIterator[Any]:
        """Requests until the client ends its half."""
        while (message := await self.receive()) is not None:
            yield message

    async def send_framed(self, framed: bytes) -> None:
        """Send messages that are framed already (:func:`framed`), of a streaming answer."""
        if not self._stream._send_initial_metadata_done:
            await self._stream.send_initial_metadata()
        await self._stream._stream.send_data(framed)

    async def receive_bytes(self) -> bytes | None:
        """The next request as it came; ``None`` after the last.

        Raises:
            InvalidArgument: too large, or cut off.
            ResourceExhausted: too much is arriving at once, on all connections.
        """
        stream = self._stream._stream
        try:
            head = await stream.recv_data(5)
            if not head:
                return None
            length = int.from_bytes(head[1:], "big")
            if length > MAX_REQUEST_BYTES:
                raise _too_large()
            data = await self._assembly.read(stream.recv_data, length)
        except AssertionError:
            raise InvalidArgument("The request ended before its message did.") from None
        return _decompressed(data) if head[0] else data


def framed(messages: Iterable[bytes]) -> bytes:
    """Messages as gRPC frames them: uncompressed, each after its length."""
    parts = []
    for message in messages:
        parts.append(b"\0" + len(message).to_bytes(4, "big"))
        parts.append(message)
    return b"".join(parts)


def unary(
    method: Callable[[Any, str | None], Awaitable[Any]], request_class: Any, assembly: Assembly
) -> Handler:
    """A method with one request (and the caller's credentials) and one answer."""

    async def handle(stream: Stream[bytes, bytes]) -> None:
        call = Call(stream, request_class, assembly)
        try:
            answer = _serialized(await method(await call.receive_one(), call.authorization))
            if not await send_whole(stream, framed((answer,))):
                await stream.send_message(answer)
        except ApiError as error:
            raise status_of(error) from None

    return Handler(_guarded(handle), Cardinality.UNARY_UNARY, None, None)


def server_streaming(
    method: Callable[[Any, str | None], Awaitable[Iterable[Any]]],
    request_class: Any,
    assembly: Assembly,
) -> Handler:
    """A method with one request and many answers."""

    async def handle(stream: Stream[bytes, bytes]) -> None:
        call = Call(stream, request_class, assembly)
        try:
            answers = await method(await call.receive_one(), call.authorization)
            chunk: list[bytes] = []
            size = 0
            for answer in answers:
                chunk.append(_serialized(answer))
                size += len(chunk[-1])
                if size > CHUNK_BYTES:
                    await call.send_framed(framed(chunk))
                    await asyncio.sleep(0)  # encoding is work: others have their turn between
                    chunk, size = [], 0
            end = framed(chunk)
            if not await send_whole(stream, end):
                await call.send_framed(end)
        except ApiError as error:
            raise status_of(error) from None

    return Handler(_guarded(handle), Cardinality.UNARY_STREAM, None, None)


def streaming(
    method: Callable[[Call], Awaitable[None]], request_class: Any, assembly: Assembly
) -> Handler:
    """A method with many requests and many answers."""

    async def handle(stream: Stream[bytes, bytes]) -> None:
        try:
            await method(Call(stream, request_class, assembly))
        except ApiError as error:
            raise status_of(error) from None

    return Handler(_guarded(handle), Cardinality.STREAM_STREAM, None, None)


def _serialized(answer: Any) -> bytes:
    """A message, or the bytes of one."""
    return answer if isinstance(answer, bytes) else cast(bytes, answer.SerializeToString())


def status_of(error: ApiError) -> GRPCError:
    """An error as gRPC tells it."""
    return GRPCError(Status(error.grpc_code), error.message, error.details or None)


def _guarded(
    handle: Callable[[Stream[bytes, bytes]], Awaitable[None]],
) -> Callable[[Stream[bytes, bytes]], Awaitable[None]]:
    """The boundary: what nobody foresaw is logged, and told as INTERNAL without its insides."""

    async def guarded(stream: Stream[bytes, bytes]) -> None:
        try:
            await handle(stream)
        except GRPCError:
            raise
        except Exception:
            log.exception("gRPC call failed")
            failure = InternalError("The server failed to answer this call; its log says why.")
            raise status_of(failure) from None

    return guarded


def _decompressed(data: bytes) -> bytes:
    if not data.startswith(_GZIP):
        raise Unimplemented("Messages may be uncompressed, or compressed with gzip.")
    inflater = zlib.decompressobj(_GZIP_WINDOW)
    try:
        message = inflater.decompress(data, MAX_REQUEST_BYTES)
    except zlib.error:
        raise InvalidArgument("The request is not valid gzip.") from None
    if not inflater.eof:
        raise _too_large()
    return message


def _too_large() -> InvalidArgument:
    return InvalidArgument(f"Request payload size exceeds the limit: {MAX_REQUEST_BYTES} bytes.")
