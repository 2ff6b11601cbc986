"""The multipart parser: the same parts, however the network cuts the body."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.api.storage_multipart import MultipartUpload, boundary_of
from baas.errors import InvalidArgument

BOUNDARY = b"b-0"


def body(media: bytes, metadata: bytes = b'{"a": 1}', end: bytes = b"") -> bytes:
    return (
        b"--b-0\r\nContent-Type: application/json\r\n\r\n"
        + metadata
        + b"\r\n--b-0\r\ncontent-type: image/png\r\n\r\n"
        + media
        + b"\r\n--b-0--"
        + end
    )


def parse(pieces: list[bytes]) -> tuple[MultipartUpload, bytes]:
    parser = MultipartUpload(BOUNDARY, max_json=1000)
    media = b"".join(parser.feed(piece) for piece in pieces)
    parser.finish()
    return parser, media


nearly_delimiters = st.lists(
    st.sampled_from([b"\r", b"\n", b"-", b"--", b"b-", b"\r\n--b-", b"0", b"x"]), max_size=20
).map(b"".join)


@given(
    media=st.binary(max_size=50) | nearly_delimiters,
    cuts=st.lists(st.integers(0, 250), max_size=8),
    end=st.sampled_from([b"", b"\r\n", b"\r\nepilogue"]),
)
def test_cuts_anywhere_change_nothing(media: bytes, cuts: list[int], end: bytes) -> None:
    if b"\r\n--b-0" in b"\r\n" + media:
        media = media.replace(b"0", b"")
    whole = body(media, end=end)
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    pieces = [whole[a:b] for a, b in pairwise(places)]
    parser, got = parse(pieces)
    assert (parser.metadata, parser.media_type, got) == (b'{"a": 1}', "image/png", media)


@given(media=st.binary(max_size=50), end=st.sampled_from([b"", b"\r\n"]))
def test_the_size_is_known_when_the_media_begins(media: bytes, end: bytes) -> None:
    whole = body(media, end=end)
    parser = MultipartUpload(BOUNDARY, max_json=1000)
    for position in range(len(whole)):
        parser.feed(whole[position : position + 1])
        if parser.media_begun():
            break
    assert len(media) in parser.media_estimates(len(whole))


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"x" * 2000,
        body(b"x")[:-1],
        body(b"x")[:-5],
        body(b"x")[:20],
        body(b"x", metadata=b"x" * 1001),
        body(b"x").replace(b"--b-0--", b"--b-0\r\n"),
        b"--b-0--\r\n",
        b"--b-0\r\n" + b"h" * 9000,
    ],
)
def test_broken_bodies_are_refused(broken: bytes) -> None:
    with pytest.raises(InvalidArgument):
        parse([broken])


def test_what_is_held_back_is_small() -> None:
    parser = MultipartUpload(BOUNDARY, max_json=1000)
    parser.feed(body(b"")[: -len(b"\r\n--b-0--")])
    given_on = sum(len(parser.feed(b"\r\n--b-" * 10_000)) for _ in range(10))
    assert given_on >= 10 * 60_000 - 10


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "multipart/related", 'multipart/related; boundary=""']
)
def test_a_body_without_a_boundary_is_refused(content_type: str | None) -> None:
    with pytest.raises(InvalidArgument):
        boundary_of(content_type)


def test_boundaries_may_be_quoted() -> None:
    assert boundary_of('multipart/related; boundary="=== x"') == b"=== x"
