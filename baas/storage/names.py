"""Names of buckets and objects: what Cloud Storage allows, and nothing else.

An object's name is only ever a name, a row in a table: ``../x`` is a fine one. No path is made of it.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from baas.errors import InvalidArgument

MAX_OBJECT_NAME_BYTES = 1024

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_LABEL_MAX = 63


def check_object_name(name: str) -> str:
    """The name itself, if an object may have it.

    Raises:
        InvalidArgument: empty, longer than 1024 bytes of UTF-8, ``.`` or ``..``, has a carriage return or
            line feed, is not Unicode, or begins with ``.well-known/acme-challenge/``.
    """
    if not name:
        raise InvalidArgument("The object name is missing.")
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        raise InvalidArgument("The object name is not valid Unicode.") from None
    if len(encoded) > MAX_OBJECT_NAME_BYTES:
        raise InvalidArgument(
            f"The object name has {len(encoded)} bytes of UTF-8; {MAX_OBJECT_NAME_BYTES} are allowed."
        )
    if "\r" in name or "\n" in name:
        raise InvalidArgument("An object name has no carriage returns or line feeds.")
    if "\0" in name:
        raise InvalidArgument("An object name has no NUL characters.")
    if name in (".", ".."):
        raise InvalidArgument("An object cannot be called '.' or '..'.")
    if name.startswith(".well-known/acme-challenge/"):
        raise InvalidArgument("Object names do not begin with '.well-known/acme-challenge/'.")
    return name


@lru_cache(maxsize=1024)
def check_bucket_name(name: str) -> str:
    """The name itself, if a bucket may have it.

    Raises:
        InvalidArgument: not 3 to 222 characters of lower-case letters, digits, ``-``, ``_`` and ``.``,
            beginning and ending with a letter or digit, dot-separated parts of at most 63, not an address.
    """
    if not _BUCKET.fullmatch(name) or ".." in name:
        raise InvalidArgument(
            "A bucket's name has 3 to 222 lower-case letters, digits, '-', '_' and '.', and begins and"
            " ends with a letter or digit."
        )
    if "." not in name and len(name) > _LABEL_MAX:
        raise InvalidArgument(f"A bucket's name without dots has at most {_LABEL_MAX} characters.")
    if any(len(part) > _LABEL_MAX for part in name.split(".")):
        raise InvalidArgument(
            f"Between its dots, a bucket's name has at most {_LABEL_MAX} characters."
        )
    if _is_address(name):
        raise InvalidArgument("A bucket's name does not look like an IP address.")
    return name


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
