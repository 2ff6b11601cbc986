import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from baas.auth.messages import (
    Message,
    Outbox,
    Post,
    SmtpOptions,
    SmtpSender,
    action_message,
    language_of,
)
from baas.errors import ResourceExhausted, Unavailable
from tests.unit.auth.smtp import SmtpServer
from tests.unit.auth.support import SCOPE

LINK = "http://127.0.0.1/__/auth/action?mode=resetPassword&oobCode=x"


def mail() -> Message:
    return action_message(SCOPE, "ada@example.com", "PASSWORD_RESET", "x", LINK, "en")


@pytest_asyncio.fixture
async def smtp() -> AsyncIterator[SmtpServer]:
    """A mail server on a free port."""
    server = SmtpServer()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server


def sender(server: SmtpServer) -> SmtpSender:
    return SmtpSender(SmtpOptions("127.0.0.1", server.port, tls="none", first_retry_s=0.01))


async def test_a_mail_arrives_with_its_link_as_text_and_as_html(smtp: SmtpServer) -> None:
    await sender(smtp).send(mail())
    (taken,) = smtp.mails
    assert taken["To"] == "ada@example.com"
    assert taken["Subject"] == "Reset your password"
    assert LINK in taken.get_body(("plain",)).get_content()
    page = taken.get_body(("html",)).get_content()
    assert f'<a href="{LINK.replace("&", "&amp;")}">Reset your password</a>' in page


async def test_a_mail_in_a_projects_own_words(smtp: SmtpServer) -> None:
    own = replace(mail(), html="<p>own</p>", sender_name="Ours", reply_to="help@example.com")
    await sender(smtp).send(own)
    (taken,) = smtp.mails
    assert (taken["From"], taken["Reply-To"]) == ("Ours <noreply@localhost>", "help@example.com")
    assert taken.get_body(("html",)).get_content().strip() == "<p>own</p>"


async def test_what_fails_for_the_moment_is_tried_again(smtp: SmtpServer) -> None:
    smtp.refusals = [b"451 later"]
    await sender(smtp).send(mail())
    assert (smtp.connections, len(smtp.mails)) == (2, 1)


async def test_what_is_refused_for_good_is_not(smtp: SmtpServer) -> None:
    smtp.refusals = [b"550 never"]
    with pytest.raises(Unavailable, match="could not be sent"):
        await sender(smtp).send(mail())
    assert smtp.connections == 1


async def test_it_gives_up_in_the_end(smtp: SmtpServer) -> None:
    smtp.refusals = [b"451 later"] * 10
    with pytest.raises(Unavailable):
        await sender(smtp).send(mail())
    assert smtp.connections == 3


@pytest.mark.parametrize(
    ("wanted", "language"),
    [("de", "de"), ("de-AT", "de"), ("DE_at", "de"), ("fr", "en"), ("", "en")],
)
def test_the_language_comes_closest_to_what_is_wanted(wanted: str, language: str) -> None:
    assert language_of(wanted) == language


class TestPost:
    class Gate(Outbox):
        """Sends nothing before it is told to, or fails."""

        def __init__(self) -> None:
            super().__init__()
            self.open = asyncio.Event()
            self.broken = False

        async def send(self, message: Message) -> None:
            await self.open.wait()
            if self.broken:
                raise Unavailable("The mail could not be sent; try again later.")
            await super().send(message)

    async def test_nobody_waits_for_the_mail_server(self) -> None:
        gate = self.Gate()
        post = Post(gate)
        await post.send(mail())
        assert not gate.messages
        gate.open.set()
        await post.close()
        assert len(gate.messages) == 1

    async def test_it_is_bounded(self) -> None:
        gate = self.Gate()
        post = Post(gate, limit=1)
        await post.send(mail())
        with pytest.raises(ResourceExhausted):
            post.ready()
        gate.open.set()
        await post.close()
        post.ready()

    async def test_what_is_lost_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        gate = self.Gate()
        gate.broken = True
        gate.open.set()
        post = Post(gate)
        await post.send(mail())
        await post.close()
        assert "PASSWORD_RESET" in caplog.text
        assert "ada@example.com" not in caplog.text

    async def test_the_end_does_not_wait_for_ever(self, caplog: pytest.LogCaptureFixture) -> None:
        post = Post(self.Gate())
        await post.send(mail())
        await post.close(grace_s=0.01)
        assert "1 mails were not sent" in caplog.text
