from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.errors import InvalidArgument
from baas.model.values import Timestamp
from baas.wire.resume_token import (
    decode_page_token,
    decode_resume_token,
    encode_page_token,
    encode_resume_token,
)
from tests.unit.model.strategies import timestamps

EPOCH = b"12345678"


@given(timestamps())
def test_a_resume_token_names_its_version(version: Timestamp) -> None:
    assert decode_resume_token(encode_resume_token(EPOCH, version), EPOCH) == version


def test_a_token_of_another_history_names_none() -> None:
    assert decode_resume_token(encode_resume_token(b"another!", Timestamp(1)), EPOCH) is None


@given(st.binary(max_size=40))
def test_bytes_that_are_no_token_name_none(token: bytes) -> None:
    assert decode_resume_token(token, EPOCH) is None


@given(timestamps(), st.integers(0, 159))
def test_a_damaged_token_names_none(version: Timestamp, bit: int) -> None:
    token = bytearray(encode_resume_token(EPOCH, version))
    token[bit // 8] ^= 1 << bit % 8
    assert decode_resume_token(bytes(token), EPOCH) is None


@given(st.binary(max_size=40))
def test_a_page_token_gives_its_position_back(position: bytes) -> None:
    assert decode_page_token(encode_page_token(position)) == position


@pytest.mark.parametrize("token", ["", "x", "%%%", "AAAAAAAA", "é", "A" * 50_000])
def test_foreign_page_tokens_are_refused(token: str) -> None:
    with pytest.raises(InvalidArgument):
        decode_page_token(token)
