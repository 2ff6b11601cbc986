"""``multipart/related`` uploads: a part of JSON, then a part of bytes. A parser without I/O.

Fed with whatever pieces the network gives, it holds back no more than a delimiter's length of the bytes,
so an object never gathers in memory.
"""

from __future__ import annotations

import enum
import re
from email.message import Message

from baas.errors import InvalidArgument

_MAX_HEADERS = 8 * 1024
_MAX_PREAMBLE = 1024
_BOUNDARY = re.compile(r"[ -~]{1,70}")


def boundary_of(content_type: str | None) -> bytes:
    """The boundary of a ``multipart/related`` content type (``multipart/mixed`` and the like will do).

    Raises:
        InvalidArgument: there is none.
    """
    message = Message()
    message["Content-Type"] = content_type or ""
    boundary = message.get_param("boundary")
    if message.get_content_maintype() != "multipart" or not isinstance(boundary, str):
        raise InvalidArgument(
            "Bad content type. A multipart upload has multipart/related with a boundary."
        )
    if not _BOUNDARY.fullmatch(boundary):
        raise InvalidArgument("The multipart boundary has 1 to 70 printable characters.")
    return boundary.encode()


class _State(enum.Enum):
    PREAMBLE = enum.auto()
    JSON_HEADERS = enum.auto()
    JSON = enum.auto()
    MEDIA_HEADERS = enum.auto()
    MEDIA = enum.auto()
    CLOSING = enum.auto()
    END = enum.auto()


class MultipartUpload:
    """The two parts of an upload, as they come.

    Feed it, and take ``metadata`` and ``media_type`` once ``media_begun()``; the media's bytes are what
    :meth:`feed` answers. After the last piece call :meth:`finish`.
    """

    def __init__(self, boundary: bytes, max_json: int) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._first = b"--" + boundary
        self._max_json = max_json
        self._buffer = bytearray()
        self._state = _State.PREAMBLE
        self.consumed = 0
        """Bytes fed so far up to the media's first, once that has begun."""
        self.metadata = b""
        self.media_type: str | None = None

    def media_begun(self) -> bool:
        """Whether everything before the media is here."""
        return self._state in (_State.MEDIA, _State.CLOSING, _State.END)

    def media_estimates(self, content_length: int) -> tuple[int, ...]:
        """The sizes that the media may have in a body of this length: its last line may or may not end."""
        rest = content_length - self.consumed - len(self._delimiter) - len(b"--")
        return tuple(size for size in (rest, rest - len(b"\r\n")) if size >= 0)

    def feed(self, piece: bytes) -> bytes:
        """Take a piece; answers the media's bytes that are certain by now.

        Raises:
            InvalidArgument: this is no such body.
        """
        if self._state is _State.END:
            return b""
        self._buffer += piece
        if not self.media_begun():
            self.consumed += len(piece)
            while not self.media_begun() and self._step():
                pass
            if not self.media_begun():
                return b""
            self.consumed -= len(self._buffer)
        return self._media()

    def finish(self) -> None:
        """Raises:
        InvalidArgument: the body ended too soon.
        """
        if self._state is not _State.END:
            raise InvalidArgument("The multipart body ends before its closing delimiter.")

    def _step(self) -> bool:
        """Go on to the next state, if what is buffered is enough."""
        match self._state:
            case _State.PREAMBLE:
                return self._preamble()
            case _State.JSON_HEADERS:
                return self._headers(_State.JSON) is not None
            case _State.JSON:
                return self._json()
            case _:
                headers = self._headers(_State.MEDIA)
                if headers is None:
                    return False
                self.media_type = headers.get("Content-Type")
                return True

    def _preamble(self) -> bool:
        found = self._buffer.find(self._first)
        if found < 0 or len(self._buffer) < found + len(self._first) + 2:
            if len(self._buffer) > _MAX_PREAMBLE + len(self._first):
                raise InvalidArgument("The multipart body does not begin with its boundary.")
            return False
        self._take_line_end(found + len(self._first))
        self._state = _State.JSON_HEADERS
        return True

    def _json(self) -> bool:
        found = self._buffer.find(self._delimiter)
        if found < 0 or len(self._buffer) < found + len(self._delimiter) + 2:
            if len(self._buffer) > self._max_json + len(self._delimiter) + 2:
                raise InvalidArgument(f"The metadata has at most {self._max_json} bytes.")
            return False
        if found > self._max_json:
            raise InvalidArgument(f"The metadata has at most {self._max_json} bytes.")
        self.metadata = bytes(self._buffer[:found])
        self._take_line_end(found + len(self._delimiter))
        self._state = _State.MEDIA_HEADERS
        return True

    def _take_line_end(self, position: int) -> None:
        if self._buffer[position : position + 2] != b"\r\n":
            raise InvalidArgument("The multipart body has two parts: JSON, then bytes.")
        del self._buffer[: position + 2]

    def _headers(self, then: _State) -> Message | None:
        if self._buffer.startswith(b"\r\n"):
            head, end = b"", 2
        else:
            found = self._buffer.find(b"\r\n\r\n")
            if found < 0:
                if len(self._buffer) > _MAX_HEADERS:
                    raise InvalidArgument("A multipart part's headers are too long.")
                return None
            head, end = bytes(self._buffer[:found]), found + 4
        message = Message()
        for line in head.split(b"\r\n"):
            key, colon, value = line.partition(b":")
            if colon:
                message[key.decode("latin-1").strip()] = value.decode("latin-1").strip()
        del self._buffer[:end]
        self._state = then
        return message

    def _media(self) -> bytes:
        if self._state is _State.MEDIA:
            found = self._buffer.find(self._delimiter)
            if found < 0:
                certain = max(0, len(self._buffer) - len(self._delimiter) + 1)
                return self._take(certain)
            media = self._take(found)
            del self._buffer[: len(self._delimiter)]
            self._state = _State.CLOSING
        else:
            media = b""
        if self._state is _State.CLOSING and len(self._buffer) >= 2:
            if self._buffer[:2] != b"--":
                raise InvalidArgument("The multipart body has two parts: JSON, then bytes.")
            self._buffer.clear()
            self._state = _State.END
        return media

    def _take(self, count: int) -> bytes:
        taken = bytes(memoryview(self._buffer)[:count])
        del self._buffer[:count]
        return taken
