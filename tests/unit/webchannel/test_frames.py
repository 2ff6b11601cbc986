"""Frames out, form bodies in."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.api.webchannel.frames import (
    arrays_frame,
    error_array,
    forward_frame,
    handshake_frame,
    message_array,
    parse_forward,
    parse_headers,
)
from baas.errors import InvalidArgument, PermissionDenied
from tests.unit.webchannel.client import read_frames


def test_handshake_names_session_version_and_keepalive() -> None:
    assert handshake_frame("sid", 30) == b'40\n[[0,["c","sid","",8,14,30000]]]'.replace(
        b"40", b"31"
    )


def test_forward_answer_has_three_elements() -> None:
    assert forward_frame(True, 5, 73) == b"8\n[1,5,73]"


@given(st.text())
def test_frames_are_ascii_and_keep_every_text(text: str) -> None:
    """So that bytes, code points and UTF-16 units give one and the same length."""
    message = json.dumps({"text": text.encode(errors="replace").decode()}, ensure_ascii=False)
    framed = arrays_frame([(7, message_array(message.encode()))])
    assert framed.isascii()
    assert read_frames(framed) == [[[7, [json.loads(message)]]]]


def test_emoji_is_escaped_as_a_surrogate_pair() -> None:
    assert message_array({"text": "é😀"}) == '[{"text":"\\u00e9\\ud83d\\ude00"}]'


def test_errors_are_nested_twice_and_named() -> None:
    assert json.loads(error_array(PermissionDenied("no"))) == [
        [{"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}]
    ]


def test_maps_are_numbered_from_the_offset() -> None:
    body = urlencode({"count": 2, "ofs": 5, "req0___data__": '{"a":"&=+%"}', "req2___data__": "{}"})
    assert parse_forward(body.encode()).maps == {5: '{"a":"&=+%"}', 7: "{}"}


def test_map_that_the_client_could_not_encode_keeps_its_number() -> None:
    body = urlencode({"count": 1, "ofs": 3, "req0_type": "_badmap"})
    assert parse_forward(body.encode()).maps == {3: None}


def test_metadata_lines_are_split_at_the_first_colon() -> None:
    body = urlencode({"headers": "Authorization:Bearer a:b\r\nX-Goog-Api-Client:gl-js/\r\n"})
    assert parse_forward(body.encode()).metadata == {
        "authorization": "Bearer a:b",
        "x-goog-api-client": "gl-js/",
    }


def test_too_many_headers_are_refused() -> None:
    with pytest.raises(InvalidArgument):
        parse_headers("a:b\r\n" * 20_000)


@pytest.mark.parametrize(
    "body", [b"\xff", b"ofs=x&req0___data__=1", b"req0___data__=%ff", b"&".join([b"a=1"] * 3_000)]
)
def test_malformed_bodies_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidArgument):
        parse_forward(body)
