"""What administrators do with accounts: find, create, change, list, delete, import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from baas.auth import accounts, factor_list, foreign_hashes, sessions, validation
from baas.auth.accounts import Account, Identity
from baas.auth.claims import read_custom_claims
from baas.auth.context import AuthContext
from baas.auth.errors import AuthError
from baas.auth.factor_list import WantedFactor
from baas.auth.options import Scope
from baas.auth.project_config import ProjectConfig
from baas.db.tables import auth as tables
from baas.db.unit import Tx
from baas.errors import ApiError, InvalidArgument

MAX_LOOKUP, MAX_PAGE, MAX_BATCH = 100, 1_000, 1_000
NOT_DISABLED = "NOT_DISABLED : Disable the account before batch deletion."
SHORTEST_COOKIE_S, LONGEST_COOKIE_S = 300, 14 * 86_400


_UNIQUE = (
    ("email", accounts.by_email, "email exists in other account in database"),
    ("phone_number", accounts.by_phone, "phone number exists in other account in database"),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which accounts are asked for: by any of these."""

    uids: Sequence[str] = ()
    emails: Sequence[str] = ()
    phone_numbers: Sequence[str] = ()
    identities: Sequence[tuple[str, str]] = ()
    """(provider id, id at the provider)."""


@dataclass(frozen=True, slots=True)
class AdminChange:
    """What an administrator sets. ``None`` leaves a field, "" removes it."""

    uid: str | None = None
    email: str | None = None
    email_verified: bool | None = None
    password: str | None = None
    phone_number: str | None = None
    display_name: str | None = None
    photo_url: str | None = None
    disabled: bool | None = None
    custom_claims: str | None = None
    """A JSON object."""
    valid_since: int | None = None
    second_factors: Sequence[WantedFactor] | None = None
    unlink: Sequence[str] = ()
    link: Identity | None = None


@dataclass(frozen=True, slots=True)
class ImportedUser:
    """One account of an import. ``password_hash`` is an encoded one of ours or a foreign one."""

    uid: str
    columns: dict[str, Any] = field(default_factory=dict)
    identities: Sequence[Identity] = ()
    password: str = field(default="", repr=False)
    """A password that is to be hashed here."""
    second_factors: Sequence[WantedFactor] = ()


class AccountAdmin:
    """The administrator's side. Who may call it is the surface's business."""

    def __init__(self, context: AuthContext) -> None:
        self._context = context

    async def find(self, scope: Scope, wanted: Wanted) -> list[Account]:
        """The accounts asked for that exist, each once.

        Raises:
            InvalidArgument: more than 100 are asked for.
        """
        asked = [wanted.uids, wanted.emails, wanted.phone_numbers, wanted.identities]
        if sum(map(len, asked)) > MAX_LOOKUP:
            raise InvalidArgument(f"At most {MAX_LOOKUP} accounts can be looked up at once.")

        def unit(tx: Tx) -> list[Account]:
            found = [
                *(accounts.by_uid(tx, scope, uid) for uid in wanted.uids),
                *(accounts.by_email(tx, scope, e.strip().lower()) for e in wanted.emails),
                *(accounts.by_phone(tx, scope, number) for number in wanted.phone_numbers),
                *(accounts.by_identity(tx, scope, *pair) for pair in wanted.identities),
            ]
            return list({a.key: a for a in found if a is not None}.values())

        return await self._context.database.read(unit)

    async def page(self, scope: Scope, *, size: int, token: str) -> tuple[list[Account], str]:
        """A page in order of uid, and the token of the next one ("" after the last)."""
        size = min(max(size or 20, 1), MAX_PAGE)
        found = await self._context.database.read(
            lambda tx: accounts.page(tx, scope, after=token, limit=size)
        )
        return found, found[-1].uid if len(found) == size else ""

    async def count(self, scope: Scope) -> int:
        """How many accounts there are."""
        return await self._context.database.read(lambda tx: accounts.count(tx, scope))

    async def create(self, scope: Scope, change: AdminChange) -> Account:
        """A new account, with or without credentials.

        Raises:
            AuthError: DUPLICATE_LOCAL_ID, EMAIL_EXISTS, PHONE_NUMBER_EXISTS, WEAK_PASSWORD, ...
        """
        values = await self._values(await self._context.config(scope), change)
        if change.uid:
            values["uid"] = validation.uid(change.uid)
        if change.second_factors:
            now = self._context.now_ms()
            values["second_factors"] = factor_list.created(change.second_factors, now)
        now_ms = self._context.now_ms()
        return await self._context.write(lambda tx: accounts.insert(tx, scope, now_ms, **values))

    async def update(self, scope: Scope, uid: str, change: AdminChange) -> Account:
        """Change an account. A new password or address, or disabling it, ends its sessions.

        Raises:
            AuthError: USER_NOT_FOUND, EMAIL_EXISTS, PHONE_NUMBER_EXISTS, WEAK_PASSWORD,
                FEDERATED_USER_ID_ALREADY_LINKED, ...
        """
        values = await self._values(await self._context.config(scope), change)

        def unit(tx: Tx) -> Account:
            account = accounts.by_uid(tx, scope, uid)
            if account is None:
                raise AuthError("USER_NOT_FOUND")
            new_email = "email" in values and values["email"] != account.email
            if change.password is not None or new_email:
                values.setdefault("valid_since", self._context.now_ms() // 1_000)
            if change.second_factors is not None:
                values["second_factors"] = factor_list.changed(
                    account.second_factors, change.second_factors, self._context.now_ms()
                )
            changed = accounts.update(tx, account, **values)
            for provider in change.unlink:
                accounts.unlink(tx, changed, provider)
            if change.link is not None:
                accounts.link(tx, changed, change.link)
            if "valid_since" in values:
                sessions.end_all(tx, changed.key)
            if changed.disabled or "valid_since" in values:
                self._context.ended(tx, changed)
            return accounts.update(tx, changed)

        return await self._context.write(unit)

    async def delete(self, scope: Scope, uid: str) -> None:
        """Delete an account.

        Raises:
            AuthError: USER_NOT_FOUND.
        """

        def unit(tx: Tx) -> None:
            account = accounts.by_uid(tx, scope, uid)
            if account is None:
                raise AuthError("USER_NOT_FOUND")
            accounts.delete(tx, account)
            self._context.ended(tx, account)

        await self._context.write(unit)

    async def delete_many(
        self, scope: Scope, uids: Sequence[str], *, force: bool
    ) -> list[tuple[int, str]]:
        """Delete accounts (only disabled ones, without ``force``); answers what failed: index and reason.

        Raises:
            AuthError: LOCAL_ID_LIST_EXCEEDS_LIMIT: none, or more than 1000.
        """
        if not 0 < len(uids) <= MAX_BATCH:
            raise AuthError("LOCAL_ID_LIST_EXCEEDS_LIMIT")

        def unit(tx: Tx) -> list[tuple[int, str]]:
            failed = []
            for index, uid in enumerate(uids):
                account = accounts.by_uid(tx, scope, uid)
                if account is None:
                    continue
                if not force and not account.disabled:
                    failed.append((index, NOT_DISABLED))
                    continue
                accounts.delete(tx, account)
                self._context.ended(tx, account)
            return failed

        return await self._context.write(unit)

    async def delete_all(self, scope: Scope) -> None:
        """Delete every account of the scope."""
        await self._context.write(lambda tx: accounts.delete_all(tx, scope))

    async def import_users(
        self, scope: Scope, users: Sequence[ImportedUser | ApiError], *, overwrite: bool = True
    ) -> list[tuple[int, str]]:
        """Import accounts, replacing those of the same uid; answers what failed: index and reason.

        Each is imported whole or not at all; an :class:`ApiError` in place of one is its failure.
        """
        for user in users:
            if isinstance(user, ImportedUser) and user.password:
                user.columns["password_hash"] = await self._context.passwords.hash(user.password)
                user.columns.setdefault("password_updated_at", self._context.now_ms())

        def unit(tx: Tx) -> list[tuple[int, str]]:
            failed = []
            for index, user in enumerate(users):
                try:
                    if isinstance(user, ApiError):
                        raise user
                    self._import_one(tx, scope, user, overwrite)
                except ApiError as error:
                    failed.append((index, error.message))
            return failed

        return await self._context.write(unit)

    async def session_cookie(self, scope: Scope, id_token: str, lifetime_s: int) -> str:
        """A session cookie: the ID token's claims, to last up to two weeks.

        Raises:
            AuthError: INVALID_ID_TOKEN, TOKEN_EXPIRED, USER_DISABLED, INVALID_DURATION.
        """
        if not SHORTEST_COOKIE_S <= lifetime_s <= LONGEST_COOKIE_S:
            raise AuthError("INVALID_DURATION")
        caller = await self._context.caller(scope, id_token)
        now = int(self._context.clock())
        return await self._context.tokens.sign(
            {
                **caller.claims,
                "iss": f"https://session.firebase.google.com/{scope.project}",
                "iat": now,
                "exp": now + lifetime_s,
            }
        )

    async def search(
        self,
        scope: Scope,
        wanted: Wanted | None,
        *,
        limit: int,
        offset: int,
        sort_by: str,
        descending: bool,
    ) -> list[Account]:
        """Accounts in an order: of USER_ID, NAME, CREATED_AT, LAST_LOGIN_AT or USER_EMAIL.

        Raises:
            InvalidArgument: an order that there is not, or a limit beyond 500.
        """
        table = tables.accounts.c
        column = {
            "USER_ID": table.uid,
            "NAME": table.display_name,
            "CREATED_AT": table.created_at,
            "LAST_LOGIN_AT": table.last_login_at,
            "USER_EMAIL": table.email,
        }.get(sort_by or "USER_ID")
        if column is None or not 0 <= limit <= 500 or offset < 0:
            raise InvalidArgument("sortBy, limit (up to 500) or offset cannot be as given.")
        order = column.desc() if descending else column.asc()
        query = sa.select(table.uid).where(
            table.project == scope.project, table.tenant == scope.tenant
        )
        if wanted is not None:
            query = query.where(
                sa.or_(
                    table.uid.in_(list(wanted.uids)),
                    table.email.in_(list(wanted.emails)),
                    table.phone_number.in_(list(wanted.phone_numbers)),
                )
            )

        def unit(tx: Tx) -> list[Account]:
            paged = query.order_by(order, table.uid).limit(limit or 500).offset(offset)
            uids = [row[0] for row in tx.core.execute(paged)]
            found = [accounts.by_uid(tx, scope, uid) for uid in uids]
            return [account for account in found if account is not None]

        return await self._context.database.read(unit)

    async def _values(self, config: ProjectConfig, change: AdminChange) -> dict[str, Any]:
        """The columns of a change, checked; the password hashed."""
        values: dict[str, Any] = {}
        texts = {
            "email": (change.email, validation.email),
            "phone_number": (change.phone_number, validation.phone_number),
            "display_name": (change.display_name, validation.display_name),
            "photo_url": (change.photo_url, validation.photo_url),
        }
        for column, (text, check) in texts.items():
            if text is not None:
                values[column] = check(text) if text else None
        if change.custom_claims is not None:
            values["custom_claims"] = read_custom_claims(change.custom_claims)
        for column in ("email_verified", "disabled", "valid_since"):
            value = getattr(change, column)
            if value is not None:
                values[column] = value
        if accounts.PASSWORD in change.unlink:
            values |= {"password_hash": None, "password_updated_at": None, "email_link": False}
        if accounts.PHONE in change.unlink:
            values["phone_number"] = None
        if change.password is not None:
            config.password_policy.check(validation.new_password(change.password))
            values["password_hash"] = await self._context.passwords.hash(change.password)
            values["password_updated_at"] = self._context.now_ms()
        return values

    def _import_one(self, tx: Tx, scope: Scope, user: ImportedUser, overwrite: bool) -> None:
        existing = accounts.by_uid(tx, scope, user.uid)
        if existing is not None and not overwrite:
            raise InvalidArgument("localId belongs to an existing account - can not overwrite.")
        key = existing.key if existing else None
        for column, find, words in _UNIQUE:
            value = user.columns.get(column)
            holder = find(tx, scope, value) if value else None
            if holder is not None and holder.key != key:
                raise InvalidArgument(words)
        for identity in user.identities:
            holder = accounts.by_identity(tx, scope, identity.provider_id, identity.raw_id)
            if holder is not None and holder.key != key:
                raise InvalidArgument("raw id exists in other account in database")
        if existing is not None:
            accounts.delete(tx, existing)
        now_ms = self._context.now_ms()
        factors = factor_list.changed((), user.second_factors, now_ms)
        values = {**user.columns, "uid": user.uid, "second_factors": factors}
        created = accounts.insert(tx, scope, now_ms, **values)
        for identity in user.identities:
            accounts.link(tx, created, identity)


def imported_password(
    parameters: foreign_hashes.Parameters | None, password_hash: str, salt: str
) -> str:
    """The encoded hash of an imported password.

    Raises:
        AuthError: MISSING_HASH_ALGORITHM, or the hash is no base64.
    """
    if parameters is None:
        raise AuthError("INVALID_HASH_ALGORITHM", "Passwords need the algorithm of their hashes.")
    made = foreign_hashes.decode_base64(password_hash, "INVALID_PASSWORD_HASH")
    return foreign_hashes.encode(
        parameters, made, foreign_hashes.decode_base64(salt, "INVALID_PASSWORD_SALT")
    )
