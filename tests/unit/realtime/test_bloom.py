"""Bloom filters of existence filters."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.realtime.bloom import bloom_filter, might_contain


@pytest.mark.parametrize(
    ("prefix", "ids", "bitmap", "padding"),
    [
        ("projects/p/databases/(default)/documents/c/", "a b c", "+MvoAw==", 3),
        (
            "projects/demo-proj/databases/(default)/documents/docs_b1_r/",
            "k0 k3 k4 k5",
            "oXE4fg0=",
            1,
        ),
    ],
)
def test_filters_are_those_that_the_official_sdk_reads(
    prefix: str, ids: str, bitmap: str, padding: int
) -> None:
    bloom = bloom_filter([prefix + each for each in ids.split()])
    assert base64.b64encode(bloom.bitmap).decode() == bitmap
    assert (bloom.padding, bloom.hash_count) == (padding, 7)


def test_nothing_makes_an_empty_filter() -> None:
    bloom = bloom_filter([])
    assert (bloom.bitmap, bloom.padding, bloom.hash_count) == (b"", 0, 0)


@given(st.sets(st.text(max_size=20), max_size=50))
def test_every_name_is_found(names: set[str]) -> None:
    bloom = bloom_filter(names)
    assert all(might_contain(bloom, each) for each in names)


def test_few_strangers_are_found() -> None:
    bloom = bloom_filter([f"in/{i}" for i in range(1_000)])
    strangers = sum(might_contain(bloom, f"out/{i}") for i in range(10_000))
    assert strangers < 300
