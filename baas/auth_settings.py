"""The options of the auth room from the settings, read once for the server and the command line."""

from __future__ import annotations

import sys
from dataclasses import replace

from baas.auth.options import AuthOptions, HashOptions, LimitOptions, Provider
from baas.settings import Settings

_LIMITS = {
    "account_failures": "limit_account_failures",
    "address_failures": "limit_address_failures",
    "mails_per_hour": "limit_mails_per_hour",
    "sign_ups_per_hour": "limit_sign_ups_per_hour",
}


def auth_options(settings: Settings, address: str) -> AuthOptions:
    """What the auth room is told. ``address``: where clients reach the server, if no ``public_url`` says."""
    return AuthOptions(
        dev=settings.dev,
        default_project=settings.project,
        projects=None if settings.dev else settings.served_projects,
        api_keys=settings.api_keys,
        public_url=settings.public_url or address,
        email_enumeration_protection=settings.email_enumeration_protection,
        allow_sign_up=settings.allow_sign_up,
        hashing=HashOptions(
            time_cost=settings.password_hash_passes,
            memory_kib=settings.password_hash_memory_kib,
            workers=settings.password_hash_workers,
            max_waiting=settings.password_hash_queue,
        ),
        limits=_limits(settings),
        test_phone_numbers=settings.test_phone_numbers,
        providers={
            name: Provider(name, one.client_id, one.client_secret.get_secret_value(), one.issuer)
            for name, one in settings.providers.items()
        },
        trusted_proxies=settings.trusted_proxies,
    )


def _limits(settings: Settings) -> LimitOptions:
    """As set. Development mode has those only that are set: a suite of tests signs up by the hundred."""
    open_ = LimitOptions(**dict.fromkeys(_LIMITS, sys.maxsize))
    told = {
        name: getattr(settings, setting)
        for name, setting in _LIMITS.items()
        if not settings.dev or setting in settings.model_fields_set
    }
    return replace(open_, **told)
