import asyncio
import email
import email.policy
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from baas.auth.messages import Message, SmtpOptions, SmtpSender, action_message, language_of
from baas.errors import Unavailable
from tests.unit.auth.support import SCOPE

LINK = "http://127.0.0.1/__/auth/action?mode=resetPassword&oobCode=x"


def mail() -> Message:
    return action_message(SCOPE, "ada@example.com", "PASSWORD_RESET", "x", LINK, "en")


class SmtpServer:
    """Speaks enough SMTP to take a mail, and to refuse one as told."""

    def __init__(self) -> None:
        self.refusals: list[bytes] = []
        self.connections = 0
        self.mails: list[Any] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(b"220 ready\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"MAIL" and self.refusals:
                writer.write(self.refusals.pop(0) + b"\r\n")
            elif verb == b"DATA":
                writer.write(b"354 go on\r\n")
                text = await reader.readuntil(b"\r\n.\r\n")
                text = text.replace(b"\r\n..", b"\r\n.")  # RFC 5321, 4.5.2
                self.mails.append(email.message_from_bytes(text, policy=email.policy.default))
                writer.write(b"250 taken\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 fine\r\n")
        writer.close()
        await writer.wait_closed()


@pytest_asyncio.fixture
async def smtp() -> AsyncIterator[SmtpServer]:
    """A mail server on a free port."""
    server = SmtpServer()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server


def sender(server: SmtpServer) -> SmtpSender:
    return SmtpSender(SmtpOptions("127.0.0.1", server.port, start_tls=False, first_retry_s=0.01))


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
