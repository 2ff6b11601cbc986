"""A project's own words for its mails: ``notification.sendEmail`` of its configuration. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from baas.auth.messages import Message
from baas.errors import InvalidArgument

TEMPLATES = {
    "VERIFY_EMAIL": "verifyEmailTemplate",
    "PASSWORD_RESET": "resetPasswordTemplate",
    "RECOVER_EMAIL": "changeEmailTemplate",
}
"""Request type -> the template of its mail; the other mails have none, as with Firebase."""
PATH = "notification.sendEmail"
_FIELDS = ("subject", "body", "bodyFormat", "senderDisplayName", "replyTo", "customized")
_ADDRESS = re.compile(r"[^\s@<>]+@[^\s@<>]+")
_PLACEHOLDER = re.compile("%(LINK|EMAIL|NEW_EMAIL|DISPLAY_NAME|APP_NAME)%")
_MAX_LINE, _MAX_BODY = 500, 20_000


def check(name: str, template: Mapping[str, Any]) -> None:
    """Whether a template can be kept.

    Raises:
        InvalidArgument: saying what of it cannot.
    """
    for field, value in template.items():
        if field not in _FIELDS:
            raise InvalidArgument(f"{name}: {field!r} cannot be set here.")
        if not isinstance(value, bool if field == "customized" else str):
            raise InvalidArgument(f"{name}: {field!r} is of the wrong type.")
        if field not in ("body", "customized") and not _is_line(str(value)):
            raise InvalidArgument(f"{name}: {field!r} must be one line of at most 500 characters.")
    if template.get("bodyFormat", "HTML") not in ("HTML", "PLAIN_TEXT"):
        raise InvalidArgument(f"{name}: 'bodyFormat' must be HTML or PLAIN_TEXT.")
    body = template.get("body")
    if body is not None and ("%LINK%" not in body or len(body) > _MAX_BODY):
        raise InvalidArgument(f"{name}: 'body' must have %LINK%, and at most 20000 characters.")
    reply_to = template.get("replyTo")
    if reply_to and not _ADDRESS.fullmatch(reply_to):
        raise InvalidArgument(f"{name}: 'replyTo' must be an address.")


def apply(message: Message, template: Mapping[str, Any], values: Mapping[str, str]) -> Message:
    """The message in the template's words; what the template leaves out stays ours.

    ``values`` are those of the placeholders, without their percent signs. In HTML they are escaped: a display
    name is anybody's text.
    """
    changed = replace(
        message,
        sender_name=template.get("senderDisplayName", ""),
        reply_to=template.get("replyTo", ""),
    )
    if template.get("subject"):
        line = " ".join(_fill(template["subject"], values).split())
        changed = replace(changed, subject=line)
    body = template.get("body")
    if not body:
        return changed
    if template.get("bodyFormat", "HTML") == "PLAIN_TEXT":
        return replace(changed, text=_fill(body, values), html="")
    escaped = {name: html.escape(value, quote=True) for name, value in values.items()}
    return replace(changed, html=_fill(body, escaped))


def _is_line(text: str) -> bool:
    return len(text) <= _MAX_LINE and not any(ord(c) < 32 or ord(c) == 127 for c in text)


def _fill(text: str, values: Mapping[str, str]) -> str:
    """Fill placeholders in once: a value that looks like one stays as it is."""
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], ""), text)
