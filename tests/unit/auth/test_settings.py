from pathlib import Path

import pytest

from baas.auth_settings import auth_options
from baas.settings import SettingsError, load


def test_maps_are_tables_in_the_file(tmp_path: Path) -> None:
    config = tmp_path / "homefire.toml"
    config.write_text(
        '[api_keys]\nk1 = "one"\n\n[providers."oidc.acme"]\nclient_id = "c"\n'
        'client_secret = "s,1"\nissuer = "https://acme.example"\n'
    )
    settings = load({}, {}, config)
    assert settings.api_keys == {"k1": "one"}
    acme = settings.providers["oidc.acme"]
    assert (acme.client_id, acme.client_secret.get_secret_value()) == ("c", "s,1")
    assert "s,1" not in repr(settings)


def test_maps_are_pairs_in_the_environment() -> None:
    environment = {
        "HOMEFIRE_API_KEYS": "k1=one, k2=two",
        "HOMEFIRE_TEST_PHONE_NUMBERS": "+15555550100=123456",
        "HOMEFIRE_PROVIDERS": "google.com=c:s@h,oidc.acme=c2:s2@https://acme.example/a",
    }
    settings = load({}, environment)
    assert settings.api_keys == {"k1": "one", "k2": "two"}
    assert settings.test_phone_numbers == {"+15555550100": "123456"}
    assert settings.providers["google.com"].client_secret.get_secret_value() == "s@h"
    acme = settings.providers["oidc.acme"]
    assert (acme.client_id, acme.issuer) == ("c2", "https://acme.example/a")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api_keys", "just-a-key"),
        ("api_keys", "key=no/slash"),
        ("test_phone_numbers", "15555550100=123456"),
        ("test_phone_numbers", "+15555550100=12"),
        ("providers", "oidc.acme=c:hunter2"),
        ("providers", "facebook.com=c:hunter2"),
        ("providers", "google.com=:hunter2"),
        ("smtp_port", "0"),
        ("smtp_tls", "maybe"),
        ("smtp_sender", "nobody"),
        ("password_hash_passes", "0"),
        ("limit_account_failures", "0"),
        ("trusted_proxies", "10.0.0.0/99"),
    ],
)
def test_what_does_not_hold_is_refused_by_name_and_not_repeated(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}") as refused:
        load({}, {f"HOMEFIRE_{name.upper()}": value})
    assert "hunter2" not in str(refused.value)
    assert "there is no such setting" not in str(refused.value)


def test_development_mode_has_only_the_limits_that_are_set() -> None:
    limits = auth_options(load({"dev": True}, {"HOMEFIRE_LIMIT_MAILS_PER_HOUR": "7"}), "").limits
    assert limits.mails_per_hour == 7
    assert min(limits.sign_ups_per_hour, limits.account_failures, limits.address_failures) > 10**9


def test_production_has_limits() -> None:
    limits = auth_options(load({}, {}), "").limits
    counts = (limits.account_failures, limits.address_failures, limits.mails_per_hour)
    assert (*counts, limits.sign_ups_per_hour) == (10, 100, 30, 100)
