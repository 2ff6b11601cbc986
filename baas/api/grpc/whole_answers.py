"""An answer that is complete at once: headers, messages and trailers in one write.

grpclib writes to the socket three times for it, and has h2 build each frame from objects; that costs more
than most calls themselves. Headers and trailers of a call that went well never differ, so their compressed
form is at hand here: literals outside of the compression's table, which therefore does not notice. h2's state
of the stream and its windows are kept as if it had sent the frames.
"""

from __future__ import annotations

from typing import Any, Final

from grpclib.server import Stream
from h2.connection import ConnectionInputs
from h2.exceptions import StreamClosedError
from h2.stream import StreamInputs

_DATA, _HEADERS = 0x0, 0x1
_END_HEADERS, _END_STREAM = 0x4, 0x1


def _literal(text: bytes) -> bytes:
    """A string literal of HPACK (RFC 7541 §5.2), not compressed; shorter than 127 bytes."""
    return bytes((len(text),)) + text


# `:status: 200` is entry 8 of the static table, `content-type` the name of entry 31 (RFC 7541, appendix A).
_OK_HEADERS: Final = b"\x88\x0f\x10" + _literal(b"application/grpc+proto")
_OK_TRAILERS: Final = b"\x00" + _literal(b"grpc-status") + _literal(b"0")


async def send_whole(stream: Stream[bytes, bytes], framed: bytes) -> bool:
    """Send framed messages as the whole answer of a call that went well.

    Returns:
        False, and nothing is sent, where the peer's flow control or settings ask for more care.

    Raises:
        StreamClosedError: the peer has closed the stream.
    """
    transport_stream = stream._stream
    if stream._send_initial_metadata_done:
        return False
    await transport_stream.connection.write_ready.wait()
    if not _sent(transport_stream, framed):
        return False
    transport_stream.connection.data_send_process()
    stream._send_initial_metadata_done = True
    stream._send_message_done = True
    stream._send_trailing_metadata_done = True
    return True


def _sent(transport_stream: Any, framed: bytes) -> bool:
    connection, stream_id = transport_stream._h2_connection, transport_stream.id
    inner = connection.streams.get(stream_id)
    if inner is None:
        raise StreamClosedError(stream_id)
    size = len(framed)
    if size > connection.local_flow_control_window(stream_id):
        return False
    if connection.encoder.table_size_changes:  # to be told in the next headers that h2 sends
        return False
    connection.state_machine.process_input(ConnectionInputs.SEND_HEADERS)
    step = inner.state_machine.process_input
    for what in (
        StreamInputs.SEND_HEADERS,
        StreamInputs.SEND_DATA,
        StreamInputs.SEND_HEADERS,
        StreamInputs.SEND_END_STREAM,
    ):
        step(what)
    connection.outbound_flow_control_window -= size
    inner.outbound_flow_control_window -= size
    address = stream_id.to_bytes(4, "big")
    most = connection.max_outbound_frame_size
    parts = [connection.data_to_send(), _frame(_HEADERS, _END_HEADERS, address, _OK_HEADERS)]
    for start in range(0, size, most):
        parts.append(_frame(_DATA, 0, address, framed[start : start + most]))
    parts.append(_frame(_HEADERS, _END_HEADERS | _END_STREAM, address, _OK_TRAILERS))
    transport_stream._transport.write(b"".join(parts))
    return True


def _frame(kind: int, flags: int, address: bytes, payload: bytes) -> bytes:
    """An HTTP/2 frame (RFC 9113 §4.1)."""
    return b"%b%b%b%b" % (len(payload).to_bytes(3, "big"), bytes((kind, flags)), address, payload)
