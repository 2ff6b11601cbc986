"""A document at one version."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from baas.model.paths import DocumentName
from baas.model.values import Fields, Timestamp

FieldsDecoder = Callable[[bytes], Fields]


class Document:
    """A document's name, fields and times.

    The fields may still be in their encoded form, as they rest in the database: ``encoded`` is what a
    JSON surface splices into its answer, and ``fields`` decodes them on first use. Immutable by contract.
    """

    __slots__ = ("_decode", "_encoded", "_fields", "create_time", "name", "update_time")

    def __init__(
        self,
        name: DocumentName,
        create_time: Timestamp,
        update_time: Timestamp,
        *,
        fields: Fields | None = None,
        encoded: bytes | None = None,
        decode: FieldsDecoder | None = None,
    ) -> None:
        """Give ``fields``, or ``encoded`` with the ``decode`` function that opens it, or all three."""
        if fields is None and (encoded is None or decode is None):
            raise ValueError("a document needs its fields, or encoded fields with a decoder")
        self.name = name
        self.create_time = create_time
        self.update_time = update_time
        self._fields = fields
        self._encoded = encoded
        self._decode = decode

    @property
    def fields(self) -> Fields:
        """The decoded fields. Not to be changed."""
        if self._fields is None:
            decode = cast(FieldsDecoder, self._decode)
            self._fields = decode(cast(bytes, self._encoded))
        return self._fields

    @property
    def is_decoded(self) -> bool:
        """Whether somebody asked for the fields already."""
        return self._fields is not None

    @property
    def resource_name(self) -> str:
        """The full resource name."""
        return self.name.name

    @property
    def micros(self) -> tuple[int, int]:
        """Create and update time, in microseconds since the epoch."""
        return self.create_time.micros, self.update_time.micros

    @property
    def encoded(self) -> bytes | None:
        """The fields as proto3-JSON bytes (the object of the ``fields`` key), if they are at hand."""
        return self._encoded

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Document):
            return NotImplemented
        return (
            self.name == other.name
            and self.create_time == other.create_time
            and self.update_time == other.update_time
            and self.fields == other.fields
        )

    __hash__ = None  # type: ignore[assignment]  # mutable mapping inside: not a key

    def __repr__(self) -> str:
        return f"Document({self.name.name!r}, update_time={self.update_time.micros})"
