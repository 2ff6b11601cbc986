"""From where a request comes, past the proxies that are trusted to say so."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from starlette.requests import Request


class ClientAddresses:
    """Tells a request's client. ``trusted_proxies``: addresses or networks whose headers are believed."""

    def __init__(self, trusted_proxies: Sequence[str] = ()) -> None:
        self._proxies = [ip_network(each, strict=False) for each in trusted_proxies]

    def __call__(self, request: Request) -> str:
        """The client's address; "" if nobody knows.

        ``X-Forwarded-For`` is read from its end, and only as far as trusted proxies wrote it: what stands
        before is the client's own invention.
        """
        address = request.client.host if request.client else ""
        if not self._proxies:
            return address
        told = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
        while self._is_trusted(address) and told:
            last = told.pop().strip()
            try:
                address = str(ip_address(last))
            except ValueError:
                break
        return address

    def _is_trusted(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._proxies)
