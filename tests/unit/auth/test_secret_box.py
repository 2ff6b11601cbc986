import stat
from pathlib import Path

import pytest

from baas.auth.secret_box import (
    SecretBox,
    SecretBoxError,
    drop_old_keys,
    load_secret_box,
    new_key,
    parse_keys,
    rotate_key_file,
)

ONE, TWO = bytes(32), bytes([1]) * 32


def test_what_is_sealed_opens() -> None:
    box = SecretBox([ONE])
    assert box.open(box.seal(b"secret", "x"), "x") == b"secret"


def test_sealing_twice_differs() -> None:
    box = SecretBox([ONE])
    assert box.seal(b"secret", "x") != box.seal(b"secret", "x")


def test_another_purpose_does_not_open() -> None:
    box = SecretBox([ONE])
    with pytest.raises(SecretBoxError, match="changed"):
        box.open(box.seal(b"secret", "x"), "y")


def test_another_key_does_not_open() -> None:
    with pytest.raises(SecretBoxError, match=r"restore the secret\.key"):
        SecretBox([TWO]).open(SecretBox([ONE]).seal(b"secret", "x"), "x")


def test_a_changed_byte_does_not_open() -> None:
    box = SecretBox([ONE])
    sealed = bytearray(box.seal(b"secret", "x"))
    sealed[-1] ^= 1
    with pytest.raises(SecretBoxError, match="changed"):
        box.open(bytes(sealed), "x")


def test_an_older_key_still_opens() -> None:
    sealed = SecretBox([ONE]).seal(b"secret", "x")
    both = SecretBox([TWO, ONE])
    assert both.open(sealed, "x") == b"secret"
    assert not both.is_current(sealed)
    assert both.is_current(both.seal(b"secret", "x"))


def test_the_first_run_makes_a_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    sealed = load_secret_box(tmp_path).seal(b"secret", "x")
    assert load_secret_box(tmp_path).open(sealed, "x") == b"secret"
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600


def test_a_configured_key_leaves_no_file(tmp_path: Path) -> None:
    load_secret_box(tmp_path, new_key())
    assert list(tmp_path.iterdir()) == []


def test_rotating_the_file_keeps_the_old_key_until_dropped(tmp_path: Path) -> None:
    sealed = load_secret_box(tmp_path).seal(b"secret", "x")
    rotate_key_file(tmp_path)
    assert load_secret_box(tmp_path).open(sealed, "x") == b"secret"
    drop_old_keys(tmp_path)
    with pytest.raises(SecretBoxError):
        load_secret_box(tmp_path).open(sealed, "x")


@pytest.mark.parametrize("text", ["short", "c2hvcnQ=", "!" * 44])
def test_an_unusable_key_is_refused(text: str) -> None:
    with pytest.raises(SecretBoxError, match="32 bytes"):
        parse_keys(text)
