"""Mails' links, taken apart."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from homefire.auth import (
    ActionCodeURL,
    AuthError,
    EmailAuthProvider,
    OAuthProvider,
    parse_action_code_url,
)

LINK = "https://server/__/auth/action?mode=signIn&oobCode=c%2B1&apiKey=k&lang=de&continueUrl=https%3A%2F%2Fapp"


def test_a_link_tells_its_code_and_what_for() -> None:
    expected = ActionCodeURL("k", "c+1", "EMAIL_SIGNIN", "https://app", "de")
    assert parse_action_code_url(LINK) == expected


def test_a_link_is_found_in_the_link_of_an_app() -> None:
    for wrapped in (
        f"https://app.page.link/?link={quote(LINK, safe='')}",
        f"app://x?deep_link_id={quote(LINK)}",
    ):
        assert parse_action_code_url(wrapped) == parse_action_code_url(LINK)


@pytest.mark.parametrize(
    "link",
    [
        "",
        "https://app",
        LINK.replace("signIn", "else"),
        LINK.replace("oobCode", "x"),
        LINK.replace("apiKey", "x"),
    ],
)
def test_other_addresses_are_no_links(link: str) -> None:
    assert parse_action_code_url(link) is None
    with pytest.raises(AuthError) as refused:
        EmailAuthProvider.credential_with_link("a@b.c", link)
    assert refused.value.code == "auth/argument-error"


def test_secrets_are_not_shown() -> None:
    credential = EmailAuthProvider.credential("a@b.c", "secret-1")
    shown = repr(credential) + repr(OAuthProvider("oidc.x").credential(id_token="secret-1"))
    assert "secret-1" not in shown
