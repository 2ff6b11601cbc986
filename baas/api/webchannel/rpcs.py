"""Listen and Write in proto3-JSON, for the WebChannel surface."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import TypeVar

from baas.api.streams import Streams
from baas.api.webchannel.channel import Batches, Messages, Rpc
from baas.api.webchannel.frames import message_array
from baas.errors import InvalidArgument
from baas.model.limits import MAX_REQUEST_BYTES
from baas.model.watch import ListenResponse
from baas.wire.json_codec import (
    listen_response_to_json,
    load_json,
    parse_listen_request,
    parse_write_stream_request,
    write_response,
)

_SERVICE = "/google.firestore.v1.Firestore"
_MEMO = "webchannel"

T = TypeVar("T")


def firestore_rpcs(streams: Streams) -> dict[str, Rpc]:
    """The two RPCs by their paths."""

    async def listen(metadata: Mapping[str, str], messages: Messages) -> Batches:
        requests = _parsed(messages, lambda raw: parse_listen_request(raw, strict=False))
        async with aclosing(streams.listen(metadata.get("authorization"), requests)) as batches:
            async for batch in batches:
                yield _arrays(batch)

    async def write(metadata: Mapping[str, str], messages: Messages) -> Batches:
        requests = _parsed(messages, parse_write_stream_request)
        async with aclosing(streams.write(metadata.get("authorization"), requests)) as responses:
            async for response in responses:
                message = write_response(
                    response.stream_token, stream_id=response.stream_id, result=response.result
                )
                yield (message_array(message),)

    return {f"{_SERVICE}/Listen": listen, f"{_SERVICE}/Write": write}


async def _parsed(messages: Messages, parse: Callable[[object], T]) -> AsyncIterator[T]:
    async for text in messages:
        # The limit of the API: told as INVALID_ARGUMENT, which the SDK passes on to the application.
        if len(text) > MAX_REQUEST_BYTES:
            raise InvalidArgument(
                f"Request payload size exceeds the limit: {MAX_REQUEST_BYTES} bytes."
            )
        yield parse(load_json(text))


def _arrays(batch: Iterable[ListenResponse]) -> Iterable[str]:
    """The batch's arrays; a batch that streams share is encoded once."""
    memo = getattr(batch, "memo", None)
    arrays = None if memo is None else memo.get(_MEMO)
    if arrays is None:
        arrays = tuple(message_array(listen_response_to_json(response)) for response in batch)
        if memo is not None:
            memo[_MEMO] = arrays
    return arrays
