"""One WebChannel session as a state machine without I/O.

Both directions number their messages. Inbound maps are put in order, each taken once; outbound arrays
are kept until the client has acknowledged them. Source: ``webchannel`` §4, §5 and §12.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from baas.api.webchannel.frames import NOOP, error_array
from baas.errors import ApiError, InvalidArgument, ResourceExhausted


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """What one session may hold."""

    held_maps: int = 1_000
    """Maps that wait for a gap before them to fill."""
    map_gap: int = 100_000
    """How far ahead of the expected one a map's number may be."""
    held_bytes: int = 64 * 1_048_576
    buffered_bytes: int = 32 * 1_048_576
    """Unacknowledged output; a session that would hold more is dropped."""


class Session:
    """Numbers, order and acknowledgements of one session's messages."""

    def __init__(self, limits: SessionLimits = SessionLimits()) -> None:
        self._limits = limits
        self._next_map = 0
        self._held: dict[int, str | None] = {}
        self._held_bytes = 0
        self._next_array = 1
        self._buffer: deque[tuple[int, str]] = deque()
        self._bytes = 0
        self.failed = False
        """An error was sent: the session is quiet from here on (``webchannel`` §7)."""

    @property
    def last_array(self) -> int:
        """The highest array id given so far."""
        return self._next_array - 1

    @property
    def outstanding_bytes(self) -> int:
        """Bytes of arrays that the client has not acknowledged."""
        return self._bytes

    def receive(self, maps: Mapping[int, str | None]) -> list[str]:
        """Take in numbered maps; answers the messages that are now in order, each once for ever.

        Raises:
            ResourceExhausted: too much waits for a map that has not come.
            InvalidArgument: a map is numbered absurdly far ahead.
        """
        if self.failed:
            return []
        for number, text in maps.items():
            if number < self._next_map or number in self._held:
                continue
            if number > self._next_map + self._limits.map_gap:
                raise InvalidArgument(f"Message {number} is too far ahead of {self._next_map}.")
            self._held[number] = text
            self._held_bytes += len(text or "")
        ready: list[str] = []
        while self._next_map in self._held:
            text = self._held.pop(self._next_map)
            self._next_map += 1
            if text is not None:
                self._held_bytes -= len(text)
                ready.append(text)
        if len(self._held) > self._limits.held_maps or self._held_bytes > self._limits.held_bytes:
            raise ResourceExhausted(f"Message {self._next_map} is missing; too many wait for it.")
        return ready

    def acknowledge(self, array_id: int) -> None:
        """The client has processed all arrays up to this one."""
        while self._buffer and self._buffer[0][0] <= array_id:
            self._bytes -= len(self._buffer.popleft()[1])

    def push(self, array: str) -> None:
        """Queue an array (JSON text); nothing after an error.

        Raises:
            ResourceExhausted: the client has left too much unacknowledged.
        """
        if self.failed:
            return
        if self._bytes + len(array) > self._limits.buffered_bytes and self._buffer:
            raise ResourceExhausted("The client does not read its messages.")
        self._append(array)

    def push_noop(self) -> None:
        """Queue a noop: it shows that the channel lives, also after an error."""
        self._append(NOOP)

    def fail(self, error: ApiError) -> None:
        """Queue the RPC's status; the session is quiet afterwards."""
        if not self.failed:
            self._append(error_array(error))
            self.failed = True

    def close(self) -> None:
        """Queue a graceful end of the stream."""
        if not self.failed:
            self._append('["close"]')
            self.failed = True

    def pending(self, after: int) -> list[tuple[int, str]]:
        """Arrays with an id greater than ``after``, in order."""
        newer = []
        for item in reversed(self._buffer):
            if item[0] <= after:
                break
            newer.append(item)
        newer.reverse()
        return newer

    def _append(self, array: str) -> None:
        self._buffer.append((self._next_array, array))
        self._next_array += 1
        self._bytes += len(array)
