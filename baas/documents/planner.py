"""Choosing how to get the candidates of a conjunct.

An index serves a conjunct if every field that it holds is one that all results have (else it lacks results).
Its leading fields that filters fix become the prefix; what follows is either the orders of the query, all
alike or all reversed, which gives results in order, or one field with a range, or nothing more. Filters on
the other fields that it holds, and on the name, are checked on its keys.
"""

from __future__ import annotations

from collections.abc import Sequence

from baas.documents.bounds import Cut, Stretch
from baas.documents.conjunctions import Conjunct
from baas.documents.indexes import FieldKind, Index, IndexDefinition, IndexField, Scope
from baas.documents.key_checks import KeyPart
from baas.documents.merge_join import MergeJoin
from baas.documents.plans import ByName, IndexScan, OneDocument, Plan
from baas.model.key_encoding import descending, encode_path, encode_path_prefix
from baas.model.paths import DOCUMENT_ID
from baas.model.query import Direction, Order, Query


def choose_plan(query: Query, part: Conjunct, indexes: Sequence[Index]) -> Plan:
    """The best plan for one conjunct of a canonical query, with the indexes there are."""
    name = part.name
    if name is not None:
        return OneDocument(name)
    scans = [scan for index in indexes if (scan := index_scan(query, part, index)) is not None]
    if not scans:
        return _by_name(query, part)
    best = max(scans, key=lambda scan: (scan.fixed, scan.ordered, scan.bounded, scan.checks_keys))
    return _join(part, scans) or best if best.fixed < part.fixed_count else best


def _join(part: Conjunct, scans: Sequence[IndexScan]) -> MergeJoin | None:
    """The scans in order that together say the most filters, if they are several."""
    chosen: list[IndexScan] = []
    said: set[IndexField] = set()
    for scan in sorted(scans, key=lambda scan: -scan.fixed):
        fixed = set(_fixed_fields(scan))
        if scan.ordered and not fixed <= said:
            chosen.append(scan)
            said |= fixed
    if len(chosen) < 2 or len(said) <= max(scan.fixed for scan in scans):
        return None
    whole = len(said) == part.fixed_count
    return MergeJoin(tuple(chosen), exact=whole and all(scan.exact_but_fixed for scan in chosen))


def _fixed_fields(scan: IndexScan) -> list[IndexField]:
    """The filters that a scan's prefix says, whatever the direction that its index has them in."""
    return [
        field if field.kind is FieldKind.CONTAINS else IndexField(field.path)
        for field in scan.index.definition.fields[: scan.fixed]
    ]


def _by_name(query: Query, part: Conjunct) -> Plan:
    ordered = not part.key_orders
    stretch = part.order_stretch() if ordered else part.ranges.get(DOCUMENT_ID)
    filtered = bool(part.equal or part.contains or set(part.ranges) - {DOCUMENT_ID})
    return ByName(
        query.parent,
        query.collection_id,
        query.spans_collections,
        query.all_descendants,
        stretch or Stretch(),
        reverse=ordered and part.name_descending,
        ordered=ordered,
        exact=part.exact and ordered and not filtered,
    )


def index_scan(query: Query, part: Conjunct, index: Index) -> IndexScan | None:
    """How the index serves the conjunct; ``None`` if it does not, or no better than no index."""
    definition = index.definition
    if not _covers_scope(query, definition):
        return None
    prefix, rest = _fixed_prefix(part, definition.fields)
    required = part.required
    if any(field.kind is FieldKind.CONTAINS or field.path not in required for field in rest):
        return None
    fixed = len(definition.fields) - len(rest)
    collection = None if query.all_descendants else (*query.parent, query.collection_id)
    reverse = _direction(rest, part, definition)
    names = _names(query, part)
    parts = _key_parts(rest, part, names, definition)
    if reverse is not None:
        stretch = part.order_stretch()
        if stretch is None:
            return None
        if not rest and names is not None:
            stretch = stretch.both(names.inverted() if part.name_descending else names)
        alone = set(part.ranges) <= {part.orders[0].field_path} and (not rest or names is None)
        return IndexScan(
            index,
            collection,
            prefix,
            stretch.inverted() if reverse else stretch,
            reverse=reverse,
            ordered=True,
            exact=part.exact and _says_all(part, definition, rest),
            exact_but_fixed=part.exact and alone,
            fixed=fixed,
            bounded=stretch != Stretch(),
            gaps=_gaps(rest, part),
            key_parts=parts,
        )
    bounds = part.ranges.get(rest[0].path) if rest else names
    if not fixed and bounds is None:
        return None
    bounds = bounds or Stretch()
    if rest[0].kind is FieldKind.DESCENDING if rest else definition.name_descending:
        bounds = bounds.inverted()
    return IndexScan(
        index,
        collection,
        prefix,
        bounds,
        reverse=False,
        ordered=False,
        exact=False,
        exact_but_fixed=False,
        fixed=fixed,
        bounded=bounds != Stretch(),
        gaps=_gaps(rest, part),
        key_parts=parts,
    )


def _names(query: Query, part: Conjunct) -> Stretch | None:
    """Where the names of results must lie, ascending; ``None``: anywhere."""
    names = part.ranges.get(DOCUMENT_ID)
    if not (query.all_descendants and query.parent):
        return names
    below = Stretch(
        Cut(encode_path(query.parent), after=True),
        Cut(encode_path_prefix(query.parent), after=True),
    )
    return below if names is None else below.both(names)


def _key_parts(
    rest: tuple[IndexField, ...],
    part: Conjunct,
    names: Stretch | None,
    definition: IndexDefinition,
) -> tuple[KeyPart, ...]:
    """What the keys must hold after the prefix that their stretch does not say; none if that is all."""
    if not rest:
        return ()
    first, *others = rest
    parts = (
        KeyPart(first.kind is FieldKind.DESCENDING),
        *(KeyPart(field.kind is FieldKind.DESCENDING, _must_lie(part, field)) for field in others),
        KeyPart(definition.name_descending, names),
    )
    return parts if any(each.stretch is not None for each in parts) else ()


def _must_lie(part: Conjunct, field: IndexField) -> Stretch | None:
    stretch = part.ranges.get(field.path)
    equal = part.equal.get(field.path)
    if equal is None:
        return stretch
    fixed = Stretch(Cut(equal, after=False), Cut(equal, after=True))
    return fixed if stretch is None else fixed.both(stretch)


def _says_all(part: Conjunct, definition: IndexDefinition, rest: tuple[IndexField, ...]) -> bool:
    """Whether the stretch and the keys say all filters."""
    held = {field.path for field in definition.fields if field.kind is not FieldKind.CONTAINS}
    contains = {field.path for field in definition.fields if field.kind is FieldKind.CONTAINS}
    ranged = {DOCUMENT_ID, *(field.path for field in rest)}
    return (
        part.ranges.keys() <= ranged
        and part.equal.keys() <= held
        and part.contains.keys() <= contains
    )


def _gaps(rest: tuple[IndexField, ...], part: Conjunct) -> tuple[bytes, ...]:
    """What the first field after the prefix must not be, as it stands in the keys, in their order."""
    if not rest:
        return ()
    excluded = part.excluded.get(rest[0].path, ())
    if rest[0].kind is FieldKind.DESCENDING:
        excluded = tuple(map(descending, excluded))
    return tuple(sorted(excluded))


def _covers_scope(query: Query, definition: IndexDefinition) -> bool:
    scope = Scope.GROUP if query.all_descendants else Scope.COLLECTION
    return definition.scope is scope and definition.collection_id == query.collection_id


def _fixed_prefix(
    part: Conjunct, fields: tuple[IndexField, ...]
) -> tuple[bytes, tuple[IndexField, ...]]:
    """The key bytes of the leading fields that filters fix, and the fields that follow."""
    prefix = b""
    for position, field in enumerate(fields):
        if field.kind is FieldKind.CONTAINS:
            encoded = part.contains.get(field.path)
        else:
            encoded = part.equal.get(field.path)
        if encoded is None:
            return prefix, fields[position:]
        prefix += descending(encoded) if field.kind is FieldKind.DESCENDING else encoded
    return prefix, ()


def _direction(
    rest: tuple[IndexField, ...], part: Conjunct, definition: IndexDefinition
) -> bool | None:
    """Whether the fields must be read backwards to give the orders; ``None`` if they do not either way."""
    orders = part.key_orders
    if [field.path for field in rest] != [order.field_path for order in orders]:
        return None
    flips = {
        (field.kind is FieldKind.DESCENDING) != _descends(order)
        for field, order in zip(rest, orders, strict=True)
    }
    flips.add(definition.name_descending != part.name_descending)
    return flips.pop() if len(flips) == 1 else None


def _descends(order: Order) -> bool:
    return order.direction is Direction.DESCENDING
