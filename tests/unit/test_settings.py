"""Settings: where they come from, and how a bad one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from baas.settings import Settings, SettingsError, load

ROOT = Path(__file__).parents[2]


def test_flags_beat_the_environment_and_the_environment_beats_the_file(tmp_path: Path) -> None:
    config = tmp_path / "homefire.toml"
    config.write_text('port = 1001\nhost = "127.0.0.2"\nproject = "from-file"\n')
    environment = {"HOMEFIRE_PORT": "1002", "HOMEFIRE_HOST": "127.0.0.3"}
    settings = load({"port": 1003, "host": None}, environment, config)
    assert (settings.port, settings.host, settings.project) == (1003, "127.0.0.3", "from-file")


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"HOMEFIRE_PORT": "many"}, "port: "),
        ({"HOMEFIRE_PORT": "65536"}, "port: "),
        ({"HOMEFIRE_LOG_LEVEL": "loud"}, "log_level: "),
        ({"HOMEFIRE_PROJECT": "no/slash"}, "project: "),
        ({"HOMEFIRE_PUBLIC_URL": "example.org"}, "public_url: "),
        ({"HOMEFIRE_TLS_KEY": "key.pem"}, "tls_certificate and tls_key"),
    ],
)
def test_a_bad_setting_is_refused_with_its_name(environment: dict[str, str], name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}"):
        load({}, environment)


def test_a_refused_secret_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as refused:
        load({"storage_url": ["hunter2"]}, {})
    assert "hunter2" not in str(refused.value)


def test_an_unknown_setting_in_the_file_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "homefire.toml"
    config.write_text("prot = 80\n")
    with pytest.raises(SettingsError, match="prot: there is no such setting"):
        load({}, {}, config)


def test_development_mode_refuses_to_listen_beyond_loopback() -> None:
    with pytest.raises(SettingsError, match="dev mode"):
        load({"dev": True, "host": "0.0.0.0"}, {})
    assert load({"dev": True, "host": "0.0.0.0", "allow_remote_dev": True}, {}).dev


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
