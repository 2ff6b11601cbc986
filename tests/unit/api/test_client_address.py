"""Whose address a request has, with and without trusted proxies."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from baas.api.client_address import ClientAddresses


def request(peer: str, *forwarded: str) -> Request:
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    return Request({"type": "http", "client": (peer, 1), "headers": headers})


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "address"),
    [
        ((), "10.0.0.1", ["1.2.3.4"], "10.0.0.1"),
        (("10.0.0.0/8",), "10.0.0.1", ["1.2.3.4"], "1.2.3.4"),
        (("10.0.0.0/8",), "10.0.0.1", ["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
        (("10.0.0.0/8",), "10.0.0.1", ["6.6.6.6", "1.2.3.4, 10.0.0.2"], "1.2.3.4"),
        (("10.0.0.0/8",), "9.9.9.9", ["1.2.3.4"], "9.9.9.9"),
        (("10.0.0.0/8",), "10.0.0.1", ["nonsense"], "10.0.0.1"),
        (("10.0.0.0/8",), "10.0.0.1", [], "10.0.0.1"),
        (("::1",), "::1", ["2001:db8::1"], "2001:db8::1"),
    ],
)
def test_only_trusted_proxies_are_believed(
    proxies: tuple[str, ...], peer: str, forwarded: list[str], address: str
) -> None:
    assert ClientAddresses(proxies)(request(peer, *forwarded)) == address
