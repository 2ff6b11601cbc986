"""Signing in with an identity provider: by its token, or by the code that it sent a browser back with."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from baas.auth import accounts, codes, providers, validation
from baas.auth.accounts import Account, Identity
from baas.auth.context import AuthContext, SecondFactorNeeded, SignedIn
from baas.auth.errors import AuthError
from baas.auth.hooks import NO_CLIENT, Client
from baas.auth.options import Provider, Scope
from baas.auth.providers import Profile, ProviderClient, profile_of
from baas.auth.tokens import take_apart
from baas.db.unit import Tx
from baas.errors import FailedPrecondition, Unauthenticated

_SESSION = "IDP_SESSION"
_SESSION_LIFETIME_S = 600


@dataclass(frozen=True, slots=True)
class IdpRequest:
    """What ``signInWithIdp`` is asked. ``post_body`` are the decoded pairs of its ``postBody``."""

    post_body: Mapping[str, str] = field(default_factory=dict, repr=False)
    request_uri: str = ""
    session_id: str = field(default="", repr=False)
    id_token: str = field(default="", repr=False)
    """Of the account to link to; "" to sign in."""
    auto_create: bool = True
    """Whether somebody who has no account gets one."""


@dataclass(frozen=True, slots=True)
class IdpOutcome:
    """What came of it. Without ``signed_in``, the address has an account that other ways lead to."""

    profile: Profile
    signed_in: SignedIn | SecondFactorNeeded | None
    other_methods: tuple[str, ...] = ()
    conflict: str = ""
    """The uid of that account."""
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)


class Federated:
    """Sign-in, linking, and the start of the redirect flow."""

    def __init__(self, context: AuthContext) -> None:
        self._context = context
        self._client = ProviderClient(context.outgoing, context.clock, context.options.clock_skew_s)

    async def start(
        self, scope: Scope, provider_id: str, continue_url: str, *, oauth_scope: str = ""
    ) -> tuple[str, str]:
        """Where to send a browser, and the session that its return completes.

        Raises:
            AuthError: OPERATION_NOT_ALLOWED (not configured), UNAUTHORIZED_DOMAIN, INVALID_IDP_RESPONSE.
        """
        config = await self._context.config(scope)
        config.check_continue_url(continue_url, open_to_all=self._context.options.dev)
        return await self.begin(scope, provider_id, continue_url, scopes=oauth_scope.split())

    async def begin(
        self,
        scope: Scope,
        provider_id: str,
        redirect: str,
        *,
        scopes: Sequence[str] = (),
        parameters: Mapping[str, str] | None = None,
    ) -> tuple[str, str]:
        """:meth:`start`, where ``redirect`` is known to be good.

        Raises:
            AuthError: OPERATION_NOT_ALLOWED (not configured), INVALID_IDP_RESPONSE.
        """
        context = self._context
        provider = await self._provider(scope, provider_id)
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        digest = hashlib.sha256(verifier.encode()).digest()
        url = await self._client.authorization_url(
            provider,
            redirect=redirect,
            state=state,
            nonce=nonce,
            challenge=base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            scopes=scopes,
            parameters=parameters or {},
        )
        inside = {"state": state, "nonce": nonce, "verifier": verifier, "redirect": redirect}
        sealed = context.secrets.seal(json.dumps(inside).encode(), _SESSION)
        payload = {"provider": provider_id, "sealed": base64.b64encode(sealed).decode()}
        session = await context.write(
            lambda tx: codes.create(
                tx,
                scope,
                _SESSION,
                payload,
                account_key=None,
                now_ms=context.now_ms(),
                lifetime_s=_SESSION_LIFETIME_S,
            )
        )
        return url, session

    async def sign_in(
        self, scope: Scope, request: IdpRequest, *, client: Client = NO_CLIENT
    ) -> IdpOutcome:
        """Sign in, or link to the account of ``request.id_token``.

        Raises:
            AuthError: INVALID_IDP_RESPONSE, OPERATION_NOT_ALLOWED, MISSING_OR_INVALID_NONCE,
                FEDERATED_USER_ID_ALREADY_LINKED, EMAIL_EXISTS, USER_DISABLED, INVALID_SESSION_ID, ...
        """
        if not request.request_uri:
            raise AuthError("MISSING_REQUEST_URI")
        if not urlsplit(request.request_uri).netloc:
            raise AuthError("INVALID_REQUEST_URI")
        profile, provider, tokens = await self._profile(scope, request)
        trusted = profile.email_verified and (provider.trusts_email or self._context.options.dev)
        config = await self._context.config(scope)
        shared = bool(config.get("signIn.allowDuplicateEmails"))
        if request.id_token:
            linked, claims = await self._link(scope, profile, request.id_token, trusted, shared)
            signed_in = await self._context.issue(
                linked, profile.provider_id, client, session_claims=claims
            )
            return IdpOutcome(profile, signed_in, tokens=tokens)
        found, methods = await self._context.write(
            lambda tx: self._find_or_link(tx, scope, profile, trusted, shared)
        )
        if methods:
            conflict = found.uid if found else ""
            return IdpOutcome(profile, None, methods, conflict, tokens)
        if found is not None:
            outcome = await self._context.complete(found, profile.provider_id, client)
            return IdpOutcome(profile, outcome, tokens=tokens)
        if not request.auto_create:
            raise AuthError("USER_NOT_FOUND")
        values = {
            "email": None if shared else _email(profile),
            "email_verified": trusted and not shared,
            "display_name": profile.display_name,
            "photo_url": profile.photo_url,
        }
        created = await self._context.create(
            scope, values, profile.provider_id, client, identity=_identity(profile)
        )
        new = await self._context.issue(created, profile.provider_id, client, is_new=True)
        return IdpOutcome(profile, new, tokens=tokens)

    async def revoke(
        self, scope: Scope, id_token: str, provider_id: str, token: str, kind: str
    ) -> None:
        """Give a provider's token of the signed-in user back.

        Raises:
            AuthError: INVALID_ID_TOKEN, OPERATION_NOT_ALLOWED, INVALID_IDP_RESPONSE, ...
        """
        await self._context.caller(scope, id_token)
        await self._client.revoke(await self._provider(scope, provider_id), token, kind)

    async def provider(self, scope: Scope, provider_id: str) -> Provider | None:
        """A provider's configuration: the scope's own, else that of the server's settings."""
        box = self._context.secrets
        own = await self._context.database.read(
            lambda tx: providers.load(tx, scope, provider_id, box)
        )
        return own or self._of_settings(scope).get(provider_id)

    async def providers(self, scope: Scope) -> list[Provider]:
        """All configurations of a scope."""
        box = self._context.secrets
        own = await self._context.database.read(lambda tx: providers.load_all(tx, scope, box))
        found = {**self._of_settings(scope), **{each.provider_id: each for each in own}}
        return [found[name] for name in sorted(found)]

    async def save_provider(self, scope: Scope, provider: Provider) -> None:
        """Configure a provider, or change its configuration."""
        box = self._context.secrets
        await self._context.write(lambda tx: providers.save(tx, scope, provider, box))

    async def drop_provider(self, scope: Scope, provider_id: str) -> None:
        """Forget a provider's configuration; its users keep their accounts.

        Raises:
            FailedPrecondition: the server's settings have it too.
        """
        if provider_id in self._of_settings(scope):
            raise FailedPrecondition(
                f"The server's settings have {provider_id!r}: remove it there, or disable it here."
            )
        await self._context.write(lambda tx: providers.drop(tx, scope, provider_id))

    def _of_settings(self, scope: Scope) -> Mapping[str, Provider]:
        options = self._context.options
        return options.providers if scope == Scope(options.default_project) else {}

    def _find_or_link(
        self, tx: Tx, scope: Scope, profile: Profile, trusted: bool, shared: bool
    ) -> tuple[Account | None, tuple[str, ...]]:
        """The account to sign in to; or the one that has the address, and the other ways into it.

        Where accounts can share an address (``shared``), it leads to none.
        """
        known = accounts.by_identity(tx, scope, profile.provider_id, profile.raw_id)
        if known is not None:
            return accounts.link(tx, known, _identity(profile)), ()
        email = _email(profile)
        account = accounts.by_email(tx, scope, email) if email and not shared else None
        if account is None:
            return None, ()
        same = any(i.provider_id == profile.provider_id for i in account.identities)
        if not trusted or same:
            return account, tuple(account.sign_in_methods()) or (profile.provider_id,)
        if not account.email_verified:
            # whoever made it never proved the address: the provider's user is its owner
            self._context.end_sessions(tx, account)
            for identity in account.identities:
                accounts.unlink(tx, account, identity.provider_id)
            account = accounts.update(
                tx, account, email_verified=True, password_hash=None, password_updated_at=None
            )
        shown = {"display_name": profile.display_name, "photo_url": profile.photo_url}
        account = accounts.update(tx, account, **shown)
        return accounts.link(tx, account, _identity(profile)), ()

    async def _link(
        self, scope: Scope, profile: Profile, id_token: str, trusted: bool, shared: bool
    ) -> tuple[Account, Mapping[str, Any]]:
        """The caller's account, with the provider's; and what the caller's session adds to its tokens."""
        caller = await self._context.caller(scope, id_token)

        def unit(tx: Tx) -> Account:
            account = accounts.by_key(tx, caller.account.key) or caller.account
            held = [i for i in account.identities if i.provider_id == profile.provider_id]
            if held:
                same = held[0].raw_id == profile.raw_id
                raise AuthError(
                    "FEDERATED_USER_ID_ALREADY_LINKED" if same else "PROVIDER_ALREADY_LINKED"
                )
            holder = accounts.by_identity(tx, scope, profile.provider_id, profile.raw_id)
            if holder is not None:
                raise AuthError("FEDERATED_USER_ID_ALREADY_LINKED")
            missing: dict[str, Any] = {}
            email = None if shared else _email(profile)
            if email:
                accounts.check_free(tx, scope, account.key, {"email": email})
            if not account.email and email:
                missing["email"] = email
            if email and trusted and email == (account.email or email):
                missing["email_verified"] = True
            if not account.display_name and profile.display_name:
                missing["display_name"] = profile.display_name
            if not account.photo_url and profile.photo_url:
                missing["photo_url"] = profile.photo_url
            return accounts.link(tx, accounts.update(tx, account, **missing), _identity(profile))

        claims = await self._context.session_claims(caller)
        return await self._context.write(unit), claims

    async def _profile(
        self, scope: Scope, request: IdpRequest
    ) -> tuple[Profile, Provider, dict[str, str]]:
        pairs = dict(request.post_body)
        returned = {k: v[0] for k, v in parse_qs(urlsplit(request.request_uri).query).items()}
        if request.session_id and "code" in (returned | pairs):
            return await self._complete(scope, returned | pairs, request.session_id)
        pairs = returned | pairs
        provider_id = pairs.get("providerId", "")
        if not provider_id:
            raise AuthError(
                "INVALID_CREDENTIAL_OR_PROVIDER_ID",
                "Invalid IdP response/credential: it names no providerId.",
            )
        id_token = pairs.get("id_token", "")
        if self._context.options.dev:
            configured = await self.provider(scope, provider_id) is not None
            name = "id_token" if id_token else "access_token"
            faked = _fake_profile(provider_id, pairs.get(name, ""), name, signed=not configured)
            if faked is not None:
                return faked, Provider(provider_id, ""), {name: pairs[name]}
        provider = await self._provider(scope, provider_id)
        tokens = {n: pairs[n] for n in ("id_token", "access_token") if pairs.get(n)}
        if id_token:
            profile = await self._client.profile_of_id_token(provider, id_token, pairs.get("nonce"))
        elif "access_token" in tokens:
            profile = await self._client.profile_of_access_token(provider, tokens["access_token"])
        else:
            raise AuthError("INVALID_IDP_RESPONSE", "postBody has no token.")
        return profile, provider, tokens

    async def _complete(
        self, scope: Scope, returned: Mapping[str, str], session_id: str
    ) -> tuple[Profile, Provider, dict[str, str]]:
        """The end of the redirect flow: single use, bound to state, nonce and PKCE verifier."""
        context = self._context

        def spend(tx: Tx) -> Mapping[str, Any]:
            found = codes.find(
                tx,
                scope,
                session_id,
                [_SESSION],
                context.now_ms(),
                invalid="INVALID_SESSION_ID",
                expired="INVALID_SESSION_ID",
            )
            codes.spend(tx, found)
            return found.payload

        payload = await context.write(spend)
        sealed = base64.b64decode(payload["sealed"])
        inside = json.loads(context.secrets.open(sealed, _SESSION))
        if not hmac.compare_digest(returned.get("state", "").encode(), inside["state"].encode()):
            raise AuthError("INVALID_IDP_RESPONSE", "The state is not the one that was sent.")
        provider = await self._provider(scope, payload["provider"])
        answer = await self._client.exchange_code(
            provider,
            code=returned["code"],
            redirect=inside["redirect"],
            verifier=inside["verifier"],
        )
        tokens = {
            name: str(answer[name]) for name in ("id_token", "access_token") if answer.get(name)
        }
        if "id_token" in tokens:
            profile = await self._client.profile_of_id_token(
                provider, tokens["id_token"], inside["nonce"]
            )
        elif "access_token" in tokens:
            profile = await self._client.profile_of_access_token(provider, tokens["access_token"])
        else:
            raise AuthError("INVALID_IDP_RESPONSE", "The provider gave no token.")
        return profile, provider, tokens

    async def _provider(self, scope: Scope, provider_id: str) -> Provider:
        provider = await self.provider(scope, provider_id)
        if provider is None or not provider.enabled:
            raise AuthError(
                "OPERATION_NOT_ALLOWED", f"The provider {provider_id!r} is not configured."
            )
        return provider


def _identity(profile: Profile) -> Identity:
    return Identity(
        profile.provider_id,
        profile.raw_id,
        _email(profile),
        profile.display_name,
        profile.photo_url,
        profile.screen_name,
    )


def _email(profile: Profile) -> str | None:
    if profile.email is None:
        return None
    try:
        return validation.email(profile.email)
    except AuthError:
        return None  # some providers give no real address; the account does without


def _fake_profile(provider_id: str, token: str, name: str, *, signed: bool) -> Profile | None:
    """What development mode takes for a provider's user: plain JSON, or an unsigned token.

    As an access token, too, which is all that the SDKs send of some providers.

    Also a ``signed`` one, of a provider that is not configured: nothing is known of its keys.
    """
    if token.lstrip().startswith("{"):
        try:
            claims = json.loads(token)
        except (ValueError, RecursionError) as error:
            raise AuthError("INVALID_IDP_RESPONSE", f"The {name} is no JSON object.") from error
        return profile_of(provider_id, claims)
    try:
        parts = take_apart(token, f"The {name}")
    except (Unauthenticated, binascii.Error):
        return None
    if not signed and (parts.header.get("alg") != "none" or parts.signature):
        return None
    return profile_of(provider_id, parts.claims)
