"""The data folder: one process at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from baas.data_folder import DataFolder, FolderError


def test_a_folder_is_made_private(tmp_path: Path) -> None:
    with DataFolder(tmp_path / "data") as folder:
        assert folder.path.stat().st_mode & 0o077 == 0


def test_a_database_is_private_in_a_folder_that_others_may_read(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with DataFolder(tmp_path) as folder:
        assert folder.database.stat().st_mode & 0o077 == 0


def test_a_second_lock_is_refused(tmp_path: Path) -> None:
    with DataFolder(tmp_path), pytest.raises(FolderError, match="another process"):
        DataFolder(tmp_path).__enter__()


def test_the_lock_is_given_back(tmp_path: Path) -> None:
    with DataFolder(tmp_path):
        pass
    with DataFolder(tmp_path):
        pass


def test_a_path_that_is_no_folder_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match="cannot be used"):
        DataFolder(tmp_path / "file").__enter__()
