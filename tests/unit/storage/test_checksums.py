"""Checksums of things put together."""

from __future__ import annotations

import google_crc32c
from hypothesis import given
from hypothesis import strategies as st

from baas.storage import crc32c


@given(first=st.binary(max_size=100), second=st.binary(max_size=100))
def test_the_crc_of_two_parts_is_that_of_the_whole(first: bytes, second: bytes) -> None:
    combined = crc32c.combine(google_crc32c.value(first), google_crc32c.value(second), len(second))
    assert combined == google_crc32c.value(first + second)
