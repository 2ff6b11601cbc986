"""Several writes of one document in one commit: the pairs that Google's emulator refuses."""

from __future__ import annotations

import itertools

import pytest

from baas.errors import InvalidArgument
from baas.model.paths import DatabaseId, DocumentName
from baas.model.repeated_writes import check_repeated_writes
from baas.model.values import Timestamp
from baas.model.write import Precondition, Write, WriteKind

NAME = DocumentName(DatabaseId("demo"), ("c", "d"))
OTHER = DocumentName(DatabaseId("demo"), ("c", "e"))
THEN, LATER = Precondition(update_time=Timestamp(1)), Precondition(update_time=Timestamp(2))
WRITES = {
    "set": Write(WriteKind.UPDATE, NAME),
    "create": Write(WriteKind.UPDATE, NAME, precondition=Precondition(exists=False)),
    "update": Write(WriteKind.UPDATE, NAME, precondition=Precondition(exists=True)),
    "update at": Write(WriteKind.UPDATE, NAME, precondition=THEN),
    "delete": Write(WriteKind.DELETE, NAME),
    "delete existing": Write(WriteKind.DELETE, NAME, precondition=Precondition(exists=True)),
    "delete missing": Write(WriteKind.DELETE, NAME, precondition=Precondition(exists=False)),
    "delete at": Write(WriteKind.DELETE, NAME, precondition=THEN),
}
SETS = ("set", "create", "update", "update at")
DELETES = ("delete", "delete existing", "delete missing", "delete at")
REFUSED = {
    *itertools.product(SETS, ("create", "delete missing")),
    *itertools.product(("set", "create", "update"), ("update at", "delete at")),
    *itertools.product(DELETES, ("update", "update at", "delete existing")),
    *itertools.product(("delete", "delete existing", "delete missing"), ("delete at",)),
}


def refused(*writes: Write) -> bool:
    try:
        check_repeated_writes(writes)
    except InvalidArgument:
        return True
    return False


@pytest.mark.parametrize("first", WRITES)
def test_pairs_of_writes(first: str) -> None:
    for second in WRITES:
        asked = refused(WRITES[first], WRITES[second])
        assert asked is ((first, second) in REFUSED), f"{first}, then {second}"


def test_the_web_sdk_recognizes_a_deleted_document_that_is_updated() -> None:
    with pytest.raises(InvalidArgument, match="Cannot delete then update an entity"):
        check_repeated_writes((WRITES["delete"], WRITES["update"]))


def test_a_third_write_is_held_against_the_second() -> None:
    assert refused(WRITES["set"], WRITES["delete"], WRITES["update"])
    assert not refused(WRITES["delete"], WRITES["create"], WRITES["update"])
    assert not refused(WRITES["update at"], WRITES["set"], WRITES["update at"])


def test_all_update_times_are_the_same() -> None:
    later = Write(WriteKind.UPDATE, NAME, precondition=LATER)
    assert refused(WRITES["update at"], later)


def test_a_verified_document_is_named_once() -> None:
    verify = Write(WriteKind.VERIFY, NAME, precondition=Precondition(exists=True))
    assert refused(verify, WRITES["set"])
    assert refused(WRITES["set"], verify)
    assert refused(verify, verify)


def test_other_documents_do_not_matter() -> None:
    other = Write(WriteKind.UPDATE, OTHER, precondition=Precondition(exists=True))
    assert not refused(WRITES["delete"], other, WRITES["create"])
