"""What both wire forms check of values, and how they tell which field is bad.

Source: ``listen-and-write`` §7 and §9.
"""

from __future__ import annotations

from typing import Any, Final

from baas.errors import InvalidArgument
from baas.model.limits import MAX_VALUE_DEPTH, MAX_VECTOR_DIMENSIONS
from baas.model.paths import DocumentName, format_field_path
from baas.model.values import Fields, GeoPoint, Reference, Value, Vector

VECTOR_TYPE: Final = "__vector__"


class BadField(InvalidArgument):
    """A value that cannot be taken, with the path of the field that holds it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.path: tuple[str, ...] = ()
        super().__init__(reason)

    def within(self, segment: str) -> BadField:
        """The same error, seen from one level further out."""
        self.path = (segment, *self.path)
        self.message = f"Field {format_field_path(self.path)[:300]}: {self.reason}"
        self.args = (self.message,)
        return self


def checked_geopoint(latitude: float, longitude: float) -> GeoPoint:
    """A geopoint within the allowed degrees.

    Raises:
        InvalidArgument: outside of them.
    """
    if not -90.0 <= latitude <= 90.0:
        raise BadField(f"latitude {latitude} is outside the permitted range -90 to 90.")
    if not -180.0 <= longitude <= 180.0:
        raise BadField(f"longitude {longitude} is outside the permitted range -180 to 180.")
    return GeoPoint(latitude, longitude)


def checked_reference(name: str) -> Reference:
    """A reference to a well-formed document name.

    Raises:
        InvalidArgument: not the full name of a document.
    """
    try:
        DocumentName.parse(name)
    except InvalidArgument as error:
        raise BadField(error.message) from None
    return Reference(name)


def map_or_vector(fields: Fields) -> Value:
    """The decoded map, or the vector that it stands for (``__type__`` is ``__vector__``).

    Raises:
        InvalidArgument: ``__type__`` is there, but the map is not a vector.
    """
    if "__type__" not in fields:
        return fields
    components = fields.get("value")
    if fields["__type__"] != VECTOR_TYPE or len(fields) != 2 or type(components) is not list:
        raise BadField("names that match __.*__ are reserved: '__type__' belongs to vectors alone.")
    return checked_vector(components)


def checked_vector(components: list[Any]) -> Vector:
    """A vector of 1 to 2048 doubles, none of them NaN.

    Raises:
        InvalidArgument: of another length, or with other values.
    """
    if not components:
        raise BadField("a vector must not have zero length.")
    if len(components) > MAX_VECTOR_DIMENSIONS:
        raise BadField(f"a vector may have at most {MAX_VECTOR_DIMENSIONS} dimensions.")
    if any(type(component) is not float for component in components):
        raise BadField("a vector must only contain values of type 'double'.")
    if any(component != component for component in components):
        raise BadField("a vector cannot contain NaN.")
    return Vector(tuple(components))


def too_deep() -> BadField:
    """The error for a value that lies below more than 20 maps and arrays."""
    return BadField(
        f"nested too deeply: at most {MAX_VALUE_DEPTH} levels of maps and arrays are allowed."
    )


def checked_elements(values: list[Value]) -> list[Value]:
    """The elements of an array that can be stored.

    Raises:
        InvalidArgument: one is itself an array, or a vector.
    """
    for value in values:
        kind = type(value)
        if kind is list:
            raise BadField(
                "an array cannot directly contain an array: wrap the inner one in a map."
            )
        if kind is Vector:
            raise BadField("an array cannot directly contain a vector: wrap it in a map.")
    return values
