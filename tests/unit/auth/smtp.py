"""A mail server on the loopback."""

from __future__ import annotations

import asyncio
import email
import email.policy
from typing import Any


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
