"""Patterns of object names, as Cloud Storage documents them."""

from __future__ import annotations

import pytest

from baas.api.gcs_glob import compile_glob
from baas.errors import InvalidArgument


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*.txt", "a.txt", True),
        ("*.txt", "dir/a.txt", False),
        ("**.txt", "dir/a.txt", True),
        ("dir/**/c", "dir/a/b/c", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[a-c]x", "bx", True),
        ("[!a-c]x", "bx", False),
        ("[^a-c]x", "dx", True),
        ("[]]", "]", True),
        ("{a,b*}/c", "bcd/c", True),
        ("{a,b}/c", "d/c", False),
        ("a,b", "a,b", True),
        ("a}", "a}", True),
        (r"\*", "*", True),
        (r"\*", "x", False),
        ("a.b", "axb", False),
        ("é*", "éx", True),
        ("a**", "a\n", True),
    ],
)
def test_patterns(pattern: str, name: str, expected: bool) -> None:
    assert compile_glob(pattern)(name) is expected


@pytest.mark.parametrize("pattern", ["[a", "{a,b", "\\", "[z-a]", "x" * 1025])
def test_malformed_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(InvalidArgument):
        compile_glob(pattern)


def test_a_pattern_takes_no_more_time_than_the_name_is_long() -> None:
    assert not compile_glob("**a" * 200)("a" * 199 + "b" * 800)
