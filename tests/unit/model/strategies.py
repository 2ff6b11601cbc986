"""Hypothesis strategies for values and documents, nasty ones first. For every room's property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from baas.model.document import Document
from baas.model.paths import DatabaseId, DocumentName
from baas.model.values import (
    INT64_MAX,
    INT64_MIN,
    Fields,
    GeoPoint,
    Reference,
    Timestamp,
    Value,
    Vector,
)

DATABASE = DatabaseId("demo")

_NASTY_INTS = [
    *(0, 1, -1, 2**53 - 1, 2**53, 2**53 + 1, 2**53 + 2, -(2**53), -(2**53) - 1, -(2**53) + 1),
    *(INT64_MAX, INT64_MAX - 1, INT64_MIN, INT64_MIN + 1, 2**62, 2**62 + 1, 2**62 - 1, 10**15),
]
_NASTY_FLOATS = [
    *(0.0, -0.0, 1.0, -1.0, 0.5, float("nan"), float("inf"), float("-inf"), 5e-324, -5e-324),
    *(2.0**53, 2.0**53 + 2, -(2.0**53), 2.0**63, -(2.0**63), 2.0**62, 1e308, -1e308, 2.0**64),
]
_NASTY_TEXT = [
    *("", "\x00", "\x00\x00", "a", "a\x00", "a\x00b", "a\x01", "A", "é", "e\u0301", "\uffff"),
    *("\U00010000", "\U0010ffff", "a/b", "`", "\\", ".", "__id7__", "\x7f", "\x80", "ÿ", "\u2028"),
]
_NASTY_BYTES = [
    b"",
    b"\x00",
    b"\x00\xff",
    b"\x00\x01",
    b"\xff",
    b"\xff\xff",
    b"a",
    b"a\x00",
    b"\x01",
]


def text(max_size: int = 8) -> st.SearchStrategy[str]:
    """Valid Unicode text (no lone surrogates)."""
    return st.sampled_from(_NASTY_TEXT) | st.text(
        st.characters(exclude_categories=("Cs",)), max_size=max_size
    )


def field_names() -> st.SearchStrategy[str]:
    """Field names that are allowed: not empty, not reserved."""
    simple = st.sampled_from(["a", "b", "c", "n", "tags", "user_id", "a.b", "x y", "é", "0", "`q`"])
    return simple | text().filter(
        lambda name: bool(name) and not (name.startswith("__") and name.endswith("__"))
    )


def ids() -> st.SearchStrategy[str]:
    """Document and collection ids that are allowed, numeric ones included."""
    return (
        st.sampled_from(["a", "b", "users", "__id7__", "__id-3__", "__id10__", "é", "a\x00", "A b"])
        | st.integers(INT64_MIN, INT64_MAX).map(lambda number: f"__id{number}__")
        | text().filter(
            lambda text_: (
                bool(text_)
                and "/" not in text_
                and text_ not in (".", "..")
                and not (text_.startswith("__") and text_.endswith("__"))
            )
        )
    )


def document_names(max_depth: int = 2) -> st.SearchStrategy[DocumentName]:
    """Names of documents in :data:`DATABASE`."""
    pairs = st.lists(st.tuples(ids(), ids()), min_size=1, max_size=max_depth)
    return pairs.map(
        lambda chosen: DocumentName(DATABASE, tuple(id_ for pair in chosen for id_ in pair))
    )


def integers() -> st.SearchStrategy[int]:
    """Int64 values, around every edge."""
    return st.sampled_from(_NASTY_INTS) | st.integers(INT64_MIN, INT64_MAX) | st.integers(-5, 5)


def doubles() -> st.SearchStrategy[float]:
    """Doubles, NaN, infinities and both zeros included."""
    return st.sampled_from(_NASTY_FLOATS) | st.floats()


def timestamps() -> st.SearchStrategy[Timestamp]:
    """Microsecond timestamps over the whole allowed range."""
    edges = [Timestamp.MIN_MICROS, Timestamp.MAX_MICROS, 0, 1, -1, 1_000, 1_000_000, -1_000_001]
    return (st.sampled_from(edges) | st.integers(Timestamp.MIN_MICROS, Timestamp.MAX_MICROS)).map(
        Timestamp
    )


def geopoints() -> st.SearchStrategy[GeoPoint]:
    """Geopoints within the allowed degrees."""
    return st.builds(GeoPoint, st.floats(-90, 90), st.floats(-180, 180))


def references() -> st.SearchStrategy[Reference]:
    """References to documents of :data:`DATABASE`."""
    return document_names().map(lambda name: Reference(name.name))


def vectors() -> st.SearchStrategy[Vector]:
    """Short vectors."""
    components = doubles().filter(lambda value: value == value)
    return st.lists(components, min_size=1, max_size=4).map(
        lambda components: Vector(tuple(components))
    )


def scalars() -> st.SearchStrategy[Value]:
    """Every type but arrays and maps."""
    return st.one_of(
        st.none(),
        st.booleans(),
        integers(),
        doubles(),
        timestamps(),
        text(),
        st.sampled_from(_NASTY_BYTES) | st.binary(max_size=6),
        references(),
        geopoints(),
        vectors(),
    )


def maps(max_leaves: int = 8) -> st.SearchStrategy[Fields]:
    """Maps of any values."""
    return st.dictionaries(field_names(), values(max_leaves), max_size=4)


def values(max_leaves: int = 8) -> st.SearchStrategy[Value]:
    """Any value that a document may hold: no array directly within an array."""

    def containers(inner: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
        elements = inner.filter(lambda value: type(value) not in (list, Vector))
        return st.lists(elements, max_size=3) | st.dictionaries(field_names(), inner, max_size=3)

    return st.recursive(scalars(), containers, max_leaves=max_leaves)


def documents() -> st.SearchStrategy[Document]:
    """Documents with a few fields of few names, so that queries find something."""
    names = st.sampled_from(["a", "b", "c"])
    fields = st.dictionaries(names | field_names(), values(), max_size=4)
    moments = st.integers(1, 10**15).map(Timestamp)
    return st.builds(
        lambda name, created, updated, data: Document(
            name,
            Timestamp(min(created.micros, updated.micros)),
            Timestamp(max(created.micros, updated.micros)),
            fields=data,
        ),
        document_names(),
        moments,
        moments,
        fields,
    )
