"""Which names buckets and objects may have."""

from __future__ import annotations

import pytest

from baas.errors import InvalidArgument
from baas.storage.names import check_bucket_name, check_object_name


@pytest.mark.parametrize("name", ["a", "../x", "...", "a/b/../c", "ä" * 512, "//", " ", "\t"])
def test_objects_may_be_called_nearly_anything(name: str) -> None:
    assert check_object_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a\nb", "a\rb", "\0", "ä" * 513, "\ud800", ".well-known/acme-challenge/x"],
)
def test_but_not_quite_anything(name: str) -> None:
    with pytest.raises(InvalidArgument):
        check_object_name(name)


@pytest.mark.parametrize("name", ["abc", "my-project.appspot.com", "a_b-c.d0", "a" * 63])
def test_bucket_names(name: str) -> None:
    assert check_bucket_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "ab", "Abc", "-abc", "abc-", "a..b", "a/b", "192.168.0.1", "a" * 64, "abc\n", "ä-bucket"],
)
def test_names_that_no_bucket_has(name: str) -> None:
    with pytest.raises(InvalidArgument):
        check_bucket_name(name)
