"""What a project or a tenant is configured to allow: the part of Identity Platform's ``Config`` that is kept.

Only what was changed is stored; the rest follows the server's settings. Pure, but for the store at the end.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from baas.auth import mail_templates
from baas.auth.errors import AuthError
from baas.auth.options import AuthOptions, Scope
from baas.auth.validation import MIN_PASSWORD
from baas.db.tables.auth import projects
from baas.db.unit import Tx
from baas.errors import InvalidArgument

MAX_PASSWORD = 4_096
MFA_STATES = ("DISABLED", "ENABLED", "MANDATORY")
SPECIAL_CHARACTERS = "^$*.[]{}()?\"!@#%&/\\,><':;|_~"

_TEST_NUMBERS = "signIn.phoneNumber.testPhoneNumbers"
_WRITABLE: dict[str, type] = {
    "signIn.email.enabled": bool,
    "signIn.email.passwordRequired": bool,
    "signIn.phoneNumber.enabled": bool,
    _TEST_NUMBERS: dict,
    "signIn.anonymous.enabled": bool,
    "signIn.allowDuplicateEmails": bool,
    "client.permissions.disabledUserSignup": bool,
    "client.permissions.disabledUserDeletion": bool,
    "mfa.state": str,
    "mfa.enabledProviders": list,
    "mfa.providerConfigs": list,
    "emailPrivacyConfig.enableImprovedEmailPrivacy": bool,
    "passwordPolicyConfig.passwordPolicyEnforcementState": str,
    "passwordPolicyConfig.forceUpgradeOnSignin": bool,
    "passwordPolicyConfig.passwordPolicyVersions": list,
    "blockingFunctions.triggers": dict,
    "authorizedDomains": list,
    "notification.defaultLocale": str,
    **{f"{mail_templates.PATH}.{name}": dict for name in mail_templates.TEMPLATES.values()},
    "displayName": str,
    "enableEmailLinkSignin": bool,
    "disableAuth": bool,
}
_TENANT_NAMES = {
    "allowPasswordSignup": "signIn.email.enabled",
    "enableAnonymousUser": "signIn.anonymous.enabled",
    "mfaConfig": "mfa",
    "testPhoneNumbers": _TEST_NUMBERS,
}
"""Tenants call some settings otherwise than projects do."""
_READ_ONLY = ("name", "subtype", "tenantId")


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """What a password must have, where a policy is enforced."""

    enforced: bool
    force_upgrade: bool
    min_length: int
    max_length: int
    lower: bool
    upper: bool
    digit: bool
    special: bool

    def missing(self, password: str) -> list[str]:
        """What this password lacks, in words."""
        checks = [
            (
                len(password) < self.min_length,
                f"Password must contain at least {self.min_length} characters",
            ),
            (
                len(password) > self.max_length,
                f"Password may contain at most {self.max_length} characters",
            ),
            (self.lower and not any(c.islower() for c in password), _must("a lower case")),
            (self.upper and not any(c.isupper() for c in password), _must("an upper case")),
            (self.digit and not any(c.isdigit() for c in password), _must("a numeric")),
            (
                self.special and not any(c in SPECIAL_CHARACTERS for c in password),
                _must("a non-alphanumeric"),
            ),
        ]
        return [words for lacking, words in checks if lacking]

    def check(self, password: str) -> None:
        """Whether the password may be set.

        Raises:
            AuthError: PASSWORD_DOES_NOT_MEET_REQUIREMENTS, with all that is missing.
        """
        missing = self.missing(password) if self.enforced else []
        if missing:
            words = ", ".join(missing)
            raise AuthError(
                "PASSWORD_DOES_NOT_MEET_REQUIREMENTS", f"Missing password requirements: [{words}]"
            )


class ProjectConfig:
    """The configuration of one scope, read by name."""

    def __init__(self, values: Mapping[str, Any], changed: Iterable[str] = ()) -> None:
        self.values = values
        self.changed = frozenset(changed)
        """The first names of what somebody has set."""

    def get(self, path: str) -> Any:
        """A value by its dotted path."""
        found: Any = self.values
        for name in path.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    @property
    def protects_emails(self) -> bool:
        """Whether answers hide who has an account."""
        return bool(self.get("emailPrivacyConfig.enableImprovedEmailPrivacy"))

    @property
    def password_policy(self) -> PasswordPolicy:
        """What passwords must have."""
        versions = self.get("passwordPolicyConfig.passwordPolicyVersions") or [{}]
        wanted = versions[0].get("customStrengthOptions") or {}
        return PasswordPolicy(
            enforced=self.get("passwordPolicyConfig.passwordPolicyEnforcementState") == "ENFORCE",
            force_upgrade=bool(self.get("passwordPolicyConfig.forceUpgradeOnSignin")),
            min_length=int(wanted.get("minPasswordLength", MIN_PASSWORD)),
            max_length=int(wanted.get("maxPasswordLength", MAX_PASSWORD)),
            lower=bool(wanted.get("containsLowercaseCharacter")),
            upper=bool(wanted.get("containsUppercaseCharacter")),
            digit=bool(wanted.get("containsNumericCharacter")),
            special=bool(wanted.get("containsNonAlphanumericCharacter")),
        )

    def require_email_link(self) -> None:
        """Whether links in mails sign in.

        Raises:
            AuthError: OPERATION_NOT_ALLOWED.
        """
        allowed = self.get("enableEmailLinkSignin")
        if allowed is None:  # a project: where passwords are allowed, and not required
            allowed = self.get("signIn.email.enabled") and not self.get(
                "signIn.email.passwordRequired"
            )
        if not allowed:
            raise AuthError("OPERATION_NOT_ALLOWED")

    def require(self, path: str, code: str = "OPERATION_NOT_ALLOWED") -> None:
        """Whether a way in is open.

        Raises:
            AuthError: ``code``.
        """
        if not self.get(path):
            raise AuthError(code)

    def check_continue_url(self, url: str, *, open_to_all: bool) -> None:
        """Whether users may be sent to this address after an action.

        Raises:
            AuthError: INVALID_CONTINUE_URI, UNAUTHORIZED_DOMAIN.
        """
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
        except ValueError as error:
            raise AuthError("INVALID_CONTINUE_URI") from error
        unsafe = any(c in url for c in "\\\r\n\t") or parts.username is not None
        if parts.scheme not in ("http", "https") or not host or unsafe:
            raise AuthError("INVALID_CONTINUE_URI")
        allowed = self.get("authorizedDomains") or []
        if not open_to_all and host not in allowed:
            raise AuthError("UNAUTHORIZED_DOMAIN", f"Domain {host} is not authorized.")


def defaults(options: AuthOptions) -> dict[str, Any]:
    """What a scope is configured to before anybody changes it."""
    own_host = urlsplit(options.public_url).hostname or "localhost"
    return {
        "signIn": {
            "email": {"enabled": True, "passwordRequired": False},
            "phoneNumber": {
                "enabled": True,
                "testPhoneNumbers": dict(options.test_phone_numbers),
            },
            "anonymous": {"enabled": True},
            "allowDuplicateEmails": False,
        },
        "client": {
            "permissions": {
                "disabledUserSignup": not options.allow_sign_up,
                "disabledUserDeletion": False,
            }
        },
        "mfa": {
            "state": "ENABLED",
            "enabledProviders": ["PHONE_SMS"],
            "providerConfigs": [
                {"state": "ENABLED", "totpProviderConfig": {"adjacentIntervals": 1}}
            ],
        },
        "emailPrivacyConfig": {"enableImprovedEmailPrivacy": options.email_enumeration_protection},
        "passwordPolicyConfig": {
            "passwordPolicyEnforcementState": "OFF",
            "forceUpgradeOnSignin": False,
            "passwordPolicyVersions": [],
        },
        "blockingFunctions": {"triggers": {}},
        "authorizedDomains": sorted({"localhost", "127.0.0.1", own_host}),
    }


def tenant_defaults(*, made: bool) -> dict[str, Any]:
    """What a tenant is configured to before anybody changes it, where it differs from a project.

    A tenant that was made begins with everything off. One that nobody made exists in development mode
    only, with everything on, as with Google's emulator.
    """
    return {
        "signIn": {"email": {"enabled": not made}, "anonymous": {"enabled": not made}},
        "enableEmailLinkSignin": not made,
        "disableAuth": False,
        "mfa": {
            "state": "DISABLED" if made else "ENABLED",
            "enabledProviders": [] if made else ["PHONE_SMS"],
            "providerConfigs": [],
        },
    }


def apply_update(
    stored: Mapping[str, Any], update: Mapping[str, Any], mask: Iterable[str] | None
) -> dict[str, Any]:
    """The stored values after an update of the masked paths (without a mask: of those that are given).

    Raises:
        InvalidArgument: a path cannot be set, or its value is of the wrong type.
    """
    changed = copy.deepcopy(dict(stored))
    given = ProjectConfig(_by_project_names(update))
    paths = [path for asked in mask for path in _expand(asked)] if mask else _leaves(given.values)
    for path in paths:
        value = given.get(path)
        owner = next((name for name in _WRITABLE if path.startswith(name + ".")), path)
        if owner != path:  # one entry of a map
            entries = {**(ProjectConfig(changed).get(owner) or {})}
            _put(entries, path.removeprefix(owner + "."), value)
            path, value = owner, entries
        if value is not None:
            _check(path, value)
        _put(changed, path, value)
    return changed


def _by_project_names(update: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = copy.deepcopy(
        {name: value for name, value in update.items() if name not in _TENANT_NAMES}
    )
    for name, path in _TENANT_NAMES.items():
        if update.get(name) is not None:
            _put(found, path, update[name])
    return found


def _expand(asked: str) -> list[str]:
    first, _, rest = asked.partition(".")
    if first in _TENANT_NAMES:
        asked = ".".join(filter(None, (_TENANT_NAMES[first], rest)))
    found = [path for path in _WRITABLE if path == asked or path.startswith(asked + ".")]
    if found:
        return found
    owners = [path for path in _WRITABLE if asked.startswith(path + ".")]
    if not owners:
        raise InvalidArgument(f"The update mask names {asked!r}, which cannot be set here.")
    # a place inside of what has no places is passed over
    return [asked] if _WRITABLE[owners[0]] is dict else []


def _leaves(update: Mapping[str, Any], prefix: str = "") -> list[str]:
    found: list[str] = []
    for name, value in update.items():
        path = f"{prefix}{name}"
        if path in _WRITABLE:
            found.append(path)
        elif isinstance(value, Mapping):
            found += _leaves(value, f"{path}.")
        elif path not in _READ_ONLY:
            raise InvalidArgument(f"{path!r} cannot be set here.")
    return found


def _check(path: str, value: Any) -> None:
    fits: bool = type(value) is _WRITABLE[path]
    if not fits:
        raise InvalidArgument(f"{path!r} must be a {_WRITABLE[path].__name__}.")
    if path == "passwordPolicyConfig.passwordPolicyVersions":
        _check_policy(value)
    if path == "authorizedDomains" and not all(isinstance(item, str) for item in value):
        raise InvalidArgument("'authorizedDomains' must be a list of strings.")
    if path == "mfa.state" and value not in MFA_STATES:
        raise InvalidArgument(f"'mfa.state' must be one of {', '.join(MFA_STATES)}.")
    if path == _TEST_NUMBERS and not all(
        isinstance(code, str) and code.isdigit() for code in value.values()
    ):
        raise InvalidArgument("'testPhoneNumbers' maps numbers to codes of digits.")
    if path == "blockingFunctions.triggers":
        _check_triggers(value)
    if path.startswith(mail_templates.PATH):
        mail_templates.check(path.rpartition(".")[2], value)


def _check_policy(versions: list[Any]) -> None:
    options = versions[0].get("customStrengthOptions") if len(versions) == 1 else None
    if not isinstance(options, Mapping):
        raise InvalidArgument("A password policy has one version with customStrengthOptions.")
    low, high = options.get("minPasswordLength", 6), options.get("maxPasswordLength", MAX_PASSWORD)
    if type(low) is not int or type(high) is not int or not 6 <= low <= 30 <= high <= MAX_PASSWORD:
        raise InvalidArgument(
            "minPasswordLength must be from 6 to 30, and maxPasswordLength from 30 to 4096."
        )


def _check_triggers(triggers: Mapping[str, Any]) -> None:
    for event, trigger in triggers.items():
        if event not in ("beforeCreate", "beforeSignIn"):
            raise AuthError("INVALID_BLOCKING_FUNCTION", f"There is no event {event!r}.")
        uri = trigger.get("functionUri") if isinstance(trigger, Mapping) else None
        if not isinstance(uri, str) or urlsplit(uri).scheme not in ("http", "https"):
            words = f"The functionUri of {event!r} must be an http(s) address."
            raise AuthError("INVALID_BLOCKING_FUNCTION", words)


def _put(values: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for name in parents:
        values = values.setdefault(name, {})
    if value is None:
        values.pop(last, None)
    else:
        values[last] = value


def _merge(base: dict[str, Any], changes: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    for name, value in changes.items():
        here = f"{path}{name}"
        if (
            isinstance(value, Mapping)
            and isinstance(base.get(name), dict)
            and here not in _WRITABLE
        ):
            _merge(base[name], value, here + ".")
        else:
            base[name] = value
    return base


def _must(what: str) -> str:
    return f"Password must contain {what} character"


# The store


def stored(tx: Tx, scope: Scope) -> dict[str, Any] | None:
    """What was changed of a scope; ``None`` if it was never configured."""
    text = tx.core.execute(
        sa.select(projects.c.config).where(
            projects.c.project == scope.project, projects.c.tenant == scope.tenant
        )
    ).scalar()
    return None if text is None else dict(json.loads(text))


def load(tx: Tx, scope: Scope, options: AuthOptions) -> ProjectConfig:
    """The configuration in force. A tenant's stands on its own, not on the project's.

    Raises:
        AuthError: TENANT_NOT_FOUND.
    """
    changes = stored(tx, scope)
    if changes is None and scope.tenant and not options.dev:
        raise AuthError("TENANT_NOT_FOUND")
    base = defaults(options)
    if scope.tenant:
        _merge(base, tenant_defaults(made=changes is not None))
    return ProjectConfig(_merge(base, changes or {}), changes or ())


def save(tx: Tx, scope: Scope, values: Mapping[str, Any]) -> None:
    """Keep what was changed."""
    drop(tx, scope)
    tx.core.execute(
        sa.insert(projects).values(
            project=scope.project, tenant=scope.tenant, config=json.dumps(dict(values))
        )
    )


def drop(tx: Tx, scope: Scope) -> None:
    """Forget what was changed."""
    tx.core.execute(
        sa.delete(projects).where(
            projects.c.project == scope.project, projects.c.tenant == scope.tenant
        )
    )


def tenants(tx: Tx, project: str, *, after: str = "", limit: int | None = None) -> list[str]:
    """The tenants of a project, in order; those after one, up to a number."""
    rows = tx.core.execute(
        sa.select(projects.c.tenant)
        .where(projects.c.project == project, projects.c.tenant > after)
        .order_by(projects.c.tenant)
        .limit(limit)
    )
    return [row[0] for row in rows]
