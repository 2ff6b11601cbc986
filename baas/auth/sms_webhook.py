"""Short messages by way of an HTTP service: any provider's, behind a few lines of the operator's own."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from baas.auth.messages import Message
from baas.auth.outgoing import Outgoing
from baas.errors import Unavailable

log = logging.getLogger(__name__)

SIGNATURE_HEADER = "x-homefire-signature"


@dataclass(frozen=True, slots=True)
class SmsWebhookOptions:
    """Where short messages are handed over, and the secret that the requests are signed with."""

    url: str
    secret: str = field(repr=False)
    attempts: int = 3
    first_retry_s: float = 0.5
    """Each further try waits twice as long."""
    timeout_s: float = 5.0


def signature(secret: str, moment: int, body: bytes) -> str:
    """The header's value: ``t=SECONDS,v1=HEX``, an HMAC-SHA-256 over ``SECONDS.BODY``.

    The time is signed too, so that a receiver can refuse what is old.
    """
    signed = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256)
    return f"t={moment},v1={signed.hexdigest()}"


class SmsWebhook:
    """Posts each message as JSON: ``id``, ``to`` (E.164), ``text``, ``code``, ``project``, ``tenant``.

    Any 2xx takes it. 5xx, 429 and no answer are tried again under the same ``id``; anything else is final.
    """

    def __init__(
        self, options: SmsWebhookOptions, outgoing: Outgoing, clock: Callable[[], float]
    ) -> None:
        self._options = options
        self._outgoing = outgoing
        self._clock = clock

    def ready(self) -> None:
        """See :class:`baas.auth.messages.Sender`."""

    async def send(self, message: Message) -> None:
        """See :class:`baas.auth.messages.Sender`."""
        options = self._options
        body = json.dumps(
            {
                "id": hashlib.sha256(message.session.encode()).hexdigest()[:32],
                "to": message.recipient,
                "text": message.text,
                "code": message.code,
                "project": message.scope.project,
                "tenant": message.scope.tenant,
            }
        ).encode()
        for attempt in range(1, options.attempts + 1):
            reason = await self._post(body)
            if not reason:
                return
            if reason == "refused" or attempt == options.attempts:
                log.error("a short message could not be sent: %s", reason)
                raise Unavailable("The short message could not be sent; try again later.")
            await asyncio.sleep(options.first_retry_s * 2 ** (attempt - 1))

    async def _post(self, body: bytes) -> str:
        """Hand it over once; answers what was wrong, "" if nothing."""
        options = self._options
        headers = {
            "content-type": "application/json",
            SIGNATURE_HEADER: signature(options.secret, int(self._clock()), body),
        }
        try:
            answer = await self._outgoing.call(
                "POST", options.url, headers=headers, body=body, timeout_s=options.timeout_s
            )
        except Unavailable:
            return "no answer"
        if 200 <= answer.status < 300:
            return ""
        return (
            f"HTTP {answer.status}" if answer.status >= 500 or answer.status == 429 else "refused"
        )
