import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from baas.auth.messages import Message, SmtpOptions, SmtpSender, action_message, language_of
from baas.errors import Unavailable
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
