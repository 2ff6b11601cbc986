"""Accounts and their rows. Functions of a unit of work; they decide nothing about who may ask."""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from baas.auth.errors import AuthError
from baas.auth.options import Scope
from baas.db.tables.auth import accounts, identities
from baas.db.unit import Tx

_UID_ALPHABET = string.ascii_letters + string.digits
_UID_LENGTH = 28

PASSWORD, PHONE, EMAIL_LINK, ANONYMOUS, CUSTOM = (
    "password",
    "phone",
    "emailLink",
    "anonymous",
    "custom",
)


@dataclass(frozen=True, slots=True)
class Identity:
    """An account at a federated provider that signs in to an account here."""

    provider_id: str
    raw_id: str
    email: str | None = None
    display_name: str | None = None
    photo_url: str | None = None
    screen_name: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """An account as it is stored. Times in milliseconds; ``valid_since`` in seconds."""

    key: int
    scope: Scope
    uid: str
    email: str | None
    email_verified: bool
    phone_number: str | None
    display_name: str | None
    photo_url: str | None
    disabled: bool
    password_hash: str | None
    password_updated_at: int | None
    custom_claims: Mapping[str, Any] | None
    custom_auth: bool
    email_link: bool
    created_at: int
    last_login_at: int | None
    last_refresh_at: int | None
    valid_since: int
    second_factors: tuple[Mapping[str, Any], ...] = ()
    initial_email: str | None = None
    """The address before its owner first changed it."""
    identities: tuple[Identity, ...] = field(default=())

    @property
    def is_anonymous(self) -> bool:
        """Whether there is no way to sign in to it but the session that made it."""
        return not (
            self.email
            or self.phone_number
            or self.identities
            or self.password_hash
            or self.custom_auth
        )

    def sign_in_methods(self) -> list[str]:
        """Firebase's names of the ways into this account."""
        methods = []
        if self.password_hash:
            methods.append(PASSWORD)
        if self.email_link:
            methods.append(EMAIL_LINK)
        methods.extend(identity.provider_id for identity in self.identities)
        if self.phone_number:
            methods.append(PHONE)
        return methods


def new_uid() -> str:
    """A random uid of the shape that Firebase makes."""
    return "".join(secrets.choice(_UID_ALPHABET) for _ in range(_UID_LENGTH))


def by_uid(tx: Tx, scope: Scope, uid: str) -> Account | None:
    """The account of this uid."""
    return _first(tx, scope, accounts.c.uid == uid)


def by_email(tx: Tx, scope: Scope, email: str) -> Account | None:
    """The account of this (normalized) address."""
    return _first(tx, scope, accounts.c.email == email)


def by_provider_email(tx: Tx, scope: Scope, email: str) -> Account | None:
    """The account that has this address at one of its providers; the oldest, if there are several."""
    key = tx.core.execute(
        sa.select(identities.c.account_key)
        .where(
            identities.c.project == scope.project,
            identities.c.tenant == scope.tenant,
            identities.c.email == email,
        )
        .order_by(identities.c.account_key)
        .limit(1)
    ).scalar()
    return None if key is None else by_key(tx, key)


def by_phone(tx: Tx, scope: Scope, phone_number: str) -> Account | None:
    """The account of this phone number."""
    return _first(tx, scope, accounts.c.phone_number == phone_number)


def by_key(tx: Tx, key: int) -> Account | None:
    """The account of this row."""
    row = tx.core.execute(sa.select(accounts).where(accounts.c.key == key)).mappings().first()
    return None if row is None else _load(tx, [row])[0]


def by_identity(tx: Tx, scope: Scope, provider_id: str, raw_id: str) -> Account | None:
    """The account that a provider's account signs in to."""
    key = tx.core.execute(
        sa.select(identities.c.account_key).where(
            identities.c.project == scope.project,
            identities.c.tenant == scope.tenant,
            identities.c.provider_id == provider_id,
            identities.c.raw_id == raw_id,
        )
    ).scalar()
    return None if key is None else by_key(tx, key)


def page(tx: Tx, scope: Scope, *, after: str, limit: int) -> list[Account]:
    """Accounts in order of uid."""
    rows = tx.core.execute(
        sa.select(accounts)
        .where(_in(scope), accounts.c.uid > after)
        .order_by(accounts.c.uid)
        .limit(limit)
    ).mappings()
    return _load(tx, list(rows))


def count(tx: Tx, scope: Scope) -> int:
    """How many there are."""
    return tx.core.execute(
        sa.select(sa.func.count()).select_from(accounts).where(_in(scope))
    ).scalar_one()


def insert(tx: Tx, scope: Scope, now_ms: int, **values: Any) -> Account:
    """A new account; ``values`` are columns, ``uid`` among them or made here.

    Raises:
        AuthError: DUPLICATE_LOCAL_ID, EMAIL_EXISTS, PHONE_NUMBER_EXISTS.
    """
    uid = values.pop("uid", None) or new_uid()
    if by_uid(tx, scope, uid) is not None:
        raise AuthError("DUPLICATE_LOCAL_ID")
    check_free(tx, scope, None, values)
    fields = {"created_at": now_ms, "valid_since_s": now_ms // 1_000, **_columns(values)}
    tx.core.execute(
        sa.insert(accounts).values(project=scope.project, tenant=scope.tenant, uid=uid, **fields)
    )
    created = by_uid(tx, scope, uid)
    assert created is not None
    return created


def update(tx: Tx, account: Account, **values: Any) -> Account:
    """Change columns of an account.

    Raises:
        AuthError: EMAIL_EXISTS, PHONE_NUMBER_EXISTS.
    """
    if values:
        check_free(tx, account.scope, account.key, values)
        tx.core.execute(
            sa.update(accounts).where(accounts.c.key == account.key).values(**_columns(values))
        )
    changed = by_key(tx, account.key)
    if changed is None:
        raise AuthError("USER_NOT_FOUND")
    return changed


def delete(tx: Tx, account: Account) -> None:
    """Remove an account with its identities, sessions and codes."""
    tx.core.execute(sa.delete(accounts).where(accounts.c.key == account.key))


def delete_all(tx: Tx, scope: Scope) -> None:
    """Remove every account of a scope."""
    tx.core.execute(sa.delete(accounts).where(_in(scope)))


def link(tx: Tx, account: Account, identity: Identity) -> Account:
    """Let a provider's account sign in to this one; replaces another of the same provider.

    Raises:
        AuthError: FEDERATED_USER_ID_ALREADY_LINKED: it signs in to another account.
    """
    scope = account.scope
    holder = by_identity(tx, scope, identity.provider_id, identity.raw_id)
    if holder is not None and holder.key != account.key:
        raise AuthError("FEDERATED_USER_ID_ALREADY_LINKED")
    unlink(tx, account, identity.provider_id)
    tx.core.execute(
        sa.insert(identities).values(
            account_key=account.key,
            project=scope.project,
            tenant=scope.tenant,
            provider_id=identity.provider_id,
            raw_id=identity.raw_id,
            email=identity.email,
            display_name=identity.display_name,
            photo_url=identity.photo_url,
            screen_name=identity.screen_name,
        )
    )
    return update(tx, account)


def unlink(tx: Tx, account: Account, provider_id: str) -> None:
    """Forget a provider's account."""
    tx.core.execute(
        sa.delete(identities).where(
            identities.c.account_key == account.key, identities.c.provider_id == provider_id
        )
    )


def check_free(tx: Tx, scope: Scope, key: int | None, values: Mapping[str, Any]) -> None:
    """Whether email and phone number belong to nobody else.

    Raises:
        AuthError: EMAIL_EXISTS, PHONE_NUMBER_EXISTS.
    """
    for column, find, code in (
        ("email", by_email, "EMAIL_EXISTS"),
        ("phone_number", by_phone, "PHONE_NUMBER_EXISTS"),
    ):
        value = values.get(column)
        holder = find(tx, scope, value) if value else None
        if holder is not None and holder.key != key:
            raise AuthError(code)


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    columns = dict(values)
    if "valid_since" in columns:
        columns["valid_since_s"] = columns.pop("valid_since")
    if "custom_claims" in columns:
        claims = columns["custom_claims"]
        columns["custom_claims"] = None if claims is None else json.dumps(claims)
    if "second_factors" in columns:
        factors = columns["second_factors"]
        columns["second_factors"] = json.dumps([dict(f) for f in factors]) if factors else None
    return columns


def _in(scope: Scope) -> sa.ColumnElement[bool]:
    return sa.and_(accounts.c.project == scope.project, accounts.c.tenant == scope.tenant)


def _first(tx: Tx, scope: Scope, condition: sa.ColumnElement[bool]) -> Account | None:
    row = tx.core.execute(sa.select(accounts).where(_in(scope), condition)).mappings().first()
    return None if row is None else _load(tx, [row])[0]


def _load(tx: Tx, rows: list[Any]) -> list[Account]:
    keys = [row["key"] for row in rows]
    linked: dict[int, list[Identity]] = {key: [] for key in keys}
    for start in range(0, len(keys), 500):
        found = tx.core.execute(
            sa.select(identities)
            .where(identities.c.account_key.in_(keys[start : start + 500]))
            .order_by(identities.c.provider_id)
        ).mappings()
        for row in found:
            linked[row["account_key"]].append(_identity(row))
    return [_account(row, tuple(linked[row["key"]])) for row in rows]


def _identity(row: Any) -> Identity:
    return Identity(
        row["provider_id"],
        row["raw_id"],
        row["email"],
        row["display_name"],
        row["photo_url"],
        row["screen_name"],
    )


def _account(row: Any, linked: tuple[Identity, ...]) -> Account:
    return Account(
        key=row["key"],
        scope=Scope(row["project"], row["tenant"]),
        uid=row["uid"],
        email=row["email"],
        email_verified=row["email_verified"],
        phone_number=row["phone_number"],
        display_name=row["display_name"],
        photo_url=row["photo_url"],
        disabled=row["disabled"],
        password_hash=row["password_hash"],
        password_updated_at=row["password_updated_at"],
        custom_claims=json.loads(row["custom_claims"]) if row["custom_claims"] else None,
        custom_auth=row["custom_auth"],
        email_link=row["email_link"],
        created_at=row["created_at"],
        last_login_at=row["last_login_at"],
        last_refresh_at=row["last_refresh_at"],
        valid_since=row["valid_since_s"],
        second_factors=tuple(json.loads(row["second_factors"] or "[]")),
        initial_email=row["initial_email"],
        identities=linked,
    )
