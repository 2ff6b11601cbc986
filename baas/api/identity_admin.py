"""Identity Toolkit over REST: what administrators call, with the access token of a service account."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from starlette.routing import Route

from baas.access.principal import Principal, PrincipalKind
from baas.api.assembly import Assembly
from baas.api.identity_call import (
    OLD_PREFIXES,
    TOOLKIT_PREFIXES,
    Handler,
    call_endpoint,
    while_enabled,
)
from baas.api.identity_render import account_json, provider_infos
from baas.api.identity_request import MAX_BODY, MAX_IMPORT_BODY, Call, Fields
from baas.auth import foreign_hashes, validation
from baas.auth.accounts import Identity
from baas.auth.action_codes import CodeRequest
from baas.auth.admin import MAX_BATCH, AdminChange, ImportedUser, Wanted, imported_password
from baas.auth.authenticator import Authenticator
from baas.auth.claims import read_custom_claims
from baas.auth.errors import AuthError
from baas.auth.factor_list import WantedFactor
from baas.auth.service import AuthService
from baas.errors import ApiError, InvalidArgument, PermissionDenied, Unauthenticated

_WRITERS = ("owner", "editor")
_IMPORTED_TIMES = (
    ("created_at", "createdAt"),
    ("last_login_at", "lastLoginAt"),
    ("password_updated_at", "passwordUpdatedAt"),
    ("valid_since", "validSince"),
)


_REQUEST_TYPES = {
    1: "PASSWORD_RESET",
    2: "OLD_EMAIL_AGREE",
    3: "NEW_EMAIL_ACCEPT",
    4: "VERIFY_EMAIL",
    5: "RECOVER_EMAIL",
    6: "EMAIL_SIGNIN",
    7: "VERIFY_AND_CHANGE_EMAIL",
}
"""OobReqType by its numbers."""
_SORT_FIELDS = {
    1: "USER_ID",
    2: "NAME",
    3: "CREATED_AT",
    4: "LAST_LOGIN_AT",
    5: "USER_EMAIL",
}
_IMPORT_WORDS = {
    "INVALID_EMAIL": "email is invalid",
    "INVALID_PHONE_NUMBER": "phone number format is invalid",
    "INVALID_CLAIMS": "Invalid custom claims provided.",
    "FORBIDDEN_CLAIM": "Custom claims provided include a reserved claim.",
    "CLAIMS_TOO_LARGE": "Custom claims provided are too large.",
}
"""What an import says of an account, where other calls have a code."""


class AdminDoor:
    """Lets administrators in: anybody else gets an error before anything is read or changed."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    def guard(
        self, handler: Callable[[Call], Awaitable[dict[str, Any]]], *, write: bool
    ) -> Handler:
        """The handler, for administrators only; for those who may write, if it does."""

        async def guarded(call: Call) -> dict[str, Any]:
            await self.check(call, write=write)
            return await handler(call)

        return guarded

    async def check(self, call: Call, *, write: bool) -> Principal:
        """The administrator who calls.

        Raises:
            Unauthenticated: there are no credentials.
            PermissionDenied: they are not an administrator's, or one's who may only read.
        """
        principal = await self._authenticator.principal(call.authorization, call.scope.project)
        if principal.kind is PrincipalKind.ANONYMOUS:
            raise Unauthenticated("This call needs the access token of a service account.")
        if not principal.bypasses_rules:
            raise PermissionDenied("This call is for service accounts only.")
        may_write = principal.kind is PrincipalKind.OWNER or principal.role in _WRITERS
        if write and not may_write:
            raise PermissionDenied("The role of this service account lets it read only.")
        return principal


def routes(
    service: AuthService, authenticator: Authenticator, assembly: Assembly | None = None
) -> list[Route]:
    """Every route of this surface. ``assembly`` counts requests that are arriving."""
    api = IdentityAdminApi(service)
    door = AdminDoor(authenticator)
    options = service.options
    found: list[Route] = []
    for prefix in TOOLKIT_PREFIXES:
        for place in ("/projects/{project}", "/projects/{project}/tenants/{tenant}"):
            base = f"{prefix}/v1{place}"
            for verb, path, handler, write in api.methods():
                limit = MAX_IMPORT_BODY if "batchCreate" in path else MAX_BODY
                enabled = while_enabled(handler, service.configs.get)
                endpoint = call_endpoint(
                    door.guard(enabled, write=write), options, limit=limit, assembly=assembly
                )
                found.append(Route(base + path, endpoint, methods=[verb]))
    for name, handler, write in api.old_methods():
        limit = MAX_IMPORT_BODY if write else MAX_BODY
        endpoint = call_endpoint(
            door.guard(handler, write=write), options, limit=limit, assembly=assembly
        )
        for prefix in OLD_PREFIXES:
            found.append(Route(f"{prefix}/{name}", endpoint, methods=["POST"]))
    return found


class IdentityAdminApi:
    """The handlers."""

    def __init__(self, service: AuthService) -> None:
        self._service = service
        self._admin = service.admin

    def methods(self) -> list[tuple[str, str, Handler, bool]]:
        """HTTP method, end of the path, handler, and whether it changes anything."""
        return [
            ("POST", "/accounts", self.create, True),
            ("POST", "/accounts:lookup", self.lookup, False),
            ("POST", "/accounts:update", self.update, True),
            ("POST", "/accounts:delete", self.delete, True),
            ("POST", "/accounts:batchDelete", self.delete_many, True),
            ("POST", "/accounts:batchCreate", self.import_users, True),
            ("GET", "/accounts:batchGet", self.page, False),
            ("POST", "/accounts:query", self.search, False),
            ("POST", "/accounts:sendOobCode", self.make_link, True),
            ("POST", ":createSessionCookie", self.session_cookie, True),
        ]

    def old_methods(self) -> list[tuple[str, Handler, bool]]:
        """Names of the old API that only administrators have, all by POST."""
        return [
            ("downloadAccount", self.page, False),
            ("uploadAccount", self.import_users, True),
        ]

    async def create(self, call: Call) -> dict[str, Any]:
        """``projects.accounts``: create an account."""
        account = await self._admin.create(call.scope, _change(call.fields))
        return {"kind": "identitytoolkit#SignupNewUserResponse"} | account_json(account)

    async def lookup(self, call: Call) -> dict[str, Any]:
        """``accounts:lookup`` by uid, email, phone number or provider; or by ID token."""
        fields = call.fields
        if "idToken" in fields:
            found = [await self._service.lookup(call.scope, fields.text("idToken"))]
        else:
            found = await self._admin.find(call.scope, _wanted(fields))
        users = [account_json(account) for account in found]
        kind = {"kind": "identitytoolkit#GetAccountInfoResponse"}
        return {**kind, "users": users} if users else kind

    async def update(self, call: Call) -> dict[str, Any]:
        """``accounts:update`` of any account."""
        uid = call.fields.text("localId")
        if not uid:
            raise AuthError("MISSING_LOCAL_ID")
        account = await self._admin.update(call.scope, uid, _change(call.fields))
        return {
            "kind": "identitytoolkit#SetAccountInfoResponse",
            **account_json(account),
            "providerUserInfo": provider_infos(account),
        }

    async def delete(self, call: Call) -> dict[str, Any]:
        """``accounts:delete`` of any account."""
        uid = call.fields.text("localId")
        if not uid:
            raise AuthError("MISSING_LOCAL_ID")
        await self._admin.delete(call.scope, uid)
        return {"kind": "identitytoolkit#DeleteAccountResponse"}

    async def delete_many(self, call: Call) -> dict[str, Any]:
        """``accounts:batchDelete``."""
        failed = await self._admin.delete_many(
            call.scope, call.fields.texts("localIds"), force=call.fields.flag("force")
        )
        uids = call.fields.texts("localIds")
        errors = [
            {"index": index, "localId": uids[index], "message": message}
            for index, message in failed
        ]
        return {"errors": errors} if errors else {}

    async def page(self, call: Call) -> dict[str, Any]:
        """``accounts:batchGet``: a page of accounts."""
        query = Fields({**call.fields.raw, **call.query})
        size = query.integer("maxResults", 20)
        token = query.text("nextPageToken") or query.text("pageToken")
        found, following = await self._admin.page(call.scope, size=size, token=token)
        answer: dict[str, Any] = {"kind": "identitytoolkit#DownloadAccountResponse"}
        if found:
            answer["users"] = [account_json(account) for account in found]
        if following:
            answer["nextPageToken"] = following
        return answer

    async def search(self, call: Call) -> dict[str, Any]:
        """``accounts:query``: accounts in an order, or how many there are."""
        fields = call.fields
        if not fields.flag("returnUserInfo", True):
            return {"recordsCount": str(await self._admin.count(call.scope))}
        found = await self._admin.search(
            call.scope,
            _expressions(fields),
            limit=fields.integer("limit", 500),
            offset=fields.integer("offset"),
            sort_by=fields.enum("sortBy", _SORT_FIELDS),
            descending=fields.enum("order", {1: "ASC", 2: "DESC"}) == "DESC",
        )
        return {
            "recordsCount": str(len(found)),
            "userInfo": [account_json(account) for account in found],
        }

    async def import_users(self, call: Call) -> dict[str, Any]:
        """``accounts:batchCreate``: import accounts, with the hashes of other systems."""
        fields = call.fields
        children = fields.children("users")
        if not children:
            raise AuthError("MISSING_USER_ACCOUNT")
        if len(children) > MAX_BATCH:
            raise InvalidArgument(f"At most {MAX_BATCH} accounts can be imported at once.")
        if fields.flag("sanityCheck"):
            _check_sanity(children)
        if "allowOverwrite" in fields and not fields.flag("allowOverwrite"):
            _check_distinct((c.text("localId") for c in children), "DUPLICATE_LOCAL_ID")
        parameters = (
            foreign_hashes.read_parameters(fields.raw) if "hashAlgorithm" in fields else None
        )
        users = [read_user(child, parameters, call.scope.tenant) for child in children]
        overwrite = fields.flag("allowOverwrite", True)
        failed = await self._admin.import_users(call.scope, users, overwrite=overwrite)
        errors = [{"index": index, "message": message} for index, message in failed]
        kind = {"kind": "identitytoolkit#UploadAccountResponse"}
        return {**kind, "error": errors} if errors else kind

    async def make_link(self, call: Call) -> dict[str, Any]:
        """``accounts:sendOobCode`` by an administrator, who gets the link with ``returnOobLink``."""
        request = code_request(call, return_link=call.fields.flag("returnOobLink"))
        sent = await self._service.codes.send(call.scope, request)
        answer = {
            "kind": "identitytoolkit#GetOobConfirmationCodeResponse",
            "email": sent.email,
        }
        if request.return_link:
            answer |= {"oobCode": sent.code, "oobLink": sent.link}
        return answer

    async def session_cookie(self, call: Call) -> dict[str, Any]:
        """``createSessionCookie``."""
        id_token = call.fields.text("idToken")
        if not id_token:
            raise AuthError("MISSING_ID_TOKEN")
        lifetime = call.fields.integer("validDuration", 14 * 86_400)
        return {"sessionCookie": await self._admin.session_cookie(call.scope, id_token, lifetime)}


def code_request(call: Call, *, return_link: bool = False) -> CodeRequest:
    """What ``sendOobCode`` asks for."""
    fields = call.fields
    return CodeRequest(
        fields.enum("requestType", _REQUEST_TYPES),
        email=fields.text("email"),
        new_email=fields.text("newEmail"),
        id_token=fields.text("idToken"),
        continue_url=fields.text("continueUrl"),
        api_key=call.query.get("key", ""),
        language=call.client.language,
        link_domain=fields.text("linkDomain"),
        return_link=return_link,
    )


def _wanted(fields: Fields) -> Wanted:
    return Wanted(
        fields.texts("localId"),
        fields.texts("email"),
        fields.texts("phoneNumber"),
        [(f.text("providerId"), f.text("rawId")) for f in fields.children("federatedUserId")],
    )


def _expressions(fields: Fields) -> Wanted | None:
    expressions = fields.children("expression")
    if not expressions:
        return None
    return Wanted(
        [e.text("userId") for e in expressions if "userId" in e],
        [e.text("email").lower() for e in expressions if "email" in e],
        [e.text("phoneNumber") for e in expressions if "phoneNumber" in e],
    )


def _change(fields: Fields) -> AdminChange:
    removed = set(fields.texts("deleteAttribute"))
    linked = fields.child("linkProviderUserInfo")
    disabled = fields.optional_flag("disableUser")
    return AdminChange(
        uid=fields.optional_text("localId"),
        email=fields.optional_text("email"),
        email_verified=fields.optional_flag("emailVerified"),
        password=fields.optional_text("password"),
        phone_number=fields.optional_text("phoneNumber"),
        display_name="" if "DISPLAY_NAME" in removed else fields.optional_text("displayName"),
        photo_url="" if "PHOTO_URL" in removed else fields.optional_text("photoUrl"),
        disabled=fields.optional_flag("disabled") if disabled is None else disabled,
        custom_claims=fields.optional_text("customAttributes"),
        valid_since=fields.integer("validSince") if "validSince" in fields else None,
        second_factors=second_factors_of(fields),
        unlink=fields.texts("deleteProvider"),
        link=_identity(linked) if linked.raw else None,
    )


def second_factors_of(fields: Fields) -> list[WantedFactor] | None:
    """Second factors as an administrator sets them; ``None`` if they are left alone."""
    if "mfa" in fields:
        given = fields.child("mfa").children("enrollments")
    elif "mfaInfo" in fields:
        given = fields.children("mfaInfo")
    else:
        return None
    return [
        WantedFactor(
            factor.text("mfaEnrollmentId"),
            _factor_phone(factor.text("phoneInfo")),
            validation.display_name(factor.text("displayName")),
            _milliseconds(factor, "enrolledAt"),
        )
        for factor in given
    ]


def _factor_phone(text: str) -> str:
    try:
        return validation.phone_number(text) if text else ""
    except AuthError as error:
        raise AuthError("INVALID_MFA_PHONE_NUMBER", error.detail) from error


def _milliseconds(fields: Fields, name: str) -> int | None:
    """A time in RFC 3339, in milliseconds since the epoch."""
    text = fields.text(name)
    if not text:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidArgument(f"{name!r} must be a time in RFC 3339.") from error
    return int(moment.replace(tzinfo=moment.tzinfo or dt.UTC).timestamp() * 1_000)


def _identity(fields: Fields) -> Identity:
    provider, raw_id = fields.text("providerId"), fields.text("rawId")
    if not provider or not raw_id or provider in ("password", "phone", "anonymous"):
        raise AuthError("INVALID_PROVIDER_ID")
    return Identity(
        provider,
        raw_id,
        fields.optional_text("email"),
        fields.optional_text("displayName"),
        fields.optional_text("photoUrl"),
        fields.optional_text("screenName"),
    )


def _check_sanity(users: Sequence[Fields]) -> None:
    """Whether no two accounts of an import have the same address, or the same account at a provider.

    Raises:
        AuthError: DUPLICATE_EMAIL, DUPLICATE_RAW_ID, naming the first.
    """
    _check_distinct((user.text("email").lower() for user in users), "DUPLICATE_EMAIL")
    infos = [info for user in users for info in user.children("providerUserInfo")]
    shown = [
        f"Provider id({info.text('providerId')}), Raw id({info.text('rawId')})"
        for info in infos
        if info.text("providerId") and info.text("rawId")
    ]
    _check_distinct(shown, "DUPLICATE_RAW_ID")


def _check_distinct(values: Iterable[str], code: str) -> None:
    seen: set[str] = set()
    for value in filter(None, values):
        if value in seen:
            raise AuthError(code, value)
        seen.add(value)


def read_user(
    fields: Fields, parameters: foreign_hashes.Parameters | None, tenant: str = ""
) -> ImportedUser | ApiError:
    """An account of an import, or what is wrong with it, in the words of Identity Toolkit."""
    try:
        if fields.text("tenantId") not in ("", tenant):
            raise InvalidArgument("Tenant id in userInfo does not match the tenant id in request.")
        return _imported(fields, parameters)
    except AuthError as error:
        return InvalidArgument(_IMPORT_WORDS.get(error.code, error.message))
    except ApiError as error:
        return error


def _imported(fields: Fields, parameters: foreign_hashes.Parameters | None) -> ImportedUser:
    columns: dict[str, Any] = {
        "email_verified": fields.flag("emailVerified"),
        "disabled": fields.flag("disabled"),
    }
    checks: dict[str, tuple[str, Callable[[str], str]]] = {
        "email": ("email", validation.email),
        "phone_number": ("phoneNumber", validation.phone_number),
        "display_name": ("displayName", validation.display_name),
        "photo_url": ("photoUrl", validation.photo_url),
    }
    for column, (name, check) in checks.items():
        if fields.text(name):
            columns[column] = check(fields.text(name))
    if "customAttributes" in fields:
        columns["custom_claims"] = read_custom_claims(fields.text("customAttributes"))
    for column, name in _IMPORTED_TIMES:
        if name in fields:
            columns[column] = fields.integer(name)
    if "passwordHash" in fields and "rawPassword" not in fields:
        columns["password_hash"] = imported_password(
            parameters, fields.text("passwordHash"), fields.text("salt")
        )
    if not fields.text("localId"):
        raise InvalidArgument("localId is missing")
    identities = []
    for info in fields.children("providerUserInfo"):
        if info.text("providerId") in ("password", "phone"):
            continue
        if not info.text("providerId") or not info.text("rawId"):
            raise InvalidArgument("federatedId or (providerId & rawId) is required")
        identities.append(_identity(info))
    factors = second_factors_of(fields) or ()
    if factors and not columns.get("email"):
        raise InvalidArgument("Second factor account requires email to be presented.")
    if factors and not columns["email_verified"]:
        raise InvalidArgument("Second factor account requires email to be verified.")
    return ImportedUser(
        validation.uid(fields.text("localId")),
        columns,
        identities,
        fields.text("rawPassword"),
        factors,
    )
