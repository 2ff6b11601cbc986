"""The commands that work on the documents of a stopped server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from baas.cli import build
from baas.data_folder import DataFolder

DOCUMENTS = [{"path": f"c/{n}", "fields": {"n": {"integerValue": str(n % 9)}}} for n in range(150)]
EXPORT = [
    {"homefire": "documents", "format": 1},
    *DOCUMENTS,
    {"end": True, "documents": len(DOCUMENTS)},
]


def homefire(*words: str) -> Result:
    """Run a command."""
    return CliRunner().invoke(build(list(words)), words)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A data folder with 150 documents, imported."""
    file = tmp_path / "in.ndjson"
    file.write_text("".join(json.dumps(line) + "\n" for line in EXPORT))
    data = str(tmp_path / "data")
    result = homefire("import", str(file), "--data", data)
    assert result.exit_code == 0, result.output
    return data


def test_what_was_imported_is_exported(folder: str, tmp_path: Path) -> None:
    file = tmp_path / "out.ndjson"
    result = homefire("export", str(file), "--data", folder)
    assert result.exit_code == 0, result.output
    assert len(file.read_text().splitlines()) == 152


def test_a_file_that_cannot_be_written_is_refused(folder: str, tmp_path: Path) -> None:
    refused = homefire("export", str(tmp_path / "none" / "out"), "--data", folder)
    assert refused.exit_code == 2
    assert "No such file" in refused.output


@pytest.mark.parametrize("words", [["export", "out"], ["doctor"], ["indexes", "list"]])
def test_a_folder_that_is_not_there_is_refused_and_not_made(
    tmp_path: Path, words: list[str]
) -> None:
    refused = homefire(*words, "--data", str(tmp_path / "misspelt"))
    assert refused.exit_code == 2
    assert "there is no database in" in refused.output
    assert not list(tmp_path.iterdir())


def test_a_folder_is_checked(folder: str) -> None:
    assert homefire("doctor", "--data", folder).exit_code == 0


def test_declared_indexes_are_built_and_explained(folder: str, tmp_path: Path) -> None:
    declared = tmp_path / "firestore.indexes.json"
    fields = [{"fieldPath": "n", "order": "ASCENDING"}]
    declared.write_text(json.dumps({"indexes": [{"collectionGroup": "c", "fields": fields}]}))
    assert homefire("indexes", "declare", str(declared), "--data", folder).exit_code == 0
    listed = homefire("indexes", "list", "--data", folder).output
    assert "c (collection): n asc\tready, pinned\tfirestore.indexes.json" in listed

    asked = tmp_path / "query.json"
    where = {"field": {"fieldPath": "n"}, "op": "EQUAL", "value": {"integerValue": "3"}}
    body = {"from": [{"collectionId": "c"}], "where": {"fieldFilter": where}}
    asked.write_text(json.dumps({"structuredQuery": body}))
    explained = homefire("indexes", "explain", str(asked), "--data", folder).output
    assert "Collection: (n ASC, __name__ ASC)" in explained
    assert "documents_scanned: 17" in explained

    assert homefire("indexes", "drop", "1", "--data", folder).exit_code == 2
    assert homefire("indexes", "unpin", "1", "--data", folder).exit_code == 0
    assert homefire("indexes", "drop", "1", "--data", folder).exit_code == 0
    assert homefire("indexes", "list", "--data", folder).output == ""


def test_a_folder_in_use_is_refused(folder: str) -> None:
    with DataFolder(Path(folder)):
        result = homefire("indexes", "list", "--data", folder)
    assert result.exit_code == 2
    assert "another process is using" in result.output
