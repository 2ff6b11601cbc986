"""Mails and short messages: their words, and how they leave. In development mode they stay in an outbox."""

from __future__ import annotations

import asyncio
import html
import logging
from collections import deque
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formataddr, parseaddr
from typing import Literal, Protocol

from baas.auth.options import Scope
from baas.errors import ResourceExhausted, Unavailable

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one recipient. ``purpose`` is Identity Toolkit's request type, or ``SMS``."""

    scope: Scope
    recipient: str
    purpose: str
    subject: str
    text: str
    code: str
    link: str = ""
    session: str = ""
    """SMS only: the session that the code completes."""
    html: str = ""
    """The same as a page; "" makes one of the text."""
    sender_name: str = ""
    reply_to: str = ""
    account_email: str = ""
    """The address that the account has now, which is not always where the message goes."""


class Sender(Protocol):
    """Takes messages away."""

    def ready(self) -> None:
        """Whether messages are taken at all: asked before it is known whether there is anybody to write to.

        Raises:
            Unavailable, ResourceExhausted: they are not.
        """

    async def send(self, message: Message) -> None:
        """Hand a message over; returns when it is on its way.

        Raises:
            Unavailable: it could not be sent.
        """


class Outbox:
    """Keeps the last messages in memory, for development and tests."""

    def __init__(self, limit: int = 1_000) -> None:
        self.messages: deque[Message] = deque(maxlen=limit)

    def ready(self) -> None:
        """See :class:`Sender`."""

    async def send(self, message: Message) -> None:
        """See :class:`Sender`."""
        log.info("%s for %s: %s", message.purpose, message.recipient, message.link or message.code)
        self.messages.append(message)

    def of(self, project: str, *, sms: bool) -> list[Message]:
        """The messages of a project, oldest first."""
        return [
            message
            for message in self.messages
            if message.scope.project == project and (message.purpose == "SMS") == sms
        ]

    def forget(self, project: str) -> None:
        """Drop the messages of a project."""
        kept = [message for message in self.messages if message.scope.project != project]
        self.messages.clear()
        self.messages.extend(kept)


class NoSender:
    """Where no way to send is configured: says so."""

    def __init__(self, what: str) -> None:
        self._what = what

    async def send(self, message: Message) -> None:
        """See :class:`Sender`."""
        self.ready()

    def ready(self) -> None:
        """See :class:`Sender`."""
        raise Unavailable(f"This server cannot send {self._what}: it is not configured to.")


@dataclass(frozen=True, slots=True)
class SmtpOptions:
    """A mail server to hand mails to."""

    host: str
    port: int = 587
    username: str = ""
    password: str = field(default="", repr=False)
    sender: str = "Homefire <noreply@localhost>"
    tls: Literal["starttls", "tls", "none"] = "starttls"
    """Upgrade the connection, begin it with TLS, or do without."""
    attempts: int = 3
    first_retry_s: float = 1.0
    """Each further try waits twice as long."""
    timeout_s: float = 10.0


class SmtpSender:
    """Sends mail over SMTP; tries again what fails for the moment."""

    def __init__(self, options: SmtpOptions) -> None:
        self._options = options

    def ready(self) -> None:
        """See :class:`Sender`."""

    async def send(self, message: Message) -> None:
        """See :class:`Sender`."""
        import aiosmtplib

        options = self._options
        mail = EmailMessage()
        _, address = parseaddr(options.sender)
        named = formataddr((message.sender_name, address)) if message.sender_name else ""
        mail["From"], mail["To"] = named or options.sender, message.recipient
        if message.reply_to:
            mail["Reply-To"] = message.reply_to
        mail["Subject"] = message.subject
        mail.set_content(message.text)
        mail.add_alternative(message.html or _as_html(message), subtype="html")
        for attempt in range(1, options.attempts + 1):
            try:
                await aiosmtplib.send(
                    mail,
                    hostname=options.host,
                    port=options.port,
                    username=options.username or None,
                    password=options.password or None,
                    start_tls=options.tls == "starttls",
                    use_tls=options.tls == "tls",
                    timeout=options.timeout_s,
                )
                return
            except (aiosmtplib.SMTPException, OSError) as error:
                # a 5xx will not get better by asking again
                lasting = isinstance(error, aiosmtplib.SMTPResponseException) and error.code >= 500
                if lasting or attempt == options.attempts:
                    log.error("a mail could not be sent: %s", type(error).__name__)
                    raise Unavailable("The mail could not be sent; try again later.") from error
                await asyncio.sleep(options.first_retry_s * 2 ** (attempt - 1))


class Post:
    """Hands messages to a sender behind the caller's back, a few at a time.

    Nobody waits for a mail server, and how long an answer takes does not tell whom a mail has gone to. What
    cannot be sent is logged.
    """

    def __init__(self, sender: Sender, *, limit: int = 1_000, at_once: int = 4) -> None:
        self._sender = sender
        self._limit = limit
        self._turns = asyncio.Semaphore(at_once)
        self._under_way: set[asyncio.Task[None]] = set()

    def ready(self) -> None:
        """See :class:`Sender`."""
        if len(self._under_way) >= self._limit:
            raise ResourceExhausted("Too many mails wait to be sent; try again later.")

    async def send(self, message: Message) -> None:
        """See :class:`Sender`; returns before it is sent."""
        self.ready()
        task = asyncio.create_task(self._deliver(message), name="mail")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def close(self, grace_s: float = 10.0) -> None:
        """Wait for what is under way; what is not sent by then is lost, and counted in the log."""
        waiting = tuple(self._under_way)
        if not waiting:
            return
        _, late = await asyncio.wait(waiting, timeout=grace_s)
        for task in late:
            task.cancel()
        if late:
            log.error("%d mails were not sent before the end", len(late))
            await asyncio.wait(late)

    async def _deliver(self, message: Message) -> None:
        async with self._turns:
            try:
                await self._sender.send(message)
            except Unavailable as error:
                log.error("a mail (%s) is lost: %s", message.purpose, error.message)


def _as_html(message: Message) -> str:
    paragraphs = [html.escape(part) for part in message.text.split("\n\n")]
    if message.link:
        target = html.escape(message.link, quote=True)
        linked = f'<a href="{target}">{html.escape(message.subject)}</a>'
        paragraphs = [part.replace(html.escape(message.link), linked) for part in paragraphs]
    return "".join(f"<p>{part}</p>" for part in paragraphs)


_WORDS: dict[str, dict[str, tuple[str, str]]] = {
    "en": {
        "VERIFY_EMAIL": (
            "Verify your email address",
            "Follow this link to verify your email address:",
        ),
        "PASSWORD_RESET": ("Reset your password", "Follow this link to choose a new password:"),
        "EMAIL_SIGNIN": ("Sign in", "Follow this link to sign in:"),
        "VERIFY_AND_CHANGE_EMAIL": (
            "Verify your new email address",
            "Follow this link to use this address for your account:",
        ),
        "RECOVER_EMAIL": (
            "Your email address was changed",
            "The address of your account was changed. If this was not you, take it back here:",
        ),
        "END": ("", "If you did not ask for this, ignore this message."),
    },
    "de": {
        "VERIFY_EMAIL": (
            "E-Mail-Adresse bestätigen",
            "Über diesen Link bestätigst du deine E-Mail-Adresse:",
        ),
        "PASSWORD_RESET": (
            "Passwort zurücksetzen",
            "Über diesen Link wählst du ein neues Passwort:",
        ),
        "EMAIL_SIGNIN": ("Anmelden", "Über diesen Link meldest du dich an:"),
        "VERIFY_AND_CHANGE_EMAIL": (
            "Neue E-Mail-Adresse bestätigen",
            "Über diesen Link gilt diese Adresse für dein Konto:",
        ),
        "RECOVER_EMAIL": (
            "Deine E-Mail-Adresse wurde geändert",
            "Die Adresse deines Kontos wurde geändert. Warst du das nicht, nimm es hier zurück:",
        ),
        "END": ("", "Wenn du das nicht angefordert hast, ignoriere diese Nachricht."),
    },
}


def language_of(wanted: str) -> str:
    """The language that comes closest to what a client asks for (a locale such as ``de-AT``)."""
    short = wanted.strip().lower().split("-")[0].split("_")[0]
    return short if short in _WORDS else "en"


def action_message(
    scope: Scope, recipient: str, purpose: str, code: str, link: str, language: str
) -> Message:
    """A mail with a link, in the reader's language."""
    words = _WORDS[language_of(language)]
    subject, lead = words[purpose]
    text = f"{lead}\n\n{link}\n\n{words['END'][1]}\n"
    return Message(scope, recipient, purpose, subject, text, code, link)


def sms_message(scope: Scope, recipient: str, code: str, session: str) -> Message:
    """A short message with a code."""
    text = f"{code} is your verification code."
    return Message(scope, recipient, "SMS", "", text, code, session=session)
