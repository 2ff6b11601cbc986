"""Short messages through an operator's HTTP service: what it gets, and what happens when it fails."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from baas.auth.messages import sms_message
from baas.auth.outgoing import Answer
from baas.auth.sms_webhook import SmsWebhook, SmsWebhookOptions
from baas.errors import Unavailable
from tests.unit.auth.support import SCOPE, Clock

SECRET = "a secret of the two"
URL = "https://sms.example.com/send"


@dataclass
class Service:
    """The operator's service: answers what it is told to, in order; the last again and again."""

    answers: list[int | None]
    requests: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = 7.0,
    ) -> Answer:
        assert (method, url) == ("POST", URL)
        self.requests.append((headers or {}, body or b""))
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if status is None:
            raise Unavailable("no answer")
        return Answer(status, b"", {})


async def send(*answers: int | None) -> Service:
    service = Service(list(answers))
    options = SmsWebhookOptions(URL, SECRET, first_retry_s=0.0)
    sender = SmsWebhook(options, service, Clock(1_700_000_000.0))
    try:
        await sender.send(sms_message(SCOPE, "+15555550100", "123456", "session"))
    except Unavailable:
        service.answers = []
    return service


async def test_a_message_is_signed_with_its_time() -> None:
    ((headers, body),) = (await send(204)).requests
    told: dict[str, Any] = json.loads(body)
    assert (told["to"], told["code"], told["project"]) == ("+15555550100", "123456", "demo")
    assert "123456" in told["text"]
    digest = hmac.new(SECRET.encode(), b"1700000000." + body, hashlib.sha256).hexdigest()
    assert headers["x-homefire-signature"] == f"t=1700000000,v1={digest}"
    assert "session" not in body.decode().replace("sessions", "")


@pytest.mark.parametrize("failure", [500, 503, 429, None])
async def test_what_fails_for_the_moment_is_tried_again_as_the_same(failure: int | None) -> None:
    service = await send(failure, failure, 200)
    bodies = [body for _, body in service.requests]
    assert len(bodies) == 3
    assert len({json.loads(body)["id"] for body in bodies}) == 1
    assert service.answers != []


@pytest.mark.parametrize(("failure", "tries"), [(400, 1), (401, 1), (302, 1), (500, 3), (None, 3)])
async def test_what_fails_for_good_is_unavailable(failure: int | None, tries: int) -> None:
    service = await send(failure)
    assert (len(service.requests), service.answers) == (tries, [])


def test_the_secret_is_not_shown() -> None:
    assert SECRET not in repr(SmsWebhookOptions(URL, SECRET))
